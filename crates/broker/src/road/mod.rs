//! The road of a message, a room a stage.
//!
//! | room | takes | makes |
//! |---|---|---|
//! | [`decode`] | the frame, as it came | [`decode::Received`] |
//! | [`identify`] | `Received`, the caller | [`identify::Identified`] |
//! | [`authorise`] | `Identified`, the catalogue | [`authorise::Authorised`] |
//! | [`validate`] | `Authorised`, the limits | [`validate::Admitted`] |
//! | [`deduplicate`] | `Admitted`, the window | [`deduplicate::Fresh`], or an earlier receipt |
//! | [`route`] | `Fresh`, the routing table | [`route::Routed`] |
//! | [`room`] | `Routed`, the limits of inboxes | the same, with room taken |
//! | [`minimise`] | `Routed` | [`minimise::Minimised`] |
//! | [`enqueue`] | `Minimised`, the bus | a [`Receipt`](crate::Receipt) |
//!
//! Each type can be made by its own room only. All rooms but the last are
//! synchronous and wait for nothing.

pub mod authorise;
pub mod decode;
pub mod deduplicate;
pub mod enqueue;
pub mod identify;
pub mod minimise;
mod recent;
pub mod room;
pub mod route;
mod source;
pub mod validate;
