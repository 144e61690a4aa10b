//! The commands that copy the state of a gateway, and put it back.

use std::path::PathBuf;

use clap::Args;

use crate::cli::ServeArguments;

pub(crate) const BACKUP_HELP: &str = "The gateway must not run. The copy holds messages, and so \
personal data: keep it as\nyou keep the data directory itself. RabbitMQ's messages and the catalogue are \
not in it.\n\nThe keys (subjects.key, matching.keys) are left out unless --with-keys: who has the records \
and\nthe key can find out whom a record is about. Keep a copy of them apart.\n\nExamples:\n  \
wissel backup /var/lib/wissel /backup/wissel-2026-11-27\n  \
wissel backup --config /etc/wissel/wissel.toml /backup/wissel-2026-11-27";

pub(crate) const RESTORE_HELP: &str = "Every file is held against its SHA-256 before anything is \
written.\n\nExamples:\n  wissel restore --check /backup/wissel-2026-11-27\n  \
wissel restore /backup/wissel-2026-11-27 /var/lib/wissel";

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The data directory, unless --config says which
    #[arg(value_name = "DATA_DIR", required_unless_present = "config")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the copy goes: a directory that is empty, or not there
    #[arg(value_name = "TO", required = true)]
    pub(crate) to: PathBuf,
    /// The settings of the gateway: where its data, records and keys are
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub(crate) config: Option<PathBuf>,
    /// Put the keys of subjects and of pseudonyms in the copy too
    #[arg(long)]
    pub(crate) with_keys: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl BackupArguments {
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

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// A copy that `wissel backup` made
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,
    /// The new data directory: one that is empty, or not there
    #[arg(value_name = "DATA_DIR", required_unless_present = "check")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Only find out whether the copy is whole
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) check: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
