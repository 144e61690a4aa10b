//! Signals of parties about subjects, and what is told when those of two of them meet
//! (the pattern **match**).
//!
//! A party files that it is concerned with somebody, and no more. When another party is, each
//! is told of the other. Whom signals are about is known by a pseudonym only, a chain of keyed
//! hashes ([`keys`]), and nobody can ask it. A signal is forgotten when its time is over, and
//! when its party withdraws it.
//!
//! Filing and matching are two steps ([`upkeep`]): filing answers the same, and takes the same
//! time, whether a signal meets another. Who files a signal for everybody, to see whom others
//! are concerned with, is slowed down ([`limits`]), is on record for each, and is named to each
//! party whose signal it meets.

mod filing;
mod keys;
mod limits;
mod notices;
mod reference;
mod upkeep;

use std::path::PathBuf;

use parking_lot::Mutex;
use tokio::sync::Notify;

pub use filing::{FiledSignal, Filing};
pub use keys::{KeyError, rotate_key};

use keys::Keys;
use limits::FilingLimits;

/// Signals at one gateway.
pub(crate) struct Matching {
    /// Where the keys of pseudonyms are.
    key_file: PathBuf,
    /// The keys as they were read last.
    keys: Mutex<Option<Keys>>,
    limits: FilingLimits,
    /// That there are signals that were not looked at yet.
    to_match: Notify,
}

impl Matching {
    pub(crate) fn new(key_file: PathBuf) -> Self {
        let (keys, limits, to_match) = Default::default();
        Self { key_file, keys, limits, to_match }
    }

    /// Keys were added by another process.
    pub(crate) fn read_keys_again(&self) {
        tracing::info!("the keys of pseudonyms are read again");
        *self.keys.lock() = None;
    }
}
