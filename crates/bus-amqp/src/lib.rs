//! The bus on RabbitMQ.
//!
//! | on RabbitMQ | is |
//! |---|---|
//! | the default exchange | where every message is published, once; to several queues by the header `BCC` |
//! | quorum queue `wissel.inbox.<name>` | an inbox |
//! | quorum queue `wissel.dead.<name>` | its dead letters |
//! | quorum queue `wissel.direct.<name>` | what was handed over to the AMQP client of the inbox's owner |
//! | fanout exchange and quorum queue `wissel.retry.<ms>` | where retries wait, and return from by dead-lettering |
//! | direct exchange `wissel.inboxes` | by which they return: each inbox is bound to it by its name |
//! | stream `wissel.archive` | the archive |
//! | quorum queue `wissel.marks.<name>` | what was settled of packs that were given back; made when there is something |
//!
//! `BCC` is taken off by the broker, so no receiver sees who else gets a message.
//! A publish is `mandatory`, persistent, and answered when the broker confirms it.
//!
//! # Packs
//!
//! Messages for the same inboxes travel as one AMQP message when they come faster than
//! the broker confirms them: a *pack* (content type `application/vnd.wissel.pack.v1`,
//! laid out in `pack.rs`), confirmed, stored and acknowledged as one. Nothing waits for
//! others while few packs of its inboxes are unconfirmed, and there are no timers. A
//! message for inboxes that have different packs open is parted, one part for each.
//!
//! Each member is settled by itself. A retry or a dead letter of one is published by
//! itself; the pack is acknowledged with its last member. When a consumer ends, its packs
//! go back to the queue, and what was settled of them is remembered: by this process, at
//! most 4,096 packs of an inbox, and in `wissel.marks.<name>` for others, at most a week.
//! When the process dies before that, members that were settled come again.
//!
//! What a consumer holds in memory: what it was handed, which its credit bounds in messages
//! and bytes, and what waits for it, in the AMQP messages that it asked the broker for. It asks
//! for 8, and for up to four times as many whenever all of them are here, are fewer messages
//! than its credit, and leave room for bytes; for 8 again when far more wait. When messages grow
//! larger than those by which its window grew, it takes no more until there is room; what the
//! window had under way by then may come over it. Of an inbox with several consumers, what waits
//! for one does not go to another.
//!
//! The depth of an inbox counts messages. Packs that this process published or met are
//! counted by their members; those of others as one until they are met.
//!
//! # The archive
//!
//! A stream has its own durability: RabbitMQ confirms when a majority has the message, and
//! leaves it to the operating system when it is on disk. It forgets whole segments of
//! 100 MB when they are over the retention; what is over its own time is not shown before.
//! RabbitMQ 3.10 does not find a stream (nor a quorum queue) again when it was killed
//! within a few seconds after that was declared for the first time.
//!
//! Connections come back by themselves: [`AmqpBus::connect`] does not need the
//! broker to be there, and a call waits for it, for a bounded time.
//!
//! What no queue takes comes back and is published again, when its queues were declared again:
//! also when that is known only after it was answered (`late.rs`). What RabbitMQ cannot tell:
//! `mandatory` returns a message that *no* queue took. A queue that somebody deletes by hand
//! while others remain is noticed when the connection is made again, or the inbox is opened
//! again, not before.

mod archive;
mod browse;
mod bus;
mod call;
mod codec;
mod confirm;
mod consumer;
mod dead_letters;
mod direct;
mod examine;
mod gathering;
mod held;
mod inspect;
mod late;
mod level;
mod link;
mod marks;
mod options;
mod pack;
mod publisher;
mod remembrance;
mod sender;
mod server;
mod settler;
mod sight;
mod taking;
mod topology;
mod under_way;
mod up;
mod waiting;
mod walk;

pub use bus::AmqpBus;
pub use examine::{Probe, probe};
pub use options::{AmqpError, AmqpOptions, Packing};
pub use server::Server;
