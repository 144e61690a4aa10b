//! The one thread that writes records.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use crate::acts::Acts;
use crate::line::{Head, check};
use crate::log::{RecordOptions, Request, Requests};
use crate::look::is_traffic;
use crate::syncer::{self, Syncer, write_head};
use crate::text::Moments;
use crate::verify::{HEAD_FILE, LOCK_FILE, check_known, ends_early, files, number_of, read_head};
use crate::{AuditError, VerifyError};

pub(crate) struct Writer {
    directory: PathBuf,
    options: RecordOptions,
    healthy: Arc<AtomicBool>,
    acts: Arc<Acts>,
    head: Head,
    moments: Moments,
    /// The lines of one write, kept for the next: fresh memory costs more than what is put
    /// there.
    lines: Vec<u8>,
    file: File,
    number: u64,
    /// The day (since 1970, UTC) that the file is of.
    day: u64,
    /// How much of the file holds whole lines.
    length: u64,
    /// Whether nothing was written since a sync began.
    synced: bool,
    /// How many bytes were written since.
    unsynced_bytes: usize,
    syncer: Syncer,
    last_sync: Instant,
    /// Keeps others out as long as it is open.
    _lock: File,
}

/// How many bytes of records are put together for one write.
const WRITE_BYTES: usize = 1 << 20;

/// So many bytes are synced before it is time: what syncs a message on the same disk would wait
/// for all records of a second.
const SYNC_BYTES: usize = 2 << 20;

