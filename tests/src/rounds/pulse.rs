//! How well the machine gets along while a round goes on.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Wakes up again and again, and notes when it was late: what else runs here was then held up
/// as well. Ends when it is dropped.
pub(super) struct Pulse {
    stalls: Arc<Mutex<Stalls>>,
}

/// When the machine held everyone up, oldest first.
#[derive(Clone, Default)]
pub(super) struct Stalls(Vec<(Instant, Instant)>);

const EVERY: Duration = Duration::from_millis(5);
/// Less is as usual.
const LATE: Duration = Duration::from_millis(20);
/// What is noted at most; more is not held for an excuse.
const STALLS_MAX: usize = 10_000;

impl Pulse {
    pub(super) fn start() -> Self {
        let stalls = Arc::<Mutex<Stalls>>::default();
        let noted = Arc::downgrade(&stalls);
        std::thread::spawn(move || {
            while let Some(noted) = noted.upgrade() {
                let due = Instant::now() + EVERY;
                std::thread::sleep(EVERY);
                noted.lock().unwrap().note(due, Instant::now());
            }
        });
        Self { stalls }
    }

    /// Those until now.
    pub(super) fn stalls(&self) -> Stalls {
        self.stalls.lock().unwrap().clone()
    }
}

impl Stalls {
    /// Something was to happen when it was due, and happened then.
    pub(super) fn note(&mut self, due: Instant, then: Instant) {
        if then > due + LATE && self.0.len() < STALLS_MAX {
            self.0.push((due, then));
        }
    }

    /// Those that took so long.
    pub(super) fn of_at_least(&self, time: Duration) -> impl Iterator<Item = (Instant, Instant)> {
        self.0.iter().copied().filter(move |(begun, ended)| *ended - *begun >= time)
    }

    /// For how long of the time between these moments everyone was held up.
    pub(super) fn between(&self, from: Instant, to: Instant) -> Duration {
        let within = |(begun, ended): &(Instant, Instant)| {
            (*ended).min(to).saturating_duration_since((*begun).max(from))
        };
        self.0.iter().map(within).sum()
    }
}
