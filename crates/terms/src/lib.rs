//! The calendar of Dutch legal terms: when does a term of the law end?
//!
//! A [`Term`] is a length of time as laws name it: `8 weeks`, `3 working days`. Where it
//! begins, [`Term::ends`] says when it is over, by the *Algemene termijnenwet* (general
//! act on terms, BWBR0002448):
//!
//! | article | says | here |
//! |---|---|---|
//! | 1(1) | a term that ends on a Saturday, a Sunday or a recognised holiday goes on to and with the first day that is none | [`Term::ends`] |
//! | 1(2) | not so for what is counted back from a moment | [`Term::reminder`] |
//! | 2 | a term of at least three days has at least two days that are none | [`Term::ends`] |
//! | 3(1), 3(2) | what the recognised holidays are, and Good Friday, which counts as one | [`Holiday`] |
//! | 3(3) | the government may declare days equal to them | [`Calendar::declare`] |
//! | 4(a) | none of it for terms in hours, in more than 90 days, more than twelve weeks, more than three months, or in years | [`Term::is_extended`] |
//!
//! What the rest of article 4 leaves out, the publication of regulations and the deprivation
//! of liberty, is no matter of messages, and not here.
//!
//! Days are those of Amsterdam, whatever zone the machine is in. The day on which a term
//! begins does not count; the term is over at the end of its last day.
//!
//! ```
//! use wissel_terms::{Calendar, Term};
//!
//! // Six weeks after Friday 14 November 2025 is the second Christmas day, a Friday.
//! let term: Term = "6 weeks".parse()?;
//! let ends = term.ends("2025-11-14T10:00:00+01:00".parse()?, &Calendar::new());
//! // So it goes on to and with Monday the 29th.
//! assert_eq!(ends, "2025-12-30T00:00:00+01:00".parse()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod amsterdam;
mod calendar;
mod easter;
mod error;
mod holidays;
mod length;
mod term;

pub use calendar::Calendar;
pub use easter::easter;
pub use error::{CalendarError, TermError};
pub use holidays::Holiday;
pub use term::{Term, Unit};
