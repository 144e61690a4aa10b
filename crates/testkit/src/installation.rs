//! Which RabbitMQ the nodes are of: that of the machine, or one in a folder.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TestkitError;

/// Debian's wrapper in /usr/sbin changes the user; these are the scripts proper.
pub(crate) const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
/// Says which RabbitMQ is meant: nothing, or `4`.
const CHOICE: &str = "WISSEL_TEST_RABBITMQ";
/// Where `cargo xtask setup --rabbitmq-4` puts a Debian with RabbitMQ 4.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/rabbitmq-4");

/// Runs its arguments, in the folder `WISSEL_ROOT` when that is one: with a /proc of its
/// own, which goes with the process, as RabbitMQ looks there for memory.
pub(crate) const ENTER: &str = r#"
enter() {
    if [ -z "$WISSEL_ROOT" ]; then exec "$@"; fi
    exec unshare --mount --propagation private bash -c \
        'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$WISSEL_ROOT" "$@"
}
"#;

/// Where the programs of a RabbitMQ are.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    /// The root of the Debian in which they are; none: this machine's.
    root: Option<PathBuf>,
}

impl Installation {
    /// That which the environment says.
    pub(crate) fn chosen() -> Result<Self, TestkitError> {
        let choice = std::env::var(CHOICE).unwrap_or_default();
        let root = match choice.as_str() {
            "" => None,
            "4" => Some(Path::new(FOLDER).canonicalize().map_err(|_| TestkitError::NoFolder)?),
            _ => return Err(TestkitError::UnknownChoice { choice }),
        };
        let installation = Self { root };
        if !installation.outside(Path::new(SCRIPTS)).join("rabbitmq-server").exists() {
            return Err(match installation.root {
                None => TestkitError::NotInstalled,
                Some(_) => TestkitError::NoFolder,
            });
        }
        if installation.root.is_some() && std::fs::metadata("/proc/self")?.uid() != 0 {
            return Err(TestkitError::NotRoot);
        }
        Ok(installation)
    }

    /// A directory of a node, which its programs can see.
    pub(crate) fn directory(&self) -> std::io::Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("wissel-rabbitmq-");
        match &self.root {
            None => builder.tempdir(),
            Some(root) => builder.tempdir_in(root.join("tmp")),
        }
    }

    /// A path as the programs know it.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        let in_root = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        in_root.map_or_else(|| path.to_owned(), |inside| Path::new("/").join(inside))
    }

    fn outside(&self, path: &Path) -> PathBuf {
        match &self.root {
            None => path.to_owned(),
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }

    /// Runs a script of bash that may `enter` where the programs are.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{ENTER}\n{script}"), "wissel"]);
        command.env("WISSEL_ROOT", self.root.clone().unwrap_or_default());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_a_folder_are_seen_from_within() {
        let root = PathBuf::from("/srv/debian");
        let folder = Installation { root: Some(root) };
        let node = Path::new("/srv/debian/tmp/node");
        assert_eq!(folder.inside(node), Path::new("/tmp/node"));
        assert_eq!(folder.outside(Path::new("/tmp/node")), node);
        let machine = Installation { root: None };
        assert_eq!(machine.inside(node), node);
        assert_eq!(machine.outside(node), node);
    }
}
