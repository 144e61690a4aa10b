//! `wissel serve`: the gateway, its broker and its bus in one process.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wissel_audit::{AuditError, RecordLog, RecordOptions, SubjectKey};
use wissel_broker::{Broker, BrokerOptions, Disk, Records};
use wissel_bus_amqp::AmqpBus;
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_console::{Console, ConsoleOptions, Vitals};
use wissel_exchange::Exchange;
use wissel_gateway::{Gateway, GatewayOptions};
use wissel_metrics::Metrics;
use wissel_receipts::{ReceiptOptions, Receipts};
use wissel_store::Store;
use wissel_traces::Export;

use crate::cli::ServeArguments;
use crate::config::{Audit, Bus, Config};
use crate::exit::Failure;
use crate::identity::Callers;
use crate::logging;
use crate::reload::Reload;
use crate::supervision;

/// How much of the deduplication window is held in memory, about 20 MB. Several times what
/// waits to be written, so that what is on its way to disk is known.
const RECENT_UNITS: usize = 100_000;

/// How long pages of the console may take to end.
const CONSOLE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a collector may take over the last spans.
const LAST_SPANS_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// A gateway that is ready to serve.
pub(crate) struct Server {
    pub(crate) broker: Arc<Broker>,
    gateway: Gateway,
    listener: TcpListener,
    console: Option<Console>,
    reload: Reload,
    export: Option<Export>,
    patience: std::time::Duration,
}

pub(crate) async fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let config = Config::load(arguments)?;
    logging::start(&config.log)?;
    let stop = stop_signal()?;
    let callers = if arguments.insecure_dev {
        Callers::insecure(&config)?
    } else {
        Callers::proven(&config).await?
    };
    let server = Server::start(&config, callers).await?;
    server.serve(stop).await
}

