//! What a benchmark came to.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::publishing::Published;
use super::receiving::Received;
use crate::amounts::amount;
use crate::exit::Failure;
use crate::output;

pub(super) struct Report {
    pub(super) published: Published,
    pub(super) received: Option<Received>,
    pub(super) took: Duration,
}

const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
/// How wide the longest bar is.
const BAR: u64 = 50;

impl Report {
    /// Prints it. Fails when something was refused, or did not come.
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            output::json(&self.to_json())?;
        } else {
            self.print_text();
        }
        let refused: u64 = self.published.refused.values().sum();
        let missing = self.received.as_ref().map_or(0, |received| received.missing);
        if refused == 0 && missing == 0 {
            return Ok(());
        }
        let refused = amount(refused, "message was", "messages were");
        let message = format!("{refused} refused, {missing} did not come");
        if missing == 0 && self.published.all_for_now {
            Err(Failure::unavailable(message))
        } else {
            Err(Failure::refused(message))
        }
    }

    fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is no account")]
        let confirmed = self.published.confirmed() as f64;
        confirmed / self.took.as_secs_f64()
    }

    fn to_json(&self) -> Value {
        let Published { latencies, refused, without_receiver, .. } = &self.published;
        let received = self.received.as_ref().map(|received| {
            json!({
                "deliveries": received.latencies.len(),
                "again": received.again,
                "missing": received.missing,
                "others": received.others,
                "latency_seconds": seconds(&received.latencies),
            })
        });
        json!({
            "seconds": self.took.as_secs_f64(),
            "confirmed": self.published.confirmed(),
            "confirmed_per_second": self.per_second(),
            "refused": refused,
            "without_receiver": without_receiver,
            "receipt_latency_seconds": seconds(latencies),
            "received": received,
        })
    }

    fn print_text(&self) {
        let Published { latencies, refused, without_receiver, .. } = &self.published;
        let confirmed = self.published.confirmed();
        let (took, rate) = (output::fine_duration(self.took), output::rate(self.per_second()));
        let messages = amount(confirmed, "message", "messages");
        output::line(&format!("{messages} confirmed in {took}, {rate} a second"));
        if *without_receiver > 0 {
            output::line(&format!("{without_receiver} of them have no receiver"));
        }
        for (reason, count) in refused {
            output::line(&format!("{count} refused: {reason}"));
        }
        let mut rows = vec![row("to its receipt", latencies)];
        if let Some(received) = &self.received {
            let Received { latencies, again, missing, others } = received;
            let came = latencies.len();
            output::line(&format!(
                "{came} delivered, {again} more than once, {missing} missing; {others} of others \
                 put back"
            ));
            rows.push(row("to its delivery", latencies));
        }
        output::line("");
        let names = QUANTILES.iter().map(|(name, _)| format!(">{}", name.to_uppercase()));
        let columns: Vec<String> = std::iter::once("A MESSAGE".to_owned()).chain(names).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        output::table(&columns, rows);
        let last = self.received.as_ref().map_or(latencies, |received| &received.latencies);
        output::line("");
        bars(last).iter().for_each(|line| output::line(line));
    }
}

fn at(latencies: &Histogram<u64>, quantile: f64) -> Duration {
    Duration::from_micros(latencies.value_at_quantile(quantile))
}

fn row(name: &str, latencies: &Histogram<u64>) -> Vec<String> {
    let values = QUANTILES.iter().map(|(_, quantile)| {
        if latencies.is_empty() {
            "–".to_owned()
        } else {
            output::short_duration(at(latencies, *quantile))
        }
    });
    std::iter::once(name.to_owned()).chain(values).collect()
}

fn seconds(latencies: &Histogram<u64>) -> Value {
    if latencies.is_empty() {
        return Value::Null;
    }
    let values = QUANTILES.iter().map(|(name, quantile)| {
        ((*name).to_owned(), json!(at(latencies, *quantile).as_secs_f64()))
    });
    Value::Object(values.collect())
}

/// How many took how long: a bar for each doubling.
fn bars(latencies: &Histogram<u64>) -> Vec<String> {
    let steps: Vec<(Duration, u64)> = latencies
        .iter_log(64, 2.0)
        .map(|step| {
            (Duration::from_micros(step.value_iterated_to()), step.count_since_last_iteration())
        })
        .collect();
    let most = steps.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let first = steps.iter().position(|(_, count)| *count > 0).unwrap_or(steps.len());
    steps[first..]
        .iter()
        .map(|(until, count)| {
            let length = usize::try_from((count * BAR).div_ceil(most)).unwrap_or_default();
            let until = output::short_duration(*until);
            format!("{until:>9} {count:>9} {}", "▇".repeat(length)).trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::publishing::histogram;
    use super::*;

    #[test]
    fn bars_are_as_long_as_they_are_many() {
        let mut latencies = histogram();
        latencies.record_n(100, 10).unwrap();
        latencies.record_n(3_000, 5).unwrap();
        let bars = bars(&latencies);
        let length = |bar: &str| bar.chars().filter(|one| *one == '▇').count();
        assert_eq!((length(&bars[0]), length(bars.last().unwrap())), (50, 25), "{bars:?}");
        assert!(super::bars(&histogram()).iter().all(|bar| length(bar) == 0));
        assert_eq!(seconds(&histogram()), Value::Null);
    }
}
