//! What is read again without a restart: on a change of the files, and on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use wissel_broker::Broker;
use wissel_catalogue::Catalogue;
use wissel_identity::ServerTls;

use crate::config::{Config, Tls};
use crate::exit::Failure;
use crate::identity::Callers;
use crate::watch::Watch;

/// Reads catalogue and certificates again, and puts in force what has no fault.
pub(crate) struct Reload {
    broker: Arc<Broker>,
    catalogue: PathBuf,
    tls: Option<Arc<ServerTls>>,
    watch: Watch,
}

impl Reload {
    /// Begins to watch.
    pub(crate) fn new(
        broker: Arc<Broker>,
        config: &Config,
        callers: Callers,
    ) -> Result<Self, Failure> {
        let files = config.tls.iter().flat_map(Tls::paths).cloned().collect();
        let watch = Watch::new(&config.catalogue, files)?;
        let catalogue = config.catalogue.clone();
        Ok(Self { broker, catalogue, tls: callers.tls, watch })
    }

    /// Reads again whenever there is cause, until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Failure> {
        let mut hang_up = signal(SignalKind::hangup()).map_err(Failure::internal)?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hang_up.recv() => tracing::info!("SIGHUP: reading catalogue and certificates again"),
                () = self.watch.changed() => tracing::debug!("files have changed, and are read again"),
            }
            self.certificates();
            self.catalogue().await;
        }
    }

    fn certificates(&self) {
        match self.tls.as_ref().map(|tls| tls.reload()) {
            Some(Ok(true)) => tracing::info!("certificates and revocation lists read again"),
            Some(Err(error)) => {
                tracing::error!(%error, "new certificates are refused; the old ones stay");
            }
            Some(Ok(false)) | None => {}
        }
    }

    async fn catalogue(&self) {
        let path = self.catalogue.clone();
        let loaded = tokio::task::spawn_blocking(move || Catalogue::load(&path)).await;
        let catalogue = match loaded {
            Ok(Ok(catalogue)) => catalogue,
            Ok(Err(errors)) => {
                let faults = errors.faults.len();
                tracing::error!(
                    faults,
                    "the catalogue's new version is refused; the old one stays"
                );
                for error in errors.faults {
                    tracing::error!(%error, "a fault in the catalogue");
                }
                return;
            }
            Err(error) => return tracing::error!(%error, "reading the catalogue failed"),
        };
        for warning in catalogue.warnings() {
            tracing::warn!(%warning, "the catalogue does not cohere");
        }
        if catalogue.is_of_same_files(&self.broker.catalogue()) {
            return;
        }
        if let Err(error) = self.broker.replace_catalogue(catalogue).await {
            tracing::error!(%error, "the catalogue's new version is refused; the old one stays");
        }
    }
}
