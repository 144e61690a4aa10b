//! What is said about receiving an inbox.

use std::time::Duration;

use clap::{Args, ValueEnum};
use wissel_identifiers::InboxName;

use super::Connection;
use super::queues::duration;

pub(super) const HELP: &str = "Examples:
  wissel subscribe --as 00000001002220647000 00000001002220647000.inwoners --count 10
  wissel subscribe --as 00000001002220647000 00000001002220647000.inwoners --idle 5 --json
  wissel subscribe --as 00000001002220647000 00000001002220647000.inwoners --count 1 \
      --settle reject --reason 'not one of ours'

With --idle it ends with exit code 0 also when nothing came, or less than --count says; and
with 3 when the gateway cannot be reached then. The wait begins anew when a lost connection is
made again. It also ends with 3 when it is not known of every message that the gateway took how
it was settled: what it did not take comes again. A message that could no longer be settled, as
its lease had ended, does not count as received.";

#[derive(Debug, Args)]
pub(crate) struct SubscribeArguments {
    /// The inbox, OIN.name
    #[arg(value_name = "INBOX")]
    pub(crate) inbox: InboxName,
    /// Stop after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Stop when nothing came for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) idle: Option<u64>,
    /// How each message is settled
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Settle::Acknowledge)]
    pub(crate) settle: Settle,
    /// Why it is retried or rejected, for operators: at most 500 characters, nothing personal
    #[arg(long, value_name = "TEXT", required_if_eq("settle", "reject"))]
    pub(crate) reason: Option<String>,
    /// With --settle retry, not again before so long, such as '10 min' [default: as the inbox is set]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) after: Option<Duration>,
    /// The most messages in hand at a time
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) credit: u16,
    /// Print each message in the CloudEvents JSON format, one a line, subject and data included
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How a message is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Settle {
    /// It was processed, and never comes again
    Acknowledge,
    /// It comes again later
    Retry,
    /// It becomes a dead letter
    Reject,
}
