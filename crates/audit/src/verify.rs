use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::line::{Head, check};
use crate::{RecordHash, VerifyError};

/// What is asked of a chain of records. The default: that it is whole from the very first
/// record on, and holds the head that lies beside it.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    heads: Vec<RecordHash>,
    from_first: bool,
}

/// A chain of records that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many files it is in.
    pub files: usize,
    /// How many records there are.
    pub records: u64,
    /// When the first was made (RFC 3339); none when there is none.
    pub first: Option<String>,
    /// When the last was made.
    pub last: Option<String>,
    /// The hash of the last that no loss of power can take: keep it elsewhere, and nobody
    /// can change what was before.
    pub head: String,
    /// The number of that one.
    pub head_record: u64,
    /// What the first record that is there follows; none when it is the very first.
    pub after: Option<After>,
}

/// The record before the first that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct After {
    /// Its number.
    pub record: u64,
    /// Its hash, as the record behind it says.
    pub hash: String,
}

pub(crate) const HEAD_FILE: &str = "head.json";
pub(crate) const LOCK_FILE: &str = "lock";

/// Reads all records in a directory, and holds each against its hash, the one before, and
/// the head. `progress` is told how many were read, now and then.
///
/// # Errors
/// The first place where the chain is broken.
pub fn verify(directory: &Path, progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
    Verification::default().run(directory, progress)
}

impl Verification {
    /// Asks for a record with this hash, which was the head once: all that was before it
    /// then is as it was. May be given several times.
    #[must_use]
    pub fn head(mut self, hash: RecordHash) -> Self {
        self.heads.push(hash);
        self
    }

    /// Begins at the first file that is there. For records of which the oldest files were
    /// removed when their time was over.
    #[must_use]
    pub fn from_first(mut self) -> Self {
        self.from_first = true;
        self
    }

    /// Reads all records in a directory, which may be written to meanwhile. `progress` is
    /// told how many were read, now and then.
    ///
    /// # Errors
    /// The first place where the chain is broken.
    pub fn run(
        &self,
        directory: &Path,
        progress: impl FnMut(u64),
    ) -> Result<Verified, VerifyError> {
        let unreadable = |error: io::Error| VerifyError::unreadable(directory, &error);
        // Before the files: whatever is written meanwhile comes behind it.
        let in_use = is_in_use(directory);
        let known = read_head(directory)?;
        let files = files(directory).map_err(unreadable)?;
        let first_number = match (files.first(), &known) {
            (Some(first), _) if self.from_first => number_of(first).unwrap_or(1),
            (Some(_), _) => 1,
            (None, Some(known)) if known.seq > 0 => {
                return Err(broken(directory, None, ends_early(0, known.seq)));
            }
            (None, _) => {
                let fault = "holds no records-NNNNNN.jsonl, expected a directory of records";
                return Err(VerifyError::unreadable(directory, &fault));
            }
        };
        let known = known.ok_or_else(|| {
            let fault = format!("{HEAD_FILE} is missing, and there are records");
            broken(directory, None, fault)
        })?;
        let mut walk = Walk {
            known: &known,
            wanted: self.heads.iter().map(|hash| (hash.as_str(), false)).collect(),
            any_start: first_number > 1,
            // The beginning is known, as long as it is there.
            passed_known: first_number == 1 && known == Head::beginning(),
            head: Head::beginning(),
            after: None,
            records: 0,
            first: None,
            last: None,
            progress,
        };
        for (expected, path) in (first_number..).zip(&files) {
            if number_of(path) != Some(expected) {
                let fault = format!("file records-{expected:06}.jsonl is missing");
                return Err(broken(directory, None, fault));
            }
            // Only the last may have a line that is being written.
            let is_last = path == files.last().unwrap_or(path);
            walk.file(path, || is_last && (in_use || is_in_use(directory)))?;
        }
        walk.end(directory)?;
        // Behind the head that was known may be what a loss of power would take.
        let head = if in_use { known.clone() } else { walk.head };
        Ok(Verified {
            files: files.len(),
            records: walk.records,
            first: walk.first,
            last: walk.last,
            head: head.hash,
            head_record: head.seq,
            after: walk.after,
        })
    }
}

