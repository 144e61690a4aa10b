use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Endpoint;

use crate::client::Settings;
use crate::token::{FileToken, FixedToken};
use crate::{Client, ClientError, RetryPolicy, Token, TokenProvider};

/// Makes a [`Client`]; from [`Client::builder`].
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    endpoint: String,
    token: Option<Arc<dyn TokenProvider>>,
    connect_timeout: Duration,
    keep_alive_interval: Duration,
    keep_alive_timeout: Duration,
    settings: Settings,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            token: None,
            connect_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(10),
            settings: Settings::default(),
        }
    }

    /// Who calls: a token that stays the same.
    pub fn token(self, token: impl Into<Token>) -> Self {
        self.token_provider(FixedToken(token.into()))
    }

    /// Who calls: a token in a file. It is read again every few seconds, so that
    /// it can be replaced. White space around the token does not count.
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        self.token_provider(FileToken::new(path.into()))
    }

    /// Who calls: a token that is asked for at each call, and that may change.
    pub fn token_provider(mut self, provider: impl TokenProvider) -> Self {
        self.token = Some(Arc::new(provider));
        self
    }

    /// How long making a connection may take. Default 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take, its repeats included. Default 30 s, at most a day.
    /// A stream may take this long to open, and then goes on without end.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        self.settings.call_timeout = timeout.min(LONGEST);
        self
    }

    /// How calls are repeated, and streams opened again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// How often the gateway is asked whether it is still there, and how long it
    /// has to answer before the connection counts as broken. Default 30 s and 10 s.
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keep_alive_interval = interval;
        self.keep_alive_timeout = timeout;
        self
    }

    /// The largest request or response, in bytes. Default 4 MiB, as on the gateway.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_message_bytes = bytes;
        self
    }

    /// Makes the client. The connection itself is made at the first call, and
    /// again after it broke.
    ///
    /// # Errors
    /// [`ClientError::InvalidArgument`] when the endpoint is no `http://` address,
    /// or when this is not called inside a Tokio runtime.
    pub fn connect(self) -> Result<Client, ClientError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ClientError::invalid(
                "runtime",
                "expected to be called inside a Tokio runtime",
            ));
        }
        let channel = self.transport()?.connect_lazy();
        Ok(Client::new(channel, self.token, self.settings))
    }

    /// How the connection is made: the one place that is to know of TLS.
    fn transport(&self) -> Result<Endpoint, ClientError> {
        const STREAM_WINDOW: u32 = 1 << 20;
        const CONNECTION_WINDOW: u32 = 4 << 20;
        let wrong = |message: String| ClientError::invalid("endpoint", message);

        let endpoint = Endpoint::from_shared(self.endpoint.clone())
            .map_err(|error| wrong(format!("{error}; expected such as http://127.0.0.1:7400")))?;
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some(scheme) => {
                return Err(wrong(format!("scheme {scheme} is not supported; expected http")));
            }
            None => return Err(wrong("expected http:// at the start".to_owned())),
        }
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(self.keep_alive_interval)
            .keep_alive_timeout(self.keep_alive_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .tcp_nodelay(true))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_endpoint_is_told_at_once() {
        for endpoint in ["", "127.0.0.1:7400", "https://127.0.0.1:7400", "http://"] {
            let outcome = Client::builder(endpoint).connect();
            assert!(
                matches!(outcome, Err(ClientError::InvalidArgument { argument: "endpoint", .. })),
                "{endpoint}"
            );
        }
    }

    #[test]
    fn without_a_runtime_there_is_an_error_and_no_panic() {
        let outcome = Client::builder("http://127.0.0.1:7400").connect();
        assert!(matches!(outcome, Err(ClientError::InvalidArgument { .. })));
    }

    #[test]
    fn the_token_is_not_shown() {
        let builder = Client::builder("http://127.0.0.1:7400").token("secret");
        assert!(!format!("{builder:?}").contains("secret"));
    }
}
