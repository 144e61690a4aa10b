//! How the exchange patterns run at this gateway.

use serde::{Deserialize, Serialize};
use wissel_exchange::ExchangeOptions;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Exchange {
    /// The local name of the inbox in which answers come to this gateway. Gateways on one
    /// RabbitMQ each have their own.
    pub(crate) answers: String,
}

impl Exchange {
    pub(crate) fn options(&self) -> ExchangeOptions {
        ExchangeOptions { answers: self.answers.clone() }
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self { answers: ExchangeOptions::default().answers }
    }
}
