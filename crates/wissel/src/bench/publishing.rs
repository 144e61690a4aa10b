//! The publishing side: one connection, with so many messages under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};
use wissel_client::{Client, ClientError, Publisher, PublisherOptions, Receipt};

use super::Plan;
use crate::exit::Failure;

/// One connection.
pub(super) struct Lane {
    publisher: Publisher,
    window: usize,
}

/// What became of the messages that were sent.
pub(super) struct Published {
    /// From when a message was to be sent to its receipt, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Refusals, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Whether every refusal may be another one later.
    pub(super) all_for_now: bool,
    /// When each confirmed message that has receivers was to be sent, by its id.
    pub(super) sent_at: HashMap<String, Instant>,
    /// How many confirmed messages nobody receives.
    pub(super) without_receiver: u64,
}

type Outcome = (String, Instant, Result<Receipt, ClientError>);

impl Default for Published {
    fn default() -> Self {
        Self {
            latencies: histogram(),
            refused: BTreeMap::new(),
            all_for_now: true,
            sent_at: HashMap::new(),
            without_receiver: 0,
        }
    }
}

/// From a microsecond to an hour, to three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds that make sense")
}

/// Puts how long it is since then, in microseconds.
pub(super) fn record(latencies: &mut Histogram<u64>, since: Instant) {
    let micros = since.elapsed().as_micros();
    latencies.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
}

impl Lane {
    pub(super) fn new(client: &Client, window: u32, patience: Option<Duration>) -> Self {
        let mut options = PublisherOptions::default().max_in_flight(window);
        if let Some(patience) = patience {
            options = options.give_up_after(patience);
        }
        Self { publisher: client.publisher_with(options), window: window as usize }
    }

    pub(super) async fn run(self, plan: Arc<Plan>) -> Result<Published, Failure> {
        let Self { publisher, window } = self;
        let mut published = Published::default();
        let mut under_way: FuturesUnordered<BoxFuture<'static, Outcome>> = FuturesUnordered::new();
        while let Some((number, due)) = plan.take() {
            if let Some(due) = due {
                loop {
                    tokio::select! {
                        () = sleep_until(due) => break,
                        () = plan.stop.cancelled() => break,
                        Some(outcome) = under_way.next() => published.count(outcome, &plan),
                    }
                }
            }
            while under_way.len() >= window {
                if let Some(outcome) = under_way.next().await {
                    published.count(outcome, &plan);
                }
            }
            let id = plan.id(number);
            let since = due.unwrap_or_else(Instant::now);
            let pending = publisher.send(&plan.event.clone().with_id(id.as_str())).await?;
            under_way.push(Box::pin(async move { (id, since, pending.await) }));
            // Receipts that are there count at once.
            while let Some(Some(outcome)) = futures::FutureExt::now_or_never(under_way.next()) {
                published.count(outcome, &plan);
            }
        }
        while let Some(outcome) = under_way.next().await {
            published.count(outcome, &plan);
        }
        publisher.close().await?;
        Ok(published)
    }
}

impl Published {
    /// How many were confirmed.
    pub(super) fn confirmed(&self) -> u64 {
        self.latencies.len()
    }

    fn count(&mut self, (id, since, outcome): Outcome, plan: &Plan) {
        plan.progress.inc(1);
        match outcome {
            Ok(receipt) => {
                record(&mut self.latencies, since);
                if receipt.inboxes.is_empty() {
                    self.without_receiver += 1;
                } else {
                    self.sent_at.insert(id, since);
                }
            }
            Err(error) => {
                let reason = error.refusal().map(|refusal| refusal.reason.clone());
                *self.refused.entry(reason.unwrap_or_else(|| error.to_string())).or_default() += 1;
                self.all_for_now &= error.is_retryable();
            }
        }
    }

    /// Adds what another connection did.
    pub(super) fn add(&mut self, other: Self) {
        let Self { latencies, refused, all_for_now, sent_at, without_receiver } = other;
        self.latencies.add(latencies).expect("histograms of the same bounds");
        for (reason, count) in refused {
            *self.refused.entry(reason).or_default() += count;
        }
        self.all_for_now &= all_for_now;
        self.sent_at.extend(sent_at);
        self.without_receiver += without_receiver;
    }
}
