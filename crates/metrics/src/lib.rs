//! What is counted and measured, by the names under which Prometheus knows it.
//!
//! [`Metrics`] is counted in while messages go by: each method is an addition or two, and
//! holds up nobody. [`State`] is what is true at one moment: whoever answers a scrape
//! finds that out, and gives it to [`Metrics::encode`]. Names follow OpenMetrics 1.0: a unit
//! as suffix, `_total` for what only grows. No label has more values than the catalogue has
//! event types, but for `inbox`, of which only those that fare worst are told.
//!
//! `docs/metrics.md` is [`Metrics::describe`], written by
//! `cargo run --package wissel-metrics --example describe > docs/metrics.md`.

mod buckets;
mod describe;
mod metrics;
mod register;
mod state;

pub use buckets::Quantiles;
pub use metrics::{DeadCause, Metrics, Settled};
pub use state::{Expiry, InboxGauges, Process, State};

/// The media type of what [`Metrics::encode`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
