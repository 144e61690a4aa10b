//! When files that are in use become others.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use wissel_catalogue::Catalogue;

use crate::exit::Failure;

/// How long files are left to be written before they are read.
const SETTLING: Duration = Duration::from_millis(250);

/// Watches a catalogue, the schemas and examples that it names, and other files.
///
/// What is watched are the directories that these lie in, and those of the links on the way
/// there, and not those below: a file that is replaced is another file, and the bus may write
/// below the same directory all the time. An event there says that it is time to look; whether one of the files became
/// another is seen by its stamp, also where it is a link and where that leads to changes.
pub(crate) struct Watch {
    catalogue: PathBuf,
    others: Vec<PathBuf>,
    stamps: BTreeMap<PathBuf, Stamp>,
    events: mpsc::Receiver<()>,
    watcher: RecommendedWatcher,
}

/// What a file is told apart by; none when it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Watch {
    /// Begins to watch.
    pub(crate) fn new(catalogue: &Path, others: Vec<PathBuf>) -> Result<Self, Failure> {
        // One that waits is enough: everything is looked at.
        let (happened, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = happened.try_send(());
            }
        });
        let mut watch = Self {
            catalogue: catalogue.to_owned(),
            others,
            stamps: BTreeMap::new(),
            events,
            watcher: watcher.map_err(Failure::internal)?,
        };
        let unwatched = watch.look();
        if let Some((directory, error)) = unwatched.into_iter().next() {
            let directory = directory.display();
            return Err(Failure::unavailable(format!("watching {directory}: {error}")));
        }
        Ok(watch)
    }

    /// Ends when one of the files has become another.
    pub(crate) async fn changed(&mut self) {
        while self.events.recv().await.is_some() {
            tokio::time::sleep(SETTLING).await;
            while self.events.try_recv().is_ok() {}
            let before = self.stamps.clone();
            for (directory, error) in self.look() {
                tracing::warn!(directory = %directory.display(), %error, "cannot be watched");
            }
            if self.stamps != before {
                return;
            }
        }
        // The watcher is gone, which it cannot be; SIGHUP is left.
        std::future::pending::<()>().await;
    }

    /// Takes the stamps of all files, and watches the directories that they lie in now.
    /// Gives those that cannot be watched.
    fn look(&mut self) -> Vec<(PathBuf, notify::Error)> {
        let mut files = Catalogue::files(&self.catalogue);
        files.extend(self.others.iter().cloned());
        // The directory of the catalogue is among them when no file is there yet.
        files.push(self.catalogue.clone());
        let directories: BTreeSet<PathBuf> =
            files.iter().map(|file| directory_of(file).to_owned()).collect();
        for links in files.iter().flat_map(|file| directories_of_links(file)) {
            // One that may not be read tells nothing; what its links lead to is watched.
            let _ = self.watcher.watch(&links, RecursiveMode::NonRecursive);
        }
        let mut unwatched = Vec::new();
        for directory in directories {
            // Also one that was watched before: it may have been made anew.
            if let Err(error) = self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
                unwatched.push((directory, error));
            }
        }
        files.retain(|file| !file.is_dir());
        self.stamps = files.into_iter().map(|file| (file.clone(), stamp(&file))).collect();
        unwatched
    }
}

fn stamp(file: &Path) -> Stamp {
    let known = std::fs::metadata(file).ok()?;
    Some((known.ino(), known.len(), known.mtime(), known.mtime_nsec()))
}

