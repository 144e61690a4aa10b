//! The memory of receipts: which message was published before, and what its
//! publisher was told.
//!
//! [`Receipts`] keeps, for each message with a receipt, what the receipt said, in one
//! directory on the storage engine [fjall](https://docs.rs/fjall). A message is known by
//! a hash of its publisher, source and id under a secret of the directory
//! ([`IdentityKey`]): none of them is kept.
//!
//! ```
//! use wissel_receipts::{ReceiptOptions, Receipts, Remembered};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let receipts = Receipts::open(directory.path(), ReceiptOptions::default())?;
//! let publisher = "00000004001094920000".parse()?;
//! let identity = receipts.identity_key().hash(&publisher, "urn:nld:oin:…:systeem:BRP", "1");
//! assert_eq!(receipts.find(identity), None);
//!
//! let remembered = Remembered {
//!     message_id: wissel_bus::MessageId::now(),
//!     admitted_at: std::time::SystemTime::now(),
//!     inboxes: ["00000001002220647000.verhuizingen".parse()?].into(),
//! };
//! receipts.remember(identity, remembered.clone());
//! receipts.settle();
//! assert_eq!(receipts.find(identity), Some(remembered));
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! [`Receipts::remember`] puts a receipt in a bounded queue and returns. One thread takes
//! what is in the queue, writes it in batches, and syncs once a second and at the end. A
//! killed process forgets what it had not yet written, some thousandths of a second; a loss
//! of power the last second. What is forgotten may be delivered twice. Nothing is ever
//! remembered that was not told to `remember`.
//!
//! What is written together is one value on disk, and found by memory. When there are 65,536
//! receipts of that kind, or 8 MiB, they are sorted, and become a table.
//!
//! The window is cut into slices, each a keyspace. Receipts go into the youngest; when it
//! covers its part of the window, or holds its part of the capacity, another begins. A slice
//! that is older than the window is dropped whole, and so is the oldest one, early, when all
//! together hold more than the capacity.
//!
//! # What it costs
//!
//! On disk: about 80 bytes for each unit of the capacity, of which a message takes one
//! and one more for each 16 inboxes, up to twice that while the engine merges, and
//! 64 MiB for the journal. In memory: up to 3 bytes a unit for filters, by which nearly every
//! new message is known to be new without reading; 80 MiB at most for cache, write buffers,
//! queue and what is young; and the names of the inboxes. Filters are not on disk: after opening a second
//! thread makes them, and until then a look-up of a new message takes some microseconds.
//!
//! When the storage fails, a warning is logged, what comes waits in the queue as long as
//! there is room, and opening the directory is tried again every 5 s. Meanwhile nothing that
//! is on disk is known: messages may be delivered twice, and publishing goes on.

mod error;
mod filter;
mod identity;
mod queue;
mod receipts;
mod remembered;
mod slice;
mod slices;
mod writer;
mod young;

pub use error::ReceiptsError;
pub use identity::{Identity, IdentityKey};
pub use receipts::{Clock, ReceiptOptions, Receipts};
pub use remembered::Remembered;
