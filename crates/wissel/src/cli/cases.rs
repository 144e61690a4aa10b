//! What is said about cases.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use wissel_client::{CaseState, Uuid};
use wissel_identifiers::Oin;
use wissel_message::Timestamp;

use super::{Connection, LookArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum CasesCommand {
    /// List cases that the caller sent or has; an operator sees everybody's
    #[command(after_help = "Example:\n  wissel cases list --as operator --open")]
    List(CasesListArguments),
    /// Show a case, and how it stood
    #[command(after_help = "Example:\n  wissel cases show --as 00000099000000002000 \
        019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10")]
    Show(CaseShowArguments),
    /// Take a case back, as its sender
    #[command(after_help = "Example:\n  wissel cases withdraw --as 00000099000000002000 \
        019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10")]
    Withdraw(CaseArguments),
    /// Send a case on to another party that is competent, as the party that has it
    #[command(after_help = "Example:\n  wissel cases forward --as 00000099000000003000 \
        019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10 --to 00000099000000004000")]
    Forward(ForwardArguments),
    /// Say how a case stands, as the party that has it
    #[command(after_help = STATUS_HELP)]
    Status(StatusArguments),
}

const STATUS_HELP: &str =
    "Its sender gets a message of the type that the catalogue names, with the data of --data.

Examples:
  wissel cases status --as 00000099000000003000 019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10 RECEIVED
  wissel cases status --as 00000099000000003000 019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10 \
    EXTENDED --until 2027-03-01T00:00:00+01:00 --data reason.json";

#[derive(Debug, Args)]
pub(crate) struct CasesListArguments {
    /// Only those of which something is still to be done
    #[arg(long)]
    pub(crate) open: bool,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CaseShowArguments {
    /// The id of the case: the message id of its message
    #[arg(value_name = "CASE-ID", value_parser = case_id)]
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CaseArguments {
    /// The id of the case: the message id of its message
    #[arg(value_name = "CASE-ID", value_parser = case_id)]
    pub(crate) id: Uuid,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ForwardArguments {
    /// To which party (OIN)
    #[arg(long, value_name = "OIN")]
    pub(crate) to: Oin,
    #[command(flatten)]
    pub(crate) case: CaseArguments,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// The id of the case: the message id of its message
    #[arg(value_name = "CASE-ID", value_parser = case_id)]
    pub(crate) id: Uuid,
    /// How it stands: RECEIVED, IN_PROGRESS, SUSPENDED, RESUMED, EXTENDED, DECIDED or
    /// NOT_COMPETENT; a report UNDER_INVESTIGATION, CORRECTED or CONFIRMED
    #[arg(value_name = "STATE", value_parser = state)]
    pub(crate) state: CaseState,
    /// A file with the JSON data of the message to its sender; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// When its term ends (RFC 3339), with EXTENDED
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<SystemTime>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What whoever has a case may say.
const STATES: [CaseState; 10] = [
    CaseState::Received,
    CaseState::InProgress,
    CaseState::Suspended,
    CaseState::Resumed,
    CaseState::Extended(None),
    CaseState::Decided,
    CaseState::NotCompetent,
    CaseState::UnderInvestigation,
    CaseState::Corrected,
    CaseState::Confirmed,
];

fn state(text: &str) -> Result<CaseState, String> {
    let code = text.to_ascii_uppercase().replace('-', "_");
    let found = STATES.into_iter().find(|state| state.as_str() == code);
    found.ok_or_else(|| {
        let codes: Vec<&str> = STATES.iter().map(|state| state.as_str()).collect();
        format!("expected one of {}", codes.join(", "))
    })
}

fn time(text: &str) -> Result<SystemTime, String> {
    let time = text.parse::<Timestamp>().ok().and_then(Timestamp::to_system_time);
    time.ok_or_else(|| "expected a moment such as 2027-03-01T00:00:00+01:00".to_owned())
}

fn case_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| {
        "expected the message id of the message that began the case, a UUID as a receipt has it"
            .to_owned()
    })
}
