//! The command line.

mod asking;
mod backup;
mod bench;
mod cases;
mod catalogue;
mod doctor;
mod dossier;
mod filter;
mod inboxes;
mod manual;
mod queues;
mod showcase;
mod signals;
mod subscribing;
mod subscriptions;
mod trust;
mod watching;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use wissel_client::TraceContext;
use wissel_identifiers::Oin;

pub(crate) use asking::{AnswerArguments, AskArguments, GatherArguments};
pub(crate) use backup::{BackupArguments, RestoreArguments};
pub(crate) use bench::BenchArguments;
pub(crate) use cases::{
    CaseArguments, CaseShowArguments, CasesCommand, CasesListArguments, ForwardArguments,
    StatusArguments,
};
pub(crate) use catalogue::{
    CatalogueArguments, CatalogueCheckArguments, CatalogueCommand, CatalogueDiffArguments,
    CatalogueShowArguments, PartiesCommand, PartyArguments,
};
pub(crate) use doctor::DoctorArguments;
pub(crate) use dossier::{DossierArguments, DossierCommand};
pub(crate) use filter::{EvalArguments, ExplainArguments, FilterCommand};
pub(crate) use inboxes::{
    InboxArguments, InboxMessagesArguments, InboxSetArguments, InboxesCommand,
};
#[cfg(test)]
pub(crate) use manual::Shell;
pub(crate) use manual::{CompletionsArguments, ManArguments};
pub(crate) use queues::{
    ArchiveCommand, ArchiveListArguments, DeadLetterArguments, DeadLettersCommand,
    DeadLettersListArguments, MeantArguments, PurgeArguments, RedriveArguments, ReplayArguments,
};
pub(crate) use showcase::{DemoArguments, ShowcaseArguments};
pub(crate) use signals::{
    FileArguments, MatchingCommand, RotateKeyArguments, SignalsCommand, TransferArguments,
    WithdrawArguments,
};
pub(crate) use subscribing::{Settle, SubscribeArguments};
pub(crate) use subscriptions::{
    CreateArguments, FollowArguments, SubscriptionArguments, SubscriptionsCommand,
};
pub(crate) use trust::{AuditCommand, AuditListArguments, DevCaCommand, IssueArguments};
pub(crate) use watching::{LookArguments, TopArguments};

const EXIT_CODES: &str = "Exit codes:
  0  success
  1  refused, or some of it was; what is named is not there
  2  wrong arguments, configuration or input
  3  the broker, or what it needs, cannot be reached; try again
  4  a failure that should not happen";

