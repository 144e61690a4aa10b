//! What is read again without a restart: on a change of the files, and on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wissel_broker::{Broker, ReadAgain, Reason};
use wissel_catalogue::Catalogue;
use wissel_identity::{ServerTls, TokenVerifier};

use crate::config::{Config, Tls};
use crate::exit::Failure;
use crate::identity::Callers;
use crate::watch::Watch;

/// How often a revocation list that is nearly over is warned of.
const WARNED_EVERY: Duration = Duration::from_secs(60 * 60);
/// How soon a catalogue that the bus could not take is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Reads catalogue, certificates and keys again, and puts in force what has no fault.
pub(crate) struct Reload {
    broker: Arc<Broker>,
    catalogue: PathBuf,
    /// Of the gateway, and of the console.
    tls: Vec<Arc<ServerTls>>,
    tokens: Option<Arc<TokenVerifier>>,
    watch: Watch,
    /// Wishes of catalogue managers.
    asked: mpsc::Receiver<ReadAgain>,
    /// The bus was not there for a catalogue with new inboxes.
    waits_for_bus: bool,
}

impl Reload {
    /// Begins to watch.
    pub(crate) fn new(
        broker: Arc<Broker>,
        config: &Config,
        callers: Callers,
        console_tls: Option<Arc<ServerTls>>,
    ) -> Result<Self, Failure> {
        let files = config.tls.iter().chain(&config.console.tls).flat_map(Tls::paths);
        let keys = config.tokens.iter().filter_map(|tokens| tokens.jwks_file.as_ref());
        let watch = Watch::new(&config.catalogue, files.chain(keys).cloned().collect())?;
        let catalogue = config.catalogue.clone();
        let tokens = callers.verifier();
        let tls = callers.tls.into_iter().chain(console_tls).collect();
        let asked = broker.asked_to_read();
        let asked = asked.ok_or_else(|| Failure::internal("the files are read by two"))?;
        Ok(Self { broker, catalogue, tls, tokens, watch, asked, waits_for_bus: false })
    }

    /// Reads again whenever there is cause, until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Failure> {
        let mut hang_up = signal(SignalKind::hangup()).map_err(Failure::internal)?;
        let mut warnings = tokio::time::interval(WARNED_EVERY);
        // The first is at once, and was given when the lists were read.
        warnings.tick().await;
        loop {
            let mut wishes = Vec::new();
            let asked = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = warnings.tick() => {
                    self.tls.iter().for_each(|tls| tls.warn_of_old_lists());
                    continue;
                }
                _ = hang_up.recv() => {
                    tracing::info!("SIGHUP: reading catalogue, certificates and keys again");
                    true
                }
                Some(wish) = self.asked.recv() => {
                    wishes.push(wish);
                    false
                }
                () = self.watch.changed() => {
                    tracing::debug!("files have changed, and are read again");
                    false
                }
                () = tokio::time::sleep(AGAIN_AFTER), if self.waits_for_bus => {
                    if !self.broker.status().health.ready {
                        continue;
                    }
                    false
                }
            };
            self.certificates();
            self.keys(asked).await;
            let faults = self.catalogue().await;
            self.broker.note_reading(faults, wishes);
        }
    }

    fn certificates(&self) {
        for tls in &self.tls {
            match tls.reload() {
                Ok(true) => tracing::info!("certificates and revocation lists read again"),
                Err(error) => {
                    tracing::error!(%error, "new certificates are refused; the old ones stay");
                }
                Ok(false) => {}
            }
        }
    }

    /// Reads the keys of the issuer of tokens. Those at a URL are fetched when a person asks
    /// for it, and not for every file that changes.
    async fn keys(&self, asked: bool) {
        let Some(tokens) = &self.tokens else { return };
        if !asked && !tokens.key_source().is_file() {
            return;
        }
        match tokens.refresh().await {
            Ok(true) => tracing::info!("keys of the issuer of tokens read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "new keys are refused; the old ones stay"),
        }
    }

    /// Why what stands in the files is refused; empty: it is in force.
    async fn catalogue(&mut self) -> Vec<String> {
        const REFUSED: &str = "the catalogue's new version is refused; the old one stays";
        const WAITS: &str = "the catalogue's new version has inboxes that cannot be opened yet; trying again, and the old one stays until then";
        let waited = std::mem::take(&mut self.waits_for_bus);
        let path = self.catalogue.clone();
        let loaded = tokio::task::spawn_blocking(move || Catalogue::load(&path)).await;
        let catalogue = match loaded {
            Ok(Ok(catalogue)) => catalogue,
            Ok(Err(errors)) => {
                self.broker.metrics().catalogue_read(false);
                tracing::error!(faults = errors.faults.len(), "{REFUSED}");
                for error in &errors.faults {
                    tracing::error!(%error, "a fault in the catalogue");
                }
                return errors.faults.iter().map(ToString::to_string).collect();
            }
            Err(error) => {
                tracing::error!(%error, "reading the catalogue failed");
                return vec![error.to_string()];
            }
        };
        for warning in catalogue.warnings() {
            tracing::warn!(%warning, "the catalogue does not cohere");
        }
        if catalogue.is_of_same_files(&self.broker.catalogue()) {
            return Vec::new();
        }
        let replaced = self.broker.replace_catalogue(catalogue).await;
        self.waits_for_bus =
            replaced.as_ref().is_err_and(|error| error.reason == Reason::BusUnavailable);
        if !self.waits_for_bus {
            self.broker.metrics().catalogue_read(replaced.is_ok());
        }
        let Err(error) = replaced else { return Vec::new() };
        match (self.waits_for_bus, waited) {
            (false, _) => tracing::error!(%error, "{REFUSED}"),
            (true, false) => tracing::warn!(%error, "{WAITS}"),
            (true, true) => tracing::debug!(%error, "{WAITS}"),
        }
        vec![error.to_string()]
    }
}
