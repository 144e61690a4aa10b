//! Reading messages from files: one, an array of them, or one a line.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use wissel_message::{Event, JsonError};

use crate::exit::Failure;

/// A message, or why it is none, and where it stands.
pub(crate) type Found = (String, Result<Event, JsonError>);

/// The messages of one file, in order.
pub(crate) struct Events {
    file: PathBuf,
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
        let rest = if json_lines {
            Rest::Lines { lines: reader.lines(), number: 0 }
        } else {
            let mut text = Vec::new();
            let read = reader.read_to_end(&mut text).await;
            read.map_err(|error| unreadable(file, &error))?;
            Rest::Read(document(&file.display().to_string(), &text)?)
        };
        Ok(Self { file: file.to_owned(), rest })
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
                    let place = format!("{}:{number}", self.file.display());
                    return Ok(Some((place, Event::from_json(line.as_bytes()))));
                }
            },
        }
    }
}

/// One event, or an array of events.
fn document(place: &str, text: &[u8]) -> Result<VecDeque<Found>, Failure> {
    if !text.trim_ascii_start().starts_with(b"[") {
        return Ok(VecDeque::from([(place.to_owned(), Event::from_json(text))]));
    }
    let batch = Event::from_json_batch(text)
        .map_err(|error| Failure::usage(format!("{place}: {error}")))?;
    let numbered = batch.into_iter().enumerate();
    Ok(numbered.map(|(index, event)| (format!("{place}[{index}]"), event)).collect())
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}
