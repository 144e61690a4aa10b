//! What is said about cases.

use clap::{Args, Subcommand};
use wissel_client::Uuid;
use wissel_identifiers::Oin;

use super::Connection;

#[derive(Debug, Subcommand)]
pub(crate) enum CasesCommand {
    /// List cases that the caller sent or has; an operator sees everybody's
    #[command(after_help = "Example:\n  wissel cases list --as operator --open")]
    List(CasesListArguments),
    /// Show a case, and how it stood
    #[command(after_help = "Example:\n  wissel cases get --as 00000099000000002000 \
        019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10")]
    Get(CaseArguments),
    /// Take a case back, as its sender
    #[command(after_help = "Example:\n  wissel cases withdraw --as 00000099000000002000 \
        019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10")]
    Withdraw(CaseArguments),
    /// Send a case on to another party that is competent, as the party that has it
    #[command(after_help = "Example:\n  wissel cases forward --as 00000099000000003000 \
        019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10 --to 00000099000000004000")]
    Forward(ForwardArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CasesListArguments {
    /// Only those of which something is still to be done
    #[arg(long)]
    pub(crate) open: bool,
    /// Print a line of JSON for each
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct CaseArguments {
    /// The id of the case: the message id of its message
    #[arg(value_name = "CASE-ID")]
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
