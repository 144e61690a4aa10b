//! A gateway that runs.

use std::time::{Duration, SystemTime};

use wissel_client::{Check, GatewayStatus};

use super::finding::Findings;
use crate::cli::Connection;
use crate::client;

pub(super) async fn look(connection: &Connection) -> Findings {
    let mut found = Findings::of("gateway");
    let server = &connection.server;
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
