//! How a bus begins: what it reads, and the threads that it starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::EmbeddedBus;
use crate::EmbeddedBusError;
use crate::clock::Clock;
use crate::feeder;
use crate::inbox::Inbox;
use crate::shared::Shared;
use crate::storage::{Census, Storage};
use crate::upkeep::{self, Removals};
use crate::writer::Writer;

/// Where and how an [`EmbeddedBus`] keeps its messages.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The directory. Created when it does not exist; used by one bus at a time.
    pub path: PathBuf,
    /// How much of what is on disk is kept in memory, in bytes. 64 MiB unless told.
    pub cache_bytes: u64,
}

/// A bus, and what its threads are to do.
pub(crate) struct Assembled {
    pub(crate) bus: EmbeddedBus,
    pub(crate) writer: Writer,
    /// For disk space to be given back.
    pub(crate) requests: Receiver<()>,
}

/// What a bus has until it is closed.
pub(super) struct Running {
    pub(super) storage: Arc<Storage>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

impl EmbeddedOptions {
    /// In this directory, with everything else as usual.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cache_bytes: 64 << 20 }
    }
}

impl EmbeddedBus {
    /// Opens the directory, or creates it, and starts the bus's three threads. Blocks
    /// while it reads; see the crate's page for how long.
    ///
    /// # Errors
    /// When another bus has the directory open, when it was written in another
    /// format, and when it cannot be read or written.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options are made for this call and usually nothing else"
    )]
    pub fn open(options: EmbeddedOptions) -> Result<Self, EmbeddedBusError> {
        let storage = Arc::new(Storage::open(&options.path, options.cache_bytes)?);
        let Assembled { bus, writer, requests } =
            Self::assemble(Arc::clone(&storage), Clock::Machine)?;
        let (of_feeder, of_upkeep) = (Arc::clone(&bus.shared), Arc::clone(&bus.shared));
        let read = Arc::clone(&storage);
        bus.start("bus-writer", move || writer.run())?;
        bus.start("bus-feeder", move || feeder::run(&of_feeder, &read))?;
        bus.start("bus-upkeep", move || {
            upkeep::run(&of_upkeep, &storage, &requests);
        })?;
        tracing::info!(path = %options.path.display(), "embedded bus opened");
        Ok(bus)
    }

    /// The bus on this storage, without its threads.
    pub(crate) fn assemble(
        storage: Arc<Storage>,
        clock: Clock,
    ) -> Result<Assembled, EmbeddedBusError> {
        let mut census = Census::take(&storage)?;
        let inboxes: Vec<Arc<Inbox>> = std::mem::take(&mut census.inboxes)
            .into_iter()
            .map(|(number, counted)| Arc::new(Inbox::from_census(number, counted)))
            .collect();
        let by_name = inboxes.iter().map(|inbox| (inbox.name.clone(), Arc::clone(inbox))).collect();
        let shared = Arc::new(Shared::new(by_name, clock));
        let (removals, requests) = Removals::new();
        let writer =
            Writer::new(Arc::clone(&shared), Arc::clone(&storage), &census, inboxes, removals);
        let bus = Self {
            shared,
            running: Mutex::new(Some(Running { storage, threads: Vec::new() })),
            closing: tokio::sync::Mutex::new(()),
            tasks: TaskTracker::new(),
            next_consumer: AtomicU64::new(1),
        };
        Ok(Assembled { bus, writer, requests })
    }

    fn start(
        &self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), EmbeddedBusError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(EmbeddedBusError::Thread)?;
        if let Some(running) = self.running.lock().as_mut() {
            running.threads.push(thread);
        }
        Ok(())
    }
}

impl Running {
    /// Waits for its threads.
    pub(super) fn end(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the embedded bus panicked");
            }
        }
    }
}
