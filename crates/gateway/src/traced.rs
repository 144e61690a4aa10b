//! Where a caller stands in a trace, as it says in the metadata of its call (W3C Trace Context).

use bytes::Bytes;
use tonic::metadata::MetadataMap;
use wissel_broker::TraceContext;
use wissel_message::{EventView, TRACEPARENT, TRACESTATE, is_tracestate};

/// What a caller said, for the events of its call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traced(Option<(TraceContext, Option<String>)>);

/// What is added to an event takes no more than this, in bytes.
const ADDED_MAX: usize = 1024;

/// Where a caller stands, when it is followed there.
pub(crate) fn context(metadata: &MetadataMap) -> Option<TraceContext> {
    let context: TraceContext = metadata.get(TRACEPARENT)?.to_str().ok()?.parse().ok()?;
    context.sampled.then_some(context)
}

impl Traced {
    pub(crate) fn of(metadata: &MetadataMap) -> Self {
        Self(context(metadata).map(|context| {
            let state = metadata.get(TRACESTATE).and_then(|state| state.to_str().ok());
            (context, state.filter(|state| is_tracestate(state)).map(ToOwned::to_owned))
        }))
    }

    /// The event, standing where its caller does, unless it says itself where it stands. One
    /// that would be too large for it stays as it is.
    pub(crate) fn event(&self, frame: Bytes, bytes_max: usize) -> Bytes {
        let Some((context, state)) = &self.0 else { return frame };
        if frame.len() + ADDED_MAX > bytes_max {
            return frame;
        }
        match EventView::decode(frame.clone()) {
            Ok(view) if view.attribute(TRACEPARENT).is_none() => {
                // What stands there alone is of no trace.
                let state = state.as_deref().filter(|_| view.attribute(TRACESTATE).is_none());
                view.traced(*context, state)
            }
            _ => frame,
        }
    }

    pub(crate) fn events(&self, frames: Vec<Bytes>, bytes_max: usize) -> Vec<Bytes> {
        if self.0.is_none() {
            return frames;
        }
        frames.into_iter().map(|frame| self.event(frame, bytes_max)).collect()
    }
}