fn directory_of(path: &Path) -> &Path {
    let directory = if path.is_dir() { Some(path) } else { path.parent() };
    directory.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where the links lie that lead to a path, those to a directory above it as well: one that is
/// turned is an event there, and nowhere else.
fn directories_of_links(path: &Path) -> BTreeSet<PathBuf> {
    let (mut directories, mut links) = (BTreeSet::new(), BTreeSet::new());
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        for link in path.ancestors().filter(|ancestor| ancestor.is_symlink()) {
            if !links.insert(link.to_owned()) {
                continue;
            }
            let parent = link.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            left.extend(std::fs::read_link(link).map(|target| parent.join(target)));
            directories.insert(parent.to_owned());
        }
    }
    directories
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    const CATALOGUE: &str = "[[event_type]]\nname = \"nl.x.y\"\nschema = \"schemas/y.json\"\n";

    async fn changes(watch: &mut Watch) -> bool {
        timeout(SETTLING * 6, watch.changed()).await.is_ok()
    }

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[tokio::test]
    async fn what_the_bus_writes_beside_the_catalogue_is_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        write(here, "catalogue.toml", CATALOGUE);
        write(here, "schemas/y.json", "{}");
        write(here, "data/bus", "1");
        let mut watch = Watch::new(&here.join("catalogue.toml"), Vec::new()).unwrap();
        for (name, text) in [("data/bus", "2"), ("data/deeper/x", "1"), ("notes.txt", "x")] {
            write(here, name, text);
            assert!(!changes(&mut watch).await, "{name}");
        }
        // The same again, with what was read in between.
        fs::read(here.join("catalogue.toml")).unwrap();
        assert!(!changes(&mut watch).await);
        write(here, "catalogue.toml", &format!("{CATALOGUE}# more\n"));
        assert!(changes(&mut watch).await);
        write(here, "schemas/y.json", "{ }");
        assert!(changes(&mut watch).await);
        assert!(!changes(&mut watch).await);
    }

    #[tokio::test]
    async fn files_that_come_later_are_watched_too() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        write(here, "a.toml", CATALOGUE);
        write(here, "schemas/y.json", "{}");
        let mut watch = Watch::new(here, Vec::new()).unwrap();
        write(here, "b.toml", &CATALOGUE.replace("schemas", "more"));
        assert!(changes(&mut watch).await);
        // Its schema is not there yet, nor the directory.
        write(here, "more/y.json", "{}");
        assert!(changes(&mut watch).await);
        write(here, "more/y.json", "{ }");
        assert!(changes(&mut watch).await);
        fs::remove_file(here.join("b.toml")).unwrap();
        assert!(changes(&mut watch).await);
    }

    #[tokio::test]
    async fn a_certificate_behind_a_link_that_is_turned_is_a_change() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        write(here, "catalogue.toml", "");
        write(here, "tls/one/cert.pem", "1");
        write(here, "tls/two/cert.pem", "2");
        let turn = |to: &str| {
            symlink(to, here.join("tls/next")).unwrap();
            fs::rename(here.join("tls/next"), here.join("tls/now")).unwrap();
        };
        turn("one");
        symlink("now/cert.pem", here.join("tls/cert.pem")).unwrap();
        let others = vec![here.join("tls/cert.pem")];
        let mut watch = Watch::new(&here.join("catalogue.toml"), others).unwrap();
        turn("two");
        assert!(changes(&mut watch).await);
    }

    /// `catalogue` leads to `current`, elsewhere, and that to a release.
    #[tokio::test]
    async fn a_catalogue_behind_links_that_are_turned_is_a_change_and_is_watched_from_then_on() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        write(here, "releases/one/catalogue.toml", CATALOGUE);
        write(here, "releases/one/schemas/y.json", "{}");
        write(here, "releases/two/catalogue.toml", "");
        let turn = |to: &str| {
            symlink(to, here.join("releases/next")).unwrap();
            fs::rename(here.join("releases/next"), here.join("releases/current")).unwrap();
        };
        turn("one");
        fs::create_dir(here.join("served")).unwrap();
        symlink("../releases/current", here.join("served/catalogue")).unwrap();
        let mut watch = Watch::new(&here.join("served/catalogue"), Vec::new()).unwrap();
        turn("two");
        assert!(changes(&mut watch).await);
        write(here, "releases/two/catalogue.toml", "# more");
        assert!(changes(&mut watch).await);
        // A loop of links leads nowhere, and does no harm.
        turn("current");
        assert!(changes(&mut watch).await);
        turn("one");
        assert!(changes(&mut watch).await);
        assert!(!changes(&mut watch).await);
    }
}
