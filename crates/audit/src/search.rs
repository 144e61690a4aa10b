//! Finding what is on record of some messages, beside the one who writes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use memchr::memmem::{self, Finder};
use serde::Deserialize;
use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin};

use crate::line::Link;
use crate::verify::files;
use crate::{Actor, AuditError, Operation, SubjectHash};

/// What is looked for: records of these messages, and of those that belong to these
/// correlations.
#[derive(Debug, Clone)]
pub struct Search {
    /// Wissel's ids of messages.
    pub messages: Vec<Uuid>,
    /// Correlations, by [`SubjectKey::correlation`](crate::SubjectKey::correlation).
    pub correlations: Vec<SubjectHash>,
    /// Whether a correlation that one of `messages` belongs to is looked for as well, from the
    /// record on that says so.
    pub follow: bool,
    /// What was done; anything else is left out.
    pub operations: Vec<Operation>,
    /// Records of before this moment may be left out.
    pub from: SystemTime,
    /// How many records are found at most.
    pub limit: usize,
    /// How many bytes are read at most.
    pub bytes: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Records, in the order in which they were kept.
    pub entries: Vec<Entry>,
    /// Whether a limit ended the search, so that there may be more.
    pub truncated: bool,
}

/// A record that was found. What it does not say is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: SystemTime,
    /// What was done.
    pub operation: Operation,
    /// Why it was refused; none: it was done.
    pub refused: Option<String>,
    /// Who did it.
    pub actor: Actor,
    /// For whom, when that is somebody else.
    pub on_behalf_of: Option<Oin>,
    /// The event type.
    pub event_type: Option<String>,
    /// Wissel's id of the message.
    pub message_id: Uuid,
    /// Where it went.
    pub inbox: Option<InboxName>,
    /// The first of the inboxes that it was to go to.
    pub inboxes: Vec<InboxName>,
    /// More.
    pub detail: Option<String>,
}

/// A record may be as much earlier than one that stands before it: they are made side by side,
/// and clocks are set.
pub(crate) const DISORDER: Duration = Duration::from_mins(1);
/// How much is read at a time.
const BLOCK: u64 = 1 << 20;
const MESSAGE: &[u8] = b"\"message_id\":\"";
const CORRELATION: &[u8] = b"\"correlation\":\"";
/// The characters of a UUID, and of the hash of a correlation.
const ID_LENGTH: usize = 36;
const HASH_LENGTH: usize = 32;

impl Search {
    /// Looks through the files of a directory, which may be written to meanwhile. Blocks; holds
    /// no more in memory than what it finds and one line.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(&self, directory: &Path) -> Result<Found, AuditError> {
        let files = files(directory).map_err(AuditError::of(directory))?;
        let mut walk = Walk {
            search: self,
            messages: self.messages.iter().map(ToString::to_string).collect(),
            correlations: self.correlations.iter().map(ToString::to_string).collect(),
            of_message: Finder::new(MESSAGE),
            of_correlation: Finder::new(CORRELATION),
            read: 0,
            found: Found { entries: Vec::new(), truncated: false },
        };
        for path in &files[self.first_of(&files)..] {
            walk.file(path).map_err(AuditError::of(path))?;
            if walk.found.truncated {
                break;
            }
        }
        Ok(walk.found)
    }

    /// The first file that may hold what is looked for: the last that began before.
    fn first_of(&self, files: &[PathBuf]) -> usize {
        let from = self.from.checked_sub(DISORDER).unwrap_or(SystemTime::UNIX_EPOCH);
        let earlier = files.partition_point(|file| began_at(file).is_some_and(|at| at < from));
        earlier.saturating_sub(1)
    }
}

struct Walk<'a> {
    search: &'a Search,
    messages: HashSet<String>,
    correlations: HashSet<String>,
    of_message: Finder<'static>,
    of_correlation: Finder<'static>,
    read: u64,
    found: Found,
}

