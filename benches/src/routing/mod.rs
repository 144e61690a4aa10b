//! Matching messages against many subscriptions, by Wissel and by its peers: the
//! workloads, one adapter for each contender, and how they are measured.
//!
//! A contender is timed only after its answers were found right: those of a scan of every
//! filter as it is written.
//! What it cannot express is left out and said, never approximated.

mod atree;
mod churn;
mod inboxes;
mod lookup;
mod matcher;
mod measure;
mod mix;
mod naive;
mod names;
mod plot;
mod quamina;
mod subscription;
mod wissel;
mod workload;

pub use churn::{Churn, churn};
pub use inboxes::{Inboxes, inboxes};
pub use matcher::{Contender, Matcher};
pub use measure::{Built, Effort, Outcome, Timing, allocations_a_message, build, take_turns};
pub use naive::Oracle;
pub use plot::{Curve, Panel, plot};
pub use subscription::{Condition, Subscription};
pub use workload::{Kind, Workload};
