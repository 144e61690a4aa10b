use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why the memory of receipts cannot be opened, or its storage not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptsError {
    /// Another process, or another memory of this process, has the directory open.
    #[error("{} is in use by another gateway; each needs a directory of its own", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file with the secret is not as this version writes it, or not there beside entries.
    #[error(
        "{}: {found}, expected the secret of format 1 of the receipts beside it; when the directory \
         is removed, a new one is begun, and messages published before may be delivered once more",
        .path.display()
    )]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The directory cannot be opened.
    #[error(
        "cannot open the receipts in {}: {source}; when the directory is removed, a new one is \
         begun, and messages published before may be delivered once more",
        .path.display()
    )]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the storage engine said, or what is damaged.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file or directory cannot be read or made.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("cannot start the thread that keeps receipts: {0}")]
    Thread(#[source] io::Error),
    /// The storage engine failed later on.
    #[error("{0}")]
    Engine(Box<fjall::Error>),
    /// An entry on disk cannot be read.
    #[error("an entry is damaged: expected {expected}")]
    Damaged {
        /// What an entry there looks like.
        expected: &'static str,
    },
}

impl ReceiptsError {
    pub(crate) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// The same, of a directory that is being opened.
    pub(crate) fn in_opening(self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::Engine(error) => match *error {
                fjall::Error::Locked => Self::InUse { path },
                other => Self::Open { path, source: Box::new(other) },
            },
            damaged @ Self::Damaged { .. } => Self::Open { path, source: Box::new(damaged) },
            other => other,
        }
    }
}

impl From<fjall::Error> for ReceiptsError {
    fn from(error: fjall::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}
