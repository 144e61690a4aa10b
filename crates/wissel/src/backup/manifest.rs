//! What a copy holds, and the hash of each of its files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::exit::Failure;

/// How copies are laid out. One that is laid out otherwise is refused.
pub(crate) const FORMAT: u32 = 1;
/// Written last: a copy without it is not finished.
const MANIFEST: &str = "manifest.json";

/// The list of a copy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The version of Wissel that made it.
    pub(crate) version: String,
    /// When, in RFC 3339.
    pub(crate) made_at: String,
    /// Whether the keys of subjects and pseudonyms are in it, where there were any.
    pub(crate) with_keys: bool,
    pub(crate) files: Vec<Entry>,
}

/// One file of a copy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// In the data directory, with `/`.
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl Manifest {
    /// How many bytes the files have together.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(crate) fn read(copy: &Path) -> Result<Self, Failure> {
        let path = copy.join(MANIFEST);
        let wrong = |fault: String| Failure::usage(format!("{}: {fault}", path.display()));
        let text = fs::read(&path).map_err(|error| {
            wrong(format!("{error}; expected a finished copy that `wissel backup` made"))
        })?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("damaged, or not of `wissel backup`: {error}")))?;
        if manifest.format != FORMAT {
            let found = manifest.format;
            return Err(wrong(format!(
                "format {found}, expected {FORMAT}; use the version that made it"
            )));
        }
        let inside = |path: &Path| {
            path.components().all(|part| matches!(part, Component::Normal(_)))
                && path.components().next().is_some()
        };
        if let Some(outside) = manifest.files.iter().find(|file| !inside(&file.path)) {
            let outside = outside.path.display();
            return Err(wrong(format!(
                "file {outside}: expected a path inside the data directory"
            )));
        }
        Ok(manifest)
    }

    pub(crate) fn write(&self, copy: &Path) -> Result<(), Failure> {
        let path = copy.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).map_err(Failure::internal)?;
        let written = create(&path).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            File::open(copy)?.sync_all()
        });
        written.map_err(at(&path))
    }
}

/// Where the files of a copy are.
pub(crate) fn files_of(copy: &Path) -> PathBuf {
    copy.join("files")
}

/// A directory that is ours alone; one that is there must be empty.
pub(crate) fn create_empty(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(at(path))?;
    if fs::read_dir(path).map_err(at(path))?.next().is_some() {
        let fault = "is not empty, expected a directory that is empty or not there";
        return Err(Failure::usage(format!("{}: {fault}", path.display())));
    }
    Ok(())
}

/// Copies a file durably, and makes its directory.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    progress: &ProgressBar,
) -> Result<(u64, String), Failure> {
    if let Some(directory) = to.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(at(directory))?;
    }
    let mut file = create(to).map_err(at(to))?;
    let found = hash(from, &mut file, progress)?;
    file.sync_all().map_err(at(to))?;
    Ok(found)
}

/// Length and SHA-256 of a file, whose bytes go to `out` as well.
pub(crate) fn hash(
    path: &Path,
    out: &mut impl Write,
    progress: &ProgressBar,
) -> Result<(u64, String), Failure> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).map_err(at(path))?;
        if read == 0 {
            return Ok((bytes, hex::encode(hasher.finalize())));
        }
        hasher.update(&buffer[..read]);
        let written = out.write_all(&buffer[..read]);
        written.map_err(|error| {
            Failure::unavailable(format!("writing the copy of {}: {error}", path.display()))
        })?;
        bytes += read as u64;
        progress.inc(read as u64);
    }
}

/// The failure to read or write this.
pub(crate) fn at(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::unavailable(format!("{}: {error}", path.display()))
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
