//! Those who publish.

use std::time::Duration;

use tokio::time::Instant;
use wissel_message::{Event, OwnedValue, Timestamp};

use super::Found;
use super::ledger::{Call, Message};
use super::town;
use super::world::World;

/// How many messages there are in a round, at most.
const MESSAGES: usize = 60;
const SUBJECTS: usize = 3;

impl World {
    /// Messages that are new, and some that are not.
    pub(super) fn publish(&mut self) {
        let count = self.pick(&[1, 1, 1, 2, 4, 9]);
        let mut messages = Vec::new();
        for _ in 0..count {
            let known = self.ledger.messages.len();
            if known > 0 && (self.chance(20) || known >= MESSAGES) {
                // Rather one of the last.
                let back = self.random.usize(..known.min(8));
                messages.push(known - 1 - back);
            } else {
                messages.push(self.message());
            }
        }
        self.call(messages);
    }

    fn message(&mut self) -> usize {
        let subject = self.random.usize(..SUBJECTS);
        let urgent = self.chance(25);
        let name = format!("m{}-s{subject}", self.ledger.messages.len());
        let mut event = Event::builder(&name, town::source(), town::event_type(urgent))
            .subject(town::subject(subject));
        let mut expires = None;
        if self.chance(15) {
            let left = Duration::from_millis(self.random.u64(200..60_000));
            let moment = Timestamp::from(self.now().wall + left);
            event = event.extension("expirytime", OwnedValue::Timestamp(moment));
            expires = moment.to_system_time();
        }
        let length = self.pick(&[0, 10, 10, 200, 3_000, 20_000]);
        let event = event.data_bytes("application/octet-stream", vec![7_u8; length]);
        let frame = event.build().unwrap().encode();
        let (copies, unknown, first, ahead) = (Vec::new(), 0, None, Vec::new());
        self.ledger.messages.push(Message {
            name,
            subject,
            urgent,
            expires,
            frame,
            unknown,
            first,
            ahead,
            copies,
        });
        self.ledger.messages.len() - 1
    }

    /// Publishes these together.
    pub(super) fn call(&mut self, messages: Vec<usize>) {
        let (broker, number) = (self.broker(), self.number());
        let wall = self.now().wall + Duration::from_millis(1);
        // What is over is refused, and was nobody's any more.
        let is_over = |message: &usize| {
            self.ledger.messages[*message].expires.is_some_and(|expires| expires <= wall)
        };
        let messages: Vec<usize> = messages.into_iter().filter(|one| !is_over(one)).collect();
        if messages.is_empty() {
            return;
        }
        self.log(|| {
            let names = messages.iter().map(|one| self.ledger.messages[*one].name.as_str());
            format!("call {number} publishes {}", names.collect::<Vec<_>>().join(", "))
        });
        let (at, held) = (self.now().passed, self.ledger.held(&self.calls, self.now()));
        let frames = messages.iter().map(|one| self.ledger.messages[*one].frame.clone()).collect();
        let answers = std::sync::Arc::clone(&self.answers);
        // The road is gone in the call itself, so that order is that of the calls.
        let publishing = broker.publish(&town::registry(), frames);
        tokio::spawn(async move {
            let outcomes = publishing.await;
            answers.lock().push((Instant::now(), number, outcomes));
        });
        self.calls.push(Call { number, messages, at, rights: self.ledger.rights, held });
    }

    /// Those of which nobody has a receipt are published until there is one.
    pub(super) async fn publish_what_is_unknown(&mut self) -> Result<(), Found> {
        let wall = self.now().wall;
        let mut left = Vec::new();
        for (number, message) in self.ledger.messages.iter_mut().enumerate() {
            let has_receipt = message.copies.iter().any(|copy| copy.order.is_some());
            let is_over = message.expires.is_some_and(|at| at <= wall + Duration::from_secs(1));
            if !has_receipt && !is_over {
                left.push(number);
            }
        }
        for number in left {
            self.call(vec![number]);
        }
        self.rest().await
    }
}
