//! From records to a timeline, for one caller.
//!
//! | who | sees of a message |
//! |---|---|
//! | an operator | everything |
//! | who published it, or acted for who did | everything but the words of receivers, and what the exchange got |
//! | who received it, or has the case | its admission, and what happened in inboxes of its own |
//! | anybody else | nothing |

use std::time::SystemTime;

use uuid::Uuid;
use wissel_audit::{Actor, Entry as Kept, Operation};
use wissel_catalogue::{Action, Catalogue};
use wissel_identifiers::{InboxName, Oin};

use super::{Dossier, Entry, Message, What};
use crate::records::read_attempt;
use crate::{Caller, masked};

/// What one caller may see.
pub(super) struct Timeline<'a> {
    pub(super) caller: &'a Caller,
    pub(super) catalogue: &'a Catalogue,
    /// A message with which the caller has to do in another way.
    pub(super) concerned: Option<Uuid>,
}

/// How much of a message a caller sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    All,
    Publisher(Oin),
    Receiver(Oin),
}

impl Timeline<'_> {
    /// What the caller may see of what was found.
    pub(super) fn dossier(&self, found: &[Kept]) -> Dossier {
        let mut ids: Vec<Uuid> = found.iter().map(|kept| kept.message_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut dossier = Dossier::default();
        for id in ids {
            let kept: Vec<&Kept> = found.iter().filter(|kept| kept.message_id == id).collect();
            if let Some(sight) = self.sight(id, &kept) {
                self.tell(id, &kept, sight, &mut dossier);
            }
        }
        dossier.entries.sort_by_key(|entry| entry.at);
        dossier
    }

    /// None: the message is none of the caller's business.
    fn sight(&self, id: Uuid, kept: &[&Kept]) -> Option<Sight> {
        let (caller, actor) = match *self.caller {
            Caller::Operator(_) => return Some(Sight::All),
            Caller::Party(party) => (party, Some(party)),
            Caller::Representative { principal, .. } => (principal, None),
        };
        let admission = kept.iter().find(|kept| kept.operation == Operation::Admission);
        let published = admission.is_some_and(|kept| {
            let acted = matches!(kept.actor, Actor::Party(by) if Some(by) == actor);
            acted || principal(kept) == Some(caller)
        });
        if published && self.may(Action::Publish, kept) {
            return Some(Sight::Publisher(caller));
        }
        let received = kept.iter().any(|kept| {
            let routed = kept.inboxes.iter().any(|inbox| inbox.owner() == caller);
            let in_inbox = kept.operation != Operation::Admission
                && kept.operation != Operation::Unanswered
                && receiver(kept) == Some(caller);
            routed || in_inbox
        });
        let received = received || self.concerned == Some(id);
        (received && self.may(Action::Receive, kept)).then_some(Sight::Receiver(caller))
    }

    /// Whether the mandate of one that acts for another covers a message.
    fn may(&self, action: Action, kept: &[&Kept]) -> bool {
        let Caller::Representative { .. } = self.caller else { return true };
        let event_type = kept.iter().find_map(|kept| kept.event_type.as_deref());
        event_type
            .is_some_and(|name| self.caller.check_mandate(self.catalogue, action, name).is_ok())
    }

    fn tell(&self, id: Uuid, kept: &[&Kept], sight: Sight, dossier: &mut Dossier) {
        let admission = kept.iter().find(|kept| kept.operation == Operation::Admission);
        let event_type = kept.iter().find_map(|kept| kept.event_type.clone());
        let admitted_at = admission.map(|kept| kept.at);
        dossier.messages.push(Message {
            id,
            publisher: admission.and_then(|kept| principal(kept)),
            admitted_at,
            inboxes: admission.and_then(|kept| self.inboxes(kept, sight)),
            event_type: event_type.clone(),
        });
        for one in kept {
            let entry = self.entry(one, sight);
            let admitted = entry.as_ref().is_some_and(|entry| entry.what == What::Admitted);
            dossier.entries.extend(entry);
            if admitted {
                dossier.entries.extend(self.routes(one, sight));
            }
        }
        let deadline = event_type
            .and_then(|name| self.catalogue.event_type(&name))
            .and_then(|event_type| event_type.deadline_of(admitted_at?));
        dossier.entries.extend(deadline.map(|at| entry(at, id, What::Deadline)));
    }

    /// How many inboxes got a message, when the caller may know: what the exchange got, it is
    /// not told of.
    fn inboxes(&self, admission: &Kept, sight: Sight) -> Option<u64> {
        if matches!(sight, Sight::Receiver(_)) {
            return None;
        }
        let all: u64 = admission.detail.as_deref()?.strip_prefix("inboxes ")?.parse().ok()?;
        let hidden = admission.inboxes.iter().filter(|inbox| self.is_hidden(inbox.owner(), sight));
        Some(all.saturating_sub(hidden.count() as u64))
    }

    fn is_hidden(&self, party: Oin, sight: Sight) -> bool {
        let exchange = self.catalogue.exchange();
        match sight {
            Sight::All => false,
            Sight::Publisher(caller) => Some(party) == exchange && party != caller,
            Sight::Receiver(caller) => party != caller,
        }
    }

    /// Where a message went.
    fn routes(&self, admission: &Kept, sight: Sight) -> Vec<Entry> {
        let told = admission.inboxes.iter().filter(|inbox| !self.is_hidden(inbox.owner(), sight));
        let route = |inbox: &InboxName| Entry {
            party: Some(inbox.owner()),
            inbox: Some(inbox.clone()),
            ..entry(admission.at, admission.message_id, What::Routed)
        };
        told.map(route).collect()
    }

    /// A record as the caller may see it.
    fn entry(&self, kept: &Kept, sight: Sight) -> Option<Entry> {
        let (attempt, reason) = kept.detail.as_deref().map_or((None, None), read_attempt);
        let refused = kept.refused.as_deref();
        let (what, party, reason) = match kept.operation {
            Operation::Admission if refused.is_some() => (What::Refused, principal(kept), refused),
            Operation::Admission => (What::Admitted, principal(kept), None),
            Operation::Delivery => (What::HandedOut, receiver(kept), None),
            Operation::Retried => (What::Retried, receiver(kept), reason),
            Operation::DeadLettered => (What::DeadLettered, receiver(kept), reason),
            Operation::QuestionOver => (What::QuestionOver, receiver(kept), None),
            Operation::Unanswered => (What::Unanswered, principal(kept), refused.and(reason)),
            _ => return None,
        };
        let of_publisher = matches!(what, What::Admitted | What::Refused | What::Unanswered);
        let own = match sight {
            Sight::All => true,
            Sight::Publisher(_) if of_publisher => true,
            Sight::Publisher(caller) | Sight::Receiver(caller) => party == Some(caller),
        };
        let is_hidden = match sight {
            Sight::Receiver(_) => what != What::Admitted && !own,
            _ => !of_publisher && party.is_some_and(|party| self.is_hidden(party, sight)),
        };
        if is_hidden {
            return None;
        }
        // An answer is handed over at a gateway, in an inbox that is not its receiver's.
        let inbox = kept.inbox.as_ref().filter(|inbox| {
            sight == Sight::All || party.is_some_and(|party| party == inbox.owner())
        });
        Some(Entry {
            party,
            acted_by: acted_by(kept).filter(|_| own),
            inbox: inbox.cloned(),
            attempt,
            reason: reason.filter(|_| own).map(masked),
            ..entry(kept.at, kept.message_id, what)
        })
    }
}

fn entry(at: SystemTime, message_id: Uuid, what: What) -> Entry {
    Entry {
        at,
        message_id,
        what,
        party: None,
        acted_by: None,
        inbox: None,
        attempt: None,
        reason: None,
    }
}

/// The party whose rights counted.
fn principal(kept: &Kept) -> Option<Oin> {
    match kept.actor {
        Actor::Party(party) => Some(kept.on_behalf_of.unwrap_or(party)),
        _ => None,
    }
}

/// Who did it for that party, when somebody did.
fn acted_by(kept: &Kept) -> Option<Oin> {
    match kept.actor {
        Actor::Party(party) => kept.on_behalf_of.map(|_| party),
        _ => None,
    }
}

/// The party that received: who took it, or whose inbox it is.
fn receiver(kept: &Kept) -> Option<Oin> {
    principal(kept).or_else(|| kept.inbox.as_ref().map(InboxName::owner))
}
