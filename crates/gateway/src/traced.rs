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

/// Where a caller stands, followed there or not.
pub(crate) fn context(metadata: &MetadataMap) -> Option<TraceContext> {
    metadata.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use wissel_message::Event;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn metadata(parent: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(TRACEPARENT, parent.parse().unwrap());
        metadata.insert(TRACESTATE, "vendor=1".parse().unwrap());
        metadata
    }

    fn told(metadata: &MetadataMap, says: Option<&str>) -> (Option<String>, Option<String>) {
        let mut event = Event::builder("1", "urn:nld:oin:00000099000000001000:systeem:BRP", "nl.x");
        if let Some(parent) = says {
            event = event.extension(TRACEPARENT, parent);
        }
        let frame = event.build().unwrap().encode();
        let view = EventView::decode(Traced::of(metadata).event(frame, 1 << 20)).unwrap();
        let context = view.trace_context().map(|context| context.to_string());
        (context, view.trace_state().map(ToOwned::to_owned))
    }

    #[test]
    fn an_event_that_says_nothing_stands_where_its_caller_does_followed_or_not() {
        for parent in [PARENT.to_owned(), PARENT.replace("-01", "-00")] {
            let found = told(&metadata(&parent), None);
            assert_eq!(found, (Some(parent), Some("vendor=1".to_owned())));
        }
    }

    #[test]
    fn what_an_event_says_stays() {
        let own = PARENT.replace("b7-01", "b8-00");
        assert_eq!(told(&metadata(PARENT), Some(&own)), (Some(own), None));
    }

    #[test]
    fn what_is_no_trace_is_left_out() {
        assert_eq!(told(&metadata("00-0-0-01"), None), (None, None));
    }

    #[test]
    fn an_event_without_room_for_it_stays_as_it_is() {
        let event = Event::builder("1", "urn:nld:oin:00000099000000001000:systeem:BRP", "nl.x");
        let frame = event.build().unwrap().encode();
        assert_eq!(Traced::of(&metadata(PARENT)).event(frame.clone(), frame.len()), frame);
    }
}
