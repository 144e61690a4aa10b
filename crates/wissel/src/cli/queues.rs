//! What is said about dead letters, and about what is kept for replay.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use wissel_identifiers::InboxName;

use super::{Connection, LookArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List the dead letters of an inbox, oldest first
    #[command(
        after_help = "Examples:\n  wissel dead-letters list --as operator 00000001002220647000.inwoners\n  \
        wissel dead-letters list --as operator 00000001002220647000.inwoners --limit 0 --json"
    )]
    List(DeadLettersListArguments),
    /// Show one dead letter: where it came from, and every attempt; neither subject nor data
    #[command(after_help = "Example:\n  wissel dead-letters show --as operator \
        00000001002220647000.inwoners 0000019ac3f26d1e-0000000000000007")]
    Show(DeadLetterArguments),
    /// Put dead letters back in their inbox, or in another of its owner
    #[command(
        override_usage = "wissel dead-letters redrive [OPTIONS] \
        <INBOX> <IDS|--all|--sql <EXPRESSION>>",
        after_help = "Examples:\n  wissel dead-letters redrive --as operator \
        00000001002220647000.inwoners --all --rate 50\n  wissel dead-letters redrive --as operator \
        00000001002220647000.inwoners --sql \"type = 'nl.brp.geboorte'\" \
        --to 00000001002220647000.herstel\n\nAn operator's --sql may look at all attributes but id, \
        source and subject, and not at data (DATA,\nHAS_DATA): these may tell of persons. The \
        inbox's owner may look at all that is in its messages."
    )]
    Redrive(RedriveArguments),
    /// Remove dead letters for good
    #[command(
        override_usage = "wissel dead-letters purge [OPTIONS] \
        <INBOX> <IDS|--all|--sql <EXPRESSION>>",
        after_help = "Example:\n  wissel dead-letters purge --as operator \
        00000001002220647000.inwoners --sql \"gemeente = '0193'\" --yes\n\nAn operator's --sql may \
        look at all attributes but id, source and subject, and not at data (DATA,\nHAS_DATA): these \
        may tell of persons. The inbox's owner may look at all that is in its messages."
    )]
    Purge(PurgeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DeadLettersListArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    /// At most so many, the oldest; 0: all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeadLetterArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    /// The dead letter, as `list` names it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) look: LookArguments,
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

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// List what is kept of each event type: how many messages, and from when to when; for operators
    #[command(after_help = "Examples:\n  wissel archive list --as operator\n  \
        wissel archive list --as operator --from '2 hours' --type nl.brp.geboorte --json\n\
        \nWhat a party may have of it comes into its inbox by `wissel replay`.")]
    List(ArchiveListArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveListArguments {
    /// Messages admitted from this moment on (RFC 3339), or since so long ago, such as '2 hours'
    /// [default: all that is kept]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) from: Option<SystemTime>,
    /// Messages admitted before this moment [default: now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) until: Option<SystemTime>,
    /// Of this event type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// The inbox, OIN.name
    pub(crate) inbox: InboxName,
    /// Messages admitted from this moment on (RFC 3339), or since so long ago, such as '2 hours'
    /// [default: all that is kept]
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

/// A day has 24 hours here.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a duration above 0, such as 500ms, 2s, '10 min' or '30 days'";
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
