//! Signals about subjects, which are known by pseudonyms only, and what is told of them.

use std::error::Error;
use std::time::SystemTime;

use uuid::Uuid;
use wissel_identifiers::Oin;

use crate::{Store, StoreError};

/// What stands for the subject of a signal: a keyed hash, never the subject.
pub type Pseudonym = [u8; 32];

/// With how many keys pseudonyms are made, one after the other, and whether they are the
/// right ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PseudonymKeys {
    /// How many; at least 1.
    pub count: u32,
    /// The pseudonym of something that everybody knows.
    pub proof: Pseudonym,
}

/// One more key, as the exchange made it.
pub struct NewKey {
    /// Makes of a pseudonym under the keys before it one under this as well.
    pub wrap: Box<dyn Fn(&Pseudonym) -> Pseudonym + Send>,
    /// The proof under all keys, this one included.
    pub proof: Pseudonym,
}

/// Makes one more key than there are, kept before this returns; none when there is no need.
pub type MakeKey = Box<
    dyn FnOnce(Option<PseudonymKeys>) -> Result<Option<NewKey>, Box<dyn Error + Send + Sync>>
        + Send,
>;

/// A signal to be filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSignal {
    /// Names it; of version 7, so that ids are in the order of time.
    pub id: Uuid,
    /// The type of its notices.
    pub event_type: String,
    /// Who files it.
    pub party: Oin,
    /// What the party knows it by.
    pub reference: String,
    /// Whom or what it is about.
    pub pseudonym: Pseudonym,
    /// How many keys the pseudonym was made with.
    pub keys: u32,
    /// When it is filed; milliseconds are kept.
    pub filed_at: SystemTime,
    /// When it is forgotten; milliseconds are kept.
    pub expires_at: SystemTime,
    /// The most signals of the party about one subject.
    pub most: u32,
}

/// What became of a signal that was to be filed. Says nothing of those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filed {
    /// It is there now.
    New,
    /// The party has one with this reference about this subject, which stays as it is.
    Same {
        /// Its id.
        id: Uuid,
        /// When it is forgotten.
        expires_at: SystemTime,
    },
    /// The party has one with this reference about another subject.
    Conflict,
    /// The party has as many about this subject as it may.
    TooMany,
    /// Pseudonyms are made with another number of keys by now.
    OtherKeys,
}

/// A signal as its party may see it: not whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Names it.
    pub id: Uuid,
    /// The type of its notices.
    pub event_type: String,
    /// Whose it is.
    pub party: Oin,
    /// What the party knows it by.
    pub reference: String,
    /// When it was filed.
    pub filed_at: SystemTime,
    /// When it is forgotten.
    pub expires_at: SystemTime,
    /// With whose signals it matches, each once for each of theirs, by time.
    pub matches: Vec<SignalMatch>,
}

/// That a signal matches with one of another party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalMatch {
    /// The other party.
    pub party: Oin,
    /// Since when.
    pub matched_at: SystemTime,
}

/// A signal that becomes another party's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The signal.
    pub id: Uuid,
    /// Whose it is.
    pub from: Oin,
    /// Whose it becomes.
    pub to: Oin,
    /// What the new party knows it by; where that is empty or taken, the signal's id.
    pub reference: String,
}

/// Something that a party is to be told about a signal of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalNotice {
    /// What it says.
    pub what: NoticeOf,
    /// The receiver's own signal.
    pub signal: Uuid,
    /// Its event type.
    pub event_type: String,
    /// The receiver.
    pub receiver: Oin,
    /// What the receiver knows its signal by.
    pub reference: String,
    /// When the receiver's signal is forgotten.
    pub expires_at: SystemTime,
    /// The other party.
    pub party: Oin,
    /// Whose the other signal was before.
    pub previous: Option<Oin>,
    /// When it happened.
    pub at: SystemTime,
}

/// Writes a notice as a message, in the CloudEvents protobuf format, which goes to the outbox
/// together with what it tells of. None when nothing can be told.
pub type Tell = Box<dyn Fn(&SignalNotice) -> Option<Vec<u8>> + Send>;

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeOf {
    /// The signal matches with one of the other party.
    Match,
    /// The signal that it matched with is the other party's by now.
    Moved,
    /// The signal was the other party's, and is the receiver's now.
    Received,
    /// The other party withdrew the signal that it matched with.
    Withdrawn,
}

impl NoticeOf {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Moved => "moved",
            Self::Received => "received",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Store {
    /// With which keys pseudonyms are made; none when none were.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn pseudonym_keys(&self) -> Result<Option<PseudonymKeys>, StoreError> {
        self.backend.pseudonym_keys().await
    }

    /// Puts one more key over all pseudonyms. No other process does so meanwhile, nor files
    /// a signal. Says whether there was a need.
    ///
    /// # Errors
    /// When the key cannot be made, or the state not be written: it is as it was.
    pub async fn add_pseudonym_key(&self, make: MakeKey) -> Result<bool, StoreError> {
        self.backend.add_pseudonym_key(make).await
    }

    /// Files a signal. It matches when [`Store::match_signals`] comes by, so that filing
    /// takes the same time whether it does.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn file_signal(&self, signal: NewSignal) -> Result<Filed, StoreError> {
        self.backend.file_signal(signal).await
    }

    /// A signal that is not over its time; without its matches.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn signal(&self, id: Uuid) -> Result<Option<Signal>, StoreError> {
        self.backend.signal(id).await
    }

    /// The signals of a party behind this one, in the order of their ids.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn signals_of(
        &self,
        party: Oin,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        self.backend.signals_of(party, after, limit).await
    }

    /// Forgets a signal of a party for good, and has the parties that it matched with told.
    /// Says whether it was there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn withdraw_signal(
        &self,
        id: Uuid,
        party: Oin,
        tell: Tell,
    ) -> Result<bool, StoreError> {
        self.backend.withdraw_signal(id, party, tell).await
    }

    /// Makes a signal another party's, and has that party told, and those that it matches
    /// with. Says whether it was there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn transfer_signal(
        &self,
        transfer: Transfer,
        tell: Tell,
    ) -> Result<bool, StoreError> {
        self.backend.transfer_signal(transfer, tell).await
    }

    /// Looks for matches of signals that were not looked at yet, so many at a time, and has
    /// both parties of each told. Says how many signals it looked at.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn match_signals(&self, limit: usize, tell: Tell) -> Result<usize, StoreError> {
        self.backend.match_signals(limit, tell).await
    }

    /// Forgets the signals that are over their time, for good. Says how many.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn expire_signals(&self) -> Result<usize, StoreError> {
        self.backend.expire_signals().await
    }

    /// When the next signal is over its time.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn next_signal_expiry(&self) -> Result<Option<SystemTime>, StoreError> {
        self.backend.next_signal_expiry().await
    }
}
