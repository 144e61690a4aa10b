//! The command that looks whether all is well.

use std::path::PathBuf;

use clap::Args;

use super::{Connection, ServeArguments};

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
    /// Call it as this party (OIN) or as `operator`, with a development token
    #[arg(long = "as", value_name = "OIN", env = "WISSEL_AS", conflicts_with = "token_file")]
    pub(crate) caller: Option<String>,
    /// Call it with the certificate of this PEM file
    #[arg(long, value_name = "FILE", env = "WISSEL_CERT", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", env = "WISSEL_KEY", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// The authorities by which it is trusted [default: the system's]
    #[arg(long = "ca", value_name = "FILE", env = "WISSEL_CA")]
    pub(crate) authorities: Option<PathBuf>,
    /// Call it with the token of this file
    #[arg(long, value_name = "FILE", env = "WISSEL_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
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
            caller: self.caller.clone(),
            on_behalf_of: None,
            cert: self.cert.clone(),
            key: self.key.clone(),
            authorities: self.authorities.clone(),
            token_file: self.token_file.clone(),
            timeout: Some(self.timeout),
        })
    }
}
