//! What is read again without a restart: on a change of the files, and on SIGHUP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wissel_broker::Broker;
use wissel_catalogue::Catalogue;

use crate::exit::Failure;

/// How long files are left to be written before they are read.
const SETTLING: Duration = Duration::from_millis(250);

/// Reads the catalogue again, and puts it in force when it has no fault.
pub(crate) struct Reload {
    broker: Arc<Broker>,
    catalogue: PathBuf,
    changes: mpsc::Receiver<()>,
    /// Watches as long as it lives.
    _watcher: RecommendedWatcher,
}

impl Reload {
    /// Begins to watch.
    pub(crate) fn new(broker: Arc<Broker>, catalogue: &Path) -> Result<Self, Failure> {
        // One that waits is enough: everything is read again.
        let (changed, changes) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.is_ok_and(|event| !event.kind.is_access()) {
                    let _ = changed.try_send(());
                }
            })
            .map_err(Failure::internal)?;
        // A file that is replaced is another file: the directory is watched.
        let directory = if catalogue.is_dir() { Some(catalogue) } else { catalogue.parent() };
        let directory = directory.filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        watcher.watch(directory, RecursiveMode::Recursive).map_err(Failure::unavailable)?;
        Ok(Self { broker, catalogue: catalogue.to_owned(), changes, _watcher: watcher })
    }

    /// Reads again whenever there is cause, until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Failure> {
        let mut hang_up = signal(SignalKind::hangup()).map_err(Failure::internal)?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hang_up.recv() => tracing::info!("SIGHUP: reading the catalogue again"),
                Some(()) = self.changes.recv() => {
                    tokio::time::sleep(SETTLING).await;
                    while self.changes.try_recv().is_ok() {}
                }
            }
            self.catalogue().await;
        }
    }

    async fn catalogue(&self) {
        let path = self.catalogue.clone();
        let loaded = tokio::task::spawn_blocking(move || Catalogue::load(&path)).await;
        let catalogue = match loaded {
            Ok(Ok(catalogue)) => catalogue,
            Ok(Err(errors)) => {
                let faults = errors.0.len();
                tracing::error!(
                    faults,
                    "the catalogue's new version is refused; the old one stays"
                );
                for error in errors.0 {
                    tracing::error!(%error, "a fault in the catalogue");
                }
                return;
            }
            Err(error) => return tracing::error!(%error, "reading the catalogue failed"),
        };
        for warning in catalogue.warnings() {
            tracing::warn!(%warning, "the catalogue does not cohere");
        }
        if let Err(error) = self.broker.replace_catalogue(catalogue).await {
            tracing::error!(%error, "the catalogue's new version is refused; the old one stays");
        }
    }
}
