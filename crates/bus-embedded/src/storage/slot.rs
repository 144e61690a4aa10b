//! Deliveries on disk: what is known of each besides its message.
//!
//! Deliveries that came into an inbox together share one entry, a *run*. A delivery that
//! was retried or redriven stands alone, with its history behind it; so do those that are
//! delayed or dead.

use wissel_bus::Attempt;

use super::keys::{damaged, from_ms, to_ms};
use crate::EmbeddedBusError;

/// A delivery's place in its inbox, and what is known of it besides its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where it stands in the order of its inbox; never used twice there.
    pub(crate) place: u64,
    /// In which entry of its inbox it is on disk.
    pub(crate) seat: Seat,
    /// Where its message is.
    pub(crate) message: Address,
    /// When the message was admitted, in milliseconds since 1970.
    pub(crate) admitted_ms: u64,
    /// At which attempt it is, from 1.
    pub(crate) attempt: u32,
    /// How long its event is, in bytes.
    pub(crate) length: u32,
    /// How many were given the same message at first: its inboxes, the archive counted as one.
    pub(crate) holders: u32,
    /// Whether it came to its place by a retry or a redrive, so that it may be
    /// older than what stands before it.
    pub(crate) requeued: bool,
}

/// Which of the deliveries of a run one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The place of the first of the run, by which it is found.
    pub(crate) run: u64,
    /// From 0.
    pub(crate) index: u8,
    /// How many the run had when it was written, at most [`RUN_MAX`].
    pub(crate) of: u8,
}

/// Where a message is among the `messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// The key of the pack that it is in, or its own.
    pub(crate) entry: u64,
    /// Which of the pack it is, from 0; none: it stands alone.
    pub(crate) part: Option<u8>,
}

/// The most deliveries of one run: each has a bit in a number of 64.
pub(crate) const RUN_MAX: usize = 64;

/// Of a delivery: 34 bytes.
const SLOT_LENGTH: usize = 34;
/// In place of a part.
const ALONE: u8 = u8::MAX;
const REQUEUED: u8 = 1;
/// Added to the number of an attempt that was made before a redrive.
const BEFORE_REDRIVE: u32 = 1 << 31;

impl Seat {
    /// Of a delivery that shares its entry with none.
    pub(crate) fn alone(place: u64) -> Self {
        Self { run: place, index: 0, of: 1 }
    }

    /// Its bit among those of its run.
    pub(crate) fn bit(self) -> u64 {
        1 << self.index
    }

    /// The bits of the whole run.
    pub(crate) fn all_bits(self) -> u64 {
        u64::MAX >> (RUN_MAX - usize::from(self.of).clamp(1, RUN_MAX))
    }
}

impl Address {
    /// The number of the message, never used for another.
    pub(crate) fn number(self) -> u64 {
        self.entry + u64::from(self.part.unwrap_or_default())
    }

    pub(crate) fn encode_part(self) -> u8 {
        self.part.unwrap_or(ALONE)
    }

    /// From the key of its entry, and from what [`Address::encode_part`] gave.
    pub(crate) fn decode(entry: u64, part: u8) -> Self {
        Self { entry, part: (part != ALONE).then_some(part) }
    }

    /// The same of the number of a message.
    pub(crate) fn of_number(number: u64, part: u8) -> Self {
        let at = Self::decode(number, part);
        Self { entry: number.saturating_sub(u64::from(at.part.unwrap_or_default())), ..at }
    }
}

impl Slot {
    /// The same delivery at another place, in no run.
    pub(crate) fn at(self, place: u64) -> Self {
        Self { place, seat: Seat::alone(place), ..self }
    }

    fn append_to(&self, value: &mut Vec<u8>) {
        let behind = u32::try_from(self.place - self.seat.run);
        let behind = behind.expect("a run is made of one batch's places");
        value.extend_from_slice(&self.message.entry.to_be_bytes());
        value.push(self.message.encode_part());
        value.extend_from_slice(&behind.to_be_bytes());
        value.extend_from_slice(&self.admitted_ms.to_be_bytes());
        value.extend_from_slice(&self.attempt.to_be_bytes());
        value.extend_from_slice(&self.length.to_be_bytes());
        value.extend_from_slice(&self.holders.to_be_bytes());
        value.push(if self.requeued { REQUEUED } else { 0 });
    }

