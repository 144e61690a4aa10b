//! Looking at the record from its end, for people.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::line::Link;
use crate::search::{DISORDER, first_of, moment};
use crate::verify::files;
use crate::{AuditError, Operation};

/// A record, as people read it. What it does not say is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// When (RFC 3339).
    pub time: String,
    /// What was done.
    pub operation: String,
    /// `ok` or `refused`.
    pub status: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Who did it.
    pub actor: String,
    /// Which of the operators.
    pub operator: Option<String>,
    /// For whom.
    pub on_behalf_of: Option<String>,
    /// The event type.
    pub event_type: Option<String>,
    /// Wissel's id of the message.
    pub message_id: Option<String>,
    /// At which inbox.
    pub inbox: Option<String>,
    /// More.
    pub detail: Option<String>,
}

/// Which records are looked at: the latest first.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Those with a lower number than this; none: from the last on.
    pub before: Option<u64>,
    /// Of this operation; none: of all but those that every message leaves.
    pub operation: Option<Operation>,
    /// What was refused, whatever it was.
    pub refused: bool,
    /// At this inbox.
    pub inbox: Option<String>,
    /// Not before this moment.
    pub since: Option<SystemTime>,
    /// At most so many.
    pub limit: usize,
    /// Reading at most so many bytes; none: all that there is.
    pub bytes: Option<u64>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Records, the latest first.
    pub lines: Vec<Line>,
    /// There may be more before the record of this number, which was not looked at; none: that
    /// was all.
    pub further: Option<u64>,
}

/// How much is read at a time.
const BLOCK: u64 = 1 << 20;
/// What every message leaves, and what drowns the rest.
const TRAFFIC: [Operation; 6] = [
    Operation::Admission,
    Operation::Delivery,
    Operation::Retried,
    Operation::DeadLettered,
    Operation::QuestionOver,
    Operation::Unanswered,
];

impl Look {
    /// Looks through the files of a directory, which may be written to meanwhile. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(&self, directory: &Path) -> Result<Looked, AuditError> {
        let files = files(directory).map_err(AuditError::of(directory))?;
        let mut walk = Walk {
            look: self,
            marks: self.marks(),
            left: self.bytes.unwrap_or(u64::MAX),
            is_over: false,
            found: Looked::default(),
        };
        for path in files[..self.files_before(&files)].iter().rev() {
            walk.file(path).map_err(AuditError::of(path))?;
            if walk.is_over {
                break;
            }
        }
        Ok(walk.found)
    }

    /// Whether what every message leaves is left out.
    pub(crate) fn is_of_acts(&self) -> bool {
        !self.refused && !self.operation.is_some_and(is_traffic)
    }

    pub(crate) fn is_met_by(&self, line: &Line) -> bool {
        let is_wanted = |operation: Operation| operation.to_string() == line.operation;
        let not_traffic = || self.refused || !TRAFFIC.into_iter().any(is_wanted);
        self.before.is_none_or(|before| line.seq < before)
            && self.operation.map_or_else(not_traffic, is_wanted)
            && (!self.refused || line.status == "refused")
            && self.inbox.as_ref().is_none_or(|inbox| line.inbox.as_ref() == Some(inbox))
            && self.since.is_none_or(|since| moment(&line.time).is_none_or(|at| at >= since))
    }

    /// What a line must have, and what it must not, before it is read.
    fn marks(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let of = |operation: Operation| format!("\"operation\":\"{operation}\"").into_bytes();
        let mut must: Vec<Vec<u8>> = self.operation.map(of).into_iter().collect();
        if self.refused {
            must.push(b"\"status\":\"refused\"".to_vec());
        }
        must.extend(self.inbox.as_ref().map(|inbox| format!("\"{inbox}\"").into_bytes()));
        let must_not = if self.operation.is_none() && !self.refused { &TRAFFIC[..] } else { &[] };
        (must, must_not.iter().map(|operation| of(*operation)).collect())
    }

    /// How many of the files, from the first, may hold what is looked for.
    fn files_before(&self, files: &[PathBuf]) -> usize {
        let Some(before) = self.before else { return files.len() };
        let begins_before = |file: &&PathBuf| first_of(file).is_none_or(|first| first.seq < before);
        files.iter().rposition(|file| begins_before(&file)).map_or(0, |last| last + 1)
    }
}

struct Walk<'a> {
    look: &'a Look,
    marks: (Vec<Vec<u8>>, Vec<Vec<u8>>),
    left: u64,
    is_over: bool,
    found: Looked,
}

