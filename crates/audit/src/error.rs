use std::io;
use std::path::{Path, PathBuf};

/// Why records cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process writes here.
    #[error("{}: in use by another process, expected one that is in use by nobody", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// What is there is not as it was left.
    #[error(
        "{}: {fault}; run `wissel audit verify` on it, and move the directory away to begin anew",
        path.display()
    )]
    Tampered {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The key of subjects is none.
    #[error("{}: expected a key of 32 bytes, found {found}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// How many bytes there are.
        found: usize,
    },
    /// Records could not be written; the log of the process says why.
    #[error("the record of processing cannot be written")]
    NotWritten,
    /// The log has been closed.
    #[error("the record of processing is closed")]
    Closed,
}

/// Why a chain of records is not said to be whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Nothing can be said: it cannot be read, or there are no records.
    #[error("{}: {fault}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        fault: String,
    },
    /// It is broken.
    #[error("{}{}: {fault}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Broken {
        /// The file.
        file: PathBuf,
        /// The line, from 1; none when it is about the file.
        line: Option<u64>,
        /// What is wrong.
        fault: String,
    },
}

impl VerifyError {
    pub(crate) fn unreadable(path: &Path, fault: &impl ToString) -> Self {
        Self::Unreadable { path: path.to_owned(), fault: fault.to_string() }
    }
}

impl AuditError {
    pub(crate) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}
