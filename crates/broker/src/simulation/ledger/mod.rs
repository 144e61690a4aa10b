//! What publishers and subscribers asked and were told, and what that allows to come.

mod coming;
mod comparing;
mod crashing;
mod mending;
mod receipts;
mod replaying;
mod room;
mod settling;
mod stand;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use wissel_bus::{Envelope, MessageId};

pub(super) use self::crashing::End;
pub(super) use self::mending::{Mending, Pace};
pub(super) use self::receipts::Call;
pub(super) use self::replaying::Replay;
pub(super) use self::room::{Held, Limit};
pub(super) use self::stand::{Fate, Stand, State, Times};
use super::Found;
use super::town::{DEADLINE, Gets, PLACES, Rights};

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// How long after the beginning of the round.
    pub(super) passed: Duration,
    pub(super) wall: SystemTime,
    /// Whether the disk has failed since the last start.
    pub(super) failed: bool,
}

/// All that is known.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) messages: Vec<Message>,
    /// Which message, and which of its copies, as published or replayed.
    by_id: HashMap<(MessageId, bool), (usize, usize)>,
    /// How many publications of a message are recognised, when that is few.
    pub(super) window_age: Duration,
    /// What the receiver may have.
    pub(super) rights: Rights,
    /// How much each inbox may hold.
    pub(super) limits: [Limit; PLACES.len()],
    /// Dead letters that somebody puts back.
    pub(super) mendings: Vec<Mending>,
    /// Dead letters that may have gone from the one inbox to the other.
    moved: Vec<(Which, Which)>,
    /// Parts of the archive that somebody has come once more.
    pub(super) replays: Vec<Replay>,
    /// Whether there was a replay into an inbox.
    replayed: [bool; PLACES.len()],
    /// Messages that a replay may have brought, though nobody knew whether they were in the
    /// archive.
    maybe_replayed: [HashSet<usize>; PLACES.len()],
    /// No lease is over before this.
    next_end: Duration,
}

/// What a publisher publishes, some of it more than once.
pub(super) struct Message {
    pub(super) name: String,
    pub(super) subject: usize,
    pub(super) urgent: bool,
    pub(super) expires: Option<SystemTime>,
    pub(super) frame: Bytes,
    /// Publications of which nobody knows what came of them.
    pub(super) unknown: usize,
    /// The receipt that a repeat is to get, and since when.
    pub(super) first: Option<(MessageId, Duration)>,
    /// Receipts that a repeat got while the first was yet to come.
    pub(super) ahead: Vec<MessageId>,
    pub(super) copies: Vec<Copy>,
}

/// One publication that became durable, or what is replayed of it.
pub(super) struct Copy {
    pub(super) id: MessageId,
    /// Those by which it was routed, as far as its publisher was told.
    pub(super) rights: Rights,
    /// The one of which this is a replay, which may be in several inboxes.
    pub(super) replayed_of: Option<usize>,
    /// Where it stands among all, once there is a receipt.
    pub(super) order: Option<u64>,
    pub(super) admitted: SystemTime,
    pub(super) stands: [Option<Stand>; PLACES.len()],
}

/// A delivery: message, copy, inbox.
pub(super) type Which = (usize, usize, usize);

impl Now {
    /// An earlier moment, when the clock was not set since.
    pub(super) fn back_at(self, passed: Duration) -> Self {
        let passed = passed.min(self.passed);
        Self { passed, wall: self.wall - (self.passed - passed), ..self }
    }
}

impl Message {
    /// The inboxes that it is for.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let urgent = self.urgent;
        (0..PLACES.len()).filter(move |place| match PLACES[*place].gets {
            Gets::All => true,
            Gets::Patient => !urgent,
            Gets::Nothing => false,
        })
    }

    /// By when this copy is to be done with.
    pub(super) fn deadline(&self, copy: usize) -> Option<SystemTime> {
        let is_urgent = self.urgent && !self.copies[copy].is_replayed();
        let of_type = is_urgent.then(|| self.copies[copy].admitted + DEADLINE);
        [of_type, self.expires].into_iter().flatten().min()
    }

    /// Whether this copy is no longer handed out in this inbox.
    pub(super) fn is_too_old(&self, copy: usize, place: usize, wall: SystemTime) -> bool {
        let age = wall.duration_since(self.copies[copy].admitted).unwrap_or_default();
        self.expires.is_some_and(|expires| expires <= wall)
            || PLACES[place].max_age.is_some_and(|most| age > most)
                && !self.copies[copy].is_replayed()
    }

    /// In the words of what is found.
    pub(super) fn told(&self, place: usize) -> String {
        format!("{} in {}", self.name, PLACES[place].local)
    }
}

impl Copy {
    pub(super) fn is_replayed(&self) -> bool {
        self.replayed_of.is_some()
    }

