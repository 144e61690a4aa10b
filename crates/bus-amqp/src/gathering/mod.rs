//! Which messages travel together, and when. No I/O: the order of things only.
//!
//! A message goes out at once as long as fewer than [`AT_ONCE`] packs of each of its
//! inboxes are unconfirmed. What comes meanwhile is gathered: a message joins the
//! pack that its inboxes have open, if that is for the same inboxes, so that nothing
//! in any inbox is overtaken. When its inboxes have packs open for others as well, a
//! message is parted: it joins, or opens, one pack for each of its inboxes, since
//! waiting for a common one would make packs of one message of a mixed stream.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lapin::types::ShortString;
use wissel_bus::InboxName;

use crate::options::Packing;
use crate::topology::{ARCHIVE, inbox_queue};

#[cfg(test)]
mod tests;

/// How many packs of one inbox may be under way before the next ones gather.
pub(crate) const AT_ONCE: usize = 4;
/// A message for more inboxes is not parted: its bytes are sent once for each part.
pub(crate) const PARTED_MAX: usize = 16;
/// How many inboxes one AMQP message goes to at most: their names must fit in one frame.
pub(crate) const TARGETS_MAX: usize = 500;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Inbox(InboxName),
    Archive,
}

/// What waits to be sent, in its order. `M` is a message, or a part of one.
pub(crate) struct Gathering<M> {
    packing: Packing,
    lanes: HashMap<Target, Lane>,
    /// Packs that were not taken yet, by number.
    open: HashMap<u64, Pack<M>>,
    /// Those of them that may be taken.
    ready: VecDeque<u64>,
    next_number: u64,
}

/// Messages for the same targets that travel as one.
pub(crate) struct Pack<M> {
    /// Counts the packs.
    pub(crate) number: u64,
    pub(crate) targets: Arc<[Target]>,
    pub(crate) members: Vec<M>,
    bytes: usize,
    ready: bool,
}

/// What is on its way to one target.
#[derive(Default)]
struct Lane {
    /// Packs that were taken and are not done.
    under_way: usize,
    /// Packs that were not taken, in their order.
    open: VecDeque<u64>,
}

/// Where a message belongs.
enum Place {
    /// In this open pack.
    In(u64),
    /// In a new pack behind those that are open.
    New,
    /// In one for each of its targets.
    Parted,
}

impl<M: Clone> Gathering<M> {
    pub(crate) fn new(packing: Packing) -> Self {
        Self {
            packing,
            lanes: HashMap::new(),
            open: HashMap::new(),
            ready: VecDeque::new(),
            next_number: 1,
        }
    }

    /// Adds a message behind all that were added before. Says in how many parts it
    /// travels, each with a clone of `member`.
    pub(crate) fn add(&mut self, targets: &[Target], bytes: usize, member: &M) -> usize {
        if targets.len() > TARGETS_MAX {
            let chunks = targets.chunks(TARGETS_MAX);
            return chunks.map(|chunk| self.add(chunk, bytes, member)).sum();
        }
        match self.place(targets, bytes) {
            Place::In(number) => {
                self.join(number, bytes, member.clone());
                1
            }
            Place::New => {
                self.begin(targets.into(), bytes, member.clone());
                1
            }
            Place::Parted => {
                for target in targets {
                    let target = std::slice::from_ref(target);
                    match self.place(target, bytes) {
                        Place::In(number) => self.join(number, bytes, member.clone()),
                        _ => self.begin(target.into(), bytes, member.clone()),
                    }
                }
                targets.len()
            }
        }
    }

    /// The next pack that may be sent; [`Gathering::done`] must follow.
    pub(crate) fn take(&mut self) -> Option<Pack<M>> {
        let number = self.ready.pop_front()?;
        let pack = self.open.remove(&number)?;
        if self.packing.is_on() {
            for target in &*pack.targets {
                let lane = self.lanes.entry(target.clone()).or_default();
                lane.open.pop_front();
                lane.under_way += 1;
            }
            self.consider_next(&pack.targets);
        }
        Some(pack)
    }

