//! All slices of the window: which are there, which is written to, which are dropped.

use std::collections::VecDeque;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fjall::{Database, PersistMode};

use crate::slice::{Slice, Writing};
use crate::{Identity, IdentityKey, ReceiptsError, Remembered};

/// Into how many slices window and capacity are cut. So much of the window is remembered
/// for too long, and so much of the capacity is given up at once when it is reached.
const SLICES: u32 = 6;

/// What is on disk and held in memory to be read again, in bytes: mostly the tables'
/// indexes, as messages that come again are few.
const CACHE_BYTES: u64 = 16 << 20;

/// The least that the engine takes.
const JOURNAL_BYTES: u64 = 64 << 20;

/// One flushes write buffers, so that they stay small while another merges. With these two, the
/// first would busy itself with passing work on to the other until that is free: the third takes it.
const ENGINE_THREADS: usize = 3;

/// How far the clock may go back before another slice is begun, whose age can be told.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) window: Duration,
    /// In units; see [`Remembered::units`].
    pub(crate) capacity: u64,
}

impl Bounds {
    /// How many units a slice takes before another is begun.
    fn units_per_slice(self) -> u64 {
        (self.capacity / u64::from(SLICES)).max(1)
    }
}

/// The open directory, for the one who writes.
pub(crate) struct Slices {
    database: Database,
    bounds: Bounds,
    /// Oldest first, with the units that they hold; the last one is written to.
    slices: VecDeque<(Slice, u64)>,
    writing: Writing,
}

/// What became of the slices.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Others are there now than before.
    pub(crate) other: bool,
    /// So many units were dropped before the window was over.
    pub(crate) dropped_early: u64,
}

/// The secret of the directory, which is made when there is none.
pub(crate) fn open_secret(path: &Path) -> Result<IdentityKey, ReceiptsError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(ReceiptsError::of(path))?;
    let secret = path.join("secret");
    if let Some(key) = IdentityKey::load(&secret)? {
        return Ok(key);
    }
    if entries(path).exists() {
        return Err(ReceiptsError::Secret { path: secret, found: "no such file" });
    }
    IdentityKey::create(&secret)
}

fn entries(path: &Path) -> std::path::PathBuf {
    path.join("entries")
}

impl Slices {
    pub(crate) fn open(
        path: &Path,
        bounds: Bounds,
        now: SystemTime,
    ) -> Result<Self, ReceiptsError> {
        Self::open_entries(&entries(path), bounds, now).map_err(|error| error.in_opening(path))
    }

    fn open_entries(path: &Path, bounds: Bounds, now: SystemTime) -> Result<Self, ReceiptsError> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(ENGINE_THREADS)
            .journal_compression(fjall::CompressionType::None)
            .open()?;
        let mut slices = Vec::new();
        for name in database.list_keyspace_names() {
            if let Some(slice) = Slice::open(&database, &name)? {
                let units = slice.units()?;
                slices.push((slice, units));
            }
        }
        slices.sort_by_key(|(slice, _)| slice.number);
        let youngest = slices.last().map(|(slice, _)| slice.number);
        for (slice, units) in &mut slices {
            let is_youngest = Some(slice.number) == youngest;
            slice.make_room_in_filter(if is_youngest { bounds.units_per_slice() } else { *units });
        }
        let writing = slices.last().map(|(slice, _)| slice.writing()).transpose()?;
        let mut slices =
            Self { database, bounds, slices: slices.into(), writing: writing.unwrap_or_default() };
        if slices.slices.is_empty() {
            slices.begin(now)?;
        }
        slices.keep_within_bounds(now)?;
        Ok(slices)
    }

    /// Youngest first: who publishes again does so soon.
    pub(crate) fn to_read(&self) -> Vec<Slice> {
        self.slices.iter().rev().map(|(slice, _)| slice.clone()).collect()
    }

    /// Writes receipts into the youngest slice.
    pub(crate) fn write(
        &mut self,
        entries: &[(Identity, Remembered)],
    ) -> Result<(), ReceiptsError> {
        let Some((slice, units)) = self.slices.back_mut() else { return Ok(()) };
        slice.write(&self.database, &mut self.writing, entries)?;
        *units = self.writing.units;
        Ok(())
    }

    /// Has everything that was written survive a loss of power.
    pub(crate) fn sync(&self) -> Result<(), ReceiptsError> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    /// Begins another slice when it is time, and drops those that are over.
    pub(crate) fn keep_within_bounds(&mut self, now: SystemTime) -> Result<Changes, ReceiptsError> {
        let mut changes = Changes::default();
        if self.youngest_is_over(now) {
            self.begin(now)?;
            changes.other = true;
        }
        let mut over = self.count_expired(now);
        let mut units: u64 = self.slices.iter().skip(over).map(|(_, units)| units).sum();
        while units > self.bounds.capacity && over + 1 < self.slices.len() {
            units -= self.slices[over].1;
            changes.dropped_early += self.slices[over].1;
            over += 1;
        }
        for (slice, _) in self.slices.drain(..over) {
            changes.other = true;
            slice.remove(&self.database)?;
        }
        Ok(changes)
    }

    fn youngest_is_over(&self, now: SystemTime) -> bool {
        let Some((slice, units)) = self.slices.back() else { return true };
        let is_full = *units >= self.bounds.units_per_slice();
        match now.duration_since(slice.began) {
            Ok(age) => is_full || age >= self.bounds.window / SLICES,
            Err(ahead) => is_full || ahead.duration() > CLOCK_TOLERANCE,
        }
    }

    /// The number of slices whose end is farther back than the window. What is before
    /// one of them is over as well, whatever the clock said then.
    fn count_expired(&self, now: SystemTime) -> usize {
        let ends = self.slices.iter().skip(1).map(|(next, _)| next.began);
        let is_expired =
            |end: SystemTime| now.duration_since(end).is_ok_and(|age| age > self.bounds.window);
        let ends: Vec<SystemTime> = ends.collect();
        ends.iter().rposition(|end| is_expired(*end)).map_or(0, |index| index + 1)
    }

    fn begin(&mut self, now: SystemTime) -> Result<(), ReceiptsError> {
        let number = self.slices.back().map_or(1, |(slice, _)| slice.number + 1);
        let units = self.bounds.units_per_slice();
        let slice = Slice::create(&self.database, number, now, units)?;
        if let Some((before, units)) = self.slices.back_mut() {
            before.finish(&self.database, *units)?;
        }
        self.slices.push_back((slice, 0));
        self.writing = Writing::default();
        Ok(())
    }
}
