//! A gateway that runs.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use wissel_client::{Check, ClientError, GatewayStatus};

use super::finding::Findings;
use super::mend;
use crate::cli::Connection;
use crate::client;
use crate::exit::Failure;

pub(super) async fn look(connection: &Connection, file: Option<&PathBuf>) -> Findings {
    let mut found = Findings::of("gateway");
    let server = &connection.server;
    if connection.is_anonymous() {
        found.warning(
            format!("{server}: not looked at, as nothing says who calls"),
            format!("{}; or leave out --server and WISSEL_SERVER", client::WHO),
            format!(
                "{} --server {server} --ca ca.pem --cert operator.pem --key operator.key",
                mend::with_file("wissel doctor", file)
            ),
        );
        return found;
    }
    let client = match client::connect(connection) {
        Ok(client) => client,
        Err(failure) => {
            found.error(
                failure.message(),
                "say who calls, and by which authority the gateway is trusted",
                "wissel doctor --help",
            );
            return found;
        }
    };
    match client.status().await {
        Err(error @ (ClientError::WrongEndpoint { .. } | ClientError::Untrusted { .. })) => found
            .error(
                Failure::from(error).message(),
                "give its address, and by which authority it is trusted",
                "wissel doctor --help",
            ),
        Err(error) => found.error(
            format!("{server}: {error}"),
            "start it, or see in its log why it does not answer",
            "systemctl status wissel; journalctl -u wissel -n 50",
        ),
        Ok(status) => {
            let own = env!("CARGO_PKG_VERSION");
            let version = &status.version;
            if version == own {
                found.ok(format!("{server} answers, version {version} as this one"));
            } else {
                found.warning(
                    format!("{server} is version {version}, and this one {own}"),
                    "use the same on both sides; an upgrade needs a restart",
                    "wissel --version; systemctl restart wissel",
                );
            }
            clock(server, &status, &mut found);
            readiness(&status, &mut found);
        }
    }
    found
}

/// Whether it is ready, and for each check that fails what to do.
fn readiness(status: &GatewayStatus, found: &mut Findings) {
    if status.ready {
        found.ok(format!("it is ready: {}", status.bus_detail));
        return;
    }
    let journal = "journalctl -u wissel -n 50";
    let failed: Vec<&Check> = status.checks.iter().filter(|check| !check.ok).collect();
    if failed.is_empty() {
        // An older gateway does not say why.
        let told = format!("it is not ready: {}", status.bus_detail);
        found.error(told, "look where the gateway runs", journal);
    }
    for check in failed {
        let (advice, command) = match check.name.as_str() {
            "bus" => ("mend its bus; the check of the bus says more where it runs", journal),
            "disk" => ("make room where it keeps its state", "df -h"),
            "catalogue" => ("put the right catalogue in place", "wissel catalogue check"),
            "inboxes" => ("wait; when it lasts, the log names the inbox", journal),
            _ => ("look where the gateway runs", journal),
        };
        found.error(format!("it is not ready: {}: {}", check.name, check.detail), advice, command);
    }
}

/// Whether the clock there is as the clock here.
fn clock(server: &str, status: &GatewayStatus, found: &mut Findings) {
    /// What asking takes, and what a time service leaves.
    const SLACK: Duration = Duration::from_secs(1);
    let Some(there) = status.now else { return };
    let here = SystemTime::now();
    let apart = here.duration_since(there).unwrap_or_else(|error| error.duration());
    if apart > SLACK {
        found.warning(
            format!("{server}: its clock is {apart:.1?} from the one here"),
            "let a time service keep both; terms, deadlines and tokens go by the gateway's",
            "timedatectl status",
        );
    } else {
        found.ok("its clock is within a second of the one here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Credentials;
    use crate::doctor::finding::Severity;

    #[tokio::test]
    async fn a_gateway_that_nobody_calls_is_a_finding_that_says_what_to_give() {
        let credentials = Credentials {
            caller: None,
            cert: None,
            key: None,
            authorities: None,
            token_file: None,
        };
        let server = "https://localhost:7400".to_owned();
        let connection = Connection { server, credentials, on_behalf_of: None, timeout: None };
        let found = look(&connection, None).await.all;
        assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
        let advice = found[0].advice.as_deref().unwrap();
        assert!(advice.starts_with("give --cert and --key, --token-file FILE"), "{advice}");
    }
}
