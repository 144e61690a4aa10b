//! How the exchange patterns run at this gateway.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wissel_exchange::{ExchangeOptions, HttpService};
use wissel_identifiers::InboxName;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Exchange {
    /// The local name of the inbox in which answers come to this gateway. Gateways on one
    /// RabbitMQ each have their own.
    pub(crate) answers: String,
    /// Registries that answer over HTTP.
    pub(crate) http: Vec<Http>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// The inbox whose questions it answers.
    pub(crate) inbox: InboxName,
    /// Where questions are sent by POST.
    pub(crate) url: String,
    /// How long one call may take, in milliseconds.
    #[serde(default = "Http::default_timeout")]
    pub(crate) timeout_ms: u64,
    /// The most calls at a time.
    #[serde(default = "Http::default_concurrency")]
    pub(crate) concurrency: NonZeroU16,
    /// A file with the bearer token to call with.
    pub(crate) token_file: Option<PathBuf>,
    /// A PEM file with the authorities by which the service is trusted.
    pub(crate) authorities: Option<PathBuf>,
}

impl Exchange {
    pub(crate) fn options(&self) -> ExchangeOptions {
        ExchangeOptions { answers: self.answers.clone() }
    }

    /// The registries that answer over HTTP.
    pub(crate) fn services(&self) -> impl Iterator<Item = HttpService> {
        self.http.iter().cloned().map(|http| HttpService {
            inbox: http.inbox,
            url: http.url,
            timeout: Duration::from_millis(http.timeout_ms.max(1)),
            concurrency: http.concurrency.get(),
            token_file: http.token_file,
            authorities: http.authorities,
        })
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self { answers: ExchangeOptions::default().answers, http: Vec::new() }
    }
}

impl Http {
    fn default_timeout() -> u64 {
        2_000
    }

    fn default_concurrency() -> NonZeroU16 {
        NonZeroU16::new(16).expect("16 is not 0")
    }
}
