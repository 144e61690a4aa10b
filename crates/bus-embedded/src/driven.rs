//! A bus without threads, on a disk and a clock that are simulated: for tests of what stands on
//! it. Whoever has its [`Driver`] decides when it writes and when it reads.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::bus::Assembled;
use crate::clock::Clock;
pub use crate::clock::simulated::Time;
use crate::feeder::{Fetched, Turn};
use crate::shared::Shared;
use crate::storage::Storage;
pub use crate::storage::engine::simulated::{Disk, Fault};
use crate::writer::Writer;
use crate::{EmbeddedBus, EmbeddedBusError};

/// Does what the threads of a bus do, when it is told to.
pub struct Driver {
    shared: Arc<Shared>,
    writer: Writer,
    feeding: Arc<Mutex<Feeding>>,
    time: Time,
    /// The bus was closed, and all that it was asked is done.
    ended: bool,
    // Its other end is with the writer.
    _requests: std::sync::mpsc::Receiver<()>,
}

/// The thread that reads, in parts: what the writer does falls between any two of them.
pub(crate) struct Feeding {
    shared: Arc<Shared>,
    storage: Arc<Storage>,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Planned(Turn),
    Fetched(Fetched),
}

impl EmbeddedBus {
    /// The bus that is on this disk.
    ///
    /// # Errors
    /// When what is on the disk is damaged.
    pub fn driven(disk: &Disk, time: &Time) -> Result<(Self, Driver), EmbeddedBusError> {
        let storage = Arc::new(Storage::simulated(disk)?);
        let assembled = Self::assemble(Arc::clone(&storage), Clock::Simulated(time.clone()))?;
        let Assembled { bus, writer, requests } = assembled;
        let shared = Arc::clone(&bus.shared);
        let feeding = Arc::new(Mutex::new(Feeding::new(Arc::clone(&shared), storage)));
        let time = time.clone();
        let driver = Driver { shared, writer, feeding, time, ended: false, _requests: requests };
        Ok((bus, driver))
    }
}

impl Driver {
    /// The writer looks once, at all that it was asked and all that is due.
    pub fn write(&mut self) {
        if self.ended {
            return;
        }
        let taken = self.shared.commands.take_now();
        if !self.writer.step(taken) {
            self.writer.end();
            self.ended = true;
        }
    }

    /// A part of what is to be read and handed out. False when there is none.
    pub fn feed(&mut self) -> bool {
        self.feeding.lock().part()
    }

    /// Before and after each write, parts are read for as long as this says so.
    pub fn feed_meanwhile(&self, disk: &Disk, mut goes_on: impl FnMut() -> bool + Send + 'static) {
        let feeding = Arc::clone(&self.feeding);
        disk.set_meanwhile(Some(Box::new(move || {
            let mut feeding = feeding.lock();
            while goes_on() {
                feeding.part();
            }
        })));
    }

    /// Whether there is something to write or to read at this moment.
    #[must_use]
    pub fn has_work(&self) -> bool {
        let to_write = self.shared.commands.has_any() || self.is_due();
        !self.ended && to_write || self.feeding.lock().has_work()
    }

    /// When there is something to do without being asked, by [`Time::instant`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        self.writer.next_wake().filter(|_| !self.ended)
    }

    fn is_due(&self) -> bool {
        self.next_wake().is_some_and(|wake| wake <= self.time.instant())
    }
}

impl Feeding {
    pub(crate) fn new(shared: Arc<Shared>, storage: Arc<Storage>) -> Self {
        Self { shared, storage, stage: Stage::Idle }
    }

    fn has_work(&self) -> bool {
        !matches!(self.stage, Stage::Idle) || self.shared.feeds.has_any()
    }

    /// The next part. False when there is nothing to do.
    pub(crate) fn part(&mut self) -> bool {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Idle => match self.shared.feeds.take_now() {
                None => return false,
                Some(inbox) => Turn::of(&inbox).map_or(Stage::Idle, Stage::Planned),
            },
            Stage::Planned(turn) => match turn.fetch(&self.storage) {
                Ok(fetched) => fetched.map_or(Stage::Idle, Stage::Fetched),
                Err(error) => {
                    self.shared.fail(&error);
                    Stage::Idle
                }
            },
            Stage::Fetched(fetched) => {
                fetched.hand_out(&self.shared);
                Stage::Idle
            }
        };
        true
    }
}