    /// A pack that was taken for these targets is confirmed, or given up on.
    pub(crate) fn done(&mut self, targets: &[Target]) {
        if !self.packing.is_on() {
            return;
        }
        for target in targets {
            let Some(lane) = self.lanes.get_mut(target) else { continue };
            lane.under_way = lane.under_way.saturating_sub(1);
            if lane.under_way == 0 && lane.open.is_empty() {
                self.lanes.remove(target);
            }
        }
        self.consider_next(targets);
    }

    /// Forgets the members that nobody waits for any more.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&M) -> bool) {
        let mut emptied = Vec::new();
        for pack in self.open.values_mut() {
            pack.members.retain(&mut wanted);
            if pack.members.is_empty() {
                emptied.push(pack.number);
            }
        }
        for number in emptied {
            let Some(pack) = self.open.remove(&number) else { continue };
            self.ready.retain(|ready| *ready != number);
            for target in &*pack.targets {
                let Some(lane) = self.lanes.get_mut(target) else { continue };
                lane.open.retain(|open| *open != number);
                if lane.under_way == 0 && lane.open.is_empty() {
                    self.lanes.remove(target);
                }
            }
            self.consider_next(&pack.targets);
        }
    }

    fn place(&self, targets: &[Target], bytes: usize) -> Place {
        if !self.packing.is_on() {
            return Place::New;
        }
        let mut lasts = targets.iter().map(|target| self.lanes.get(target)?.open.back());
        let first = lasts.next().flatten();
        let (mut all_same, mut none_open) = (true, first.is_none());
        for last in lasts {
            all_same &= last == first;
            none_open &= last.is_none();
        }
        if none_open {
            return Place::New;
        }
        let common = first.filter(|_| all_same).and_then(|number| self.open.get(number));
        match common {
            Some(pack) if *pack.targets == *targets => {
                let has_room = pack.members.len() < self.packing.messages_max
                    && pack.bytes + bytes <= self.packing.bytes_max;
                if has_room { Place::In(pack.number) } else { Place::New }
            }
            _ if targets.len() == 1 || targets.len() > PARTED_MAX => Place::New,
            // What travels alone because of its size is not sent several times either.
            _ if bytes > self.packing.bytes_max => Place::New,
            _ => Place::Parted,
        }
    }

    fn join(&mut self, number: u64, bytes: usize, member: M) {
        if let Some(pack) = self.open.get_mut(&number) {
            pack.members.push(member);
            pack.bytes += bytes;
        }
    }

    fn begin(&mut self, targets: Arc<[Target]>, bytes: usize, member: M) {
        let number = self.next_number;
        self.next_number += 1;
        let ready = !self.packing.is_on();
        if ready {
            self.ready.push_back(number);
        } else {
            for target in &*targets {
                self.lanes.entry(target.clone()).or_default().open.push_back(number);
            }
        }
        self.open.insert(number, Pack { number, targets, members: vec![member], bytes, ready });
        if !ready {
            self.consider(number);
        }
    }

    /// The first open packs of these lanes, which may have become ready.
    fn consider_next(&mut self, targets: &[Target]) {
        for target in targets {
            let first = self.lanes.get(target).and_then(|lane| lane.open.front().copied());
            if let Some(number) = first {
                self.consider(number);
            }
        }
    }

    /// Ready is a pack that is the first of each of its lanes, which must have room.
    fn consider(&mut self, number: u64) {
        let Some(pack) = self.open.get_mut(&number) else { return };
        let lanes = &self.lanes;
        let may_go = |target: &Target| {
            let lane = lanes.get(target);
            lane.is_some_and(|lane| lane.open.front() == Some(&number) && lane.under_way < AT_ONCE)
        };
        if !pack.ready && pack.targets.iter().all(may_go) {
            pack.ready = true;
            self.ready.push_back(number);
        }
    }
}

// === impl Target ===

impl Target {
    pub(crate) fn queue(&self) -> ShortString {
        match self {
            Self::Inbox(inbox) => inbox_queue(inbox),
            Self::Archive => ARCHIVE.into(),
        }
    }

    pub(crate) fn inbox(&self) -> Option<&InboxName> {
        match self {
            Self::Inbox(inbox) => Some(inbox),
            Self::Archive => None,
        }
    }
}