impl Writer {
    pub(crate) fn open(
        directory: &Path,
        options: RecordOptions,
        healthy: Arc<AtomicBool>,
    ) -> Result<Self, AuditError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(AuditError::of(directory))?;
        let lock = lock(directory)?;
        let last = files(directory).map_err(AuditError::of(directory))?.pop();
        let last = last.and_then(|last| number_of(&last));
        let known = known_head(directory, last.is_some())?;
        let number = last.unwrap_or(1);
        let path = path_of(directory, number);
        let mut file = open_file(&path).map_err(AuditError::of(&path))?;
        let head = recover(directory, number, &mut file, &known)?;
        let length = file.metadata().map_err(AuditError::of(&path))?.len();
        Ok(Self {
            directory: directory.to_owned(),
            options,
            healthy,
            acts: Arc::new(Acts::since(head.seq + 1)),
            synced: head == known,
            unsynced_bytes: 0,
            syncer: Syncer::start(directory).map_err(AuditError::of(directory))?,
            head,
            moments: Moments::default(),
            lines: Vec::new(),
            file,
            number,
            day: today(),
            length,
            last_sync: Instant::now(),
            _lock: lock,
        })
    }

    /// What is kept in memory of what it writes.
    pub(crate) fn acts(&self) -> Arc<Acts> {
        Arc::clone(&self.acts)
    }

    /// Writes until there is nobody left to write for, or it is told to end.
    pub(crate) fn run(mut self, requests: &Requests) {
        loop {
            match requests.next(self.options.sync_every) {
                Err(RecvTimeoutError::Timeout) => self.begin_sync(),
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(first) => {
                    if let Some(closing) = self.serve(first, requests) {
                        self.sync_or_tell();
                        // Whoever waits may open it again.
                        drop(self);
                        let _ = closing.send(());
                        return;
                    }
                }
            }
        }
        self.sync_or_tell();
    }

    /// Serves a request and those behind it, with one write. Gives back who waits for the
    /// end, when it is to end.
    fn serve(&mut self, first: Request, requests: &Requests) -> Option<oneshot::Sender<()>> {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        let mut acts = Vec::new();
        let mut answers = Vec::new();
        let mut head = self.head.clone();
        let mut closing = None;
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Append(records, answer) => {
                    for record in &*records {
                        let begin = lines.len();
                        head.append(record, &mut self.moments, &mut lines);
                        if !is_traffic(record.operation) {
                            acts.push(begin..lines.len());
                        }
                    }
                    answers.push(answer);
                }
                Request::Close(answer) => {
                    closing = Some(answer);
                    break;
                }
            }
            next = if lines.len() < WRITE_BYTES { requests.waiting() } else { None };
        }
        let written = self.write(&lines);
        if written.is_ok() {
            self.head = head;
            let acts: Vec<&[u8]> = acts.into_iter().map(|range| &lines[range]).collect();
            self.acts.keep(&acts);
        }
        self.keep_room(lines);
        for answer in answers {
            // Who went away does not ask.
            let _ = answer.send(written.as_ref().copied().map_err(|_| AuditError::NotWritten));
        }
        let are_many = self.unsynced_bytes >= SYNC_BYTES;
        if are_many || self.last_sync.elapsed() >= self.options.sync_every {
            self.begin_sync();
        }
        closing
    }

    /// Keeps the memory of lines that were written, unless one call had unusually many.
    fn keep_room(&mut self, lines: Vec<u8>) {
        if lines.capacity() <= 2 * WRITE_BYTES {
            self.lines = lines;
        }
    }

    /// Writes lines, all or none.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.rotate_when_due().and_then(|()| {
            if !self.healthy.load(Ordering::Relaxed) {
                // What an earlier attempt may have left of a line is taken out first.
                self.file.set_len(self.length)?;
            }
            self.file.seek(SeekFrom::End(0))?;
            self.file.write_all(lines)
        });
        match &written {
            Ok(()) => {
                self.length += lines.len() as u64;
                self.unsynced_bytes += lines.len();
                self.synced = false;
            }
            Err(error) => {
                tracing::error!(%error, "the record of processing cannot be written");
                let _ = self.file.set_len(self.length);
            }
        }
        self.healthy.store(written.is_ok(), Ordering::Relaxed);
        written
    }

    fn rotate_when_due(&mut self) -> io::Result<()> {
        let is_full = self.length >= self.options.file_bytes || self.day != today();
        if !is_full || self.length == 0 {
            self.day = today();
            return Ok(());
        }
        self.sync()?;
        let file = open_file(&path_of(&self.directory, self.number + 1))?;
        self.file = file;
        self.number += 1;
        self.length = 0;
        self.day = today();
        File::open(&self.directory)?.sync_all()
    }

    /// Begins to make safe what was written, and takes note of what came of that before.
    fn begin_sync(&mut self) {
        self.last_sync = Instant::now();
        if let Some(outcome) = self.syncer.outcome() {
            self.note(outcome);
        }
        if self.syncer.is_busy() {
            return;
        }
        if self.synced {
            return self.note(Ok(()));
        }
        match self.syncer.begin(&self.file, self.head.clone()) {
            // What is written from now on is not part of it.
            Ok(()) => {
                self.synced = true;
                self.unsynced_bytes = 0;
            }
            Err(error) => self.note(Err(error)),
        }
    }

    /// Makes what was written safe from a loss of power, and waits for that.
    fn sync(&mut self) -> io::Result<()> {
        self.last_sync = Instant::now();
        if let Err(error) = self.syncer.finish() {
            self.note(Err(error));
        }
        if !self.synced {
            syncer::sync(&self.directory, &self.file, &self.head)?;
            self.synced = true;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    fn sync_or_tell(&mut self) {
        let outcome = self.sync();
        self.note(outcome);
    }

    /// Takes note of what came of a sync.
    fn note(&mut self, outcome: io::Result<()>) {
        match outcome {
            Err(error) => {
                self.synced = false;
                tracing::error!(%error, "the record of processing cannot be synced");
            }
            Ok(()) if !self.healthy.load(Ordering::Relaxed) => {
                // An attempt to write nothing shows whether writing works again.
                let _ = self.write(&[]);
            }
            Ok(()) => {}
        }
    }
}

fn lock(directory: &Path) -> Result<File, AuditError> {
    // Who verifies looks at the lock for a moment.
    const ATTEMPTS: u32 = 10;
    const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);
    let path = directory.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(AuditError::of(&path))?;
    for _ in 0..ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_ATTEMPTS),
            Err(TryLockError::Error(error)) => return Err(AuditError::of(&path)(error)),
        }
    }
    Err(AuditError::InUse { path: directory.to_owned() })
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("records-{number:06}.jsonl"))
}

