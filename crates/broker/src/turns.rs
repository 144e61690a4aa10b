//! Changes of one inbox come one after the other, however long one takes, while others change
//! what is theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use wissel_identifiers::InboxName;

/// Whose turn it is to change an inbox. Nobody waits for a turn who holds [`Broker::control`].
///
/// [`Broker::control`]: crate::Broker
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<InboxName, Arc<tokio::sync::Mutex<()>>>>);

/// Nobody else changes the inbox meanwhile.
pub(crate) struct Turn {
    _held: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for the turn to change an inbox that there is.
    pub(crate) async fn of(&self, inbox: &InboxName) -> Turn {
        let of_inbox = Arc::clone(self.0.lock().entry(inbox.clone()).or_default());
        Turn { _held: of_inbox.lock_owned().await }
    }
}
