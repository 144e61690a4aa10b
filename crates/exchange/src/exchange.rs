use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use wissel_broker::{Broker, Caller, Reason, Refusal};
use wissel_identifiers::{InboxName, Oin};
use wissel_store::Store;

use crate::asking::Asking;
use crate::cases::Cases;
use crate::matching::Matching;

/// The patterns at one gateway.
pub struct Exchange {
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Store,
    pub(crate) asking: Asking,
    pub(crate) cases: Cases,
    pub(crate) matching: Matching,
    /// That there is something in the outbox.
    pub(crate) to_send: Notify,
    pub(crate) options: ExchangeOptions,
}

/// How an exchange behaves.
#[derive(Debug, Clone)]
pub struct ExchangeOptions {
    /// The local name of the inbox in which answers come to this gateway: 1 to 64 of a-z,
    /// 0-9 and `-`. Gateways on one bus each have their own.
    pub answers: String,
    /// The file of the keys with which the pseudonyms of signals are made. Made when the first
    /// signal is filed.
    pub matching_keys: PathBuf,
}

impl Default for ExchangeOptions {
    fn default() -> Self {
        Self { answers: "answers".to_owned(), matching_keys: PathBuf::from("matching.keys") }
    }
}

/// How long to wait before trying again what the bus did not do.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

impl Exchange {
    /// Starts what runs beside calls, until the broker stops.
    #[must_use]
    pub fn start(broker: Arc<Broker>, store: Store, options: ExchangeOptions) -> Arc<Self> {
        let (asking, to_send) = (Asking::default(), Notify::new());
        let matching = Matching::new(options.matching_keys.clone());
        let cases = Cases::default();
        let exchange = Arc::new(Self { broker, store, asking, cases, matching, to_send, options });
        // Before anybody receives: a question does not outlive the gateway that its asker had.
        // Without an exchange in the catalogue there is none.
        let _ = exchange.take_answers();
        let listening = Arc::clone(&exchange);
        exchange.broker.spawn(async move { listening.listen_for_answers().await });
        let sending = Arc::clone(&exchange);
        exchange.broker.spawn(async move { sending.send_what_is_kept().await });
        let keeping = Arc::clone(&exchange);
        exchange.broker.spawn(async move { keeping.keep_signals().await });
        let watching = Arc::clone(&exchange);
        exchange.broker.spawn(async move { watching.watch_cases().await });
        let keeping = Arc::clone(&exchange);
        exchange.broker.spawn(async move { keeping.keep_terms().await });
        exchange
    }

    /// The broker below.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// The party that the exchange is.
    pub(crate) fn party(&self) -> Result<Oin, Refusal> {
        self.broker.catalogue().exchange().ok_or_else(|| {
            let message = "the catalogue has no party that is the exchange, and the patterns need \
                           one; expected `exchange = true` at it";
            Refusal::new(Reason::NoExchange, message)
        })
    }

    /// The exchange as a caller.
    pub(crate) fn caller(&self) -> Result<Caller, Refusal> {
        Ok(Caller::Party(self.party()?))
    }

    /// Where answers come to this gateway.
    pub(crate) fn answers_inbox(&self) -> Result<InboxName, Refusal> {
        let party = self.party()?;
        InboxName::new(party, &self.options.answers).map_err(|error| Refusal::internal(&error))
    }
}
