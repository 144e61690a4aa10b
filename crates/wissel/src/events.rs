//! Reading messages from files: one, an array of them, or one a line.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use wissel_message::{Event, JsonError, JsonFaults};

use crate::exit::Failure;

/// A message, or why it is none, and where it stands.
pub(crate) type Found = (Place, Result<Event, JsonFaults>);

/// Where a message stands: `births.json`, `births.json[3]` or `births.jsonl:4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    file: Arc<str>,
    within: Within,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    /// It is all there is.
    Whole,
    /// An element of an array, from 0.
    Index(u64),
    /// A line, from 1.
    Line(u64),
}

/// The messages of one file, in order.
pub(crate) struct Events {
    file: PathBuf,
    shown: Arc<str>,
    rest: Rest,
}

enum Rest {
    Lines { lines: Lines<Box<dyn AsyncBufRead + Unpin + Send>>, number: u64 },
    Read(VecDeque<Found>),
}

impl Events {
    /// Opens a file; `-` is standard input.
    pub(crate) async fn open(file: &Path, json_lines: bool) -> Result<Self, Failure> {
        let mut reader: Box<dyn AsyncBufRead + Unpin + Send> = if file == "-" {
            Box::new(BufReader::new(tokio::io::stdin()))
        } else {
            let opened = tokio::fs::File::open(file).await;
            Box::new(BufReader::new(opened.map_err(|error| unreadable(file, &error))?))
        };
        let shown: Arc<str> = file.display().to_string().into();
        let rest = if json_lines {
            Rest::Lines { lines: reader.lines(), number: 0 }
        } else {
            let mut text = Vec::new();
            let read = reader.read_to_end(&mut text).await;
            read.map_err(|error| unreadable(file, &error))?;
            Rest::Read(document(&shown, &text)?)
        };
        Ok(Self { file: file.to_owned(), shown, rest })
    }

    /// The next message; an empty line is passed over.
    pub(crate) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        match &mut self.rest {
            Rest::Read(events) => Ok(events.pop_front()),
            Rest::Lines { lines, number } => loop {
                let next = lines.next_line().await;
                let Some(line) = next.map_err(|error| unreadable(&self.file, &error))? else {
                    return Ok(None);
                };
                *number += 1;
                if !line.trim().is_empty() {
                    let file = Arc::clone(&self.shown);
                    let place = Place { file, within: Within::Line(*number) };
                    return Ok(Some((place, Event::read_json(line.as_bytes()))));
                }
            },
        }
    }
}

// === impl Place ===

impl Place {
    /// Whether this is where the next message after `before` stands.
    pub(crate) fn follows(&self, before: &Self) -> bool {
        let is_next = match (before.within, self.within) {
            (Within::Index(before), Within::Index(this))
            | (Within::Line(before), Within::Line(this)) => before + 1 == this,
            _ => false,
        };
        is_next && self.file == before.file
    }

    /// From here to there in the same file: `births.jsonl:4-9`.
    pub(crate) fn up_to(&self, last: &Self) -> String {
        match (self.within, last.within) {
            (Within::Index(first), Within::Index(last)) if first < last => {
                format!("{}[{first}-{last}]", self.file)
            }
            (Within::Line(first), Within::Line(last)) if first < last => {
                format!("{}:{first}-{last}", self.file)
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, within } = self;
        match within {
            Within::Whole => write!(f, "{file}"),
            Within::Index(index) => write!(f, "{file}[{index}]"),
            Within::Line(line) => write!(f, "{file}:{line}"),
        }
    }
}

/// One event, or an array of events.
fn document(file: &Arc<str>, text: &[u8]) -> Result<VecDeque<Found>, Failure> {
    let place = |within| Place { file: Arc::clone(file), within };
    if !text.trim_ascii_start().starts_with(b"[") {
        let event = Event::read_json(text);
        if event.as_ref().is_err_and(is_no_json) && has_a_value_a_line(text) {
            return Err(Failure::usage(format!(
                "{file}: one JSON value a line; expected one CloudEvent or an array of them, or \
                 --json-lines where the command has it"
            )));
        }
        return Ok(VecDeque::from([(place(Within::Whole), event)]));
    }
    let batch =
        Event::from_json_batch(text).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
    let numbered = (0..).zip(batch);
    Ok(numbered.map(|(index, event)| (place(Within::Index(index)), event)).collect())
}

fn is_no_json(faults: &JsonFaults) -> bool {
    matches!(faults.faults[..], [JsonError::Syntax { .. }])
}

/// Whether the first two lines that are not empty are JSON objects by themselves.
fn has_a_value_a_line(text: &[u8]) -> bool {
    let is_object = |line: &[u8]| {
        line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
    };
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).take(2).collect();
    first.len() == 2 && first.into_iter().all(is_object)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_json_are_told_from_json_that_is_wrong() {
        let file: Arc<str> = "births".into();
        let lines = document(&file, b"{\"id\":\"1\"}\n\n{\"id\":\"2\"}\n").err().unwrap();
        assert!(lines.message().contains("--json-lines"), "{lines}");
        let wrong = document(&file, b"{\"id\":\n{]").unwrap();
        assert!(wrong[0].1.as_ref().is_err_and(is_no_json));
    }

    #[test]
    fn places_that_follow_each_other_are_one_range() {
        let line = |number| Place { file: "b.jsonl".into(), within: Within::Line(number) };
        assert!(line(4).follows(&line(3)) && !line(5).follows(&line(3)));
        assert_eq!(line(3).up_to(&line(4)), "b.jsonl:3-4");
        assert_eq!(line(3).up_to(&line(3)), "b.jsonl:3");
        let whole = Place { file: "b.json".into(), within: Within::Whole };
        assert!(!whole.follows(&whole));
        assert_eq!(whole.to_string(), "b.json");
    }
}
