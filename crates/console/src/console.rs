use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use wissel_exchange::Exchange;
use wissel_identity::ServerTls;

use crate::access::{Access, AccessOptions, FORM_MAX, guard};
use crate::entrance::{Entrance, Visitor};
use crate::vitals::Vitals;
use crate::{health, pages, scrape};

/// The HTTP server of operators.
pub struct Console {
    state: Arc<Seen>,
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
}

/// How a console behaves.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// What it looks at beside the broker.
    pub vitals: Vitals,
    /// Who may see its pages, and do what.
    pub access: AccessOptions,
}

/// Why a console does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// The transport failed.
    #[error("the HTTP server of operators failed: {0}")]
    Transport(#[from] std::io::Error),
    /// A setting that cannot be used.
    #[error("console.{0}")]
    Setting(String),
}

/// What every page looks at.
pub(crate) struct Seen {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) vitals: Vitals,
    pub(crate) access: Access,
}

impl AccessOptions {
    /// Whether a console that listens there can be made with them.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn check(self, listens: SocketAddr) -> Result<(), ConsoleError> {
        let access = Access::new(self, listens, tokio_util::sync::CancellationToken::new());
        access.map(drop).map_err(ConsoleError::Setting)
    }
}

impl Console {
    /// A console of a broker and its exchange, which is to be served at this listener.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(
        exchange: Arc<Exchange>,
        options: ConsoleOptions,
        listener: TcpListener,
    ) -> Result<Self, ConsoleError> {
        let ConsoleOptions { vitals, access } = options;
        let tls = access.tls.clone();
        let stopping = exchange.broker().shutdown_token();
        let access = Access::new(access, listener.local_addr()?, stopping);
        let access = access.map_err(ConsoleError::Setting)?;
        Ok(Self { state: Arc::new(Seen { exchange, vitals, access }), listener, tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the transport does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the broker's shutdown token is cancelled.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self) -> Result<(), ConsoleError> {
        let Self { state, listener, tls } = self;
        let stopping = state.exchange.broker().shutdown_token();
        let entrance = Entrance::open(listener, tls)?;
        let service = router(state).into_make_service_with_connect_info::<Visitor>();
        let serving = axum::serve(entrance, service);
        Ok(serving.with_graceful_shutdown(stopping.cancelled_owned()).await?)
    }
}

fn router(seen: Arc<Seen>) -> Router {
    let guarded = pages::router()
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&seen), guard::guard));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/started", get(health::started))
        .route("/metrics", get(scrape::metrics))
        .merge(guarded)
        .with_state(seen)
}
