//! How the exchange patterns run at this gateway.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
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
    /// The keys with which the pseudonyms of signals are made; `matching.keys` in data_dir
    /// when it is not said. Made when the first signal is filed.
    pub(crate) matching_key_file: Option<PathBuf>,
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
    /// How it runs with its state in this directory.
    pub(crate) fn options(&self, data_dir: &Path) -> ExchangeOptions {
        let in_data_dir = || data_dir.join("matching.keys");
        let matching_keys = self.matching_key_file.clone().unwrap_or_else(in_data_dir);
        ExchangeOptions { answers: self.answers.clone(), matching_keys }
    }

    /// The registries that answer over HTTP.
    pub(crate) fn services(&self) -> impl Iterator<Item = HttpService> {
        self.http.iter().cloned().map(|http| HttpService {
            inbox: http.inbox,
            url: http.url,
            timeout: Duration::from_millis(http.timeout_ms),
            concurrency: http.concurrency.get(),
            token_file: http.token_file,
            authorities: http.authorities,
        })
    }
}

impl Default for Exchange {
    fn default() -> Self {
        let answers = ExchangeOptions::default().answers;
        Self { answers, matching_key_file: None, http: Vec::new() }
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
