//! What a crash may take.

use super::super::town::PLACES;
use super::{Fate, Ledger, Now, Stand, State, Times};

/// How a broker and its bus go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum End {
    /// It has time to give back what it holds.
    ShutDown,
    Killed,
    PowerLost,
}

impl Ledger {
    /// Broker and bus are gone, and with them all subscribers.
    pub(in super::super) fn crashed(&mut self, end: End, now: Now) {
        self.mendings_are_over(now);
        self.all_are_gone(now);
        for message in &mut self.messages {
            // Receipts are not kept on disk here.
            message.first = None;
        }
        for (place, stand) in self.all_mut() {
            stand.crashed(end);
            stand.is_written(now);
            if PLACES[place].ordered {
                // How many attempts there were is lost with the gateway.
                if let State::Waiting(_) = stand.state {
                    stand.state = State::Waiting(Times::any());
                    // As a dead letter it has them.
                    let most = if stand.maybe.is_some() { stand.attempts.1 } else { 1 };
                    stand.attempts = (stand.attempts.0.min(1), most);
                }
            }
        }
    }
}

impl Stand {
    fn crashed(&mut self, end: End) {
        let lost = end == End::PowerLost && !self.synced;
        match self.state {
            // That it came back from its wait may be lost.
            State::Leased { .. } => self.state = State::Waiting(self.retried),
            State::Waiting(times) if self.is_sure() && times == Times::any() => {
                self.state = State::Waiting(self.retried);
            }
            _ if !self.is_sure() => self.doubt(),
            State::Done(Fate::Acknowledged) if lost => self.doubt(),
            State::Done(_) | State::Waiting(_) => {}
        }
    }
}