fn today() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs() / 86_400
}

/// The head as it was left. Where nothing was ever written it is made, before the first
/// file: from then on there always is one.
fn known_head(directory: &Path, has_files: bool) -> Result<Head, AuditError> {
    let known = read_head(directory).map_err(|error| match error {
        VerifyError::Broken { file, fault, .. } => AuditError::Tampered { path: file, fault },
        VerifyError::Unreadable { path, fault } => AuditError::of(&path)(io::Error::other(fault)),
    })?;
    match known {
        Some(known) => Ok(known),
        None if has_files => {
            let fault = "is missing, and there are records".to_owned();
            Err(AuditError::Tampered { path: directory.join(HEAD_FILE), fault })
        }
        None => {
            let head = Head::beginning();
            write_head(directory, &head).map_err(AuditError::of(directory))?;
            Ok(head)
        }
    }
}

/// Finds the head of the chain in the last file, holds it against the one that is known,
/// and puts aside what is left of a line.
fn recover(
    directory: &Path,
    number: u64,
    file: &mut File,
    known: &Head,
) -> Result<Head, AuditError> {
    let path = path_of(directory, number);
    let tampered = |fault: String| AuditError::Tampered { path: path.clone(), fault };
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(AuditError::of(&path))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        let aside = path.with_extension("torn");
        let mut options = OpenOptions::new();
        let torn = options.append(true).create(true).mode(0o600).open(&aside);
        let put = torn.and_then(|mut torn| torn.write_all(&text[whole..]));
        put.map_err(AuditError::of(&aside))?;
        file.set_len(whole as u64).map_err(AuditError::of(&path))?;
        tracing::warn!(file = %aside.display(), "the last record was torn; it was put aside");
    }
    match text[..whole].strip_suffix(b"\n") {
        Some(lines) => last_of(lines, known).map_err(tampered),
        None if number == 1 && known.seq == 0 => Ok(Head::beginning()),
        None if number == 1 => Err(tampered(ends_early(0, known.seq))),
        // A new file, made just before the process was killed.
        None => {
            let before = path_of(directory, number - 1);
            let opened = OpenOptions::new().read(true).write(true).open(&before);
            let mut file = opened.map_err(AuditError::of(&before))?;
            recover(directory, number - 1, &mut file, known)
        }
    }
}

/// The last of these lines. Those from the head that is known on are checked, which are few:
/// it is never more than a moment behind.
fn last_of(lines: &[u8], known: &Head) -> Result<Head, String> {
    let mut last = None;
    // What the line behind says of the one that is looked at.
    let mut wanted: Option<Head> = None;
    for line in lines.rsplit(|byte| *byte == b'\n') {
        let (link, hash) = check(line)?;
        let here = Head { seq: link.seq, hash };
        if wanted.as_ref().is_some_and(|wanted| *wanted != here) {
            return Err(format!("record {} is not followed by the next", here.seq));
        }
        check_known(&here, known)?;
        let last_seq = last.get_or_insert(here).seq;
        if last_seq < known.seq {
            return Err(ends_early(last_seq, known.seq));
        }
        let before = Head { seq: link.seq.saturating_sub(1), hash: link.prev };
        if link.seq <= known.seq {
            break;
        }
        check_known(&before, known)?;
        wanted = Some(before);
    }
    // Files are synced before the next one begins.
    let reached = wanted.is_none_or(|before| before.seq <= known.seq);
    let last = last.ok_or("holds no record")?;
    if reached { Ok(last) } else { Err(format!("record {} is not there", known.seq)) }
}
