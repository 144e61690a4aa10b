//! Does anything that a run of the tests wrote hold the number of a person?
//!
//! The messages of all tests carry numbers that no person has. None of them may come back
//! in a log, a record, a trace, a metric, or what a test prints. How they are told from
//! other numbers:
//!
//! - a citizen service number has nine digits, begins with 99999, the range that is kept
//!   for tests, and passes the eleven-test;
//! - a number plate is of the series TST, which all plates of the tests are;
//! - an A-nummer has no range for tests, and what passes its two sums may be a moment in
//!   seconds: looked for are those that the shipped examples carry.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use wissel_identifiers::{ANummer, Bsn, Kenteken};

/// Where personal numbers were found: a file's name and a line, never the number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    a_nummers: Arc<BTreeSet<ANummer>>,
    found: Vec<String>,
    /// How many bytes were looked through.
    bytes: u64,
}

impl Search {
    /// For what the examples in a directory carry, besides what is told by its form.
    pub(crate) fn with_examples(directory: &Path) -> Result<Self> {
        let mut a_nummers = BTreeSet::new();
        for file in files(directory)? {
            let text = fs::read(&file).with_context(|| file.display().to_string())?;
            a_nummers.extend(digits(&text).filter_map(|run| run.parse::<ANummer>().ok()));
        }
        Ok(Self { a_nummers: Arc::new(a_nummers), ..Self::default() })
    }

    /// Another search for the same, to be added by [`Search::add`].
    pub(crate) fn another(&self) -> Self {
        Self { a_nummers: Arc::clone(&self.a_nummers), ..Self::default() }
    }

    /// Adds what another search has found.
    pub(crate) fn add(&mut self, other: Self) {
        self.found.extend(other.found);
        self.bytes += other.bytes;
    }

    /// Looks through a line.
    pub(crate) fn line(&mut self, from: &str, number: u64, line: &[u8]) {
        self.bytes += line.len() as u64;
        if self.is_personal(line) {
            self.found.push(format!("{from}:{number}"));
        }
    }

    /// Looks through every file in a directory. Says how many there were.
    pub(crate) fn directory(&mut self, directory: &Path) -> Result<usize> {
        let files = files(directory)?;
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
        let count = self.found.len();
        bail!("{count} lines hold a personal number that a message carried:\n{}", shown.join("\n"))
    }

    fn is_personal(&self, line: &[u8]) -> bool {
        digits(line).any(|run| {
            is_test_bsn(run) || run.parse().is_ok_and(|number| self.a_nummers.contains(&number))
        }) || holds_test_plate(line)
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| directory.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}

/// Every run of digits, whole.
fn digits(text: &[u8]) -> impl Iterator<Item = &str> {
    let runs = text.split(|byte| !byte.is_ascii_digit());
    runs.filter_map(|run| std::str::from_utf8(run).ok())
}

fn is_test_bsn(run: &str) -> bool {
    run.starts_with("99999") && run.parse::<Bsn>().is_ok()
}

/// A word of the series TST, with hyphens or without.
fn holds_test_plate(line: &[u8]) -> bool {
    let mut words = line.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
    words.any(|word| {
        word.starts_with(b"TST")
            && std::str::from_utf8(word).is_ok_and(|word| word.parse::<Kenteken>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::root;

    fn shipped() -> Search {
        Search::with_examples(&root().join("deploy/catalogue/examples")).unwrap()
    }

    #[test]
    fn test_numbers_are_found_and_others_are_not() {
        let number = format!("99999{}", "0342");
        let plate = format!("TST-{}-X", "00");
        let search = shipped();
        let finds = |line: &str| search.is_personal(line.as_bytes());
        for personal in [number, plate.clone(), plate.replace('-', "")] {
            for line in [
                personal.clone(),
                format!("subject={personal}"),
                format!("\"{personal}\","),
                format!("nl.brv.export/{personal}?"),
            ] {
                assert!(finds(&line), "{line}");
            }
        }
        for line in
            ["", "999990343", "1999990342", "9999903420", "99999 0342", "123456782", "TST", "TSTX"]
        {
            assert!(!finds(line), "{line}");
        }
    }

    #[test]
    fn the_a_nummers_of_the_examples_are_found_and_moments_are_not() {
        let search = shipped();
        let finds = |line: &str| search.is_personal(line.as_bytes());
        assert!(!search.a_nummers.is_empty());
        for number in search.a_nummers.iter() {
            assert!(finds(&format!("x {}", number.expose())));
        }
        assert!(!(1_764_000_000..1_764_010_000_u64).any(|moment| finds(&moment.to_string())));
    }

    #[test]
    fn a_find_fails_and_is_not_shown() {
        let number = format!("99999{}", "0342");
        let mut search = Search::default();
        let mut another = search.another();
        another.line("log", 3, format!("x {number}").as_bytes());
        search.add(another);
        let verdict = search.verdict().unwrap_err().to_string();
        assert!(verdict.contains("log:3") && !verdict.contains(&number), "{verdict}");
    }
}
