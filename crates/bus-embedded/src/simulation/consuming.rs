//! Consumers, and what they make of what they get.

use std::sync::Arc;
use std::time::Duration;

use wissel_bus::{Attempt, Bus, Credit, DeliveryTag, Settlement};

use super::calls::{Answer, Call, Expected, now};
use super::compare::Status;
use super::model::{Order, Way, Which};
use super::queued::What;
use super::world::{Consuming, World};
use super::{Found, name};

impl World {
    pub(super) fn consume(&mut self) -> Result<(), Found> {
        let Some(inbox) = self.any_inbox() else { return Ok(()) };
        if self.up.consumers.len() > 6 {
            return Ok(());
        }
        let credit = self.random.pick(&[1, 2, 5, 17, 200]);
        self.consume_from(inbox, credit)
    }

    pub(super) fn consume_from(&mut self, inbox: Which, credit: usize) -> Result<(), Found> {
        let (id, bus) = (self.number(), Arc::clone(&self.up.bus));
        self.log.write(|| format!("consumer {id} of {inbox:?}, credit {credit}"));
        let of = Credit::of(u16::try_from(credit).unwrap());
        let consumer = self.entered(|| now(bus.consume(&name(inbox.index), of)))?;
        let consumer = match consumer {
            Ok(consumer) => consumer,
            // It could not be opened.
            Err(_) if self.has_failed() => return Ok(()),
            Err(error) => return Err(Found(format!("cannot consume {inbox:?}: {error}"))),
        };
        self.up.consumers.push(Consuming { id, inbox, credit, consumer, held: Vec::new() });
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        if !self.up.consumers.is_empty() {
            let at = self.random.below(self.up.consumers.len());
            self.leaves(at);
        }
    }

    pub(super) fn leaves(&mut self, at: usize) {
        let gone = self.up.consumers.remove(at);
        self.log.write(|| format!("consumer {} leaves with {}", gone.id, gone.held.len()));
        self.statuses.retain(|_, status| *status != Status::Leased(gone.id));
        drop(gone);
        self.let_tasks_run();
    }

    pub(super) fn settle(&mut self) -> Result<(), Found> {
        let consumers = self.up.consumers.iter().enumerate();
        let holders = consumers.filter(|(_, consuming)| !consuming.held.is_empty());
        let holders: Vec<usize> = holders.map(|(at, _)| at).collect();
        if holders.is_empty() {
            return Ok(());
        }
        let at = self.random.pick(&holders);
        match self.random.below(10) {
            0 => self.release(at),
            1..7 => self.settle_as(at, |_| Way::Done),
            _ => self.settle_as(at, Self::way),
        }
    }

    /// Some of what the consumer holds.
    fn some_held(&mut self, at: usize) -> Vec<(DeliveryTag, Order)> {
        let held = &mut self.up.consumers[at].held;
        let mut some = Vec::new();
        for _ in 0..self.random.between(1, held.len()) {
            // Mostly in order.
            let last = if self.random.chance(70) { 0 } else { held.len() - 1 };
            some.push(held.remove(self.random.between(0, last)));
        }
        some
    }

    fn release(&mut self, at: usize) -> Result<(), Found> {
        let held = self.some_held(at);
        let (number, count) = (self.number(), held.len());
        let Consuming { id, consumer, .. } = &self.up.consumers[at];
        self.log.write(|| format!("call {number}: consumer {id} releases {count}"));
        let settler = Arc::clone(&consumer.settler);
        let asked: Vec<_> = held.iter().map(|(tag, _)| (*tag, Settlement::Release)).collect();
        for (_, order) in &held {
            self.statuses.remove(order);
        }
        let mut call =
            Call::new(number, count, async move { Answer::Each(settler.settle(asked).await) });
        call.expected = Some(vec![Expected::Fine; count]);
        self.submit(call, None)
    }

    pub(super) fn settle_as(
        &mut self,
        at: usize,
        way: impl Fn(&mut Self) -> Way,
    ) -> Result<(), Found> {
        let held = self.some_held(at);
        let number = self.number();
        let Consuming { id, inbox, ref consumer, .. } = self.up.consumers[at];
        let settler = Arc::clone(&consumer.settler);
        let (mut asked, mut settled) = (Vec::new(), Vec::new());
        for (tag, order) in held {
            let way = way(self);
            self.settling(order, id, &way);
            asked.push((tag, settlement(&way)));
            settled.push(Some((order, way)));
            if self.random.chance(2) {
                // What was settled is not held any longer.
                asked.push((tag, Settlement::Acknowledge));
                settled.push(None);
            }
        }
        let durable = settled.iter().flatten().any(|(_, way)| !matches!(way, Way::Done));
        let answers = asked.len();
        self.log.write(|| format!("call {number}: consumer {id} of {inbox:?} settles {settled:?}"));
        let mut call =
            Call::new(number, answers, async move { Answer::Each(settler.settle(asked).await) });
        let at_once = settled.iter().map(|one| match one {
            Some(_) => Expected::Fine,
            None => Expected::NotHeld,
        });
        call.expected = (!durable).then(|| at_once.collect());
        self.submit(call, Some(What::Settle { inbox, settled }))
    }

    fn way(&mut self) -> Way {
        let number = self.next;
        match self.random.below(10) {
            0..5 => Way::Done,
            5..8 => {
                let longest = self.random.pick(&[1, 2_000, 300_000]);
                let after = Duration::from_micros(self.random.below(1_000 * longest) as u64);
                Way::Retry { after, reason: format!("retried {number}") }
            }
            _ => {
                let at = self.time.wall();
                let unheard = (0..u32::try_from(self.random.pick(&[0, 0, 0, 2, 25])).unwrap())
                    .map(|number| Attempt::new(number, at, "unheard"))
                    .collect();
                let handed_out = !self.random.chance(30);
                Way::Dead { reason: format!("dead {number}"), unheard, handed_out }
            }
        }
    }
}

fn settlement(way: &Way) -> Settlement {
    match way.clone() {
        Way::Done => Settlement::Acknowledge,
        Way::Retry { after, reason } => Settlement::Retry { after, reason },
        Way::Dead { reason, unheard, handed_out } => {
            Settlement::DeadLetter { reason, unheard, handed_out }
        }
    }
}
