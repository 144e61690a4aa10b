//! Spans of what happens to messages, and their export to a collector by OTLP.
//!
//! A [`Tracer`] decides which messages are followed. One that is not has no [`Trace`], and
//! costs nothing further. Spans wait in a bounded queue; what does not fit, or cannot be
//! exported, is dropped and counted: traffic never waits for a collector.
//!
//! A span holds ids, the event type, parties, inboxes and outcomes: never a subject, data, the
//! `id` or `source` of an event, or its `tracestate`, which is its publisher's text.

mod export;
mod span;
mod tracer;

pub use export::{Export, TracingError, TracingOptions};
pub use span::{Kind, Outcome, Span, Trace};
pub use tracer::Tracer;
pub use wissel_message::TraceContext;
