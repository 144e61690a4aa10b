use std::borrow::Cow;
use std::fmt::Display;
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use smallvec::SmallVec;
use wissel_message::TraceContext;

use crate::Tracer;

/// On which side of what is done it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody asked for it, and waits.
    Server,
    /// It is handed to somebody.
    Producer,
    /// It is done within.
    Internal,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it was to be, in a word.
    Good(&'static str),
    /// Otherwise, in a word.
    Bad(&'static str),
}

/// Something that is being done. Dropped without an end, it is cut off.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    name: Cow<'static, str>,
    kind: Kind,
    context: TraceContext,
    parent: Option<TraceContext>,
    parent_is_remote: bool,
    begun: SystemTime,
    ended: Option<SystemTime>,
    attributes: Vec<KeyValue>,
    links: Vec<TraceContext>,
    outcome: Outcome,
}

/// A message that is followed on its road: a span of the whole, and one of each stage.
#[derive(Debug)]
pub struct Trace {
    whole: Span,
    /// Handed over with the whole, so that they stand together.
    stages: SmallVec<[(&'static str, SystemTime, SystemTime, bool); 10]>,
}

/// What a span that nobody ended says.
const CUT_OFF: Outcome = Outcome::Bad("cut_off");

impl Span {
    pub(crate) fn begin(
        tracer: Tracer,
        name: Cow<'static, str>,
        kind: Kind,
        parent: Option<TraceContext>,
    ) -> Self {
        let trace_id = parent.map_or_else(|| fastrand::u128(1..), |parent| parent.trace_id);
        let context = TraceContext { trace_id, span_id: fastrand::u64(1..), sampled: true };
        Self {
            tracer,
            name,
            kind,
            context,
            parent,
            parent_is_remote: true,
            begun: SystemTime::now(),
            ended: None,
            attributes: Vec::new(),
            links: Vec::new(),
            outcome: CUT_OFF,
        }
    }

    /// Where it stands, for what follows from it.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// What it is of; never a subject, data, or what else may be personal.
    pub fn set(&mut self, key: &'static str, value: impl Display) {
        self.attributes.push(KeyValue::new(key, value.to_string()));
    }

    /// A number that belongs to it.
    pub fn set_number(&mut self, key: &'static str, value: u32) {
        self.attributes.push(KeyValue::new(key, i64::from(value)));
    }

    /// Something in another trace, or elsewhere in this one, that it belongs to as well.
    pub fn link(&mut self, to: TraceContext) {
        self.links.push(to);
    }

    /// A span of something that follows from it, in this process.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        let (tracer, parent) = (self.tracer.clone(), Some(self.context));
        let mut child = Self::begin(tracer, name.into(), Kind::Internal, parent);
        child.parent_is_remote = false;
        child
    }

    /// Ends it now.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    fn finish(&mut self) {
        let mut attributes = std::mem::take(&mut self.attributes);
        let name = std::mem::take(&mut self.name);
        let Self { kind, context, parent, parent_is_remote, begun, ended, outcome, .. } = &*self;
        let (word, status) = match outcome {
            Outcome::Good(word) => (*word, Status::Unset),
            Outcome::Bad(word) => (*word, Status::error(*word)),
        };
        if !word.is_empty() {
            attributes
                .push(KeyValue::new(Key::from_static_str("wissel.outcome"), Value::from(word)));
        }
        let mut links = SpanLinks::default();
        links.links = self.links.iter().map(|to| Link::with_context(known(*to, true))).collect();
        self.tracer.finished(|instrumentation_scope| SpanData {
            span_context: known(*context, false),
            parent_span_id: parent
                .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id.to_be_bytes())),
            parent_span_is_remote: *parent_is_remote && parent.is_some(),
            span_kind: match kind {
                Kind::Server => SpanKind::Server,
                Kind::Producer => SpanKind::Producer,
                Kind::Internal => SpanKind::Internal,
            },
            name,
            start_time: *begun,
            end_time: ended.unwrap_or_else(SystemTime::now).max(*begun),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status,
            instrumentation_scope,
        });
    }
}

fn known(context: TraceContext, remote: bool) -> SpanContext {
    let TraceContext { trace_id, span_id, sampled } = context;
    let (trace_id, span_id) = (trace_id.to_be_bytes(), span_id.to_be_bytes());
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id));
    // What publishers put into a trace state is their text, and stays out of spans.
    SpanContext::new(trace_id, span_id, flags, remote, TraceState::NONE)
}

impl Drop for Span {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Trace {
    pub(crate) fn begin(tracer: Tracer, parent: Option<TraceContext>) -> Self {
        let whole = Span::begin(tracer, "publish".into(), Kind::Server, parent);
        Self { whole, stages: SmallVec::new() }
    }

    /// The span of the whole.
    pub fn whole(&mut self) -> &mut Span {
        &mut self.whole
    }

    /// Where the receivers of the message are to go on: where its publisher stands, or here
    /// when that is unknown.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.whole.context
    }

    /// The whole began then.
    pub fn began_at(&mut self, then: SystemTime) {
        self.whole.begun = then;
    }

    /// A stage that is over.
    pub fn stage(&mut self, name: &'static str, begun: SystemTime, went_well: bool) {
        self.stages.push((name, begun, SystemTime::now(), went_well));
    }

    /// Ends it now.
    pub fn end(mut self, outcome: Outcome) {
        for (name, begun, ended, went_well) in std::mem::take(&mut self.stages) {
            let mut span = self.whole.child(name);
            (span.begun, span.ended) = (begun, Some(ended));
            span.end(if went_well { Outcome::Good("") } else { Outcome::Bad("refused") });
        }
        self.whole.end(outcome);
    }
}
