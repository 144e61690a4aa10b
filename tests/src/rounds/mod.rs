//! Rounds of faults that repeat under a seed.
//!
//! In a round, publishers and subscribers that keep ledgers of their own work through wires
//! that can be cut, while servers are killed, stopped, paused and robbed of their disk as a
//! [`Plan`] says, which follows from a seed. At its end the ledgers are held against each
//! other: what a receipt promises was done or is a dead letter, nothing came to whom it was
//! not for, and what came twice did so for a reason.

mod counts;
mod disk;
mod ledger;
mod messages;
mod plan;
mod proxy;
mod publisher;
mod pulse;
mod queues;
mod rig;
mod round;
mod run;
mod subscriber;
mod telling;

pub use counts::{Counts, Duplicates};
pub use plan::{BusKind, Cut, Fault, Habits, Plan, Timed};
pub use proxy::Proxy;
pub use rig::Rig;
pub use round::{Failure, Outcome};
pub use run::{Run, table};