/// The way along a chain, from its first line to its last.
struct Walk<'a, P> {
    known: &'a Head,
    /// The heads that were noted elsewhere, and whether they were passed.
    wanted: BTreeMap<&'a str, bool>,
    /// Whether the first line may follow one that is not there.
    any_start: bool,
    passed_known: bool,
    head: Head,
    after: Option<After>,
    records: u64,
    first: Option<String>,
    last: Option<String>,
    progress: P,
}

impl<P: FnMut(u64)> Walk<'_, P> {
    fn file(&mut self, path: &Path, may_be_torn: impl Fn() -> bool) -> Result<(), VerifyError> {
        let unreadable = |error: io::Error| VerifyError::unreadable(path, &error);
        let file = File::open(path).map_err(unreadable)?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                break;
            }
            let here = |fault: String| broken(path, Some(number), fault);
            match line.strip_suffix(b"\n") {
                Some(whole) => self.line(whole).map_err(here)?,
                None if may_be_torn() => break,
                None => return Err(here("a torn record".to_owned())),
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        const TOLD_EVERY: u64 = 100_000;
        let (link, hash) = check(line)?;
        if std::mem::take(&mut self.any_start) && link.seq > 1 {
            let before = Head { seq: link.seq - 1, hash: link.prev.clone() };
            self.after = Some(After { record: before.seq, hash: before.hash.clone() });
            self.pass(before)?;
        }
        if link.seq != self.head.seq + 1 {
            return Err(format!("record {}, expected {}", link.seq, self.head.seq + 1));
        }
        if link.prev != self.head.hash {
            return Err("does not follow the record before it".to_owned());
        }
        self.pass(Head { seq: link.seq, hash })?;
        self.records += 1;
        self.first.get_or_insert_with(|| link.time.clone());
        self.last = Some(link.time);
        if self.records.is_multiple_of(TOLD_EVERY) {
            (self.progress)(self.records);
        }
        Ok(())
    }

    /// Moves the head, and holds it against those that are known.
    fn pass(&mut self, head: Head) -> Result<(), String> {
        if let Some(passed) = self.wanted.get_mut(head.hash.as_str()) {
            *passed = true;
        }
        check_known(&head, self.known)?;
        self.passed_known |= head.seq == self.known.seq;
        self.head = head;
        Ok(())
    }

    fn end(&self, directory: &Path) -> Result<(), VerifyError> {
        if self.known.seq > self.head.seq {
            return Err(broken(directory, None, ends_early(self.head.seq, self.known.seq)));
        }
        if !self.passed_known {
            let fault = format!("record {} of {HEAD_FILE} is not there", self.known.seq);
            return Err(broken(directory, None, fault));
        }
        if let Some((hash, _)) = self.wanted.iter().find(|(_, passed)| !**passed) {
            let fault = format!(
                "no record has the hash {hash}, which was the head once: what was before it was \
                 changed, cut off or removed"
            );
            return Err(broken(directory, None, fault));
        }
        Ok(())
    }
}

/// Holds a record against the head that is known, when it is that one.
pub(crate) fn check_known(here: &Head, known: &Head) -> Result<(), String> {
    if here.seq == known.seq && here.hash != known.hash {
        return Err(format!("record {} is another than the one of {HEAD_FILE}", known.seq));
    }
    Ok(())
}

pub(crate) fn ends_early(last: u64, known: u64) -> String {
    format!("ends at record {last}, and there were {known}")
}

/// Whether a process writes there. One that just starts may find it locked by this for a
/// moment, and tries again.
fn is_in_use(directory: &Path) -> bool {
    let Ok(lock) = File::open(directory.join(LOCK_FILE)) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The files of records, in order.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if number_of(&path).is_some() {
            files.push(path);
        }
    }
    files.sort_by_key(|path| number_of(path));
    Ok(files)
}

pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("records-")?.strip_suffix(".jsonl")?.parse().ok()
}

/// The head as it was when the files were last synced.
pub(crate) fn read_head(directory: &Path) -> Result<Option<Head>, VerifyError> {
    let path = directory.join(HEAD_FILE);
    match std::fs::read(&path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(head) => Ok(Some(head)),
            Err(_) => Err(broken(&path, None, "holds no head".to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VerifyError::unreadable(&path, &error)),
    }
}

fn broken(path: &Path, line: Option<u64>, fault: String) -> VerifyError {
    VerifyError::Broken { file: path.to_owned(), line, fault }
}