impl Walk<'_> {
    /// Reads a file from its end.
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Its time was over, just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut end = file.metadata()?.len();
        // The beginning of a line whose end was read already.
        let mut rest: Vec<u8> = Vec::new();
        while end > 0 && !self.is_over {
            let size = BLOCK.min(end);
            end -= size;
            let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
            file.seek(SeekFrom::Start(end))?;
            file.read_exact(&mut block)?;
            block.append(&mut rest);
            let first = if end == 0 {
                0
            } else {
                block.iter().position(|byte| *byte == b'\n').map_or(block.len(), |at| at + 1)
            };
            self.lines(&block[first..]);
            block.truncate(first);
            rest = block;
        }
        Ok(())
    }

    fn lines(&mut self, block: &[u8]) {
        let mut earliest = None;
        for line in block.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if self.found.lines.len() >= self.look.limit {
                self.end_at(earliest);
                return;
            }
            earliest = Some(line);
            let (must, must_not) = &self.marks;
            let has = |mark: &Vec<u8>| memmem::find(line, mark).is_some();
            if must.iter().all(has)
                && !must_not.iter().any(has)
                && let Ok(line) = serde_json::from_slice(line)
                && self.look.is_met_by(&line)
            {
                self.found.lines.push(line);
            }
        }
        let begun = earliest.and_then(|line| serde_json::from_slice::<Link>(line).ok());
        // What lies behind where the look begins costs nothing.
        let is_meant = |begun: &Link| self.look.before.is_none_or(|before| begun.seq < before);
        if begun.as_ref().is_some_and(is_meant) {
            self.left = self.left.saturating_sub(block.len() as u64);
        }
        let is_before = |since| {
            let at = begun.as_ref().and_then(|begun| moment(&begun.time));
            at.is_some_and(|at| at + DISORDER < since)
        };
        if self.look.since.is_some_and(is_before) {
            self.is_over = true;
        } else if self.left == 0 {
            self.end_at(earliest);
        }
    }

    /// Goes no further back than this line.
    fn end_at(&mut self, line: Option<&[u8]>) {
        self.is_over = true;
        let last = self.found.lines.last().map(|line| line.seq);
        let seq = line.and_then(|line| serde_json::from_slice::<Link>(line).ok());
        self.found.further = seq.map(|line| line.seq).or(last).filter(|seq| *seq > 1);
    }
}

/// Whether every message leaves such records.
pub(crate) fn is_traffic(operation: Operation) -> bool {
    TRAFFIC.contains(&operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, operation: &str, pad: usize) -> String {
        let detail = "x".repeat(pad);
        let status = if seq.is_multiple_of(5) { "refused" } else { "ok" };
        format!(
            "{{\"seq\":{seq},\"prev\":\"\",\"time\":\"2026-11-29T10:{:02}:00Z\",\
             \"operation\":\"{operation}\",\"status\":\"{status}\",\"actor\":\"operator\",\
             \"inbox\":\"i{}\",\"detail\":\"{detail}\",\"hash\":\"\"}}\n",
            seq,
            seq % 2
        )
    }

    /// Records 1 to 39 in two files, every third of traffic.
    fn records() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("records-000001.jsonl", line(1, "started", 0) + &line(2, "inbox-changed", 0));
        let mut second = String::new();
        for seq in 3..40 {
            let operation = if seq % 3 == 0 { "delivery" } else { "dossier-read" };
            second += &line(seq, operation, 100_000);
        }
        write("records-000002.jsonl", second);
        directory
    }

    fn seqs(directory: &Path, look: &Look) -> (Vec<u64>, Option<u64>) {
        let found = look.run(directory).unwrap();
        (found.lines.iter().map(|line| line.seq).collect(), found.further)
    }

    #[test]
    fn the_end_is_read_across_blocks_and_files_without_traffic() {
        let here = records();
        let all: Vec<u64> = (1..40).rev().filter(|seq| seq % 3 != 0).collect();
        let look = Look { limit: 1_000, ..Look::default() };
        assert_eq!(seqs(here.path(), &look), (all.clone(), None));
        // A page at a time is the same.
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let (page, further) = seqs(here.path(), &Look { before, limit: 3, ..Look::default() });
            found.extend(page);
            before = further;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, all);
        assert_eq!(seqs(here.path(), &Look { limit: 0, ..look }).0, [0; 0]);
    }

    #[test]
    fn what_is_not_read_is_told() {
        let here = records();
        let look = Look { limit: 1_000, bytes: Some(1), ..Look::default() };
        let (found, further) = seqs(here.path(), &look);
        let further = further.unwrap();
        // A little at a time is all of it, and each time goes on.
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let (page, next) = seqs(here.path(), &Look { before, ..look.clone() });
            pages.extend(page);
            let Some(next) = next else { break };
            assert!(before.is_none_or(|before| next < before), "{next} and {before:?}");
            before = Some(next);
        }
        assert_eq!(pages, (1..40).rev().filter(|seq| seq % 3 != 0).collect::<Vec<u64>>());
        assert!(found.iter().all(|seq| *seq >= further) && further > 20, "{further}");
        let (rest, none) = seqs(here.path(), &Look { before: Some(further), bytes: None, ..look });
        let all: Vec<u64> = (1..40).rev().filter(|seq| seq % 3 != 0).collect();
        assert_eq!((found.into_iter().chain(rest).collect::<Vec<_>>(), none), (all, None));
    }

    #[test]
    fn some_are_chosen() {
        let here = records();
        let all = Look { limit: 1_000, ..Look::default() };
        let chosen = |look: Look| seqs(here.path(), &look).0;
        assert_eq!(chosen(Look { refused: true, ..all.clone() }), [35, 30, 25, 20, 15, 10, 5]);
        let of = Look { operation: Some(Operation::Delivery), ..all.clone() };
        assert_eq!(chosen(Look { limit: 2, ..of }), [39, 36]);
        let at = Look { inbox: Some("i0".to_owned()), limit: 2, ..all.clone() };
        assert_eq!(chosen(at), [38, 34]);
        let since = moment("2026-11-29T10:35:00Z");
        assert_eq!(chosen(Look { since, ..all }), [38, 37, 35]);
    }
}
