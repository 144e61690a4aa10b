//! What is said about inboxes.

use std::time::Duration;

use clap::{Args, Subcommand};
use wissel_client::{InboxSettings, WhenFull};
use wissel_identifiers::InboxName;

use super::queues::duration;
use super::{Connection, LookArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum InboxesCommand {
    /// List inboxes, and how they fare
    #[command(after_help = "Examples:\n  wissel inboxes list --as operator\n  \
        wissel inboxes list --as operator --watch 5")]
    List(LookArguments),
    /// Show one inbox: how it fares, its settings, and who receives
    #[command(
        after_help = "Example:\n  wissel inboxes show --as operator 00000001002220647000.inwoners"
    )]
    Show(InboxArguments),
    /// List the first messages of an inbox that are not settled
    #[command(
        after_help = "Example:\n  wissel inboxes messages --as operator 00000001002220647000.inwoners --limit 5"
    )]
    Messages(InboxMessagesArguments),
    /// Change settings of an inbox
    #[command(after_help = SET_HELP)]
    Set(InboxSetArguments),
}

const SET_HELP: &str = "Settings, of which an empty value is as the gateway is set:
  max_attempts=5             hand out a delivery at most so often before it is given up on
  retry_initial=2s           wait so long after the first attempt, twice as long after each one
  retry_max='10 min'         and at most so long
  max_age='30 days'          give up on what is older, what waits already too: within seconds it
                             is a dead letter
  max_deliveries=100000      the most deliveries that wait or are in flight
  max_bytes=1000000000       the most bytes of their events
  when_full=refuse           what comes beyond is refused to its publisher, or
  when_full=dead-letter      becomes a dead letter; on RabbitMQ it is counted about every second,
                             so that a new limit, or what other gateways publish and what is
                             settled, is known up to two seconds later
  direct_amqp=true           its owner takes it with an AMQP client of its own (docs/amqp.md)
  paused=true                nothing is handed out; messages keep coming in
  draining=true              nothing comes in, as if it were full; what is there is handed out

Examples:
  wissel inboxes set --as operator 00000001002220647000.inwoners max_attempts=5 max_age=
  wissel inboxes set --as operator 00000001002220647000.inwoners paused=true";

#[derive(Debug, Args)]
pub(crate) struct InboxArguments {
    /// The inbox, OIN.name
    #[arg(value_name = "INBOX")]
    pub(crate) name: InboxName,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct InboxMessagesArguments {
    /// The inbox, OIN.name
    #[arg(value_name = "INBOX")]
    pub(crate) name: InboxName,
    /// At most so many, the first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct InboxSetArguments {
    /// The inbox, OIN.name
    #[arg(value_name = "INBOX")]
    pub(crate) name: InboxName,
    /// What to change
    #[arg(required = true, value_name = "SETTING=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<Setting>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A setting of an inbox with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Setting {
    MaxAttempts(Option<u32>),
    RetryInitial(Option<Duration>),
    RetryMax(Option<Duration>),
    MaxAge(Option<Duration>),
    MaxDeliveries(Option<u64>),
    MaxBytes(Option<u64>),
    WhenFull(Option<WhenFull>),
    DirectAmqp(bool),
    Paused(bool),
    Draining(bool),
}

impl Setting {
    /// Puts it among the others. Says its name.
    pub(crate) fn put(self, settings: &mut InboxSettings) -> &'static str {
        match self {
            Self::MaxAttempts(value) => {
                settings.max_attempts = value;
                "max_attempts"
            }
            Self::RetryInitial(value) => {
                settings.retry_initial = value;
                "retry_initial"
            }
            Self::RetryMax(value) => {
                settings.retry_max = value;
                "retry_max"
            }
            Self::MaxAge(value) => {
                settings.max_age = value;
                "max_age"
            }
            Self::MaxDeliveries(value) => {
                settings.max_deliveries = value;
                "max_deliveries"
            }
            Self::MaxBytes(value) => {
                settings.max_bytes = value;
                "max_bytes"
            }
            Self::WhenFull(value) => {
                settings.when_full = value;
                "when_full"
            }
            Self::DirectAmqp(value) => {
                settings.direct_amqp = value;
                "direct_amqp"
            }
            Self::Paused(value) => {
                settings.paused = value;
                "paused"
            }
            Self::Draining(value) => {
                settings.draining = value;
                "draining"
            }
        }
    }
}

fn setting(text: &str) -> Result<Setting, String> {
    const NAMES: &str = "max_attempts, retry_initial, retry_max, max_age, max_deliveries, \
                         max_bytes, when_full, direct_amqp, paused or draining";
    let (name, value) = text.split_once('=').ok_or("expected SETTING=VALUE")?;
    let value = Some(value).filter(|value| !value.is_empty());
    let span = |value: Option<&str>| value.map(duration).transpose();
    let count = |value: Option<&str>| match value.map(str::parse) {
        None => Ok(None),
        Some(Ok(count)) if count > 0 => Ok(Some(count)),
        Some(_) => Err(format!("{name}: expected a number of at least 1")),
    };
    let whether = |value: Option<&str>| match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(format!("{name}: expected true or false")),
    };
    Ok(match name {
        "max_attempts" => {
            let attempts = count(value)?.map(u32::try_from).transpose();
            Setting::MaxAttempts(attempts.map_err(|_| format!("{name}: too many"))?)
        }
        "retry_initial" => Setting::RetryInitial(span(value)?),
        "retry_max" => Setting::RetryMax(span(value)?),
        "max_age" => Setting::MaxAge(span(value)?),
        "max_deliveries" => Setting::MaxDeliveries(count(value)?),
        "max_bytes" => Setting::MaxBytes(count(value)?),
        "when_full" => Setting::WhenFull(match value {
            None => None,
            Some("refuse") => Some(WhenFull::Refuse),
            Some("dead-letter") => Some(WhenFull::DeadLetter),
            Some(_) => return Err(format!("{name}: expected refuse or dead-letter")),
        }),
        "direct_amqp" => Setting::DirectAmqp(whether(value)?),
        "paused" => Setting::Paused(whether(value)?),
        "draining" => Setting::Draining(whether(value)?),
        _ => return Err(format!("unknown setting; expected {NAMES}")),
    })
}