    /// Whether it is surely durable.
    fn is_known(&self) -> bool {
        self.order.is_some() || self.is_replayed()
    }
}

impl Ledger {
    pub(super) fn stand(&self, (message, copy, place): Which) -> Option<&Stand> {
        self.messages[message].copies[copy].stands[place].as_ref()
    }

    /// Whether it is not handed out now, and a dead letter when somebody would get it.
    fn is_withheld(&self, message: usize) -> bool {
        self.messages[message].urgent && !self.rights.urgent
    }

    /// Those of one inbox.
    fn of_place(&self, place: usize) -> Vec<(Which, &Stand)> {
        let mut found = Vec::new();
        for (number, message) in self.messages.iter().enumerate() {
            for (copy, kept) in message.copies.iter().enumerate() {
                if let Some(stand) = &kept.stands[place] {
                    found.push(((number, copy, place), stand));
                }
            }
        }
        found
    }

    /// All deliveries.
    pub(super) fn all(&self) -> impl Iterator<Item = (Which, &Stand)> {
        self.messages.iter().enumerate().flat_map(|(number, message)| {
            message.copies.iter().enumerate().flat_map(move |(copy, kept)| {
                kept.stands.iter().enumerate().filter_map(move |(place, stand)| {
                    Some(((number, copy, place), stand.as_ref()?))
                })
            })
        })
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (usize, &mut Stand)> {
        self.messages.iter_mut().flat_map(|message| &mut message.copies).flat_map(|copy| {
            let stands = copy.stands.iter_mut().enumerate();
            stands.filter_map(|(place, stand)| Some((place, stand.as_mut()?)))
        })
    }

    /// What a subscriber has in hand: delivery, id of the lease.
    pub(super) fn held_by(&self, subscriber: u64) -> Vec<(Which, u64)> {
        let mut held = Vec::new();
        for (number, message) in self.messages.iter().enumerate() {
            for (copy, kept) in message.copies.iter().enumerate() {
                for (place, stand) in kept.stands.iter().enumerate() {
                    if let Some(Stand { state: State::Leased { by, id, .. }, .. }) = stand
                        && *by == subscriber
                    {
                        held.push(((number, copy, place), *id));
                    }
                }
            }
        }
        held
    }

    /// A copy as it was published.
    pub(super) fn find(&self, id: MessageId) -> Option<(usize, usize)> {
        self.by_id.get(&(id, false)).copied()
    }

    /// Which copy this is, also when its publisher has yet to hear of it.
    fn recognise(&mut self, envelope: &Envelope, place: usize) -> Result<(usize, usize), Found> {
        let id = envelope.message_id;
        let live = match self.find(id) {
            Some(found) => found,
            None => {
                let frame = &envelope.event;
                let message = self.messages.iter().position(|one| one.frame == *frame);
                let message = message.ok_or(Found("what comes was never published".to_owned()))?;
                (message, self.add_copy(message, id, envelope.admitted_at))
            }
        };
        let (message, copy) = live;
        let kept = &self.messages[message];
        if kept.frame != envelope.event {
            return Err(Found(format!("{} comes as another", kept.name)));
        }
        if !envelope.replayed {
            return Ok(live);
        }
        let again = self.by_id.get(&(id, true)).map(|(_, again)| *again);
        if let Some(again) = again.filter(|again| kept.copies[*again].stands[place].is_some()) {
            return Ok((message, again));
        }
        // It may have been in the archive, and nobody knew.
        if kept.copies[copy].order.is_some() || !self.replayed[place] {
            return Err(Found(format!("{} is replayed, and not asked for", kept.told(place))));
        }
        let again = again.unwrap_or_else(|| self.add_replayed(message, copy));
        self.messages[message].copies[again].stands[place] = Some(Stand::put_back());
        Ok((message, again))
    }

    /// A copy of which is heard for the first time.
    fn add_copy(&mut self, message: usize, id: MessageId, admitted: SystemTime) -> usize {
        let kept = &mut self.messages[message];
        let mut stands = [const { None }; PLACES.len()];
        for place in kept.places() {
            stands[place] = Some(Stand::new());
        }
        kept.copies.push(Copy {
            id,
            rights: Rights::ALL,
            replayed_of: None,
            order: None,
            admitted,
            stands,
        });
        let copy = kept.copies.len() - 1;
        self.by_id.insert((id, false), (message, copy));
        copy
    }

    /// What comes of this copy when it is replayed.
    fn add_replayed(&mut self, message: usize, copy: usize) -> usize {
        let copies = &mut self.messages[message].copies;
        let Copy { id, admitted, .. } = copies[copy];
        let stands = [const { None }; PLACES.len()];
        copies.push(Copy {
            id,
            rights: Rights::ALL,
            replayed_of: Some(copy),
            order: None,
            admitted,
            stands,
        });
        let again = copies.len() - 1;
        self.by_id.insert((id, true), (message, again));
        again
    }
}
