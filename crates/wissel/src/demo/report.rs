//! What came of the day.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::demo::ledger::Ledger;
use crate::exit::Failure;
use crate::output;

/// The totals. Times are in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seconds: f64,
    published: u64,
    receipts: u64,
    refused: usize,
    deliveries_expected: u64,
    deliveries: u64,
    lost: u64,
    wrong: u64,
    duplicates: u64,
    publish_to_receipt_ms: Latency,
    publish_to_delivery_ms: Latency,
    #[serde(skip)]
    first_refusal: Option<String>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Report {
    pub(crate) fn of(ledger: &Ledger, published_for: Duration) -> Self {
        let books = ledger.books();
        Self {
            seconds: published_for.as_secs_f64(),
            published: books.published(),
            receipts: books.receipts,
            refused: books.refusals.len(),
            deliveries_expected: books.expected,
            deliveries: books.deliveries,
            lost: books.expected - books.deliveries,
            wrong: books.wrong,
            duplicates: books.duplicates,
            publish_to_receipt_ms: Latency::of(&books.receipt_latency),
            publish_to_delivery_ms: Latency::of(&books.delivery_latency),
            first_refusal: books.refusals.first().cloned(),
        }
    }

    pub(crate) fn print(&self) {
        let Self { published, receipts, deliveries, .. } = self;
        output::line(&format!(
            "published   {published} messages in {:.1} s, {receipts} receipts, {} refused",
            self.seconds, self.refused
        ));
        output::line(&format!(
            "delivered   {deliveries} of {} to the inboxes entitled to them; {} lost, {} wrong, {} \
             duplicates",
            self.deliveries_expected, self.lost, self.wrong, self.duplicates
        ));
        for (what, latency) in [
            ("receipt     publish to durable receipt", &self.publish_to_receipt_ms),
            ("delivery    publish to delivery       ", &self.publish_to_delivery_ms),
        ] {
            output::line(&format!(
                "{what}  median {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
                latency.p50, latency.p99, latency.max
            ));
        }
    }

    /// Fails when anything was lost, refused, or went to the wrong party.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        if let Some(refusal) = &self.first_refusal {
            return Err(Failure::refused(format!(
                "{} refused, the first: {refusal}",
                self.refused
            )));
        }
        if self.lost > 0 || self.wrong > 0 {
            let Self { lost, wrong, .. } = self;
            return Err(Failure::refused(format!("{lost} deliveries lost, {wrong} wrong")));
        }
        Ok(())
    }
}

impl Latency {
    fn of(microseconds: &Histogram<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "two digits count")]
        let milliseconds = |value: u64| value as f64 / 1_000.0;
        Self {
            p50: milliseconds(microseconds.value_at_quantile(0.5)),
            p99: milliseconds(microseconds.value_at_quantile(0.99)),
            max: milliseconds(microseconds.max()),
        }
    }
}
