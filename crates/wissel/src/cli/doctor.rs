//! The command that looks whether all is well.

use clap::Args;

use super::{Connection, Credentials, ServeArguments};

pub(crate) const HELP: &str = "Changes nothing, but for a file that it makes in the data directory and removes.\n\n\
Exit codes: 0 when nothing must be mended, 1 when something must; warnings are no errors\n\
unless --strict.\n\nExamples:\n  wissel doctor --config /etc/wissel/wissel.toml\n  \
wissel doctor --insecure-dev --catalogue deploy/catalogue\n  \
wissel doctor --config wissel.toml --server https://localhost:7400 --ca dev-ca/ca.pem --cert c.pem --key c.key";

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
    /// Look at this running gateway too
    #[arg(long, value_name = "URL", env = "WISSEL_SERVER")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
    /// How long each check may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) timeout: u64,
    /// Fail for warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl DoctorArguments {
    /// How the running gateway is reached, when one is named.
    pub(crate) fn connection(&self) -> Option<Connection> {
        Some(Connection {
            server: self.server.clone()?,
            credentials: self.credentials.clone(),
            on_behalf_of: None,
            timeout: Some(self.timeout),
        })
    }
}
