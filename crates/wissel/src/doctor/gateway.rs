//! A gateway that runs.

use std::time::{Duration, SystemTime};

use wissel_client::GatewayStatus;

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
            if status.ready {
                found.ok(format!("it takes messages: {}", status.bus_detail));
            }
            for check in status.checks.iter().filter(|check| !check.ok) {
                found.error(
                    format!("it takes no messages: {}: {}", check.name, check.detail),
                    "mend that; the checks here say more where the gateway runs",
                    "journalctl -u wissel -n 50",
                );
            }
        }
    }
    found
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
