//! What publishers are told.

use std::time::Duration;

use super::super::town::{PLACES, Rights};
use super::super::{Found, town};
use super::{Held, Ledger, Message, Now};
use crate::{Reason, Receipt, Refusal};

/// Messages that are published together.
pub(in super::super) struct Call {
    pub(in super::super) number: u64,
    pub(in super::super) messages: Vec<usize>,
    pub(in super::super) at: Duration,
    /// By what it was routed.
    pub(in super::super) rights: Rights,
    /// What the inboxes held when it began.
    pub(in super::super) held: [Held; PLACES.len()],
}

impl Ledger {
    /// What came of a call, while others are under way.
    pub(in super::super) fn answered(
        &mut self,
        under_way: &[Call],
        call: &Call,
        outcomes: &[Result<Receipt, Refusal>],
        now: Now,
    ) -> Result<(), Found> {
        if outcomes.len() != call.messages.len() {
            return Err(Found(format!("{} answers for {}", outcomes.len(), call.messages.len())));
        }
        let mut held = call.held;
        for (position, (message, outcome)) in call.messages.iter().zip(outcomes).enumerate() {
            match outcome {
                Ok(receipt) => {
                    let copy = self.receipt(under_way, (call, position), receipt, now)?;
                    if let Some(copy) = copy {
                        self.finds_room((*message, copy), &mut held, now)?;
                    }
                }
                // Nothing of it was kept.
                Err(refusal) if refusal.reason == Reason::InboxFull => {
                    self.finds_no_room((call.rights, *message), refusal, &held, now)?;
                }
                // It may be durable all the same.
                Err(_) if now.failed => self.messages[*message].unknown += 1,
                Err(refusal) => {
                    let name = &self.messages[*message].name;
                    return Err(Found(format!("{name} is refused: {refusal:?}")));
                }
            }
        }
        for message in &call.messages {
            let is_under_way = under_way.iter().any(|call| call.messages.contains(message));
            let Message { name, ahead, .. } = &self.messages[*message];
            if !is_under_way && !ahead.is_empty() {
                return Err(Found(format!("{name} has a repeat of a receipt that nobody got")));
            }
        }
        Ok(())
    }

    /// Says which copy it is of, when that is new.
    fn receipt(
        &mut self,
        under_way: &[Call],
        (call, position): (&Call, usize),
        receipt: &Receipt,
        now: Now,
    ) -> Result<Option<usize>, Found> {
        let message = call.messages[position];
        let kept = &self.messages[message];
        let fault = |what: String| Err(Found(format!("the receipt of {}: {what}", kept.name)));
        let mut places: Vec<_> = receipt.inboxes.iter().map(town::place_of).collect();
        places.sort_unstable();
        let known = self.find(receipt.message_id).filter(|found| found.0 == message);
        let rights = match known {
            Some((_, copy)) if receipt.repeated && kept.copies[copy].order.is_some() => {
                kept.copies[copy].rights
            }
            _ => call.rights,
        };
        let expected = kept.places().filter(|place| rights.route(kept.urgent, *place));
        if !places.into_iter().eq(expected.map(Some)) {
            return fault(format!("it goes to {:?}", receipt.inboxes));
        }
        if receipt.id != kept.name {
            return fault(format!("it is of {}", receipt.id));
        }
        if receipt.repeated {
            let is_first = kept.first.is_some_and(|(id, _)| id == receipt.message_id);
            let is_known = known.is_some_and(|found| kept.copies[found.1].order.is_some());
            // The call with the first may have others to wait for, and is answered when they are
            // durable, too.
            let is_first_to_come = under_way
                .iter()
                .any(|one| one.number < call.number && one.messages.contains(&message));
            if is_first_to_come && !is_known {
                self.messages[message].ahead.push(receipt.message_id);
                return Ok(None);
            }
            if !is_known || !is_first {
                return fault("it is said to be a repeat of one that nobody has".to_owned());
            }
            let since = kept.first.map_or(now.passed, |(_, since)| since);
            if call.at.saturating_sub(since) > self.window_age + Duration::from_secs(1) {
                return fault("it is remembered too long".to_owned());
            }
            return Ok(None);
        }
        if let Some((_, since)) = kept.first
            && since <= call.at
            && call.at - since < self.window_age
        {
            return fault("a repeat is taken for new".to_owned());
        }
        if kept.first.is_some_and(|(_, since)| since > call.at && call.at + self.window_age > since)
        {
            return fault("two that are published at once are both taken for new".to_owned());
        }
        let copy = match self.find(receipt.message_id) {
            Some((found, copy)) if found == message && kept.copies[copy].order.is_none() => copy,
            None => self.add_copy(message, receipt.message_id, receipt.admitted_at),
            Some(_) => return fault("it has the id of another".to_owned()),
        };
        let kept = &mut self.messages[message];
        for place in kept.places().filter(|place| !call.rights.route(kept.urgent, *place)) {
            if kept.copies[copy].stands[place].take().is_some_and(|stand| !stand.is_new()) {
                return Err(Found(format!("{} was not for this inbox", kept.told(place))));
            }
        }
        kept.copies[copy].rights = call.rights;
        kept.copies[copy].order = Some(call.number * 100 + position as u64);
        kept.first = Some((receipt.message_id, now.passed));
        kept.ahead.retain(|ahead| *ahead != receipt.message_id);
        Ok(Some(copy))
    }

    /// Nobody will know what came of a call.
    pub(in super::super) fn forgotten(&mut self, call: &Call) {
        for message in &call.messages {
            self.messages[*message].unknown += 1;
            self.messages[*message].ahead.clear();
        }
    }
}
