//! `wissel restore`: a data directory of a copy that is whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::manifest::{Manifest, at, copy, create_empty, files_of, hash};
use super::{bytes_bar, walk};
use crate::amounts::amount;
use crate::cli::RestoreArguments;
use crate::exit::Failure;
use crate::output;

pub(crate) fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let manifest = Manifest::read(&arguments.from)?;
    let faults = faults(&manifest, &arguments.from)?;
    if !faults.is_empty() {
        if arguments.json {
            output::json(&json!({ "whole": false, "faults": faults }))?;
        }
        let faults = faults.join("\n  ");
        return Err(Failure::refused(format!("the copy is not whole:\n  {faults}")));
    }
    if let Some(data) = &arguments.data_dir {
        put_back(&manifest, &arguments.from, data)?;
    }
    let (files, bytes) = (manifest.files.len(), manifest.bytes());
    let Manifest { version, made_at, with_keys, .. } = &manifest;
    if arguments.json {
        return output::json(&json!({
            "whole": true, "files": files, "bytes": bytes, "version": version,
            "made_at": made_at, "with_keys": with_keys, "data_dir": arguments.data_dir,
        }));
    }
    let done = match &arguments.data_dir {
        Some(data) => format!("restored to {}", data.display()),
        None => "whole".to_owned(),
    };
    let files = amount(files, "file", "files");
    output::line(&format!("{done}: {files}, {bytes} bytes, made by {version} at {made_at}"));
    if !with_keys {
        output::note(
            "subjects.key and matching.keys are not in it: put your copy of them where the settings \
             say before the gateway starts",
        );
    }
    Ok(())
}

/// What is wrong with the files of a copy: each one that is damaged, missing, or too many.
fn faults(manifest: &Manifest, from: &Path) -> Result<Vec<String>, Failure> {
    let files = files_of(from);
    let mut found = Vec::new();
    if files.is_dir() {
        walk(&files, Path::new(""), &mut found)?;
    }
    let found: BTreeSet<PathBuf> = found.into_iter().map(|one| one.path).collect();
    let progress = bytes_bar(manifest.bytes(), "checked");
    let mut faults = Vec::new();
    for entry in &manifest.files {
        let path = entry.path.display();
        if !found.contains(&entry.path) {
            faults.push(format!("{path}: missing"));
            continue;
        }
        let (bytes, sha256) = hash(&files.join(&entry.path), &mut std::io::sink(), &progress)?;
        if bytes != entry.bytes {
            faults.push(format!("{path}: {bytes} bytes, expected {}", entry.bytes));
        } else if sha256 != entry.sha256 {
            faults.push(format!("{path}: SHA-256 {sha256}, expected {}", entry.sha256));
        }
    }
    progress.finish_and_clear();
    let listed: BTreeSet<&PathBuf> = manifest.files.iter().map(|entry| &entry.path).collect();
    let more = found.iter().filter(|path| !listed.contains(path));
    faults.extend(more.map(|path| format!("{}: not in manifest.json", path.display())));
    Ok(faults)
}

fn put_back(manifest: &Manifest, from: &Path, data: &Path) -> Result<(), Failure> {
    create_empty(data)?;
    let progress = bytes_bar(manifest.bytes(), "put back");
    for entry in &manifest.files {
        let (bytes, sha256) =
            copy(&files_of(from).join(&entry.path), &data.join(&entry.path), &progress)?;
        if (bytes, &sha256) != (entry.bytes, &entry.sha256) {
            let path = entry.path.display();
            return Err(Failure::refused(format!("{path}: was changed while it was put back")));
        }
    }
    progress.finish_and_clear();
    let mut directories: BTreeSet<PathBuf> = BTreeSet::from([data.to_owned()]);
    for entry in &manifest.files {
        directories.extend(entry.path.ancestors().skip(1).map(|one| data.join(one)));
    }
    directories.iter().try_for_each(|one| File::open(one)?.sync_all()).map_err(at(data))
}
