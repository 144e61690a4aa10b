//! The end of the record, for people.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::memmem;
use serde::Deserialize;

use crate::AuditError;
use crate::verify::files;

/// A record, as people read it. What it does not say is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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

/// How much is read at a time.
const BLOCK: u64 = 1 << 20;
/// What every message leaves, and what drowns the rest.
const TRAFFIC: [&[u8]; 3] =
    [b"\"operation\":\"admission\"", b"\"operation\":\"delivery\"", b"\"operation\":\"retried\""];

/// The last records of a directory, the latest first, but what every message leaves: at most
/// `limit`, from the last `bytes`. Blocks.
///
/// # Errors
/// When a file cannot be read.
pub fn recent(directory: &Path, limit: usize, bytes: u64) -> Result<Vec<Line>, AuditError> {
    let files = files(directory).map_err(AuditError::of(directory))?;
    let mut left = bytes;
    let mut found = Vec::new();
    for path in files.iter().rev() {
        read_back(path, limit, &mut left, &mut found).map_err(AuditError::of(path))?;
        if found.len() >= limit || left == 0 {
            break;
        }
    }
    Ok(found)
}

/// Reads a file from its end.
fn read_back(path: &Path, limit: usize, left: &mut u64, found: &mut Vec<Line>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    // The beginning of a line whose end was read already.
    let mut rest: Vec<u8> = Vec::new();
    while end > 0 && *left > 0 && found.len() < limit {
        let size = BLOCK.min(end).min(*left);
        (end, *left) = (end - size, *left - size);
        let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
        file.seek(SeekFrom::Start(end))?;
        file.read_exact(&mut block)?;
        block.append(&mut rest);
        let first = if end == 0 {
            0
        } else {
            block.iter().position(|byte| *byte == b'\n').map_or(block.len(), |at| at + 1)
        };
        for line in block[first..].rsplit(|byte| *byte == b'\n') {
            if found.len() >= limit {
                break;
            }
            let is_traffic = TRAFFIC.iter().any(|one| memmem::find(line, one).is_some());
            if !is_traffic && let Ok(line) = serde_json::from_slice(line) {
                found.push(line);
            }
        }
        block.truncate(first);
        rest = block;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, operation: &str, pad: usize) -> String {
        let detail = "x".repeat(pad);
        format!(
            "{{\"seq\":{seq},\"prev\":\"\",\"time\":\"2026\",\"operation\":\"{operation}\",\"status\":\"ok\",\
             \"actor\":\"operator\",\"detail\":\"{detail}\",\"hash\":\"\"}}\n"
        )
    }

    #[test]
    fn the_end_is_read_across_blocks_and_files_without_traffic() {
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
        let seqs = |limit, bytes| -> Vec<u64> {
            let found = recent(directory.path(), limit, bytes).unwrap();
            found.iter().map(|line| line.seq).collect()
        };
        let expected: Vec<u64> = (3..40).rev().filter(|seq| seq % 3 != 0).chain([2, 1]).collect();
        assert_eq!(seqs(1_000, u64::MAX), expected);
        assert_eq!(seqs(2, u64::MAX), [38, 37]);
        assert_eq!(seqs(1_000, 250_000), [38]);
        assert!(seqs(0, u64::MAX).is_empty());
    }
}
