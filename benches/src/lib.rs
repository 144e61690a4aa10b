//! What the benches share: rounds that alternate with a peer, medians, a report; the
//! workloads of routing.
#![allow(clippy::print_stdout, reason = "benches report on standard output")]

pub mod routing;

mod rounds;
mod work;

pub use rounds::{Arguments, Report, median};
pub use work::{
    Receiving, big_event, bus_on_rabbitmq, group_commit_log, publish_stream, raw_lapin,
};
