//! The client against a peer that speaks the API over real connections and fails
//! on purpose. The end-to-end tests with the gateway are elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod managing;
mod opened_inbox;
mod peer;
mod publisher;
mod single_calls;
