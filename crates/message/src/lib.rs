//! The CloudEvent: a borrowed view for the road, an owned event for everybody
//! else, the formats, and the rules.
//!
//! Follows CloudEvents 1.0: `cloudevents/spec.md`, `formats/json-format.md` and
//! `formats/protobuf-format.md` of <https://github.com/cloudevents/spec>.
//!
//! ```
//! use wissel_message::{Event, EventView, Limits, validate};
//!
//! let event = Event::builder("1", "urn:nld:oin:00000099000000001000:systeem:BRP", "nl.brp.geboorte")
//!     .extension("gemeente", "0344")
//!     .data_text("application/json", r#"{"plaats":"Utrecht"}"#)
//!     .build()?;
//!
//! let view = EventView::decode(event.encode())?;
//! assert_eq!(view.event_type(), "nl.brp.geboorte");
//! assert!(validate(&view, &Limits::default()).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod expiry;
mod json;
mod media_type;
mod profile;
mod rewrite;
mod rules;
mod scan;
mod timestamp;
mod trace;
mod value;
mod view;
mod violation;

pub use event::{Event, EventBuilder};
pub use expiry::expiry_time;
pub use json::{JsonError, JsonFaults};
pub use profile::{check_profile, is_reverse_domain_name};
pub use rules::{Limits, check_attribute_name, show_attribute_name, validate};
pub use scan::DecodeError;
pub use timestamp::{Timestamp, TimestampError};
pub use trace::{TRACEPARENT, TRACESTATE, TraceContext, TraceContextError, is_tracestate};
pub use value::{Data, OwnedData, OwnedValue, Value};
pub use view::EventView;
pub use violation::{Level, Rule, Violation, Violations};

/// Media type of one event in the CloudEvents protobuf format.
pub const PROTOBUF_MEDIA_TYPE: &str = "application/cloudevents+protobuf";
/// Media type of one event in the CloudEvents JSON format.
pub const JSON_MEDIA_TYPE: &str = "application/cloudevents+json";
