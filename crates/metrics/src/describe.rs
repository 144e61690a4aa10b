//! A page about every metric.

use std::fmt::Write as _;

use crate::Metrics;
use crate::register::Described;

const BEGIN: &str = "# Metrics

What `/metrics` tells, in the text format of OpenMetrics, on the listener of operators (`[console] listen`).
The alert rules in [deploy/prometheus](../deploy/prometheus) and the dashboard in [deploy/grafana](../deploy/grafana) use
them. This page is written by `cargo run --package wissel-metrics --example describe > docs/metrics.md`.

| metric | kind | labels | what it is |
|---|---|---|---|
";

impl Metrics {
    /// The page `docs/metrics.md`.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut all = self.described().to_vec();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let mut page = BEGIN.to_owned();
        for Described { name, kind, labels, help } in all {
            let labels: Vec<String> = labels
                .split(", ")
                .filter(|label| !label.is_empty())
                .map(|label| format!("`{label}`"))
                .collect();
            // Writing to a string does not fail.
            let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use crate::{DeadCause, Expiry, InboxGauges, Metrics, Settled, State};

    #[test]
    fn the_page_is_up_to_date() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let written = std::fs::read_to_string(page).unwrap();
        let how = "cargo run --package wissel-metrics --example describe > docs/metrics.md";
        assert!(written == Metrics::new().describe(), "docs/metrics.md is old: {how}");
    }

    #[test]
    fn what_is_counted_is_told_under_the_name_that_is_described() {
        let metrics = Metrics::new();
        metrics.admitted("nl.brp.geboorte", 1);
        metrics.enqueued(3);
        metrics.refused("NOT_GRANTED", 2);
        metrics.repeated();
        metrics.receipts_after(Duration::from_millis(3), 1);
        metrics.handed_out(4);
        metrics.delivered_after(Duration::from_millis(7));
        metrics.settled(Settled::Acknowledged, 4);
        metrics.dead(DeadCause::Expired, 5);
        metrics.question("late");
        metrics.catalogue_read(false);
        metrics.spans("dropped", 8);
        let ends = |name: &str| Expiry {
            name: name.to_owned(),
            at: std::time::UNIX_EPOCH + Duration::from_secs(9),
        };
        let gauges = InboxGauges {
            waiting: 6,
            oldest_age: Duration::from_secs(1),
            ..InboxGauges::default()
        };
        let state = State {
            ready: true,
            worst: vec![("00000001002220647000.x".to_owned(), gauges)],
            certificates: vec![ends("gateway")],
            revocation_lists: vec![ends("1")],
            ..State::default()
        };
        let text = metrics.encode(&state);
        for expected in [
            "wissel_messages_admitted_total{type=\"nl.brp.geboorte\"} 1",
            "wissel_deliveries_enqueued_total 3",
            "wissel_messages_refused_total{reason=\"NOT_GRANTED\"} 2",
            "wissel_receipt_duration_seconds_bucket{le=\"0.005\"} 1",
            "wissel_delivery_latency_seconds_count 1",
            "wissel_dead_letters_made_total{cause=\"expired\"} 5",
            "wissel_ready 1",
            "wissel_trace_spans_total{outcome=\"dropped\"} 8",
            "wissel_inbox_deliveries{inbox=\"00000001002220647000.x\",state=\"waiting\"} 6",
            "wissel_certificate_expiry_time_seconds{certificate=\"gateway\"} 9.0",
            "wissel_revocation_list_expiry_time_seconds{list=\"1\"} 9.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} in\n{text}");
        }
        // Those that were worse before are not told any more.
        assert!(!metrics.encode(&State::default()).contains("wissel_inbox_deliveries{"));
        for one in metrics.described() {
            let family = one.name.trim_end_matches("_total");
            assert!(text.contains(&format!("# HELP {family} ")), "{family} in\n{text}");
        }
    }
}
