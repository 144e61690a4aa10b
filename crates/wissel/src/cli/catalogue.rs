//! The commands about the catalogue: what is in force at a gateway, or stands in files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wissel_identifiers::Oin;

use super::{Connection, LookArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogueCommand {
    /// Find errors and incoherence in the catalogue's files
    #[command(after_help = "Example:\n  wissel catalogue check deploy/catalogue --strict")]
    Check(CatalogueCheckArguments),
    /// Say what a later catalogue changes: parties, event types, grants, mandates, subscriptions
    #[command(
        allow_missing_positional = true,
        after_help = "Examples:\n  \
        wissel catalogue diff --as operator deploy/catalogue\n  \
        wissel catalogue diff /etc/wissel/catalogue deploy/catalogue"
    )]
    Diff(CatalogueDiffArguments),
    /// List the event types, each with its owner and how many may publish and receive it
    #[command(after_help = "Examples:\n  wissel catalogue list --as operator\n  \
        wissel catalogue list --catalogue deploy/catalogue")]
    List(CatalogueArguments),
    /// Show an event type: what it is, and who may do what with it, for what and by which law
    #[command(after_help = "Examples:\n  wissel catalogue show --as operator nl.brp.geboorte\n  \
            wissel catalogue show nl.brp.geboorte --catalogue deploy/catalogue")]
    Show(CatalogueShowArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CatalogueCheckArguments {
    /// A TOML file, or a directory of them
    #[arg(value_name = "PATH", default_value = "catalogue")]
    pub(crate) path: PathBuf,
    /// The same, as other commands take it
    #[arg(long, value_name = "PATH", conflicts_with = "path")]
    pub(crate) catalogue: Option<PathBuf>,
    /// Fail for what does not cohere too: an ended mandate, a type that nobody receives, a draft
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print each finding, and at the end the counts, as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogueDiffArguments {
    /// The earlier: a TOML file, or a directory of them [default: what the gateway has in force]
    #[arg(value_name = "EARLIER")]
    pub(crate) earlier: Option<PathBuf>,
    /// The later
    #[arg(value_name = "LATER", required = true)]
    pub(crate) later: PathBuf,
    /// Print each change as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which catalogue is read, and how it is shown.
#[derive(Debug, Args)]
pub(crate) struct CatalogueArguments {
    /// Read these files, a TOML file or a directory of them, and ask no gateway
    #[arg(long, value_name = "PATH")]
    pub(crate) catalogue: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogueShowArguments {
    /// The event type, such as nl.brp.geboorte
    #[arg(value_name = "EVENT-TYPE")]
    pub(crate) event_type: String,
    #[command(flatten)]
    pub(crate) of: CatalogueArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PartiesCommand {
    /// List the parties, each with its inboxes and how much it may
    #[command(after_help = "Examples:\n  wissel parties list --as operator\n  \
        wissel parties list --catalogue deploy/catalogue")]
    List(CatalogueArguments),
    /// Show a party: its inboxes, and its grants and mandates with their purposes and laws
    #[command(
        after_help = "Examples:\n  wissel parties show --as operator 00000001002220647000\n  \
            wissel parties show 00000001002220647000 --catalogue deploy/catalogue"
    )]
    Show(PartyArguments),
}

#[derive(Debug, Args)]
pub(crate) struct PartyArguments {
    /// The party
    #[arg(value_name = "OIN")]
    pub(crate) party: Oin,
    #[command(flatten)]
    pub(crate) of: CatalogueArguments,
}
