//! The bus on local disk, in the process.
//!
//! [`EmbeddedBus`] keeps inboxes in one directory, on the storage engine
//! [fjall](https://docs.rs/fjall), and gives every promise of [`wissel_bus::Bus`]
//! on one machine. It needs no server: it is what a newcomer starts with, and
//! enough for a gateway that stands alone.
//!
//! ```
//! use wissel_bus::{Arrival, Bus, Credit, Enqueue, Envelope, MessageId, Settlement};
//! use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.path()))?;
//! let inbox = "00000001002220647000.verhuizingen".parse()?;
//! bus.open_inbox(&inbox).await?;
//!
//! let envelope = Envelope {
//!     message_id: MessageId::now(),
//!     publisher: "00000004001094920000".parse()?,
//!     admitted_at: std::time::SystemTime::now(),
//!     fields: None,
//!     replayed: false,
//!     event: "…".into(),
//! };
//! let item = Enqueue::new(envelope, vec![inbox.clone()]);
//! for answer in bus.enqueue(vec![item]).await {
//!     answer?; // durable
//! }
//!
//! let mut consumer = bus.consume(&inbox, Credit::of(100)).await?;
//! if let Some(Arrival::Delivery(delivery)) = consumer.arrivals.recv().await {
//!     let done = (delivery.tag, Settlement::Acknowledge);
//!     consumer.settler.settle(vec![done]).await;
//! }
//! bus.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! One thread writes. While it waits for the disk, calls gather; they are then
//! written as one batch with one `fdatasync`, and answered. A message that comes
//! alone waits for no other. Acknowledgements ride along and are durable within a
//! second.
//!
//! A message is written once, however many inboxes it goes to. Messages that are written
//! together share an entry, a *pack* of at most 64, and what an inbox gets of them another, a
//! *run*: a bit tells that a delivery of a run is done with, a count who still has a message
//! of a pack. Run and pack go with their last; a pack of which half is for nobody is written
//! again without it some seconds later. An inbox is a range of runs, in order. Of a
//! delivery that waits on disk nothing is in memory: a second thread reads as many
//! as consumers have credit for. When nothing waits, the writer hands a new
//! message straight to a consumer.
//!
//! # What it costs
//!
//! Opening replays the engine's journal (at most 512 MiB) and counts every
//! delivery, without reading messages: half a second to some seconds for a million.
//! Memory is the cache of the options, the engine's write buffers (64 MiB each, a
//! few at a time), calls that wait to be written (at most 64 MiB), and what
//! consumers hold. A queue that was long and is emptied gives its disk space back by
//! a third thread, which has the engine merge when most of what is on disk was
//! removed; a quarter of a GiB may stay.
//!
//! When the storage fails, by a full disk or a broken one, the call that met it
//! and all later ones fail with [`BusError::Storage`](wissel_bus::BusError::Storage)
//! until the bus is opened again; what is durable is still handed out.

mod bus;
mod clock;
#[cfg(any(test, feature = "simulation"))]
pub mod driven;
mod error;
mod feeder;
mod inbox;
mod queue;
mod settler;
mod shared;
#[cfg(test)]
mod simulation;
mod storage;
mod upkeep;
mod walk;
mod writer;

pub use bus::{EmbeddedBus, EmbeddedOptions};
pub use error::EmbeddedBusError;
