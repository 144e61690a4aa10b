//! What is said about inboxes and dead letters.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use wissel_client::{InboxSettings, WhenFull};
use wissel_identifiers::InboxName;

use super::{Connection, WatchArguments};

pub(crate) const INBOXES_HELP: &str = "Settings, of which an empty value is as the gateway is set:
  max_attempts=5             hand out a delivery at most so often before it is given up on
  retry_initial=2s           wait so long after the first attempt, twice as long after each one
  retry_max='10 min'         and at most so long
  max_age='30 days'          give up on what is older
  max_deliveries=100000      the most deliveries that wait or are in flight
  max_bytes=1000000000       the most bytes of their events
  when_full=refuse           what comes beyond is refused to its publisher, or
  when_full=dead-letter      becomes a dead letter
  direct_amqp=true           its owner takes it with an AMQP client of its own (docs/amqp.md)
  paused=true                nothing is handed out; messages keep coming in
  draining=true              nothing comes in, as if it were full; what is there is handed out

Examples:
  wissel inboxes --as operator
  wissel inboxes --as operator --watch 5
  wissel inboxes --as operator 00000001002220647000.inwoners --messages
  wissel inboxes --as operator 00000001002220647000.inwoners --set max_attempts=5 --set max_age=";

#[derive(Debug, Args)]
pub(crate) struct InboxesArguments {
    /// One inbox, OIN.name; all without
    pub(crate) name: Option<InboxName>,
    /// Change a setting; may be given several times
    #[arg(long = "set", value_name = "SETTING=VALUE", requires = "name", conflicts_with = "watch", value_parser = setting)]
    pub(crate) settings: Vec<Setting>,
    /// List the first messages of the inbox that are not settled [default: 20]
    #[arg(long, value_name = "N", requires = "name", conflicts_with_all = ["settings", "watch"], num_args = 0..=1, require_equals = true, default_missing_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) messages: Option<u32>,
    #[command(flatten)]
    pub(crate) watch: WatchArguments,
    /// Print JSON: a line for each inbox or message, or with --watch for all of them each time
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

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List the dead letters of an inbox, oldest first
    #[command(
        after_help = "Example:\n  wissel dead-letters list --as operator 00000001002220647000.inwoners"
    )]
    List(DeadLettersListArguments),
    /// Put dead letters back in their inbox, or in another of its owner
    #[command(after_help = "Examples:\n  wissel dead-letters redrive --as operator \
        00000001002220647000.inwoners --all --rate 50\n  wissel dead-letters redrive --as operator \
        00000001002220647000.inwoners --sql \"type = 'nl.brp.geboorte'\" \
        --to 00000001002220647000.herstel")]
    Redrive(RedriveArguments),
    /// Remove dead letters for good
    #[command(after_help = "Example:\n  wissel dead-letters purge --as operator \
        00000001002220647000.inwoners --sql \"gemeente = '0193'\" --yes")]
    Purge(PurgeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DeadLettersListArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    #[command(flatten)]
    pub(crate) watch: WatchArguments,
    /// Print JSON, with every attempt
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct MeantArguments {
    /// These dead letters
    #[arg(conflicts_with_all = ["all", "sql"])]
    pub(crate) ids: Vec<String>,
    /// Every one
    #[arg(long, conflicts_with = "sql")]
    pub(crate) all: bool,
    /// Those whose message meets a CloudEvents SQL expression; given several times, all
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) sql: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RedriveArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    #[command(flatten)]
    pub(crate) meant: MeantArguments,
    /// Into this inbox of the same owner [default: where they died]
    #[arg(long, value_name = "INBOX")]
    pub(crate) to: Option<InboxName>,
    /// At most so many in a second [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    #[command(flatten)]
    pub(crate) meant: MeantArguments,
    /// Do not ask: they are gone for good
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

pub(super) const ARCHIVE_HELP: &str = "Examples:
  wissel archive --as operator
  wissel archive --as operator --from '2 hours' --type nl.brp.geboorte --json

What a party may have of it comes into its inbox by `wissel replay`.";

#[derive(Debug, Args)]
pub(crate) struct ArchiveArguments {
    /// Messages admitted from this moment on (RFC 3339), or since so long ago, such as '2 hours'
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) from: Option<SystemTime>,
    /// Messages admitted before this moment [default: now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) until: Option<SystemTime>,
    /// Of this event type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    #[command(flatten)]
    pub(crate) watch: WatchArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    /// Messages admitted from this moment on (RFC 3339), or since so long ago, such as '2 hours'
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) from: Option<SystemTime>,
    /// Messages admitted before this moment [default: now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) until: Option<SystemTime>,
    /// Of this event type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// That meet a CloudEvents SQL expression; given several times, all
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) sql: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
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

/// A day has 24 hours here.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a duration such as 500ms, 2s, '10 min' or '30 days'";
    let span: jiff::Span = text.parse().map_err(|_| expected.to_owned())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    let span = span.ok().and_then(|span| Duration::try_from(span).ok());
    span.filter(|span| !span.is_zero()).ok_or_else(|| expected.to_owned())
}

pub(super) fn moment(text: &str) -> Result<SystemTime, String> {
    let moment = text.parse::<wissel_message::Timestamp>().ok();
    if let Some(moment) = moment.and_then(wissel_message::Timestamp::to_system_time) {
        return Ok(moment);
    }
    let ago = duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    let expected =
        "expected a moment such as 2026-11-24T10:00:00Z, or so long ago, such as '2 hours'";
    ago.ok_or_else(|| expected.to_owned())
}
