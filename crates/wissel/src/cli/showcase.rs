//! What is said about showcases.

use clap::Args;

pub(crate) const HELP: &str =
    "Each party is a client with a certificate of its own, and the gateway a process of its own.

Examples:
  wissel showcase
  wissel showcase klantdossier
  wissel showcase --all --kill-every 2";

#[derive(Debug, Args)]
pub(crate) struct ShowcaseArguments {
    /// Which; without, those that there are are listed
    #[arg(value_name = "NAME", conflicts_with = "all")]
    pub(crate) name: Option<String>,
    /// Play them all
    #[arg(long)]
    pub(crate) all: bool,
    /// `embedded`, or the URL of a RabbitMQ without a password [default: WISSEL_DEMO_BUS, or embedded]
    #[arg(long, value_name = "BUS")]
    pub(crate) bus: Option<String>,
    /// Kill the gateway (kill -9) in the middle of each Nth step, and start it again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kill_every: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// How long to publish
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// `embedded`, or the URL of a RabbitMQ without a password; WISSEL_DEMO_BUS may hold one with it,
    /// and WISSEL_DEMO_BUS_PASSWORD_FILE names a file with it [default: WISSEL_DEMO_BUS, or embedded]
    #[arg(long, value_name = "BUS")]
    pub(crate) bus: Option<String>,
    /// Print the totals as JSON, and no live view
    #[arg(long)]
    pub(crate) json: bool,
}
