//! What time it is.

use std::time::{Duration, Instant, SystemTime};

use crate::storage::keys::to_ms;

/// The clocks of the machine. In a simulation time stands still until it is told to go on.
#[derive(Clone)]
pub(crate) enum Clock {
    Machine,
    #[cfg(any(test, feature = "simulation"))]
    Simulated(simulated::Time),
}

impl Clock {
    /// For how long something takes.
    pub(crate) fn instant(&self) -> Instant {
        match self {
            Self::Machine => Instant::now(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(time) => time.instant(),
        }
    }

    /// For what is kept over a restart, and told to others.
    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Self::Machine => SystemTime::now(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(time) => time.wall(),
        }
    }

    /// The same in whole milliseconds since 1970.
    pub(crate) fn wall_ms(&self) -> u64 {
        to_ms(self.wall())
    }

    /// How long ago that was.
    pub(crate) fn since(&self, then: Instant) -> Duration {
        self.instant().saturating_duration_since(then)
    }
}

#[cfg(any(test, feature = "simulation"))]
pub(crate) mod simulated {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::storage::keys::from_ms;

    /// When it begins: 1 January 2026.
    const BEGIN_MS: u64 = 1_767_225_600_000;

    /// Time that goes on when it is told to.
    #[derive(Clone)]
    pub struct Time {
        begin: Instant,
        passed_ms: Arc<AtomicU64>,
        wall_ms: Arc<AtomicU64>,
    }

    impl Time {
        /// At its beginning.
        #[must_use]
        pub fn new() -> Self {
            let wall_ms = Arc::new(AtomicU64::new(BEGIN_MS));
            Self { begin: Instant::now(), passed_ms: Arc::default(), wall_ms }
        }

        /// So much of it passes.
        pub fn pass(&self, by: Duration) {
            // Up, so that what is waited for has come.
            let ms = u64::try_from(by.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
            self.passed_ms.fetch_add(ms, Ordering::Relaxed);
            self.wall_ms.fetch_add(ms, Ordering::Relaxed);
        }

        /// The clock on the wall is set, while no time passes.
        pub fn set_wall(&self, wall: SystemTime) {
            self.wall_ms.store(to_ms(wall), Ordering::Relaxed);
        }

        /// For how long something takes.
        #[must_use]
        pub fn instant(&self) -> Instant {
            self.begin + Duration::from_millis(self.passed_ms())
        }

        /// The clock on the wall.
        #[must_use]
        pub fn wall(&self) -> SystemTime {
            from_ms(self.wall_ms.load(Ordering::Relaxed))
        }

        /// How much of it passed.
        #[must_use]
        pub fn passed_ms(&self) -> u64 {
            self.passed_ms.load(Ordering::Relaxed)
        }
    }

    impl Default for Time {
        fn default() -> Self {
            Self::new()
        }
    }
}
