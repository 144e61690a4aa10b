//! The conformance suite of the bus, on the embedded bus.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tempfile::TempDir;
use wissel_bus::Bus;
use wissel_bus::conformance::Fixture;
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};

/// A directory that goes away with the test.
struct Directory {
    root: TempDir,
    current: Mutex<PathBuf>,
}

impl Directory {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let current = Mutex::new(root.path().join("bus-0"));
        Self { root, current }
    }

    fn open(&self) -> Arc<dyn Bus> {
        let path = self.current.lock().clone();
        Arc::new(EmbeddedBus::open(EmbeddedOptions::new(path)).unwrap())
    }
}

#[async_trait]
impl Fixture for Directory {
    async fn bus(&self) -> Arc<dyn Bus> {
        self.open()
    }

    async fn reopen(&self, old: Arc<dyn Bus>) -> Arc<dyn Bus> {
        old.close().await;
        self.open()
    }

    /// Goes on with the files as they are at this moment, which is what a killed
    /// process leaves.
    async fn crash(&self, old: Arc<dyn Bus>) -> Arc<dyn Bus> {
        let from = self.current.lock().clone();
        let to = self.root.path().join("bus-1");
        copy(&from, &to).unwrap();
        *self.current.lock() = to;
        old.close().await;
        self.open()
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

wissel_bus::conformance_suite!(Directory::new());