    fn decode_at(seat: Seat, value: &[u8; SLOT_LENGTH]) -> Self {
        let (entry, rest) = value.split_first_chunk().expect("34 bytes hold 8");
        let (part, rest) = rest.split_first().expect("26 bytes hold 1");
        let (behind, rest) = rest.split_first_chunk().expect("25 bytes hold 4");
        let (admitted_ms, rest) = rest.split_first_chunk().expect("21 bytes hold 8");
        let (attempt, rest) = rest.split_first_chunk().expect("13 bytes hold 4");
        let (length, rest) = rest.split_first_chunk().expect("9 bytes hold 4");
        let (holders, flags) = rest.split_first_chunk().expect("5 bytes hold 4");
        Self {
            place: seat.run.saturating_add(u64::from(u32::from_be_bytes(*behind))),
            seat,
            message: Address::decode(u64::from_be_bytes(*entry), *part),
            admitted_ms: u64::from_be_bytes(*admitted_ms),
            attempt: u32::from_be_bytes(*attempt),
            length: u32::from_be_bytes(*length),
            holders: u32::from_be_bytes(*holders),
            requeued: flags[0] & REQUEUED != 0,
        }
    }

    /// The delivery of a value that holds one, whose place is told by its key.
    pub(crate) fn decode(place: u64, value: &[u8]) -> Result<Self, EmbeddedBusError> {
        let slots = decode_run(place, value)?;
        slots.first().copied().ok_or(damaged("deliveries", "one at least"))
    }
}

/// The value of a run: how many there are, then each. They must have their seats in it.
pub(crate) fn encode_run<'a>(slots: impl ExactSizeIterator<Item = &'a Slot>) -> Vec<u8> {
    let of = slots.len();
    debug_assert!((1..=RUN_MAX).contains(&of), "a run of {of}");
    let mut value = Vec::with_capacity(1 + SLOT_LENGTH * of);
    value.push(u8::try_from(of).unwrap_or(u8::MAX));
    for slot in slots {
        slot.append_to(&mut value);
    }
    value
}

/// The deliveries of a run, whose first place is told by its key.
pub(crate) fn decode_run(run: u64, value: &[u8]) -> Result<Vec<Slot>, EmbeddedBusError> {
    let (of, slots, _) = split_run(value)?;
    let seats = (0..of).map(|index| Seat { run, index, of });
    Ok(seats.zip(slots).map(|(seat, slot)| Slot::decode_at(seat, slot)).collect())
}

/// How many there are, each, and what comes behind.
type Split<'a> = (u8, &'a [[u8; SLOT_LENGTH]], &'a [u8]);

fn split_run(value: &[u8]) -> Result<Split<'_>, EmbeddedBusError> {
    let whole = || {
        let (&of, rest) = value.split_first()?;
        let (slots, rest) = rest.split_at_checked(usize::from(of) * SLOT_LENGTH)?;
        let (slots, _) = slots.as_chunks();
        (1..=RUN_MAX).contains(&slots.len()).then_some((of, slots, rest))
    };
    whole().ok_or(damaged("deliveries", "a number from 1 to 64, and 34 bytes for each"))
}

// === what was retried ===

/// The value of a delivery that was retried: its slot alone, then its history.
pub(crate) fn encode_retried(slot: &Slot, history: &[Attempt]) -> Vec<u8> {
    let mut value = encode_run([slot.at(slot.place)].iter());
    for attempt in history {
        put_attempt(&mut value, attempt);
    }
    value
}

/// The attempts in the value of a delivery, oldest first.
pub(crate) fn decode_history(value: &[u8]) -> Result<Vec<Attempt>, EmbeddedBusError> {
    let (_, _, mut rest) = split_run(value)?;
    let mut history = Vec::new();
    while !rest.is_empty() {
        history.push(take_attempt(&mut rest).ok_or(damaged("deliveries", "whole attempts"))?);
    }
    Ok(history)
}