/// Wissel: the message bus between public bodies.
#[derive(Debug, Parser)]
#[command(name = "wissel", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play a day of traffic between registries and counters, and check every delivery
    #[command(after_help = "Example:\n  wissel demo --seconds 20 --rate 500")]
    Demo(DemoArguments),
    /// Play a project of the programme of 2008, and check what came to whom
    #[command(after_help = showcase::HELP)]
    Showcase(ShowcaseArguments),
    /// Run a gateway
    #[command(after_help = "Examples:\n  wissel serve --config deploy/wissel.toml\n  \
        wissel serve --insecure-dev --catalogue deploy/catalogue\n\
        \nSettings come from defaults, then the file of --config, then variables such as\n\
        WISSEL_LISTEN or WISSEL_LOG__FORMAT, then flags. `wissel config show` prints the result.")]
    Serve(ServeArguments),
    /// Publish messages
    #[command(after_help = "Examples:\n  \
        wissel publish --as 00000099000000001000 geboorte.json\n  \
        generate | wissel publish --as 00000099000000001000 --json-lines -")]
    Publish(PublishArguments),
    /// Receive the messages of an inbox; each is settled when it is printed
    #[command(after_help = subscribing::HELP)]
    Subscribe(SubscribeArguments),
    /// Ask a registry a question, and print its answer
    #[command(
        after_help = "Example:\n  wissel ask --as 00000099000000002000 question.json --within 500ms"
    )]
    Ask(AskArguments),
    /// Ask several sources at once, and print what each answers
    #[command(after_help = "Example:\n  wissel gather --as 00000099000000002000 question.json \
        --to 00000099000000003000 --to 00000099000000004000 --within 2s")]
    Gather(GatherArguments),
    /// Answer the questions of an inbox with a command
    #[command(after_help = asking::ANSWER_HELP)]
    Answer(AnswerArguments),
    /// Follow cases, take them back, and send them on
    #[command(subcommand, after_help = "Example:\n  wissel cases list --as operator --open")]
    Cases(CasesCommand),
    /// Show all that happened to a message, or in a correlation, as a timeline
    #[command(
        subcommand,
        after_help = "Example:\n  wissel dossier show --as operator --correlation order-2026-17"
    )]
    Dossier(DossierCommand),
    /// Create, list, show and delete subscriptions
    #[command(subcommand, after_help = "Example:\n  wissel subscriptions list --as operator")]
    Subscriptions(SubscriptionsCommand),
    /// Show what the gateway is, how it fares, and which inboxes need somebody to look
    #[command(after_help = watching::STATUS_HELP)]
    Status(LookArguments),
    /// Watch inboxes on the whole screen, and look into them; `?` tells the keys
    #[command(after_help = "Example:\n  wissel top --as operator --interval 5")]
    Top(TopArguments),
    /// List inboxes and how they fare, show one and its messages, and change settings
    #[command(subcommand, after_help = "Example:\n  wissel inboxes list --as operator")]
    Inboxes(InboxesCommand),
    /// List and show dead letters, put them back, or remove them
    #[command(
        subcommand,
        after_help = "Example:\n  wissel dead-letters list --as operator 00000001002220647000.inwoners"
    )]
    DeadLetters(DeadLettersCommand),
    /// Show what is kept for replay, by event type; for operators
    #[command(subcommand, after_help = "Example:\n  wissel archive list --as operator")]
    Archive(ArchiveCommand),
    /// Bring messages that are kept for replay into an inbox once more
    #[command(after_help = "Examples:\n  wissel replay --as 00000001002220647000 \
        00000001002220647000.inwoners --from '2 hours'\n  wissel replay --as 00000001002220647000 \
        00000001002220647000.inwoners --from 2026-11-24T00:00:00Z --until 2026-11-25T00:00:00Z \
        --type nl.brp.geboorte\n\nWithout --from: all that is kept. Only messages of event types that the \
        catalogue keeps\n(`archive`) are there.")]
    Replay(ReplayArguments),
    /// File signals that match with those of others, withdraw, transfer and list them
    #[command(subcommand, after_help = "Example:\n  wissel signals list --as 00000099000000002000")]
    Signals(SignalsCommand),
    /// Look after the keys with which the pseudonyms of signals are made
    #[command(
        subcommand,
        after_help = "Example:\n  wissel matching rotate-key --config wissel.toml"
    )]
    Matching(MatchingCommand),
    /// Check messages against CloudEvents, the NL GOV profile and the catalogue, offline
    #[command(after_help = "Examples:\n  \
        wissel check --catalogue deploy/catalogue deploy/catalogue/examples/*.json\n  \
        generate | wissel check --json-lines -")]
    Check(CheckArguments),
    /// Try out filters
    #[command(
        subcommand,
        after_help = "Example:\n  wissel filter eval --expression \"gemeente = '0344'\" --event geboorte.json"
    )]
    Filter(FilterCommand),
    /// List and show the event types of the catalogue, find its faults, and what changed
    #[command(subcommand, after_help = "Example:\n  wissel catalogue list --as operator")]
    Catalogue(CatalogueCommand),
    /// List the parties of the catalogue, or show what one may do
    #[command(subcommand, after_help = "Example:\n  wissel parties list --as operator")]
    Parties(PartiesCommand),
    /// List who did what, and verify the record of processing
    #[command(subcommand, after_help = "Example:\n  wissel audit verify data/records")]
    Audit(AuditCommand),
    /// Copy the state of a gateway that does not run
    #[command(allow_missing_positional = true, after_help = backup::BACKUP_HELP)]
    Backup(BackupArguments),
    /// Put a copy back as a new data directory, or find out whether it is whole
    #[command(after_help = backup::RESTORE_HELP)]
    Restore(RestoreArguments),
    /// Make a development authority, and certificates and tokens of parties
    #[command(
        subcommand,
        after_help = "Examples:\n  wissel dev-ca create dev-ca\n  wissel dev-ca party 00000001002220647000 --ca dev-ca --name utrecht"
    )]
    DevCa(DevCaCommand),
    /// Look whether configuration, certificates, bus, disk and what else a gateway needs are well
    #[command(after_help = doctor::HELP)]
    Doctor(DoctorArguments),
    /// Print what a shell needs to complete commands and options
    #[command(after_help = manual::COMPLETIONS_HELP)]
    Completions(CompletionsArguments),
    /// Write the manual: a page for each command
    #[command(after_help = manual::MAN_HELP)]
    Man(ManArguments),
    /// Measure how fast a gateway takes messages, and hands them out
    #[command(after_help = bench::HELP)]
    Bench(BenchArguments),
    /// Look at the configuration
    #[command(subcommand, after_help = "Example:\n  wissel config show --config wissel.toml")]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Settings, in TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where operators find health and metrics over HTTP, such as 127.0.0.1:7480; 0: a free port
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) console: Option<SocketAddr>,
    /// Where to keep state [default: data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// `embedded`, or amqp://user@host:5672/vhost without the password, which stands in the file
    /// that `bus_password_file` (WISSEL_BUS_PASSWORD_FILE) names [default: embedded]
    #[arg(long, value_name = "BUS")]
    pub(crate) bus: Option<String>,
    /// Parties, event types and grants: a TOML file, or a directory of them [default: catalogue]
    #[arg(long, value_name = "PATH")]
    pub(crate) catalogue: Option<PathBuf>,
    /// Believe callers without proof (`Bearer dev.<OIN>`), on loopback only
    #[arg(long)]
    pub(crate) insecure_dev: bool,
}

/// Who calls a gateway, and by what it is trusted.
#[derive(Debug, Clone, Args)]
pub(crate) struct Credentials {
    /// Call as this party (OIN) or as `operator`, with a development token
    #[arg(long = "as", value_name = "OIN", env = "WISSEL_AS", conflicts_with = "token_file")]
    pub(crate) caller: Option<String>,
    /// A PEM file with the certificate to call with; its key is --key
    #[arg(long, value_name = "FILE", env = "WISSEL_CERT", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// A PEM file with the key of the certificate
    #[arg(long, value_name = "FILE", env = "WISSEL_KEY", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// A PEM file with the authorities that the gateway is trusted by [default: the system's]
    #[arg(long = "ca", value_name = "FILE", env = "WISSEL_CA")]
    pub(crate) authorities: Option<PathBuf>,
    /// A file with the token to call with; WISSEL_TOKEN may hold the token itself
    #[arg(long, value_name = "FILE", env = "WISSEL_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// How a client command reaches the gateway.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The gateway
    #[arg(
        long,
        value_name = "URL",
        env = "WISSEL_SERVER",
        default_value = "http://127.0.0.1:7400"
    )]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
    /// Act for this party (OIN), by a mandate of it
    #[arg(long = "on-behalf-of", value_name = "OIN", env = "WISSEL_ON_BEHALF_OF")]
    pub(crate) on_behalf_of: Option<Oin>,
    /// Give up on a gateway that does not answer after so long [default: 30, to publish 60]
    #[arg(long, value_name = "SECONDS", env = "WISSEL_TIMEOUT", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// Files with one CloudEvent in JSON, or an array of them; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The files hold one CloudEvent a line
    #[arg(long)]
    pub(crate) json_lines: bool,
    /// Where this stands in a trace (W3C Trace Context), for events that say nothing themselves
    #[arg(long, value_name = "00-TRACE-SPAN-FLAGS")]
    pub(crate) traceparent: Option<TraceContext>,
    /// Print every receipt and refusal as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Files with one CloudEvent in JSON, or an array of them; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The files hold one CloudEvent a line
    #[arg(long)]
    pub(crate) json_lines: bool,
    /// Check event type, subject, data and source against this catalogue too
    #[arg(long, value_name = "PATH")]
    pub(crate) catalogue: Option<PathBuf>,
    /// Take what a message should be for what it must be, as for a party set to strict
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print the findings of each message as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings that `serve` would run with, secrets masked
    #[command(after_help = "Example:\n  wissel config show --config wissel.toml")]
    Show(ServeArguments),
}
