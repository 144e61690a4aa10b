//! The application: the road of a message, and deliveries. Knows no transport.
//!
//! # The road of a message
//!
//! ```text
//! bytes -> decode -> identify -> authorise -> validate -> deduplicate -> route -> minimise -> enqueue -> receipt
//! ```
//!
//! Each stage is a room of its own in [`road`] and takes the type that the stage
//! before it made, so a message that was not authorised cannot be routed by
//! mistake. A stage refuses with a [`Refusal`], which the transports translate.
//!
//! # Deliveries
//!
//! A [`Session`] hands the deliveries of one inbox to one receiver under a lease,
//! and takes back what is not settled in time.

mod archive;
mod broker;
mod caller;
mod clock;
mod counting;
mod dead_letters;
mod direct;
pub mod direction;
pub mod dossier;
pub mod entitlement;
mod follow;
mod followed;
mod forward;
mod looking;
mod masked;
mod operations;
mod operator;
mod ordered;
mod policy;
mod processing;
mod publish_limits;
mod publishing;
pub mod questions;
mod readiness;
mod readings;
mod receipt;
mod receivers;
mod records;
mod refusal;
mod reload;
mod replay;
mod replays;
pub mod reports;
pub mod road;
mod session;
mod setbacks;
#[cfg(test)]
mod simulation;
mod subscriptions;
mod survey;
mod turns;

pub use archive::{ArchivePart, ArchivedType};
pub use broker::{Broker, BrokerOptions, StartError};
pub use caller::Caller;
pub use dead_letters::{RedriveOptions, Which};
pub use direction::Direction;
pub use dossier::{Dossier, Sought};
pub use looking::{Group, Looked};
pub use masked::masked;
pub use operations::{Inbox, Status};
pub use operator::{Operator, Role, Roles, UnknownRole};
pub use policy::DeliveryDefaults;
pub use processing::Processing;
pub use questions::{ReplyTo, Wait};
pub use readiness::{Check, Disk, Readiness};
pub use readings::{ReadAgain, Reading};
pub use receipt::Receipt;
pub use receivers::Receiver;
pub use records::Records;
pub use refusal::{Fault, Reason, Refusal};
pub use replay::{ReplayOptions, Replayed};
pub use session::{Leased, Session, SessionEnd, SessionEvent, SessionOptions, Verdict};
pub use subscriptions::Subscription;
pub use survey::{
    Concern, HISTORY_LENGTH, Order, Rates, SLOW_AFTER, Survey, Surveyed, Totals, UNREAD_AFTER,
};
/// How the record of processing is looked at.
pub mod audit {
    pub use wissel_audit::{Line, Look, Looked, Operation};
}

pub use wissel_store::{Followed, InboxSettings, WhenFull};
pub use wissel_traces::{TraceContext, Tracer};
