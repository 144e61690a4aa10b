use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use wissel_exchange::Exchange;

use crate::vitals::Vitals;
use crate::{health, pages, scrape};

/// The HTTP server of operators.
pub struct Console {
    state: Arc<Seen>,
}

/// How a console behaves.
#[derive(Debug, Clone)]
pub struct ConsoleOptions {
    /// What it looks at beside the broker.
    pub vitals: Vitals,
    /// Whether whoever reaches it is believed to be an operator (`--insecure-dev`). Else no
    /// page is told to anybody.
    pub insecure_dev: bool,
}

/// Why a console does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// The transport failed.
    #[error("the HTTP server of operators failed: {0}")]
    Transport(#[from] std::io::Error),
}

/// What every page looks at.
pub(crate) struct Seen {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) vitals: Vitals,
    pub(crate) insecure_dev: bool,
}

impl Console {
    /// A console of a broker and its exchange.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>, options: ConsoleOptions) -> Self {
        let ConsoleOptions { vitals, insecure_dev } = options;
        Self { state: Arc::new(Seen { exchange, vitals, insecure_dev }) }
    }

    /// Serves until the broker's shutdown token is cancelled.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, listener: TcpListener) -> Result<(), ConsoleError> {
        let stopping = self.state.exchange.broker().shutdown_token();
        let serving =
            axum::serve(listener, self.router()).with_graceful_shutdown(stopping.cancelled_owned());
        Ok(serving.await?)
    }

    fn router(self) -> Router {
        Router::new()
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/health/started", get(health::started))
            .route("/metrics", get(scrape::metrics))
            .merge(pages::router())
            .with_state(self.state)
    }
}
