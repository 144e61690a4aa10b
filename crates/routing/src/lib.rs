//! Which subscriptions match a message: the index.
//!
//! # How it works
//!
//! Each subscription is filed in one place, under the equality that is likely to
//! hold for the fewest messages: its exact `subject`, else another exact
//! attribute, else its event types, else under "everything". Each such
//! attribute in use is a *shape*; a message is looked up once a shape, and only
//! the subscriptions filed under its own value are evaluated.
//!
//! | operation | cost |
//! |---|---|
//! | route | one look-up a shape in use or an attribute of the message, whichever are fewer, and one evaluation a candidate |
//! | insert, remove | O(log n): the maps are shared between old and new table |
//! | snapshot | one atomic load |
//!
//! Filing under a subject makes a million subject-level subscriptions cost what
//! one costs. Subscriptions with nothing but prefixes are all evaluated.

mod bucket;
mod found;
mod names;
mod router;
mod subscription;
mod table;

pub use router::{Alternative, Changes, Router};
pub use table::Table;
