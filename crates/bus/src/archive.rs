use std::time::SystemTime;

use crate::{Envelope, PAGE_BYTES};

/// A message that is kept for replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Where it stands.
    pub position: ArchivePosition,
    /// The message as it was published.
    pub envelope: Envelope,
}

/// Where a message stands in the archive of one bus; of no use to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchivePosition(pub u128);

/// A part of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchivePage {
    /// Admitted at this moment or later,
    pub from: SystemTime,
    /// and before this one.
    pub until: SystemTime,
    /// Begin behind this one; at the beginning when absent.
    pub after: Option<ArchivePosition>,
    /// At most this many.
    pub limit: usize,
}

impl ArchivePage {
    /// Whether these are as many, or as large, as one page may hold: there may be more.
    #[must_use]
    pub fn is_full(&self, archived: &[Archived]) -> bool {
        let bytes = || archived.iter().map(|one| one.envelope.event.len()).sum::<usize>();
        archived.len() >= self.limit || bytes() >= PAGE_BYTES
    }
}
