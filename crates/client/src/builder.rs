use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use wissel_identifiers::Oin;

use crate::certificates::{check_authorities, check_identity};
use crate::client::Settings;
use crate::error::with_causes;
use crate::token::{FileToken, FixedToken};
use crate::{Client, ClientError, RetryPolicy, Token, TokenProvider};

/// Makes a [`Client`]; from [`Client::builder`].
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    endpoint: String,
    token: Option<Arc<dyn TokenProvider>>,
    on_behalf_of: Option<Oin>,
    tls: Tls,
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
            on_behalf_of: None,
            tls: Tls::default(),
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

    /// Acts for another party, by a mandate that the catalogue knows.
    pub fn on_behalf_of(mut self, principal: Oin) -> Self {
        self.on_behalf_of = Some(principal);
        self
    }

    /// The authorities that the gateway's certificate is held against, in PEM. Without,
    /// those of the system are.
    pub fn authorities(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.tls.authorities = Some(pem.as_ref().to_vec());
        self
    }

    /// Who calls: a certificate and its key, in PEM. The party is the OIN in it.
    pub fn certificate(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.tls.identity = Some((certificate.as_ref().to_vec(), key.as_ref().to_vec()));
        self
    }

    /// The name that the gateway's certificate must have, when it is not that of the
    /// endpoint.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.server_name = Some(name.into());
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
    /// [`ClientError::InvalidArgument`] when the endpoint is no `http://` or `https://`
    /// address, a certificate or key is none or they do not belong together, or when this is
    /// not called inside a Tokio runtime.
    pub fn connect(self) -> Result<Client, ClientError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ClientError::invalid(
                "runtime",
                "expected to be called inside a Tokio runtime",
            ));
        }
        let channel = self.transport()?.connect_lazy();
        Ok(Client::new(channel, self.token, self.on_behalf_of, self.settings))
    }

    /// How the connection is made: the one place that knows of TLS.
    fn transport(&self) -> Result<Endpoint, ClientError> {
        const STREAM_WINDOW: u32 = 1 << 20;
        const CONNECTION_WINDOW: u32 = 4 << 20;
        let wrong = |message: String| ClientError::invalid("endpoint", message);

        let endpoint = Endpoint::from_shared(self.endpoint.clone())
            .map_err(|error| wrong(format!("{error}; expected such as http://127.0.0.1:7400")))?;
        match endpoint.uri().scheme_str() {
            Some("http") if self.tls.is_wanted() => {
                let message = "http:// has no certificates; expected https://";
                return Err(wrong(message.to_owned()));
            }
            Some("http" | "https") => {}
            Some(scheme) => {
                let message = format!("scheme {scheme} is not supported; expected https or http");
                return Err(wrong(message));
            }
            None => return Err(wrong("expected https:// or http:// at the start".to_owned())),
        }
        let endpoint = if endpoint.uri().scheme_str() == Some("https") {
            endpoint.tls_config(self.tls.config()?).map_err(|error| {
                let message = with_causes(error.to_string(), &error);
                ClientError::invalid("authorities or server name", message)
            })?
        } else {
            endpoint
        };
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

/// What the connection is secured with.
#[derive(Default)]
struct Tls {
    authorities: Option<Vec<u8>>,
    /// A certificate and its key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl Tls {
    fn is_wanted(&self) -> bool {
        self.authorities.is_some() || self.identity.is_some()
    }

    fn config(&self) -> Result<ClientTlsConfig, ClientError> {
        let mut config = match &self.authorities {
            Some(pem) => {
                check_authorities(pem)?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((certificate, key)) = &self.identity {
            check_identity(certificate, key)?;
            config = config.identity(Identity::from_pem(certificate, key));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        Ok(config)
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
        for endpoint in ["", "127.0.0.1:7400", "ftp://127.0.0.1:7400", "http://"] {
            let outcome = Client::builder(endpoint).connect();
            assert!(
                matches!(outcome, Err(ClientError::InvalidArgument { argument: "endpoint", .. })),
                "{endpoint}"
            );
        }
    }

    #[tokio::test]
    async fn certificates_need_a_connection_that_has_them() {
        let builder = Client::builder("http://127.0.0.1:7400").certificate("x", "y");
        let error = builder.connect().unwrap_err().to_string();
        assert!(error.contains("expected https://"), "{error}");
        let builder = Client::builder("https://127.0.0.1:7400").certificate("x", "y");
        let error = builder.connect().unwrap_err().to_string();
        assert!(error.starts_with("certificate: "), "{error}");
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
