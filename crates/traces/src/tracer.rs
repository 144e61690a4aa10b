use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use wissel_message::TraceContext;
use wissel_metrics::Metrics;

use crate::{Kind, Span, Trace};

/// Decides what is followed, and takes the spans of it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<On>>);

#[derive(Debug)]
struct On {
    sample: f64,
    scope: InstrumentationScope,
    spans: mpsc::Sender<SpanData>,
    metrics: Arc<Metrics>,
}

impl Tracer {
    /// One that follows nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    pub(crate) fn on(sample: f64, spans: mpsc::Sender<SpanData>, metrics: Arc<Metrics>) -> Self {
        let scope =
            InstrumentationScope::builder("wissel").with_version(env!("CARGO_PKG_VERSION")).build();
        Self(Some(Arc::new(On { sample, scope, spans, metrics })))
    }

    /// Whether anything is followed.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Follows a message that comes in when its publisher does, as its `parent` says; when the
    /// publisher says nothing, one in so many. None: it is not followed.
    #[must_use]
    pub fn follow(&self, parent: Option<TraceContext>) -> Option<Box<Trace>> {
        let on = self.0.as_ref()?;
        let is_followed = match parent {
            Some(parent) => parent.sampled,
            None => fastrand::f64() < on.sample,
        };
        is_followed.then(|| Box::new(Trace::begin(self.clone(), parent)))
    }

    /// A span of something that happens to a message that was followed where it came in; none
    /// when it was not.
    #[must_use]
    pub fn span(
        &self,
        name: &'static str,
        kind: Kind,
        parent: Option<TraceContext>,
    ) -> Option<Box<Span>> {
        let parent = parent.filter(|parent| self.is_on() && parent.sampled)?;
        Some(Box::new(Span::begin(self.clone(), name.into(), kind, Some(parent))))
    }

    /// Hands a span over to be exported, or drops it.
    pub(crate) fn finished(&self, finish: impl FnOnce(InstrumentationScope) -> SpanData) {
        let Some(on) = &self.0 else { return };
        match on.spans.try_reserve() {
            Ok(place) => place.send(finish(on.scope.clone())),
            Err(_) => on.metrics.spans("dropped", 1),
        }
    }
}
