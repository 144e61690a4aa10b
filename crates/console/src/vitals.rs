//! What a gateway stands on: certificates, and its process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use procfs::WithCurrentSystemInfo as _;
use wissel_identity::{End, Part, ServerTls};
use wissel_metrics::{Expiry, Process};

/// What is looked at beside the broker.
#[derive(Clone)]
pub struct Vitals {
    /// The gateway's certificates, when it has some.
    pub tls: Option<Arc<ServerTls>>,
    /// Those of the console, when it has some of its own.
    pub console_tls: Option<Arc<ServerTls>>,
}

impl Vitals {
    /// When each certificate ends: `gateway`, `authority-1` and on, `console`,
    /// `console-authority-1` and on.
    #[must_use]
    pub fn certificates(&self) -> Vec<Expiry> {
        self.expiries(|part| part != Part::RevocationList)
    }

    /// When each file of revocation lists ends: `1` and on, `console-1` and on.
    #[must_use]
    pub fn revocation_lists(&self) -> Vec<Expiry> {
        self.expiries(|part| part == Part::RevocationList)
    }

    fn expiries(&self, is_meant: impl Fn(Part) -> bool) -> Vec<Expiry> {
        let both = [("", &self.tls), ("console", &self.console_tls)];
        let ends = both.into_iter().filter_map(|(of, tls)| Some((of, tls.as_ref()?)));
        let ends = ends.flat_map(|(of, tls)| tls.ends().into_iter().map(move |end| (of, end)));
        let ends = ends.filter(|(_, end)| is_meant(end.part));
        ends.map(|(of, End { part, number, at, .. })| {
            let name = match (of, part) {
                ("", Part::Certificate) => "gateway".to_owned(),
                ("", Part::Authority) => format!("authority-{number}"),
                ("", Part::RevocationList) => number.to_string(),
                (of, Part::Certificate) => of.to_owned(),
                (of, Part::Authority) => format!("{of}-authority-{number}"),
                (of, Part::RevocationList) => format!("{of}-{number}"),
            };
            Expiry { name, at }
        })
        .collect()
    }

    /// What the operating system says of this process; none where it does not.
    #[must_use]
    pub fn process() -> Option<Process> {
        let own = procfs::process::Process::myself().ok()?;
        let stat = own.stat().ok()?;
        let ticks = procfs::ticks_per_second();
        let cpu = Duration::from_millis((stat.utime + stat.stime) * 1_000 / ticks.max(1));
        let limits = own.limits().ok();
        let most = limits.and_then(|limits| match limits.max_open_files.soft_limit {
            procfs::process::LimitValue::Value(most) => Some(most),
            procfs::process::LimitValue::Unlimited => None,
        });
        Some(Process {
            resident_bytes: stat.rss_bytes().get(),
            cpu,
            open_files: own.fd_count().ok()? as u64,
            open_files_max: most.unwrap_or_default(),
        })
    }
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals").finish_non_exhaustive()
    }
}
