use std::path::PathBuf;

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite says no.
    #[error("the control-plane database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file was written by a later version.
    #[error(
        "{}: written by a later version of Wissel (schema {found}), expected schema {expected} or \
         earlier; start that version",
        path.display()
    )]
    LaterVersion {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The latest schema that is known here.
        expected: i64,
    },
    /// The file does not say which schema it has, so it may not be ours.
    #[error(
        "{}: has schema {found}, expected 0 (a new file) to {expected}; it is damaged, or not a \
         database of Wissel",
        path.display()
    )]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The latest schema that is known here.
        expected: i64,
    },
    /// A row that this version cannot read.
    #[error("the control-plane database holds a {what} that cannot be read: {reason}")]
    Row {
        /// What it is.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// A key of pseudonyms cannot be made.
    #[error("a key of pseudonyms: {reason}")]
    Key {
        /// Why not.
        reason: String,
    },
    /// The work was cut off, at shutdown.
    #[error("the work on the control-plane database was cut off")]
    CutOff,
}
