use std::time::Duration;

use serde::{Deserialize, Serialize};
use wissel_traces::TracingOptions;

use crate::exit::Failure;

/// Which messages are followed in traces, and where their spans go.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tracing {
    /// The collector's address for OTLP over gRPC; none: nothing is followed.
    pub(crate) endpoint: Option<String>,
    /// Of messages whose publisher says nothing of a trace, this part is followed: 0 to 1.
    pub(crate) sample: f64,
    /// What the gateway is called in traces.
    pub(crate) service_name: String,
    /// How long one export may take, in milliseconds.
    pub(crate) timeout_ms: u64,
    /// The most spans that wait; more are dropped.
    pub(crate) queue: usize,
}

impl Tracing {
    /// What is asked for; none: it is off.
    pub(crate) fn options(&self) -> Result<Option<TracingOptions>, Failure> {
        let wrong = |text: String| Err(Failure::usage(format!("tracing.{text}")));
        let Some(endpoint) = self.endpoint.clone() else { return Ok(None) };
        if !(0.0..=1.0).contains(&self.sample) {
            return wrong(format!("sample: {}; expected 0 to 1, such as 0.01", self.sample));
        }
        if !(1..=60_000).contains(&self.timeout_ms) {
            return wrong(format!("timeout_ms: {}; expected 1 to 60000", self.timeout_ms));
        }
        if !(1..=1_000_000).contains(&self.queue) {
            return wrong(format!("queue: {}; expected 1 to 1000000", self.queue));
        }
        if self.service_name.trim().is_empty() {
            return wrong("service_name: empty; expected a name such as wissel".to_owned());
        }
        Ok(Some(TracingOptions {
            endpoint,
            sample: self.sample,
            service_name: self.service_name.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            queue: self.queue,
        }))
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample: 0.01,
            service_name: "wissel".to_owned(),
            timeout_ms: 5_000,
            queue: 8_192,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_unless_it_has_an_endpoint_and_faults_are_named() {
        assert!(Tracing::default().options().unwrap().is_none());
        let with = |text: &str| {
            let text = format!("endpoint = \"http://127.0.0.1:4317\"\n{text}");
            toml::from_str::<Tracing>(&text).unwrap().options()
        };
        assert_eq!(with("sample = 1").unwrap().unwrap().sample, 1.0);
        for bad in
            ["sample = 1.5", "sample = -1", "timeout_ms = 0", "queue = 0", "service_name = ''"]
        {
            assert!(with(bad).is_err(), "{bad}");
        }
        assert!(toml::from_str::<Tracing>("samples = 1").is_err());
    }
}
