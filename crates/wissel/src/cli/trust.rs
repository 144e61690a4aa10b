//! The commands about trust: records, and an authority for development.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use wissel_audit::{Operation, RecordHash};
use wissel_identifiers::{InboxName, Oin};

use super::LookArguments;
use super::queues::moment;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who did what, the latest first: of the record of a gateway, or of files of it
    #[command(after_help = "Examples:\n  wissel audit list --as operator --since '2 hours'\n  \
        wissel audit list --as operator --refused --limit 20\n  \
        wissel audit list --records /var/lib/wissel/records --operation dead-letters-redriven --json")]
    List(Box<AuditListArguments>),
    /// Find out whether any record was changed, taken out or put in
    #[command(after_help = "Examples:\n  wissel audit verify data/records\n  \
        wissel audit verify data/records --head 5f0c…\n\
        \nNote the head that it prints, where those who can write the records cannot: who can write\n\
        them can make others that are whole too, but none that have that head.")]
    Verify {
        /// The directory of the records; a gateway may be writing there
        #[arg(value_name = "DIR", default_value = "data/records")]
        directory: PathBuf,
        /// A head that was noted earlier; may be given several times
        #[arg(long = "head", value_name = "HASH")]
        heads: Vec<RecordHash>,
        /// Begin at the first file that is there: older ones were removed when their time was over
        #[arg(long)]
        from_first: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditListArguments {
    /// Read this directory of records, to which a gateway may be writing, and ask no gateway
    #[arg(long, value_name = "DIR")]
    pub(crate) records: Option<PathBuf>,
    /// Of this operation, such as dead-letters-redriven or admission [default: all but what every message leaves]
    #[arg(long, value_name = "OPERATION")]
    pub(crate) operation: Option<Operation>,
    /// What was refused, messages too
    #[arg(long)]
    pub(crate) refused: bool,
    /// At this inbox
    #[arg(long, value_name = "INBOX")]
    pub(crate) inbox: Option<InboxName>,
    /// Since this moment (RFC 3339), or since so long ago, such as '2 hours'
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) since: Option<SystemTime>,
    /// At most so many, the latest
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevCaCommand {
    /// Make an authority: ca.pem, crl.pem, and for tokens jwks.json
    #[command(after_help = "Example:\n  wissel dev-ca create dev-ca")]
    Create {
        /// Where to put it
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Make a certificate of a party, with its OIN in Subject.serialNumber
    #[command(
        after_help = "Example:\n  wissel dev-ca party 00000001002220647000 --ca dev-ca --name utrecht"
    )]
    Party {
        /// The party
        oin: Oin,
        #[command(flatten)]
        issue: IssueArguments,
    },
    /// Make a certificate of a gateway
    #[command(after_help = "Example:\n  wissel dev-ca server localhost 127.0.0.1 --ca dev-ca")]
    Server {
        /// Names and addresses of the gateway
        #[arg(required = true, value_name = "HOST")]
        hosts: Vec<String>,
        #[command(flatten)]
        issue: IssueArguments,
    },
    /// Put a certificate on the revocation list
    #[command(after_help = "Example:\n  wissel dev-ca revoke dev-ca/utrecht.pem --ca dev-ca")]
    Revoke {
        /// The certificate's file
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
        /// The authority's directory
        #[arg(long = "ca", value_name = "DIR")]
        directory: PathBuf,
    },
    /// Print a bearer token of a party
    #[command(
        after_help = "Example:\n  wissel dev-ca token 00000001002220647000 --ca dev-ca > token"
    )]
    Token {
        /// The party
        oin: Oin,
        /// The authority's directory
        #[arg(long = "ca", value_name = "DIR")]
        directory: PathBuf,
        /// For whom the token is
        #[arg(long, default_value = "wissel")]
        audience: String,
        /// How long it is valid
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=525_600))]
        minutes: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IssueArguments {
    /// The authority's directory
    #[arg(long = "ca", value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The name of the files, without .pem and .key
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How long the certificate is valid
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    pub(crate) days: u64,
}
