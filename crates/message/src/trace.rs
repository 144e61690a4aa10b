//! Where a message stands in a distributed trace: W3C Trace Context, level 1
//! (<https://www.w3.org/TR/trace-context/>), as the CloudEvents distributed tracing extension
//! has it in the attributes `traceparent` and `tracestate`.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::{EventView, Value};

/// The attribute, and the header, with the trace, the span and whether it is sampled.
pub const TRACEPARENT: &str = "traceparent";
/// The attribute, and the header, with what tracing systems add.
pub const TRACESTATE: &str = "tracestate";

/// A place in a trace: what a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span in it; never 0.
    pub span_id: u64,
    /// Whether whoever began the trace records it.
    pub sampled: bool,
}

/// Why a text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent; expected 00, 32, 16 and 2 lower-case hexadecimal digits with - between them, and no id of zeros"
)]
pub struct TraceContextError;

const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// The most bytes of a `tracestate` that are passed on: what everybody is to pass on at least.
const TRACESTATE_MAX: usize = 512;

impl FromStr for TraceContext {
    type Err = TraceContextError;

    /// Of a later version than 00 what is known of it is read, as the standard asks.
    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        Self::parse(text.as_bytes()).ok_or(TraceContextError)
    }
}

impl TraceContext {
    fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let version = hexadecimal(&known[..2])?;
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let trace_id = hexadecimal(&known[3..35])?;
        let span_id = u64::try_from(hexadecimal(&known[36..52])?).ok()?;
        let flags = u8::try_from(hexadecimal(&known[53..])?).ok()?;
        let valid = fits && dashes && trace_id != 0 && span_id != 0;
        valid.then_some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, sampled } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*sampled))
    }
}

/// Whether a text may be passed on as a `tracestate`. Its form is for tracing systems to judge.
#[must_use]
pub fn is_tracestate(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TRACESTATE_MAX
        && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

impl EventView {
    /// Where the event says it stands in a trace; none when it does not, or not rightly.
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        match self.attribute(TRACEPARENT) {
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        }
    }

    /// Its `tracestate`, when that may be passed on.
    #[must_use]
    pub fn trace_state(&self) -> Option<&str> {
        match self.attribute(TRACESTATE) {
            Some(Value::String(text)) if is_tracestate(text) => Some(text),
            _ => None,
        }
    }

    /// The same frame, standing here in a trace. For an event that does not say: what an event
    /// says of itself is not for others to change.
    #[must_use]
    pub fn traced(&self, context: TraceContext, state: Option<&str>) -> Bytes {
        let frame = self.with_attribute(TRACEPARENT, &context.to_string());
        match state {
            Some(state) => crate::rewrite::append_attribute(&frame, TRACESTATE, state),
            None => frame,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Event;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id, context.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), TEXT);
        let other_flags = TEXT.replace("-01", "-fe");
        assert!(!other_flags.parse::<TraceContext>().unwrap().sampled);
        for later in
            [TEXT.replacen("00", "01", 1), format!("{}-more", TEXT.replacen("00", "cc", 1))]
        {
            assert_eq!(later.parse(), Ok(context), "{later}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let upper = TEXT.to_uppercase();
        let no_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let no_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        let (version, longer) = (TEXT.replacen("00", "ff", 1), format!("{TEXT}-more"));
        let later = format!("{}more", TEXT.replacen("00", "01", 1));
        for bad in ["", "00", &TEXT[1..], &upper, &no_trace, &no_span, &version, &longer, &later] {
            assert_eq!(bad.parse::<TraceContext>(), Err(TraceContextError), "{bad}");
        }
    }

    #[test]
    fn an_event_says_where_it_stands() {
        let event = Event::builder("1", "urn:nld:oin:00000099000000001000:systeem:BRP", "nl.x");
        let view = EventView::decode(event.build().unwrap().encode()).unwrap();
        assert_eq!(view.trace_context(), None);
        let context = TEXT.parse().unwrap();
        let traced = EventView::decode(view.traced(context, Some("a=b"))).unwrap();
        assert_eq!((traced.trace_context(), traced.trace_state()), (Some(context), Some("a=b")));
        let long = "a".repeat(TRACESTATE_MAX + 1);
        for bad in ["", "a=é", long.as_str()] {
            assert!(!is_tracestate(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_context_comes_back(trace_id in 1..u128::MAX, span_id in 1..u64::MAX, sampled: bool) {
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC*") {
            let _ = text.parse::<TraceContext>();
        }
    }
}
