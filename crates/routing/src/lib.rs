//! Which subscriptions match a message: the index.
//!
//! # How it works
//!
//! Each subscription is filed where few messages look: of what it asks, something is
//! chosen that a message can be looked up by, such as its event type and its subject
//! together. A message is looked up once for each kind of place that is in use for its
//! type, and only what is found there is held against what the place does not say.
//!
//! | operation | cost |
//! |---|---|
//! | route | one look-up for each kind of place in use for the event type, one walk along each text whose beginnings or ends are asked for, and what is found |
//! | insert, remove | O(log n): old and new table share what did not change |
//! | snapshot | one atomic load |
//!
//! `docs/routing.md` tells it all, with figures.

mod affixes;
mod bucket;
mod changes;
mod choice;
mod entry;
mod explain;
mod key;
mod pages;
mod plan;
mod predicates;
mod question;
mod router;
mod scratch;
mod sets;
mod table;

pub use changes::{Alternative, Changes};
pub use explain::Filed;
pub use key::SubjectMark;
pub use router::Router;
pub use table::Table;
