//! The way of spans to the collector.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::{ClientTlsConfig, Endpoint};
use wissel_metrics::Metrics;

use crate::Tracer;

/// Where spans go, and of how many messages.
#[derive(Debug, Clone, PartialEq)]
pub struct TracingOptions {
    /// The collector's address for OTLP over gRPC, `http://` or `https://`.
    pub endpoint: String,
    /// Of messages whose publisher says nothing of a trace, this part is followed: 0 to 1.
    pub sample: f64,
    /// What the gateway is called in traces (`service.name`).
    pub service_name: String,
    /// How long one export may take.
    pub timeout: Duration,
    /// The most spans that wait; more are dropped.
    pub queue: usize,
}

/// Why tracing cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracingError {
    /// The collector's address is none.
    #[error("endpoint: {0}; expected such as http://127.0.0.1:4317")]
    Endpoint(String),
    /// The exporter cannot be made.
    #[error("the exporter: {0}")]
    Exporter(String),
}

/// Exports spans until it is told to finish.
#[derive(Debug)]
pub struct Export {
    tracer: Tracer,
    finishing: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// How many spans go together.
const AT_ONCE: usize = 512;
/// How long spans wait for others.
const GATHERED_FOR: Duration = Duration::from_millis(500);
/// How often a collector that fails is told of in the log.
const TOLD_EVERY: Duration = Duration::from_secs(60);

impl TracingOptions {
    /// Whether spans can be exported with them; the collector is not called.
    ///
    /// # Errors
    /// When they make no sense.
    ///
    /// # Panics
    /// When called outside a Tokio runtime.
    pub fn check(&self) -> Result<(), TracingError> {
        exporter(self).map(drop)
    }
}

impl Export {
    /// Begins to export. The collector need not be there yet.
    ///
    /// # Errors
    /// When the options make no sense.
    ///
    /// # Panics
    /// When called outside a Tokio runtime.
    pub fn start(options: &TracingOptions, metrics: Arc<Metrics>) -> Result<Self, TracingError> {
        let exporter = exporter(options)?;
        let (sender, spans) = mpsc::channel(options.queue.max(1));
        let tracer = Tracer::on(options.sample, sender, Arc::clone(&metrics));
        let (finishing, finish) = oneshot::channel();
        let work = Work { exporter, spans, metrics, told: None };
        let running = tokio::spawn(work.run(finish));
        Ok(Self { tracer, finishing, running })
    }

    /// For whoever makes spans.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Exports what waits, as far as that can be done within `patience`.
    pub async fn finish(self, patience: Duration) {
        let Self { finishing, mut running, .. } = self;
        let _ = finishing.send(());
        if tokio::time::timeout(patience, &mut running).await.is_err() {
            running.abort();
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

fn exporter(options: &TracingOptions) -> Result<SpanExporter, TracingError> {
    let wrong = |error: tonic::transport::Error| {
        TracingError::Endpoint(
            std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string),
        )
    };
    let mut endpoint = Endpoint::from_shared(options.endpoint.clone()).map_err(wrong)?;
    match endpoint.uri().scheme_str() {
        Some("http") => {}
        Some("https") => {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        _ => return Err(TracingError::Endpoint("neither http:// nor https://".to_owned())),
    }
    let channel = endpoint.connect_timeout(options.timeout).timeout(options.timeout).connect_lazy();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(options.timeout)
        .build();
    let mut exporter = exporter.map_err(|error| TracingError::Exporter(error.to_string()))?;
    let resource = Resource::builder_empty()
        .with_service_name(options.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    exporter.set_resource(&resource);
    Ok(exporter)
}

struct Work {
    exporter: SpanExporter,
    spans: mpsc::Receiver<SpanData>,
    metrics: Arc<Metrics>,
    /// When it was last told that the collector fails.
    told: Option<Instant>,
}

impl Work {
    async fn run(mut self, mut finish: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        let mut finishing = false;
        while !finishing {
            tokio::select! {
                count = self.spans.recv_many(&mut batch, AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                }
                _ = &mut finish => finishing = true,
            }
            let gathered = Instant::now() + GATHERED_FOR;
            while !finishing && batch.len() < AT_ONCE {
                let room = AT_ONCE - batch.len();
                tokio::select! {
                    count = self.spans.recv_many(&mut batch, room) => {
                        if count == 0 {
                            break;
                        }
                    }
                    () = tokio::time::sleep_until(gathered) => break,
                    _ = &mut finish => finishing = true,
                }
            }
            self.export(&mut batch).await;
        }
        while let Ok(span) = self.spans.try_recv() {
            batch.push(span);
            if batch.len() == AT_ONCE {
                self.export(&mut batch).await;
            }
        }
        self.export(&mut batch).await;
    }

    async fn export(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len() as u64;
        let batch = std::mem::replace(batch, Vec::with_capacity(AT_ONCE));
        match self.exporter.export(batch).await {
            Ok(()) => self.metrics.spans("exported", spans),
            Err(error) => {
                self.metrics.spans("failed", spans);
                if self.told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
                    self.told = Some(Instant::now());
                    tracing::warn!(%error, spans, "the collector does not take spans; they are dropped");
                }
            }
        }
    }
}
