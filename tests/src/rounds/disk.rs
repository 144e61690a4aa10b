//! A small disk that can be filled.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system in memory with room for little. Unmounted when it is dropped.
pub(super) struct SmallDisk {
    directory: TempDir,
}

const MEBIBYTES: u32 = 192;

impl SmallDisk {
    /// Mounts it.
    ///
    /// # Errors
    /// When this process may not mount; says so in words.
    pub(super) fn mount() -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("wissel-disk-").tempdir();
        let directory = directory.map_err(|error| error.to_string())?;
        let options = format!("size={MEBIBYTES}m,mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "wissel-rounds"]).arg(directory.path());
        let mounted = mount.output().map_err(|error| format!("mount: {error}"))?;
        if mounted.status.success() {
            return Ok(Self { directory });
        }
        Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Takes every byte that is left.
    pub(super) fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [1 << 20, 4 << 10, 1] {
            let block = vec![b'.'; size];
            let full = loop {
                if let Err(error) = filler.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Gives back what was taken.
    pub(super) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it may be about to end.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
