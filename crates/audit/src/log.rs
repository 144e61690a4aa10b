use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::acts::Acts;
use crate::writer::Writer;
use crate::{AuditError, Found, Look, Looked, Record, Search};

/// The files of records, open for more. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct RecordLog {
    directory: Arc<Path>,
    /// The writer sleeps on a futex here; an asynchronous channel would have it poll.
    requests: mpsc::Sender<Request>,
    /// For as many requests as may wait.
    room: Arc<Semaphore>,
    healthy: Arc<AtomicBool>,
    acts: Arc<Acts>,
}

/// How records are kept.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// A file that has become this large, in bytes, is followed by another. One is also
    /// when the day (UTC) is over.
    pub file_bytes: u64,
    /// How long records may wait, at most, until it begins that they are made safe from a
    /// loss of power, which others do not wait for; with 2 MiB of them it begins at once. They
    /// are safe from the end of the process in any case.
    pub sync_every: Duration,
}

pub(crate) enum Request {
    Append(Arc<Vec<Record>>, oneshot::Sender<Result<(), AuditError>>),
    Close(oneshot::Sender<()>),
}

/// How many appends wait for the writer. Then an append waits.
const APPENDS_WAITING: usize = 4_096;

/// What the writer is asked for.
pub(crate) struct Requests {
    receiver: mpsc::Receiver<Request>,
    room: Arc<Semaphore>,
}

impl Requests {
    fn new(receiver: mpsc::Receiver<Request>, room: Arc<Semaphore>) -> Self {
        Self { receiver, room }
    }

    /// The next, or that there was none for so long, or is none any more.
    pub(crate) fn next(&self, patience: Duration) -> Result<Request, RecvTimeoutError> {
        let next = self.receiver.recv_timeout(patience)?;
        self.room.add_permits(1);
        Ok(next)
    }

    /// One that waits already.
    pub(crate) fn waiting(&self) -> Option<Request> {
        let next = self.receiver.try_recv().ok()?;
        self.room.add_permits(1);
        Some(next)
    }
}

/// Who waits for room waits no longer, when there is no writer.
impl Drop for Requests {
    fn drop(&mut self) {
        self.room.close();
    }
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, sync_every: Duration::from_secs(1) }
    }
}

impl RecordLog {
    /// Opens the records in this directory, and makes it when it is not there. What a
    /// process that was killed left of a line is put aside in a file `*.torn`.
    ///
    /// # Errors
    /// When another process has it open, a file cannot be read or written, or the end of
    /// the records is not as it was left.
    pub fn open(directory: &Path, options: RecordOptions) -> Result<Self, AuditError> {
        let (requests, receiver) = mpsc::channel();
        let room = Arc::new(Semaphore::new(APPENDS_WAITING));
        let healthy = Arc::new(AtomicBool::new(true));
        let writer = Writer::open(directory, options, Arc::clone(&healthy))?;
        let acts = writer.acts();
        let thread = std::thread::Builder::new().name("wissel-records".to_owned());
        let requested = Requests::new(receiver, Arc::clone(&room));
        thread.spawn(move || writer.run(&requested)).map_err(AuditError::of(directory))?;
        Ok(Self { directory: directory.into(), requests, room, healthy, acts })
    }

    /// Keeps records, in this order. Ends when they are with the operating system, so
    /// that they outlive the process.
    ///
    /// # Errors
    /// When they could not be written, none of them was.
    pub async fn append(&self, records: impl Into<Arc<Vec<Record>>>) -> Result<(), AuditError> {
        let records = records.into();
        if records.is_empty() {
            return Ok(());
        }
        let (answer, written) = oneshot::channel();
        self.request(Request::Append(records, answer)).await?;
        written.await.map_err(|_| AuditError::Closed)?
    }

    /// Waits for room, and asks.
    async fn request(&self, request: Request) -> Result<(), AuditError> {
        let room = self.room.acquire().await.map_err(|_| AuditError::Closed)?;
        self.requests.send(request).map_err(|_| AuditError::Closed)?;
        // The writer gives it back.
        room.forget();
        Ok(())
    }

    /// Looks at the record from its end. What is not traffic and was appended lately is not
    /// read from the files. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn look(&self, look: &Look) -> Result<Looked, AuditError> {
        if !look.is_of_acts() {
            return look.run(&self.directory);
        }
        let (mut found, since) = self.acts.look(look);
        if found.further.is_some() {
            return Ok(found);
        }
        let before = look.before.map_or(since, |before| before.min(since));
        let limit = look.limit - found.lines.len();
        let rest = Look { before: Some(before), limit, ..look.clone() }.run(&self.directory)?;
        found.lines.extend(rest.lines);
        Ok(Looked { further: rest.further, ..found })
    }

    /// Looks for records of messages, those that were appended before among them. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn search(&self, search: &Search) -> Result<Found, AuditError> {
        search.run(&self.directory)
    }

    /// Whether the last attempt to write went well.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Writes what was appended before, syncs it, and ends the log.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.request(Request::Close(answer)).await.is_ok() {
            let _ = closed.await;
        }
    }
}
