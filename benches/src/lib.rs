//! What the benches share: rounds that alternate with a peer, medians, a report; the
//! workloads of routing.
#![allow(clippy::print_stdout, reason = "benches report on standard output")]

pub mod routing;

mod bare;
mod bare_log;
mod nats;
mod rounds;
mod settle;
mod work;

pub use bare::BareAsking;
pub use bare_log::BareLog;
pub use nats::Nats;
pub use rounds::{Arguments, Report, median};
pub use settle::settle;
pub use work::{
    Receiving, big_event, bus_on_rabbitmq, catalogue_of, group_commit_log, messages,
    publish_stream, publish_through, raw_fan_out, raw_lapin, raw_lapin_through, receiver,
};
