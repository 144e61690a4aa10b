//! `wissel dev-ca`: certificates and tokens for a machine of one's own.

use std::path::Path;
use std::time::Duration;

use wissel_identity::{DevAuthority, DevTokenIssuer, Validity};

use crate::cli::{DevCaCommand, IssueArguments};
use crate::exit::Failure;
use crate::output;

const DAY: u64 = 24 * 60 * 60;

pub(crate) fn run(command: &DevCaCommand) -> Result<(), Failure> {
    match command {
        DevCaCommand::Create { directory } => {
            DevAuthority::create(directory).map_err(Failure::usage)?;
            DevTokenIssuer::open_or_create(directory).map_err(Failure::usage)?;
            output::note("a development authority: never trust it with anything real");
            made(directory, &["ca.pem", "ca.key", "crl.pem", "jwks.json", "tokens.key"])
        }
        DevCaCommand::Party { oin, issue } => {
            let name = issue.name.clone().unwrap_or_else(|| oin.to_string());
            open(issue)?.issue_party(oin, &name, validity(issue)).map_err(Failure::usage)?;
            made(&issue.directory, &[&format!("{name}.pem"), &format!("{name}.key")])
        }
        DevCaCommand::Server { hosts, issue } => {
            let name = issue.name.clone().unwrap_or_else(|| "gateway".to_owned());
            open(issue)?.issue_server(hosts, &name, validity(issue)).map_err(Failure::usage)?;
            made(&issue.directory, &[&format!("{name}.pem"), &format!("{name}.key")])
        }
        DevCaCommand::Revoke { directory, certificate } => {
            let authority = DevAuthority::open(directory).map_err(Failure::usage)?;
            authority.revoke(certificate).map_err(Failure::usage)?;
            made(directory, &["crl.pem"])
        }
        DevCaCommand::Token { directory, oin, audience, minutes } => {
            // None is made by the way: no gateway would know its keys.
            if !directory.join("tokens.key").exists() {
                return Err(Failure::usage(format!(
                    "{}: holds no tokens.key; expected the directory of `wissel dev-ca create`",
                    directory.display()
                )));
            }
            let issuer = DevTokenIssuer::open_or_create(directory).map_err(Failure::usage)?;
            let token = issuer.issue(oin, audience, Duration::from_secs(60 * minutes));
            output::line(&token.map_err(Failure::internal)?);
            Ok(())
        }
    }
}

fn open(issue: &IssueArguments) -> Result<DevAuthority, Failure> {
    DevAuthority::open(&issue.directory).map_err(Failure::usage)
}

fn validity(issue: &IssueArguments) -> Validity {
    Validity { lasts: Duration::from_secs(issue.days * DAY), ..Validity::default() }
}

/// One line for each file, so that a script can read them.
fn made(directory: &Path, names: &[&str]) -> Result<(), Failure> {
    for name in names {
        output::line(&directory.join(name).display().to_string());
    }
    Ok(())
}
