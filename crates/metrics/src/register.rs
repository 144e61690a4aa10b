//! Metrics, and what is told of each.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry, Unit};

/// What is told of a metric.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// As Prometheus stores it.
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) labels: &'static str,
    pub(crate) help: &'static str,
}

/// Puts metrics into a registry, and keeps what they are.
#[derive(Debug)]
pub(crate) struct Register {
    pub(crate) registry: Registry,
    pub(crate) described: Vec<Described>,
}

/// What every name begins with.
const PREFIX: &str = "wissel";

impl Register {
    pub(crate) fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), described: Vec::new() }
    }

    /// Adds a metric without labels, or whose labels are told by `labels`.
    pub(crate) fn add<M: Metric + Clone>(
        &mut self,
        name: &'static str,
        unit: Option<Unit>,
        labels: &'static str,
        help: &'static str,
        metric: &M,
    ) {
        let suffix = unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        let (kind, total) = match metric.metric_type() {
            MetricType::Counter => ("counter", "_total"),
            MetricType::Histogram => ("histogram", ""),
            _ => ("gauge", ""),
        };
        let name_there = format!("{PREFIX}_{name}{suffix}{total}");
        self.described.push(Described { name: name_there, kind, labels, help });
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, metric.clone()),
            None => self.registry.register(name, help, metric.clone()),
        }
    }
}
