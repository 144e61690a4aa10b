//! The thread that writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::receipts::Shared;
use crate::slices::{Bounds, Changes, Slices};
use crate::{Identity, ReceiptsError, Remembered};

/// A loss of power takes at most what came in this time.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How long the storage is left alone after it failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Warnings of one kind are at least so far apart.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Receipts that are written together, at most.
const BATCH: usize = 1_000;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    bounds: Bounds,
    /// None after a failure, until it is opened again.
    slices: Option<Slices>,
    filling: Option<Filling>,
    unsynced_since: Option<Instant>,
    warned_of_failure: Option<Instant>,
    warned_of_capacity: Option<Instant>,
    warned_of_dropped: Option<Instant>,
}

/// The thread that makes the filters of slices that were opened.
struct Filling {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// How many entries wait for storage that fails.
const KEPT_MAX: usize = 32_768;

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, path: PathBuf, bounds: Bounds, slices: Slices) -> Self {
        Self {
            filling: Filling::start(&shared),
            shared,
            path,
            bounds,
            slices: Some(slices),
            unsynced_since: None,
            warned_of_failure: None,
            warned_of_capacity: None,
            warned_of_dropped: None,
        }
    }

    /// Until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let mut entries = Vec::new();
        loop {
            let unsynced = self.unsynced_for();
            let taken = self.shared.queue.take(SYNC_EVERY.saturating_sub(unsynced));
            entries.extend(taken.entries);
            // Next to each other, what is inserted finds its place in memory that was just looked
            // at. Nobody sees the order: all of it is found by its identity.
            entries.sort_unstable_by_key(|(identity, _)| *identity);
            let sync = taken.sync || taken.ended;
            if let Err(error) = self.write(&mut entries, sync) {
                self.fail(&error);
                // What cannot be written does not pile up: of those a duplicate may pass.
                let many = entries.len().saturating_sub(KEPT_MAX);
                if many > 0 {
                    entries.drain(..many);
                    tracing::warn!(count = many, "receipts are dropped: they cannot be written");
                }
            }
            self.shared.queue.settled(taken.until);
            self.warn_of_dropped();
            if taken.ended {
                break;
            }
            while self.slices.is_none() && !self.shared.queue.is_closed() {
                self.shared.queue.pause(PAUSE_AFTER_FAILURE);
                self.open_again();
                self.warn_of_dropped();
            }
        }
        if !entries.is_empty() {
            tracing::warn!(
                count = entries.len(),
                "receipts were not kept: messages may be delivered twice"
            );
        }
        self.close();
        self.shared.queue.end();
    }

    fn write(
        &mut self,
        entries: &mut Vec<(Identity, Remembered)>,
        sync: bool,
    ) -> Result<(), ReceiptsError> {
        let Some(slices) = &mut self.slices else { return Ok(()) };
        let mut dropped_early = 0;
        loop {
            let Changes { other, dropped_early: more } =
                slices.keep_within_bounds(self.shared.now())?;
            dropped_early += more;
            if other {
                self.shared.slices.store(Arc::new(slices.to_read()));
            }
            if entries.is_empty() {
                break;
            }
            let batch = entries.len().min(BATCH);
            slices.write(&entries[..batch])?;
            entries.drain(..batch);
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        if dropped_early > 0 && is_time(&mut self.warned_of_capacity) {
            let capacity = self.bounds.capacity;
            tracing::warn!(
                capacity,
                dropped_early,
                "the deduplication window is full: the oldest receipts are forgotten before their time"
            );
        }
        self.sync_when_due(sync)
    }

    fn sync_when_due(&mut self, now: bool) -> Result<(), ReceiptsError> {
        let is_due = now || self.unsynced_for() >= SYNC_EVERY;
        if let Some(slices) = &self.slices
            && self.unsynced_since.is_some()
            && is_due
        {
            slices.sync()?;
            self.unsynced_since = None;
        }
        Ok(())
    }

    /// How long something has been written that may not survive a loss of power.
    fn unsynced_for(&self) -> Duration {
        self.unsynced_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn fail(&mut self, error: &ReceiptsError) {
        if is_time(&mut self.warned_of_failure) {
            tracing::warn!(
                %error,
                path = %self.path.display(),
                "receipts cannot be kept: messages may be delivered twice until they are"
            );
        }
        self.shared.queue.set_failing(true);
        self.close();
    }

    fn open_again(&mut self) {
        match Slices::open(&self.path, self.bounds, self.shared.now()) {
            Ok(slices) => {
                self.shared.slices.store(Arc::new(slices.to_read()));
                self.slices = Some(slices);
                self.filling = Filling::start(&self.shared);
                self.warned_of_failure = None;
                self.shared.queue.set_failing(false);
                tracing::info!(path = %self.path.display(), "receipts are kept again");
            }
            Err(error) => self.fail(&error),
        }
    }

    /// The directory is free when nobody reads any more, which is at once.
    fn close(&mut self) {
        if let Some(filling) = self.filling.take() {
            filling.end();
        }
        self.shared.slices.store(Arc::default());
        self.slices = None;
        self.unsynced_since = None;
    }

    fn warn_of_dropped(&mut self) {
        if self.warned_of_dropped.is_some_and(|warned| warned.elapsed() < WARN_EVERY) {
            return;
        }
        let count = self.shared.queue.take_dropped();
        if count > 0 {
            self.warned_of_dropped = Some(Instant::now());
            tracing::warn!(
                count,
                "receipts came faster than they are kept: after a restart their messages may be \
                 delivered twice"
            );
        }
    }
}

impl Filling {
    /// Without the thread look-ups are slow, and no less right.
    fn start(shared: &Arc<Shared>) -> Option<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopping) = (Arc::clone(shared), Arc::clone(&stop));
        let fill = move || {
            for slice in &**shared.slices.load_full() {
                if let Err(error) = slice.fill_filter(|| stopping.load(Ordering::Relaxed)) {
                    shared.report_unreadable(&error);
                }
            }
        };
        let thread = std::thread::Builder::new().name("receipt-filters".to_owned()).spawn(fill);
        Some(Self { stop, thread: thread.ok()? })
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        // It has nothing to tell.
        let _ = self.thread.join();
    }
}

/// Whether it is time to warn again.
fn is_time(warned: &mut Option<Instant>) -> bool {
    let due = warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY);
    if due {
        *warned = Some(Instant::now());
    }
    due
}
