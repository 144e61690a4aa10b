//! While an inbox is paused nothing of it is handed out; when it gets or loses its order it is
//! taken up anew.

use super::Session;
use crate::Broker;

impl Session {
    /// The inbox may have been paused, or go on, or have got or lost its order. Then what is held
    /// is taken back at once, as by a bus that was interrupted: for order to hold, nothing may be
    /// with anyone to whom it came without.
    pub(super) fn look_again(&mut self) {
        self.source.look(&self.broker, &self.inbox);
        if self.source.is_outdated() {
            self.everything_was_taken_back();
        }
    }

    /// While nothing is handed out, gives all back once nothing is held or being settled. What
    /// has arrived goes with it.
    pub(super) fn let_go_if_idle(&mut self) {
        if self.source.rests() && self.held.is_empty() && self.settling.is_empty() {
            self.arrived.clear();
            self.source.let_go();
        }
    }
}

impl Broker {
    /// Has sessions look again at whether their inboxes are ordered, if so.
    pub(crate) fn order_may_change(&self, it_may: bool) {
        if it_may {
            self.pauses.send_modify(|changes| *changes += 1);
        }
    }
}
