//! The bus on RabbitMQ.
//!
//! | on RabbitMQ | is |
//! |---|---|
//! | direct exchange `wissel.inboxes` | where every message is published, once, with its inboxes in the header `BCC` |
//! | quorum queue `wissel.inbox.<name>` | an inbox |
//! | quorum queue `wissel.dead.<name>` | its dead letters |
//! | fanout exchange and quorum queue `wissel.retry.<ms>` | where retries wait, and return from by dead-lettering |
//!
//! `BCC` is taken off by the broker, so no receiver sees who else gets a message.
//! A publish is `mandatory`, persistent, and answered when the broker confirms it.
//!
//! Connections come back by themselves: [`AmqpBus::connect`] does not need the
//! broker to be there, and a call waits for it, for a bounded time.
//!
//! What RabbitMQ cannot tell: `mandatory` returns a message that *no* queue took.
//! A queue that somebody deletes by hand while others remain is noticed when the
//! connection is made again, or the inbox is opened again, not before.

mod archive;
mod bus;
mod call;
mod codec;
mod confirm;
mod consumer;
mod dead_letters;
mod gathering;
mod held;
mod inspect;
mod level;
mod link;
mod marks;
mod options;
mod pack;
mod publisher;
mod remembrance;
mod sender;
mod settler;
mod topology;

pub use bus::AmqpBus;
pub use options::{AmqpError, AmqpOptions, Packing};
