use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use crate::queue::Queue;
use crate::slice::Slice;
use crate::slices::{self, Bounds, Slices};
use crate::writer::Writer;
use crate::{Identity, IdentityKey, ReceiptsError, Remembered};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How much is remembered.
#[derive(Clone)]
pub struct ReceiptOptions {
    /// How far back, from the moment a message was admitted. 24 hours unless told.
    pub window: Duration,
    /// How much at most; a message takes one unit and one more for each 16 inboxes. A unit
    /// takes about 80 bytes on disk. 20 million unless told.
    pub capacity: u64,
    /// The system's clock unless told.
    pub clock: Clock,
}

/// The memory of receipts in one directory. See the crate's page.
///
/// Dropped without [`Receipts::close`], it closes itself, and blocks meanwhile.
pub struct Receipts {
    identity_key: IdentityKey,
    window: Duration,
    shared: Arc<Shared>,
}

/// What those who ask and the one who writes have in common.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    /// Youngest first. None while the storage fails, and when it is closed.
    pub(crate) slices: ArcSwap<Vec<Slice>>,
    clock: Clock,
    unreadable: AtomicU64,
}

/// A warning for the first of so many entries that cannot be read.
const UNREADABLE_PER_WARNING: u64 = 1_000;

/// How long a memory that is dropped waits for its thread.
const PATIENCE_OF_DROP: Duration = Duration::from_secs(30);

impl Receipts {
    /// Opens the directory, or creates it, and starts the thread that writes. Blocks while
    /// it reads at most 64 MiB.
    ///
    /// # Errors
    /// When the directory is in use, damaged, or cannot be read or written.
    pub fn open(path: &Path, options: ReceiptOptions) -> Result<Self, ReceiptsError> {
        let ReceiptOptions { window, capacity, clock } = options;
        let identity_key = slices::open_secret(path)?;
        let bounds = Bounds { window, capacity };
        let slices = Slices::open(path, bounds, clock())?;
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            slices: ArcSwap::from_pointee(slices.to_read()),
            clock,
            unreadable: AtomicU64::new(0),
        });
        let writer = Writer::new(Arc::clone(&shared), path.to_owned(), bounds, slices);
        let thread = std::thread::Builder::new().name("receipts".to_owned());
        thread.spawn(move || writer.run()).map_err(ReceiptsError::Thread)?;
        Ok(Self { identity_key, window, shared })
    }

    /// By which messages are known here.
    #[must_use]
    pub fn identity_key(&self) -> &IdentityKey {
        &self.identity_key
    }

    /// What is remembered of a message that was admitted within the window. Nothing of what
    /// cannot be read.
    ///
    /// Reads memory only for nearly all messages that are new; for one that is known, it
    /// may read a block of some KiB from disk.
    #[must_use]
    pub fn find(&self, identity: Identity) -> Option<Remembered> {
        for slice in &**self.shared.slices.load() {
            match slice.find(identity) {
                Ok(Some(remembered)) => return self.is_in_time(&remembered).then_some(remembered),
                Ok(None) => {}
                Err(error) => self.shared.report_unreadable(&error),
            }
        }
        None
    }

    /// Remembers a message that is durable, in a moment: at most a second later it survives
    /// a loss of power. Does not wait. Says whether there was room in the queue; what found
    /// none is not remembered.
    pub fn remember(&self, identity: Identity, remembered: Remembered) -> bool {
        self.shared.queue.push(identity, remembered)
    }

    /// Waits until what was remembered so far survives a loss of power, or the storage
    /// has failed. Blocks.
    pub fn settle(&self) {
        self.shared.queue.settle();
    }

    /// Writes what is in the queue, syncs, and frees the directory. Says whether that was
    /// done within `patience`. Blocks. Nothing is known or remembered from then on.
    pub fn close(&self, patience: Duration) -> bool {
        self.shared.queue.close();
        self.shared.queue.wait_for_end(patience)
    }

    fn is_in_time(&self, remembered: &Remembered) -> bool {
        let age = self.shared.now().duration_since(remembered.admitted_at);
        age.unwrap_or_default() <= self.window
    }
}

impl Shared {
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    pub(crate) fn report_unreadable(&self, error: &ReceiptsError) {
        let before = self.unreadable.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(UNREADABLE_PER_WARNING) {
            tracing::warn!(
                %error,
                "a receipt cannot be read: its message may be delivered twice"
            );
        }
    }
}

impl Default for ReceiptOptions {
    fn default() -> Self {
        Self {
            window: Duration::from_hours(24),
            capacity: 20_000_000,
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for ReceiptOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, capacity, clock: _ } = self;
        f.debug_struct("ReceiptOptions")
            .field("window", window)
            .field("capacity", capacity)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipts").field("window", &self.window).finish_non_exhaustive()
    }
}

impl Drop for Receipts {
    fn drop(&mut self) {
        if !self.close(PATIENCE_OF_DROP) {
            tracing::warn!("the thread that keeps receipts does not end");
        }
    }
}
