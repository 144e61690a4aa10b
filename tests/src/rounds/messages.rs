//! The messages of a round.

use wissel_identifiers::Bsn;
use wissel_message::Event;

use crate::{PARTIES, REGISTRY};

/// A message of a round.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) event: Event,
    pub(super) place: Option<Place>,
}

/// Where a message is among those of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The number of the subject in its round; never the subject itself.
    pub(super) subject: u32,
    /// The number among its messages.
    pub(super) position: u32,
}

/// How many subjects have an order, each with a publisher of its own.
pub(super) const LANES: u32 = 6;
/// The subjects of messages without one.
const OTHERS: u32 = 5;
/// Every so many messages, one that a receiver never gets done.
const POISON_EVERY: u32 = 29;

/// The inbox that gets everything.
pub(super) const ALL: usize = 2;
/// The inbox whose subscription asks for the order of each subject.
pub(super) const ORDERED: usize = ALL;
/// The inbox whose receiver has messages that it never gets done.
pub(super) const POISONED: usize = 1;

impl Message {
    /// The messages of the publisher that waits for no receipt.
    pub(super) fn of_stream(round: &str, count: u32) -> Vec<Self> {
        let message = |number| {
            let id = format!("{round}-s-{number}");
            Self::new(id, number, subject(LANES + number % OTHERS), None)
        };
        (0..count).map(message).collect()
    }

    /// The messages of one subject that has an order.
    pub(super) fn of_lane(round: &str, lane: u32, count: u32) -> Vec<Self> {
        let message = |position| {
            let place = Place { subject: lane, position };
            let number = lane + position;
            let id = format!("{round}-l{lane}-{position}-{number}");
            Self::new(id, number, subject(lane), Some(place))
        };
        (0..count).map(message).collect()
    }

    pub(super) fn id(&self) -> &str {
        self.event.id()
    }

    fn new(id: String, number: u32, subject: String, place: Option<Place>) -> Self {
        let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
        let data = format!(r#"{{"bsn":"{subject}","number":{number}}}"#);
        let event = Event::builder(id, source, "nl.brp.geboorte")
            .subject(subject)
            .extension("gemeente", crate::gemeente_of(number.into()))
            .data_text("application/json", data)
            .build()
            .unwrap();
        Self { event, place }
    }
}

/// The inboxes that a message of this id belongs in, sorted.
pub(super) fn inboxes_of(id: &str) -> Vec<String> {
    let own = usize::from(crate::gemeente_of(number_of(id)) != "0344");
    [own, ALL].iter().map(|inbox| inbox_name(*inbox)).collect()
}

/// Whether its receiver never gets it done.
pub(super) fn is_poison(inbox: usize, id: &str) -> bool {
    inbox == POISONED && number_of(id) % u64::from(POISON_EVERY) == 7
}

/// `OIN.inbox`.
pub(super) fn inbox_name(inbox: usize) -> String {
    format!("{}.inbox", PARTIES[inbox])
}

fn number_of(id: &str) -> u64 {
    id.rsplit('-').next().unwrap().parse().unwrap()
}

/// Citizen service numbers of the range for tests, so that one that gets out is found.
fn subject(number: u32) -> String {
    let is_bsn = |text: &String| text.parse::<Bsn>().is_ok();
    let mut numbers = (999_990_000..).map(|number: u32| number.to_string()).filter(is_bsn);
    numbers.nth(usize::try_from(number).unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use wissel_message::Value;

    use super::*;

    #[test]
    fn a_message_says_by_its_id_where_it_belongs() {
        let all = Message::of_stream("r1", 60).into_iter().chain(Message::of_lane("r1", 3, 10));
        for message in all {
            let is_utrecht = message.event.attribute("gemeente") == Some(Value::String("0344"));
            let own = if is_utrecht { PARTIES[0] } else { PARTIES[1] };
            let expected = [format!("{own}.inbox"), format!("{}.inbox", PARTIES[2])];
            assert_eq!(inboxes_of(message.id()), expected);
        }
        assert!(is_poison(POISONED, "r1-s-7") && !is_poison(ALL, "r1-s-7"));
    }
}