impl Walk<'_> {
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Its time was over, just now.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut block = Vec::new();
        loop {
            let left = self.search.bytes.saturating_sub(self.read).saturating_add(1);
            let read = (&mut file).take(BLOCK.min(left)).read_to_end(&mut block)?;
            self.read += read as u64;
            // What has no end is being written.
            if read == 0 {
                return Ok(());
            }
            if let Some(end) = memchr::memrchr(b'\n', &block) {
                self.lines(&block[..end]);
                block.drain(..=end);
            }
            self.found.truncated |= self.read > self.search.bytes;
            if self.found.truncated {
                return Ok(());
            }
        }
    }

    /// Whole lines. Most blocks hold nothing of what is looked for, and that is seen faster.
    fn lines(&mut self, block: &[u8]) {
        const FEW: usize = 4;
        let sought = || self.messages.iter().chain(&self.correlations);
        let is_in = |one: &String| memmem::find(block, one.as_bytes()).is_some();
        if sought().count() <= FEW && !sought().any(is_in) {
            return;
        }
        for line in block.split(|byte| *byte == b'\n') {
            self.line(line);
            if self.found.truncated {
                return;
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        let message = value(line, &self.of_message, ID_LENGTH);
        let correlation = value(line, &self.of_correlation, HASH_LENGTH);
        let by_message = message.is_some_and(|id| self.messages.contains(id));
        let by_correlation = correlation.is_some_and(|hash| self.correlations.contains(hash));
        if !(by_message || by_correlation) {
            return;
        }
        let Some(entry) = Written::read(line) else { return };
        if !self.search.operations.contains(&entry.operation) {
            return;
        }
        if self.found.entries.len() == self.search.limit {
            self.found.truncated = true;
            return;
        }
        if by_correlation {
            self.messages.insert(entry.message_id.to_string());
        }
        if self.search.follow
            && self.search.messages.contains(&entry.message_id)
            && let Some(correlation) = correlation
        {
            self.correlations.insert(correlation.to_owned());
        }
        self.found.entries.push(entry);
    }
}

/// What stands behind a name. No text can hold the name with its quotes: they are escaped there.
fn value<'a>(line: &'a [u8], name: &Finder<'_>, length: usize) -> Option<&'a str> {
    let start = name.find(line)? + name.needle().len();
    std::str::from_utf8(line.get(start..start + length)?).ok()
}

/// When the first record of a file was made.
fn began_at(path: &Path) -> Option<SystemTime> {
    moment(&first_of(path)?.time)
}

/// The first record of a file.
pub(crate) fn first_of(path: &Path) -> Option<Link> {
    let mut line = Vec::new();
    BufReader::new(File::open(path).ok()?).read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    let moment = text.parse::<jiff::Timestamp>().ok()?;
    let since_1970 = Duration::try_from(moment.duration_since(jiff::Timestamp::UNIX_EPOCH)).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

/// A line, as far as it is told.
#[derive(Deserialize)]
struct Written {
    time: String,
    operation: Operation,
    reason: Option<String>,
    actor: String,
    on_behalf_of: Option<String>,
    event_type: Option<String>,
    message_id: Uuid,
    inbox: Option<String>,
    #[serde(default)]
    inboxes: Vec<String>,
    detail: Option<String>,
}

impl Written {
    /// None for what another version may have written.
    fn read(line: &[u8]) -> Option<Entry> {
        let written: Self = serde_json::from_slice(line).ok()?;
        Some(Entry {
            at: moment(&written.time)?,
            operation: written.operation,
            refused: written.reason,
            actor: Actor::of_text(&written.actor)?,
            on_behalf_of: written.on_behalf_of.map(|oin| oin.parse()).transpose().ok()?,
            event_type: written.event_type,
            message_id: written.message_id,
            inbox: written.inbox.map(|inbox| inbox.parse()).transpose().ok()?,
            inboxes: written.inboxes.iter().filter_map(|inbox| inbox.parse().ok()).collect(),
            detail: written.detail,
        })
    }
}
