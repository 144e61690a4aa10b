use wissel_identifiers::{InboxName, Oin};

use crate::{Reason, Refusal};

/// Who calls, as the transport established it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A party: it publishes, subscribes, and sees what is its own.
    Party(Oin),
    /// An operator: sees and mends every queue, and neither publishes nor reads
    /// messages.
    Operator,
}

impl Caller {
    /// The party that calls; an operator is refused.
    pub(crate) fn party(self) -> Result<Oin, Refusal> {
        match self {
            Self::Party(party) => Ok(party),
            Self::Operator => Err(Refusal::new(
                Reason::NotGranted,
                "an operator neither publishes nor reads messages; call as a party",
            )),
        }
    }

    /// Whether the caller may see what this party owns.
    pub(crate) fn may_see(self, owner: Oin) -> bool {
        match self {
            Self::Party(party) => party == owner,
            Self::Operator => true,
        }
    }

    /// Refuses an inbox that the caller may not see as if it did not exist, so
    /// that names cannot be found out by trying.
    pub(crate) fn check_sees(self, inbox: &InboxName) -> Result<(), Refusal> {
        if self.may_see(inbox.owner()) { Ok(()) } else { Err(Refusal::unknown_inbox(inbox)) }
    }
}
