//! Whether a gateway is ready, and what must hold for that.

use std::path::PathBuf;

use serde::Serialize;

use crate::Broker;

/// Whether a gateway is ready, and what each check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether every check holds.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `bus`, `inboxes`, `disk`, `records`, `catalogue` or `running`.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// One sentence.
    pub detail: String,
}

/// The disk that state is kept on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// A directory on it.
    pub directory: PathBuf,
    /// Bytes that must be free there for a gateway to be ready.
    pub mark: u64,
}

impl Disk {
    /// Bytes that are free there, for this process; none when that cannot be found out.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.directory).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn check(&self) -> Check {
        let mark = self.mark >> 20;
        let (ok, detail) = match self.free() {
            Some(free) => {
                (free >= self.mark, format!("{} MiB free; at least {mark} MiB", free >> 20))
            }
            None => (false, "it cannot be found out how much is free".to_owned()),
        };
        Check { name: "disk", ok, detail }
    }
}

impl Broker {
    /// Whether the gateway is ready, and what each check found. Messages may pass nevertheless,
    /// while little disk is left: then it is time to do something, and not too late.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let check = |name, ok, detail: String| Check { name, ok, detail };
        let status = self.status();
        let opened = self.is_prepared();
        let opening = if opened { "every inbox is open" } else { "inboxes are being opened" };
        let recorded = self.keeps_records();
        let recording = if recorded {
            "the record of processing is written"
        } else {
            "the record of processing cannot be written, and nothing is done without it"
        };
        let event_types = self.catalogue().type_count();
        let mut catalogue = format!("event types: {event_types}");
        if self.last_reading().is_some_and(|reading| !reading.faults.is_empty()) {
            catalogue.push_str("; what stands in its files now has faults, and is not in force");
        }
        let running = !self.shutdown_token().is_cancelled();
        let stopping = if running { "work is taken" } else { "the gateway stops" };
        let bus = format!("{}: {}", status.bus, status.health.detail);
        let mut checks = vec![
            check("bus", status.health.ready, bus),
            check("inboxes", opened, format!("{opening}: {}", status.inboxes)),
        ];
        checks.extend(self.options.disk.as_ref().map(Disk::check));
        checks.extend([
            check("records", recorded, recording.to_owned()),
            check("catalogue", event_types > 0, catalogue),
            check("running", running, stopping.to_owned()),
        ]);
        Readiness { ready: checks.iter().all(|check| check.ok), checks }
    }

    /// The disk that state is kept on, where that is known.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        self.options.disk.as_ref()
    }
}
