use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::VerifyError;
use crate::line::{Head, check};

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
    /// The hash of the last: keep it elsewhere, and nobody can change what was before.
    pub head: String,
}

pub(crate) const HEAD_FILE: &str = "head.json";

/// Reads all records in a directory, and holds each against its hash and against the one
/// before. `progress` is told how many were read, now and then.
///
/// # Errors
/// The first place where the chain is broken.
pub fn verify(directory: &Path, mut progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
    const TOLD_EVERY: u64 = 100_000;
    let of_directory = |fault: String| broken(directory, None, fault);
    let files = files(directory).map_err(|error| of_directory(error.to_string()))?;
    if files.is_empty() {
        return Err(of_directory("holds no records-NNNNNN.jsonl".to_owned()));
    }
    let mut head = Head::beginning();
    let (mut first, mut last) = (None, None);
    for (expected, path) in (1..).zip(&files) {
        if number_of(path) != Some(expected) {
            return Err(of_directory(format!("file records-{expected:06}.jsonl is missing")));
        }
        let file = File::open(path).map_err(|error| broken(path, None, error.to_string()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            number += 1;
            let here = |fault: String| broken(path, Some(number), fault);
            let read = reader.read_until(b'\n', &mut line);
            if read.map_err(|error| here(error.to_string()))? == 0 {
                break;
            }
            let whole = line.strip_suffix(b"\n").ok_or_else(|| here("a torn record".to_owned()))?;
            let (link, hash) = check(whole).map_err(here)?;
            if link.seq != head.seq + 1 {
                let fault = format!("record {}, expected {}", link.seq, head.seq + 1);
                return Err(here(fault));
            }
            if link.prev != head.hash {
                return Err(here("does not follow the record before it".to_owned()));
            }
            head = Head { seq: link.seq, hash };
            first.get_or_insert_with(|| link.time.clone());
            last = Some(link.time);
            if head.seq.is_multiple_of(TOLD_EVERY) {
                progress(head.seq);
            }
        }
    }
    let known = read_head(directory).map_err(|error| of_directory(error.to_string()))?;
    if let Some(known) = known.filter(|known| known.seq > head.seq) {
        let fault = format!("ends at record {}, and there were {}", head.seq, known.seq);
        return Err(of_directory(fault));
    }
    Ok(Verified { files: files.len(), records: head.seq, first, last, head: head.hash })
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

pub(crate) fn read_head(directory: &Path) -> io::Result<Option<Head>> {
    match std::fs::read(directory.join(HEAD_FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn broken(path: &Path, line: Option<u64>, fault: String) -> VerifyError {
    VerifyError { file: path.to_owned(), line, fault }
}
