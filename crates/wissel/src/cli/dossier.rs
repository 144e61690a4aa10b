//! What is said about dossiers.

use std::time::SystemTime;

use clap::{ArgGroup, Args, Subcommand};
use wissel_client::Uuid;

use super::LookArguments;
use super::queues::moment;

const HELP: &str = "Examples:
  wissel dossier show --as 00000099000000001000 019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10
  wissel dossier show --as operator --correlation order-2026-17 --since '2 days'

A party sees what it published, with where that went, and what came to inboxes of its own;
the parties of a case see how it stood; an operator sees everything. HANDED_OUT with nothing
behind it: the receiver acknowledged the message, still has it, or gave it back, as when its
stream broke.";

#[derive(Debug, Subcommand)]
pub(crate) enum DossierCommand {
    /// Show all that happened to a message, or in a correlation, as a timeline
    #[command(after_help = HELP)]
    Show(DossierArguments),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("about").required(true).args(["message", "correlation"])))]
pub(crate) struct DossierArguments {
    /// The message id: of a receipt, of a delivery, of a case
    #[arg(value_name = "MESSAGE-ID", value_parser = message_id)]
    pub(crate) message: Option<Uuid>,
    /// The `correlationid` of messages
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<String>,
    /// With --correlation: from when on to look (RFC 3339), or since so long ago, such as '2 days'
    /// [default: a month ago]
    #[arg(long, value_name = "MOMENT", requires = "correlation", value_parser = moment)]
    pub(crate) since: Option<SystemTime>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

fn message_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| {
        "expected a message id, a UUID as a receipt has it; for a correlation use --correlation"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn what_is_no_id_is_told_from_a_correlation() {
        let told = |noun: &str| {
            let wrong = Cli::try_parse_from(["wissel", noun, "show", "--as", "operator", "corr-1"]);
            wrong.unwrap_err().to_string()
        };
        assert!(told("dossier").contains("for a correlation use --correlation"));
        assert!(told("cases").contains("a UUID as a receipt has it"));
    }
}
