//! A gateway that runs.

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
            let detail = &status.bus_detail;
            if status.bus_ready {
                found.ok(format!("it takes messages: {detail}"));
            } else {
                found.error(
                    format!("it takes no messages: {detail}"),
                    "mend its bus; the check of the bus says more where the gateway runs",
                    "journalctl -u wissel -n 50",
                );
            }
        }
    }
    found
}
