//! `wissel backup`: a copy of the state of a gateway that does not run.

mod manifest;
mod restore;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use self::manifest::{Entry, FORMAT, Manifest, at, copy, create_empty, files_of};
pub(crate) use self::restore::restore;
use crate::amounts::amount;
use crate::cli::BackupArguments;
use crate::config::Config;
use crate::exit::Failure;
use crate::output;

/// Files of a data directory that are left out unless they are asked for.
const KEYS: [&str; 2] = ["subjects.key", "matching.keys"];
/// What SQLite makes again.
const MADE_AGAIN: &str = "control.sqlite-shm";

/// A file of the state, and its place in the copy.
struct Source {
    from: PathBuf,
    path: PathBuf,
}

pub(crate) fn backup(arguments: &BackupArguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.serve())?;
    let data = &config.data_dir;
    if !data.join("control.sqlite").is_file() {
        let fault = "holds no control.sqlite, expected the data directory of a gateway";
        return Err(Failure::usage(format!("{}: {fault}", data.display())));
    }
    let data = fs::canonicalize(data).map_err(at(data))?;
    let absolute = std::path::absolute(&arguments.to).map_err(at(&arguments.to))?;
    if absolute.starts_with(&data) {
        let to = arguments.to.display();
        return Err(Failure::usage(format!("{to}: is in the data directory, expected elsewhere")));
    }
    let records = config.audit.directory.clone().unwrap_or_else(|| data.join("records"));
    let _held = hold(&data, &records)?;
    let sources = sources(&config, &data, &records, arguments.with_keys)?;
    create_empty(&arguments.to)?;
    let manifest = copy_all(&sources, &arguments.to, arguments.with_keys)?;
    manifest.write(&arguments.to)?;
    tell(&manifest, &arguments.to, arguments.json)
}

/// Takes the locks that a gateway takes, so that none starts meanwhile.
fn hold(data: &Path, records: &Path) -> Result<Vec<File>, Failure> {
    let mut held = Vec::new();
    for path in [data.join("bus/lock"), data.join("receipts/entries/lock"), records.join("lock")] {
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock() {
            Ok(()) => held.push(file),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::refused(format!(
                    "{}: a gateway has it open; stop it first",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
    }
    if held.is_empty() {
        let fault =
            "holds no lock of a gateway, expected bus/lock, receipts/entries/lock or records/lock";
        return Err(Failure::usage(format!("{}: {fault}", data.display())));
    }
    Ok(held)
}

fn sources(
    config: &Config,
    data: &Path,
    records: &Path,
    with_keys: bool,
) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    walk(data, Path::new(""), &mut sources)?;
    let in_data_dir = data.join("records");
    if records != in_data_dir {
        sources.retain(|source| !source.path.starts_with("records"));
        walk(records, Path::new("records"), &mut sources)?;
    }
    let [subjects, matching] = KEYS;
    let or_in_data_dir =
        |file: &Option<PathBuf>, name| file.clone().unwrap_or_else(|| data.join(name));
    let keys = [
        (subjects, or_in_data_dir(&config.audit.subject_key_file, subjects)),
        (matching, or_in_data_dir(&config.exchange.matching_key_file, matching)),
    ];
    // Wherever in the data directory they are.
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    for (name, file) in keys {
        let at = canonical(&file);
        sources.retain(|one| {
            one.path != Path::new(name) && (at.is_none() || canonical(&one.from) != at)
        });
        if with_keys && file.exists() {
            sources.push(Source { from: file, path: name.into() });
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

/// All files in a directory, the deeper ones too.
fn walk(directory: &Path, within: &Path, found: &mut Vec<Source>) -> Result<(), Failure> {
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        let (from, path) = (entry.path(), within.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&from))?;
        if kind.is_dir() {
            walk(&from, &path, found)?;
        } else if !kind.is_file() {
            let fault = "is neither a file nor a directory, expected no other thing there";
            return Err(Failure::usage(format!("{}: {fault}", from.display())));
        } else if path != Path::new(MADE_AGAIN) {
            found.push(Source { from, path });
        }
    }
    Ok(())
}

fn copy_all(sources: &[Source], to: &Path, with_keys: bool) -> Result<Manifest, Failure> {
    let look = |path: &Path| {
        let found = fs::metadata(path).map_err(at(path))?;
        Ok::<_, Failure>((found.len(), found.modified().map_err(at(path))?))
    };
    let before = sources.iter().map(|one| look(&one.from)).collect::<Result<Vec<_>, _>>()?;
    let progress = bytes_bar(before.iter().map(|(bytes, _)| bytes).sum(), "copied");
    let mut files = Vec::new();
    for Source { from, path } in sources {
        let (bytes, sha256) = copy(from, &files_of(to).join(path), &progress)?;
        files.push(Entry { path: path.clone(), bytes, sha256 });
    }
    progress.finish_and_clear();
    for (source, before) in sources.iter().zip(before) {
        if look(&source.from)? != before {
            let path = source.from.display();
            return Err(Failure::refused(format!(
                "{path}: was changed meanwhile; the copy is no use"
            )));
        }
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let made_at = output::moment(SystemTime::now());
    Ok(Manifest { format: FORMAT, version, made_at, with_keys, files })
}

fn tell(manifest: &Manifest, to: &Path, as_json: bool) -> Result<(), Failure> {
    let (files, bytes) = (manifest.files.len(), manifest.bytes());
    if as_json {
        let Manifest { version, made_at, with_keys, .. } = manifest;
        return output::json(&json!({
            "files": files, "bytes": bytes, "version": version, "made_at": made_at,
            "with_keys": with_keys,
        }));
    }
    let files = amount(files, "file", "files");
    output::line(&format!("{}: {files}, {bytes} bytes", to.display()));
    if !manifest.with_keys {
        output::note("subjects.key and matching.keys are not in it: keep a copy of them apart");
    }
    Ok(())
}

/// How far along the bytes are, when a person is there.
fn bytes_bar(bytes: u64, what: &'static str) -> ProgressBar {
    let progress = ProgressBar::new(bytes);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes} {msg} ({eta})")
    {
        progress.set_style(style);
    }
    progress.set_message(what);
    progress
}