/// A dead letter's value: its slot, then its history, of which the last attempt is the one
/// at which it was given up.
pub(crate) fn encode_dead(slot: &Slot, history: &[Attempt], died_ms: u64, reason: &str) -> Vec<u8> {
    let mut value = encode_retried(slot, history);
    put_attempt(&mut value, &Attempt::new(slot.attempt, from_ms(died_ms), reason));
    value
}

/// Its slot, its reason, and the attempts before. The slot has no place; it gets one when
/// it is redriven.
pub(crate) fn decode_dead(value: &[u8]) -> Result<(Slot, String, Vec<Attempt>), EmbeddedBusError> {
    let slot = Slot::decode(0, value)?;
    let mut history = decode_history(value)?;
    let last = history.pop().ok_or(damaged("dead", "the last attempt"))?;
    Ok((slot, last.reason, history))
}

fn put_attempt(value: &mut Vec<u8>, attempt: &Attempt) {
    let Attempt { number, at, reason, before_redrive } = attempt;
    let number = number & !BEFORE_REDRIVE | if *before_redrive { BEFORE_REDRIVE } else { 0 };
    let length = u32::try_from(reason.len()).unwrap_or(u32::MAX);
    value.extend_from_slice(&number.to_be_bytes());
    value.extend_from_slice(&to_ms(*at).to_be_bytes());
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(reason.as_bytes());
}

fn take_attempt(rest: &mut &[u8]) -> Option<Attempt> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    let (at, after) = after.split_first_chunk::<8>()?;
    let (length, after) = after.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (reason, after) = after.split_at_checked(length)?;
    *rest = after;
    let number = u32::from_be_bytes(*number);
    Some(Attempt {
        number: number & !BEFORE_REDRIVE,
        before_redrive: number & BEFORE_REDRIVE != 0,
        at: from_ms(u64::from_be_bytes(*at)),
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(place: u64, seat: Seat) -> Slot {
        Slot {
            place,
            seat,
            message: Address { entry: 5, part: Some(seat.index) },
            admitted_ms: 1_700_000_000_123,
            attempt: 3,
            length: 70_000,
            holders: 2,
            requeued: false,
        }
    }

    #[test]
    fn deliveries_come_back_as_they_were() {
        let run: Vec<Slot> = (0..64)
            .map(|index| slot(7 + 3 * u64::from(index), Seat { run: 7, index, of: 64 }))
            .collect();
        assert_eq!(decode_run(7, &encode_run(run.iter())).unwrap(), run);
        let taken = run.iter().fold(0, |bits, slot| bits | slot.seat.bit());
        assert_eq!(taken, run[0].seat.all_bits());
        assert_eq!(Seat::alone(9).all_bits(), 1);

        let history: Vec<Attempt> = (1..3)
            .map(|number| Attempt {
                number,
                at: from_ms(1_700_000_000_000 + u64::from(number)),
                reason: "é".repeat(number as usize - 1),
                before_redrive: number == 1,
            })
            .collect();
        let alone = run[63].at(7);
        let retried = encode_retried(&alone, &history);
        assert_eq!(Slot::decode(7, &retried).unwrap(), alone);
        assert_eq!(decode_history(&retried).unwrap(), history);
        let dead = decode_dead(&encode_dead(&run[63], &history, 5, "te laat")).unwrap();
        assert_eq!(dead, (run[63].at(0), "te laat".to_owned(), history));
    }

    #[test]
    fn a_message_is_found_by_its_number() {
        for at in [Address { entry: 70, part: Some(63) }, Address { entry: 70, part: None }] {
            assert_eq!(Address::of_number(at.number(), at.encode_part()), at);
        }
    }

    #[test]
    fn damage_is_an_error() {
        assert!(decode_run(1, &[]).is_err());
        assert!(decode_run(1, &[0; 35]).is_err());
        assert!(decode_run(1, &[2; 36]).is_err());
        assert!(decode_run(1, &[65; 65 * SLOT_LENGTH + 1]).is_err());
        assert!(decode_dead(&[1; 35]).is_err());
        assert!(decode_history(&[1; 40]).is_err());
    }
}
