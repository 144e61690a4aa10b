//! Does anything that a run of the tests wrote hold the number of a person?
//!
//! The messages of all tests carry citizen service numbers of the range that is kept for
//! tests, 99999xxxx. None of them may come back in a log, a record, a trace, a metric, or
//! what a test prints.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use wissel_identifiers::Bsn;

/// Where test BSNs were found: a file's name and a line, never the number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    found: Vec<String>,
    /// How many bytes were looked through.
    bytes: u64,
}

impl Search {
    /// Looks through a line.
    pub(crate) fn line(&mut self, from: &str, number: u64, line: &[u8]) {
        self.bytes += line.len() as u64;
        if holds_test_bsn(line) {
            self.found.push(format!("{from}:{number}"));
        }
    }

    /// Looks through every file in a directory. Says how many there were.
    pub(crate) fn directory(&mut self, directory: &Path) -> Result<usize> {
        let mut files: Vec<PathBuf> = fs::read_dir(directory)
            .with_context(|| directory.display().to_string())?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        files.sort();
        for file in &files {
            let text = fs::read(file).with_context(|| file.display().to_string())?;
            let name = file.display().to_string();
            for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
                self.line(&name, number, line);
            }
        }
        Ok(files.len())
    }

    /// Fails when there was anything to find.
    pub(crate) fn verdict(&self) -> Result<()> {
        if self.found.is_empty() {
            println!("personal numbers: none in {} bytes of logs, records and output", self.bytes);
            return Ok(());
        }
        let shown: Vec<&str> = self.found.iter().take(20).map(String::as_str).collect();
        bail!("{} lines hold a BSN that a message carried:\n{}", self.found.len(), shown.join("\n"))
    }
}

/// A number of nine digits, no more, of the test range, that passes the eleven-test.
fn holds_test_bsn(line: &[u8]) -> bool {
    const DIGITS: usize = 9;
    let mut runs = line.split(|byte| !byte.is_ascii_digit()).filter(|run| run.len() == DIGITS);
    runs.any(|run| {
        run.starts_with(b"99999")
            && std::str::from_utf8(run).is_ok_and(|text| text.parse::<Bsn>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_numbers_are_found_and_others_are_not() {
        let number = format!("99999{}", "0342");
        for line in [number.clone(), format!("subject={number}"), format!("\"{number}\",")] {
            assert!(holds_test_bsn(line.as_bytes()), "{line}");
        }
        for line in ["", "999990343", "1999990342", "9999903420", "99999 0342", "123456782"] {
            assert!(!holds_test_bsn(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_find_fails_and_is_not_shown() {
        let number = format!("99999{}", "0342");
        let mut search = Search::default();
        search.line("log", 3, format!("x {number}").as_bytes());
        let verdict = search.verdict().unwrap_err().to_string();
        assert!(verdict.contains("log:3") && !verdict.contains(&number), "{verdict}");
    }
}
