use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use wissel_identifiers::Oin;
use wissel_message::{TRACEPARENT, TraceContext};

use crate::{ClientBuilder, ClientError, RetryPolicy, TokenError, TokenProvider};

/// A caller of the gateway. Cheap to clone; clones share one connection.
///
/// Single calls are repeated while the gateway is unavailable, until
/// [`ClientBuilder::call_timeout`].
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Where the calls of this clone stand.
    trace: Option<TraceContext>,
}

struct Inner {
    channel: Channel,
    token: Option<Arc<dyn TokenProvider>>,
    on_behalf_of: Option<MetadataValue<Ascii>>,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) call_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_message_bytes: usize,
}

impl Client {
    /// Begins a client of the gateway at this address, for example
    /// `http://127.0.0.1:7400`.
    pub fn builder(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(endpoint.into())
    }

    pub(crate) fn new(
        channel: Channel,
        token: Option<Arc<dyn TokenProvider>>,
        on_behalf_of: Option<Oin>,
        settings: Settings,
    ) -> Self {
        let on_behalf_of =
            on_behalf_of.and_then(|principal| principal.as_str().parse::<MetadataValue<_>>().ok());
        Self { inner: Arc::new(Inner { channel, token, on_behalf_of, settings }), trace: None }
    }

    /// The same client, whose calls stand there in a trace (W3C Trace Context): it is told in
    /// the metadata `traceparent`, and holds for each event of a call, and of a stream that is
    /// opened by it, that says nothing itself.
    #[must_use]
    pub fn in_trace(&self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self.clone() }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.inner.channel.clone()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// A request that says who calls.
    pub(crate) async fn request<T>(&self, body: T) -> Result<Request<T>, ClientError> {
        let mut request = Request::new(body);
        if let Some(provider) = &self.inner.token {
            let token = provider.token().await?;
            let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.expose())
                .parse()
                .map_err(|_| TokenError::new("expected visible ASCII characters in the token"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        if let Some(principal) = &self.inner.on_behalf_of {
            request.metadata_mut().insert("wissel-on-behalf-of", principal.clone());
        }
        if let Some(trace) = self.trace.and_then(|trace| trace.to_string().parse().ok()) {
            request.metadata_mut().insert(TRACEPARENT, trace);
        }
        Ok(request)
    }

    /// One call, repeated as the settings say.
    pub(crate) async fn call<B, R, F>(
        &self,
        body: B,
        send: impl Fn(Channel, Request<B>) -> F,
    ) -> Result<R, ClientError>
    where
        B: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let Settings { call_timeout, retry, .. } = self.settings();
        retry
            .repeat(*call_timeout, || async {
                let request = self.request(body.clone()).await?;
                match send(self.channel(), request).await {
                    Ok(response) => Ok(response.into_inner()),
                    Err(status) => Err(ClientError::from_status(&status)),
                }
            })
            .await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            max_message_bytes: 4 << 20,
        }
    }
}
