use std::fmt;
use std::path::PathBuf;

/// One fault in the catalogue's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none when the file cannot be read at all.
    pub line: Option<usize>,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// Every fault in the catalogue's files; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueErrors {
    /// The faults: first of files that cannot be read, then in the order of the files.
    pub faults: Vec<CatalogueError>,
    /// What does not cohere and is no fault, and drafts, as far as it could be told.
    pub warnings: Vec<CatalogueError>,
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl fmt::Display for CatalogueErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogueErrors {}
