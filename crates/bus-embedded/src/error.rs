use std::path::PathBuf;

use wissel_bus::BusError;

/// Why the embedded bus could not be opened, or its storage not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedBusError {
    /// Another process, or another bus of this process, has the directory open.
    #[error("{} is in use by another bus; each needs a directory of its own", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory was written by another version of this bus.
    #[error(
        "{} has storage format {found}, this version reads format {expected}: start the version \
         that wrote it, let the inboxes run empty, and then remove the directory",
        .path.display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What would be right.
        expected: u32,
    },
    /// The directory could not be opened.
    #[error("cannot open the bus in {}: {source}", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the storage engine said.
        source: Box<fjall::Error>,
    },
    /// A thread could not be started.
    #[error("cannot start a thread of the bus: {0}")]
    Thread(#[source] std::io::Error),
    /// The storage engine failed while the bus was running.
    #[error("{0}")]
    Engine(Box<fjall::Error>),
    /// A record on disk cannot be read.
    #[error("a record of {keyspace} is damaged: expected {expected}")]
    Damaged {
        /// The part of the storage it is in.
        keyspace: &'static str,
        /// What a record there looks like.
        expected: &'static str,
    },
}

impl From<fjall::Error> for EmbeddedBusError {
    fn from(error: fjall::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<EmbeddedBusError> for BusError {
    fn from(error: EmbeddedBusError) -> Self {
        Self::Storage { reason: error.to_string() }
    }
}
