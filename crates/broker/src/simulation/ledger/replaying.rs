//! Messages of the archive that come once more, as copies of their own.

use std::time::{Duration, SystemTime};

use super::super::Found;
use super::{Fate, Ledger, Message, Now, Stand, State};
use crate::{Refusal, Replayed};

/// A call that is under way.
pub(in super::super) struct Replay {
    pub(in super::super) number: u64,
    pub(in super::super) place: usize,
    /// The copies that it may bring.
    meant: Vec<(usize, usize)>,
    /// How many more there may be, of which no publisher has a receipt.
    unknown: usize,
    begun: Duration,
}

/// What is wanted: admitted from one moment on, and before the other.
pub(in super::super) type Part = (SystemTime, SystemTime);

impl Ledger {
    /// A replay into an inbox begins, while everything is at rest. False when it is better not to:
    /// what it brings could not be told from what is there of a replay before.
    pub(in super::super) fn replay(
        &mut self,
        number: u64,
        place: usize,
        (from, until): Part,
        is_wanted: impl Fn(&Message) -> bool,
        now: Now,
    ) -> bool {
        let is_wanted = |one: &Message| {
            is_wanted(one) && !one.urgent && one.expires.is_none_or(|expires| expires > now.wall)
        };
        let mut meant = Vec::new();
        for (number, message) in self.messages.iter().enumerate() {
            for (copy, kept) in message.copies.iter().enumerate().filter(|_| is_wanted(message)) {
                if kept.replayed_of.is_none() && (from..until).contains(&kept.admitted) {
                    meant.push((number, copy));
                }
            }
        }
        let wanted = self.messages.iter().enumerate().filter(|(_, message)| is_wanted(message));
        let unknown = wanted.map(|(number, message)| (number, message.unknown));
        let unknown: Vec<_> = unknown.filter(|(_, unknown)| *unknown > 0).collect();
        if unknown.iter().any(|(message, _)| self.maybe_replayed[place].contains(message)) {
            return false;
        }
        let is_told_apart = |stand: &Stand| match stand.state {
            State::Done(Fate::Gone) => true,
            State::Done(Fate::Acknowledged) => stand.synced,
            _ => false,
        };
        let before = meant.iter().filter_map(|(message, copy)| {
            let again = self.replayed(*message, *copy)?;
            self.stand((*message, again, place))
        });
        if !before.into_iter().all(is_told_apart) {
            return false;
        }
        let meant = meant.into_iter().map(|(message, copy)| {
            let again = self.replayed(message, copy);
            let again = again.unwrap_or_else(|| self.add_replayed(message, copy));
            let stand = Stand { maybe: Some(Fate::Gone), ..Stand::put_back() };
            self.messages[message].copies[again].stands[place] = Some(stand);
            (message, again)
        });
        let meant = meant.collect();
        self.maybe_replayed[place].extend(unknown.iter().map(|(message, _)| *message));
        let unknown = unknown.into_iter().map(|(_, unknown)| unknown).sum();
        self.replayed[place] = true;
        self.replays.push(Replay { number, place, meant, unknown, begun: now.passed });
        true
    }

    /// The copy that comes when this one is replayed.
    fn replayed(&self, message: usize, copy: usize) -> Option<usize> {
        let copies = &self.messages[message].copies;
        copies.iter().position(|one| one.replayed_of == Some(copy))
    }

    /// What came of it.
    pub(in super::super) fn replay_done(
        &mut self,
        number: u64,
        answer: &Result<Replayed, Refusal>,
        now: Now,
    ) -> Result<(), Found> {
        let Some(at) = self.replays.iter().position(|one| one.number == number) else {
            return Ok(());
        };
        let Replay { place, meant, unknown, begun, .. } = self.replays.swap_remove(at);
        let count = match answer {
            Ok(done) => done.replayed,
            // Some of it may be there.
            Err(_) if now.failed => return Ok(()),
            Err(refusal) => return Err(Found(format!("a replay is refused: {refusal:?}"))),
        };
        let most = meant.len() + unknown;
        let is_sure = |(number, copy): &(usize, usize)| {
            let message = &self.messages[*number];
            let live = message.copies[*copy].replayed_of;
            let has_receipt = live.is_some_and(|live| message.copies[live].order.is_some());
            // It may have expired meanwhile.
            has_receipt && (message.expires.is_none() || begun == now.passed)
        };
        let sure: Vec<_> = meant.into_iter().filter(is_sure).collect();
        let least = sure.len();
        if !(least as u64..=most as u64).contains(&count) {
            return Err(Found(format!("{count} were replayed, expected {least} to {most}")));
        }
        for (message, copy) in sure {
            let stand = &mut self.messages[message].copies[copy].stands[place];
            let waits = |stand: &&mut Stand| matches!(stand.state, State::Waiting(_));
            if let Some(stand) = stand.as_mut().filter(waits)
                && stand.maybe == Some(Fate::Gone)
            {
                stand.maybe = None;
            }
        }
        Ok(())
    }

    /// Whoever asked for it has gone: what is there by now stays.
    pub(in super::super) fn replay_ends(&mut self, number: u64) {
        self.replays.retain(|replay| replay.number != number);
    }
}
