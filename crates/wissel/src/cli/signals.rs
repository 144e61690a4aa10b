//! What is said about signals, and the keys of their pseudonyms.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use wissel_client::{Oin, Uuid};

use super::{Connection, LookArguments, ServeArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum SignalsCommand {
    /// File a signal about a subject, to match with those of others
    #[command(after_help = "The subject is personal, so it is read and not given as an \
        argument.\n\nExample:\n  wissel signals file --as 00000099000000002000 nl.vir.match \
        --subject-file - --reference 'dossier 2026-00017' --keep-for '1 year'")]
    File(FileArguments),
    /// Withdraw a signal: it is forgotten, and those that it matched with are told
    #[command(after_help = "Example:\n  wissel signals withdraw --as 00000099000000002000 \
        0197b2f0-1c1e-7000-8000-000000000001")]
    Withdraw(WithdrawArguments),
    /// Make a signal another party's, with its matches
    #[command(after_help = "Example:\n  wissel signals transfer --as 00000099000000002000 \
        0197b2f0-1c1e-7000-8000-000000000001 --to 00000099000000003000")]
    Transfer(TransferArguments),
    /// List one's own signals, and with whom they match
    #[command(after_help = "Example:\n  wissel signals list --as 00000099000000002000")]
    List(LookArguments),
}

#[derive(Debug, Args)]
pub(crate) struct FileArguments {
    /// The event type of its notices
    #[arg(value_name = "TYPE")]
    pub(crate) event_type: String,
    /// A file with the subject, such as a BSN; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) subject_file: PathBuf,
    /// What you know the signal by, such as the number of your file; no number of a person
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: String,
    /// Forget it after so long, such as '1 year' [default: as the catalogue says]
    #[arg(long, value_name = "DURATION", value_parser = long_duration)]
    pub(crate) keep_for: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct WithdrawArguments {
    /// The signal's id
    #[arg(value_name = "SIGNAL")]
    pub(crate) signal: Uuid,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TransferArguments {
    /// The signal's id
    #[arg(value_name = "SIGNAL")]
    pub(crate) signal: Uuid,
    /// The party that it is to be of
    #[arg(long, value_name = "OIN")]
    pub(crate) to: Oin,
    /// What that party is to know it by [default: its id]
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MatchingCommand {
    /// Put another key over the pseudonyms of all signals, also while the gateway runs
    #[command(after_help = "Run it on the machine of the gateway, as its user. Whoever learned \
        the keys of before can make no pseudonym any more. All signals stay.\n\nExample:\n  \
        wissel matching rotate-key --config wissel.toml")]
    RotateKey(RotateKeyArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RotateKeyArguments {
    /// The settings of the gateway, in TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where its state is [default: data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl RotateKeyArguments {
    /// The arguments of the gateway that it is about.
    pub(crate) fn serve(&self) -> ServeArguments {
        ServeArguments {
            console: None,
            config: self.config.clone(),
            listen: None,
            data_dir: self.data_dir.clone(),
            bus: None,
            catalogue: None,
            insecure_dev: false,
        }
    }
}

/// Years and months are as long as the catalogue has them: counted from a first of January.
fn long_duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a duration such as '1 year', '6 months' or '30 days'";
    let span: jiff::Span = text.parse().map_err(|_| expected.to_owned())?;
    let span = span.to_duration(jiff::civil::date(2026, 1, 1)).ok();
    let span = span.and_then(|span| Duration::try_from(span).ok());
    span.filter(|span| !span.is_zero()).ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_kept_for_days_months_or_years() {
        let days = |days: u64| Ok(Duration::from_hours(24 * days));
        assert_eq!(long_duration("30 days"), days(30));
        assert_eq!(long_duration("6 months"), days(181));
        assert_eq!(long_duration("2 years"), days(730));
        assert_eq!(long_duration("10s"), Ok(Duration::from_secs(10)));
        for wrong in ["", "soon", "0 days", "-1 day"] {
            assert!(long_duration(wrong).is_err(), "{wrong}");
        }
    }
}
