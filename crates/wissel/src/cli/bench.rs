//! What is said about `bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wissel_identifiers::{InboxName, Oin};

use super::Connection;
use super::queues::duration;

pub(crate) const HELP: &str = "Each message is the one of FILE with an id of its own, and goes to \
whoever is entitled to it.
At a rate, a latency counts from the moment at which a message was to be sent, so that a gateway
that stalls does not look fast.

Examples:
  wissel bench --as 00000099000000001000 geboorte.json --rate 1000 --seconds 30
  wissel bench --as 00000099000000001000 geboorte.json --count 100000 --connections 4 \\
    --inbox 00000001002220647000.inwoners --receive-as 00000001002220647000";

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// One CloudEvent in JSON; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Send so many in a second [default: as fast as they are confirmed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Stop after so long
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, conflicts_with = "count")]
    pub(crate) seconds: Duration,
    /// Stop after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Over so many connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) connections: u32,
    /// The most messages of a connection without a receipt
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) window: u32,
    /// Take the messages out of this inbox too, and measure until they come
    #[arg(long, value_name = "INBOX")]
    pub(crate) inbox: Option<InboxName>,
    /// Receive as this party (OIN), with a development token [default: as the publisher]
    #[arg(long, value_name = "OIN", requires = "inbox")]
    pub(crate) receive_as: Option<Oin>,
    /// Yes, at a gateway that is not on this machine
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds.into())),
        Ok(_) => Err("expected 1 to 86400 seconds".to_owned()),
        Err(_) => duration(text),
    }
}
