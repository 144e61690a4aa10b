//! What time it is on the wall.
//!
//! How long something takes is for tokio's clock to tell. Both stand still in a simulation until
//! they are told to go on; elsewhere they are those of the machine.

use std::time::{Instant, SystemTime};

/// For what is kept, told to others, or held against a moment that others gave.
pub(crate) fn wall() -> SystemTime {
    #[cfg(test)]
    if let Some(wall) = simulated::wall() {
        return wall;
    }
    SystemTime::now()
}

/// For how long something takes, where tokio's own type is not at hand.
pub(crate) fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;
    use std::time::SystemTime;

    use tokio::time::Instant;

    thread_local! {
        /// What it showed at a moment of tokio's clock.
        static WALL: Cell<Option<(SystemTime, Instant)>> = const { Cell::new(None) };
    }

    /// From now on the clock of this thread shows this, and goes on with tokio's.
    pub(crate) fn set(wall: SystemTime) {
        WALL.set(Some((wall, Instant::now())));
    }

    pub(super) fn wall() -> Option<SystemTime> {
        WALL.get().map(|(wall, at)| wall + at.elapsed())
    }
}
