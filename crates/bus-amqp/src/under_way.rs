//! What was sent and is not done.

use crate::call::Member;
use crate::gathering::Pack;

/// A pack that was sent.
pub(crate) struct UnderWay {
    /// Without its members when nobody waits for any of them: it is not sent again.
    pub(crate) pack: Pack<Member>,
    /// How many members it was sent with, and the bytes of their events.
    pub(crate) members: usize,
    pub(crate) bytes: usize,
    pub(crate) declared_again: bool,
}

impl UnderWay {
    pub(crate) fn new(pack: Pack<Member>) -> Self {
        let members = pack.members.len();
        let bytes = pack.members.iter().map(|member| member.kept.envelope.event.len()).sum();
        Self { pack, members, bytes, declared_again: false }
    }

    /// Whether nobody waits for any of its members.
    pub(crate) fn is_given_up(&self) -> bool {
        self.pack.members.iter().all(|member| member.call.is_given_up())
    }
}
