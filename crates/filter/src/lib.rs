//! CloudEvents filter dialects and CESQL: parse, check, compile, evaluate.
//!
//! Follows the CloudEvents Subscriptions API (`subscriptions/spec.md`, section
//! "Filters") and the CloudEvents SQL Expression Language (`cesql/spec.md`), version
//! 1.0.0, of <https://github.com/cloudevents/spec>. In files and JSON a filter is
//! spelled as there:
//!
//! ```
//! use wissel_filter::Filter;
//!
//! let filter: Filter = serde_json::from_str(
//!     r#"{"any": [{"exact": {"gemeente": "0344"}}, {"sql": "teller > 10 AND EXISTS spoed"}]}"#,
//! )?;
//! let condition = filter.compile()?;
//!
//! let event = wissel_message::Event::builder("1", "/bron", "nl.brp.geboorte")
//!     .extension("gemeente", "0344")
//!     .build()?;
//! let event = wissel_message::EventView::decode(event.encode())?;
//! assert!(condition.holds(&wissel_filter::EventFacts::new(&event)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # From text to a test
//!
//! A [`Filter`] is what is written. [`Filter::compile`] makes a [`Condition`], the one
//! form of all dialects; it holds for a message or does not. [`Condition::necessary`]
//! says what an index can look up. An [`Expression`] is CESQL by itself: it gives a
//! value *and* errors.
//!
//! # An extension of Wissel: `DATA`
//!
//! CESQL reads attributes only. Here `DATA('/adres/gemeente')` reads a value in JSON
//! `data`, and `HAS_DATA('/adres/gemeente')` says whether it is there. The argument is
//! a string literal that holds a JSON Pointer (RFC 6901), as in a grant's fields. See
//! [`DataFacts`] for the types. It is spelled as a function because that is CESQL to
//! every parser: another engine answers `missingFunction`, and nothing else that is
//! valid CESQL changes its meaning.

mod cast;
mod compile;
mod condition;
mod data;
mod error;
mod evaluate;
mod evaluation;
mod explain;
mod facts;
mod filter;
mod functions;
mod like;
pub mod limits;
mod masked;
mod necessary;
mod operand;
mod sql;
mod words;

pub use cast::with_canonical;
pub use condition::Condition;
pub use data::DataFacts;
pub use error::{FilterError, FilterFault};
pub use evaluation::{ErrorKind, Evaluation, EvaluationError, Output};
pub use facts::{EventFacts, Facts};
pub use filter::Filter;
pub use necessary::Necessary;
pub use operand::Operand;
pub use sql::{Expression, ParseError};

#[cfg(test)]
mod tests;
