//! What may be in a message's `data`, and what of it a receiver gets.
//!
//! A [`DataSchema`] is a JSON Schema (draft 2020-12) that was compiled once and checked
//! to be safe against hostile data: what it costs is bounded, whatever arrives. A
//! [`FieldSet`] is a list of JSON Pointers (RFC 6901) that keeps those fields of `data`
//! and drops the others (*dataminimalisatie*):
//!
//! ```
//! use serde_json::json;
//! use wissel_schema::{DataSchema, FieldSet, parse};
//!
//! let schema = DataSchema::compile(&json!({
//!     "type": "object",
//!     "properties": { "naam": { "type": "string" }, "woonplaats": { "type": "string" } },
//!     "required": ["naam", "woonplaats"],
//!     "additionalProperties": false
//! }))?;
//! let data = r#"{"naam": "Jansen", "woonplaats": "Utrecht"}"#;
//! schema.validate(&parse(data.as_bytes())?)?;
//!
//! let fields = FieldSet::new(["/woonplaats"])?;
//! assert_eq!(fields.minimise(data)?, r#"{"woonplaats":"Utrecht"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No error of this crate holds a value of the data: it may be personal.

mod compile;
mod fault;
mod fields;
mod json;
mod minimise;
mod projection;

pub use compile::{DataSchema, SchemaError};
pub use fault::{DataFault, DataFaults};
pub use fields::{FieldSet, FieldsError};
pub use json::{JsonFault, parse};
pub use projection::Projection;