impl Server {
    /// Opens state, bus and port.
    pub(crate) async fn start(config: &Config, callers: Callers) -> Result<Self, Failure> {
        let catalogue = Catalogue::load(&config.catalogue)
            .map_err(|errors| Failure::usage(format!("the catalogue has faults:\n{errors}")))?;
        for warning in catalogue.warnings() {
            tracing::warn!(%warning, "the catalogue does not cohere");
        }

        // Before anything is made on disk, which would stay when a port is another's.
        let listener = listen("listen", config.listen).await?;
        let console_listener = match config.console.listen {
            Some(address) => Some(listen("console.listen", address).await?),
            None => None,
        };
        create_data_dir(&config.data_dir)?;
        let store = Store::open(&config.data_dir.join("control.sqlite"))
            .map_err(|error| Failure::unavailable(format!("{error}")))?;
        let metrics = Arc::new(Metrics::new());
        let export = start_tracing(config, &metrics)?;
        let bus = open_bus(config)?;
        let options = BrokerOptions {
            limits: config.message_limits(),
            deduplication_age: config.deduplication_window(),
            deduplication_capacity: RECENT_UNITS,
            receipts: Some(open_receipts(config)?),
            delivery: config.delivery(),
            delivery_bytes: config.limits.delivery_bytes.get(),
            publish_per_second: NonZeroU32::new(config.limits.publish_per_second),
            subscriptions_per_party: config.limits.subscriptions_per_party,
            replay_per_second: config.limits.replay_per_second,
            records: Some(open_records(config)?),
            disk: Some(Disk {
                directory: config.data_dir.clone(),
                mark: config.limits.disk_free_bytes,
            }),
            metrics,
            tracer: export.as_ref().map(Export::tracer).unwrap_or_default(),
        };
        let broker = Broker::start(bus, store.clone(), catalogue, options)
            .await
            .map_err(|error| Failure::unavailable(format!("{error}")))?;
        let options = config.exchange.options(&config.data_dir);
        let exchange = Exchange::start(Arc::clone(&broker), store, options);
        exchange.check_pseudonym_keys().await.map_err(Failure::unavailable)?;
        for service in config.exchange.services() {
            let wrong = |error| Failure::usage(format!("[[exchange.http]] {error}"));
            exchange.serve_over_http(service).map_err(wrong)?;
        }
        let mut console_tls = None;
        let console = match console_listener {
            Some(listener) => {
                let access = config.console.access(callers.believes_all())?;
                console_tls = access.tls.clone();
                let vitals = Vitals { tls: callers.tls.clone(), console_tls: access.tls.clone() };
                let options = ConsoleOptions { vitals, access };
                let console = Console::new(Arc::clone(&exchange), options, listener);
                Some(console.map_err(|error| Failure::usage(error.to_string()))?)
            }
            None => None,
        };
        let gateway = Gateway::new(
            exchange,
            Arc::clone(&callers.authenticator),
            GatewayOptions {
                // A request may hold several messages, and each some framing.
                max_request_bytes: (4 << 20).max(2 * config.limits.message_bytes),
                in_flight_per_stream: config.limits.in_flight_per_stream,
                in_flight_bytes: config.limits.in_flight_bytes,
                patience: config.patience(),
            },
        );
        let gateway = match &callers.tls {
            Some(tls) => gateway.with_tls(Arc::clone(tls)),
            None => gateway,
        };
        callers.keep_fresh(broker.shutdown_token());
        let reload = Reload::new(Arc::clone(&broker), config, callers, console_tls)?;
        let patience = config.patience();
        Ok(Self { broker, gateway, listener, console, reload, export, patience })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled; then nothing new is taken, receipts under
    /// way are given, leases are given back.
    pub(crate) async fn serve(self, stop: CancellationToken) -> Result<(), Failure> {
        let Self { broker, gateway, listener, console, reload, export, patience } = self;
        let address = listener.local_addr().map_err(Failure::internal)?;
        tracing::info!(%address, bus = broker.status().bus, "listening");
        let stopping = broker.shutdown_token();
        let relay = tokio::spawn(async move {
            stop.cancelled().await;
            tracing::info!("stopping: taking no new work");
            stopping.cancel();
        });
        let reloading = AbortOnDropHandle::new(tokio::spawn(reload.run(broker.shutdown_token())));
        let console = console.map(|console| {
            if let Ok(address) = console.address() {
                tracing::info!(%address, "the console listens");
            }
            tokio::spawn(console.serve())
        });
        let telling = tokio::spawn(supervision::tell(Arc::clone(&broker)));
        let served = gateway.serve(listener).await;
        relay.abort();
        drop(reloading);
        telling.abort();
        if let Some(console) = console {
            // Whoever still reads a page does not hold up the end.
            let ended = tokio::time::timeout(CONSOLE_PATIENCE, console).await;
            if let Ok(Ok(Err(error))) = ended {
                tracing::error!(%error, "the console");
            }
        }
        broker.shut_down(patience).await;
        if let Some(export) = export {
            export.finish(LAST_SPANS_PATIENCE.min(patience)).await;
        }
        tracing::info!("stopped");
        served.map_err(|error| Failure::unavailable(error.to_string()))
    }
}

/// Begins to export spans, when that is asked for.
fn start_tracing(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Export>, Failure> {
    let Some(options) = config.tracing.options() else { return Ok(None) };
    let export = Export::start(&options, Arc::clone(metrics));
    export.map(Some).map_err(|error| Failure::usage(format!("tracing.{error}")))
}

fn open_bus(config: &Config) -> Result<Arc<dyn wissel_bus::Bus>, Failure> {
    match &config.bus {
        Bus::Embedded => {
            let options = EmbeddedOptions::new(config.data_dir.join("bus"));
            let bus = EmbeddedBus::open(options)
                .map_err(|error| Failure::unavailable(format!("the embedded bus: {error}")))?;
            Ok(Arc::new(bus))
        }
        Bus::Amqp(url) => {
            let url = Bus::with_password(url, config.bus_password_file.as_deref())?;
            let bus = AmqpBus::connect(config.amqp.options(url))
                .map_err(|error| Failure::usage(format!("bus: {error}")))?;
            Ok(Arc::new(bus))
        }
    }
}

/// Opens the record of processing, which nothing is done without.
fn open_records(config: &Config) -> Result<Records, Failure> {
    let Audit { directory, subject_key_file, file_bytes } = &config.audit;
    let or_in_data_dir = |path: &Option<PathBuf>, name: &str| {
        path.clone().unwrap_or_else(|| config.data_dir.join(name))
    };
    let key = SubjectKey::load_or_create(&or_in_data_dir(subject_key_file, "subjects.key"));
    let options = RecordOptions { file_bytes: *file_bytes, ..RecordOptions::default() };
    let log = RecordLog::open(&or_in_data_dir(directory, "records"), options);
    let wrong = |error: AuditError| Failure::unavailable(format!("[audit] {error}"));
    Ok(Records { log: log.map_err(wrong)?, subjects: key.map_err(wrong)? })
}

/// Opens the memory of what was published.
fn open_receipts(config: &Config) -> Result<Arc<Receipts>, Failure> {
    let options = ReceiptOptions {
        window: config.deduplication_window(),
        capacity: config.deduplication.capacity,
        ..ReceiptOptions::default()
    };
    let receipts = Receipts::open(&config.data_dir.join("receipts"), options)
        .map_err(|error| Failure::unavailable(format!("[deduplication] {error}")))?;
    Ok(Arc::new(receipts))
}

/// A port, which a setting names.
async fn listen(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|error| Failure::unavailable(format!("{setting} {address}: {error}")))
}

fn create_data_dir(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| Failure::unavailable(format!("data_dir {}: {error}", path.display())))
}

/// Cancelled on SIGTERM and SIGINT; a second one ends the process at once.
pub(crate) fn stop_signal() -> Result<CancellationToken, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stopping.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(130);
    });
    Ok(stop)
}
