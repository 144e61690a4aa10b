//! What is said about watching a gateway.

use std::time::Duration;

use clap::Args;

use super::Connection;

pub(super) const STATUS_HELP: &str = "Examples:
  wissel status --as operator
  wissel status --as operator --watch
  wissel status --as operator --json || page the operator

Exit code 0: the gateway is ready. 3: it is not, or cannot be reached. With
--watch it goes on until it is stopped.";

#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// Look again every so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Whom every `list` and `show` asks, how often, and for whom it prints.
#[derive(Debug, Args)]
pub(crate) struct LookArguments {
    #[command(flatten)]
    pub(crate) watch: WatchArguments,
    /// Print JSON, a line for each; with --watch all of them each time
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Whether to look once or again and again.
#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// Look again every so many seconds [default: 2], in place on a terminal
    #[arg(long = "watch", value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = seconds)]
    pub(crate) watch: Option<Duration>,
}

/// From half a second, which is as often as a gateway looks, to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let seconds = seconds.filter(|seconds| (0.5..=86_400.0).contains(seconds));
    let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    span.ok_or_else(|| "expected seconds from 0.5 to 86400".to_owned())
}
