use std::time::Duration;

use serde::{Deserialize, Serialize};
use wissel_traces::TracingOptions;

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
    pub(crate) fn options(&self) -> Option<TracingOptions> {
        Some(TracingOptions {
            endpoint: self.endpoint.clone()?,
            sample: self.sample,
            service_name: self.service_name.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            queue: self.queue,
        })
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
    fn it_is_off_unless_it_has_an_endpoint() {
        assert!(Tracing::default().options().is_none());
        let text = "endpoint = \"http://127.0.0.1:4317\"\nsample = 1";
        let tracing: Tracing = toml::from_str(text).unwrap();
        assert_eq!(tracing.options().unwrap().sample, 1.0);
        assert!(toml::from_str::<Tracing>("samples = 1").is_err());
    }
}
