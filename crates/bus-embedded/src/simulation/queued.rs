//! What the writer was asked, and what it should make of it when it looks next.

use std::sync::Arc;

use wissel_bus::{Envelope, Outlives};

use super::calls::Expected;
use super::compare::Status;
use super::ending::End;
use super::model::{Chosen, DeadKey, Item, Order, Way, Which};
use super::world::World;
use crate::writer::delays;

pub(super) struct Queued {
    pub(super) call: u64,
    pub(super) what: What,
}

pub(super) enum What {
    /// None where the answer is known without the writer.
    Enqueue(Vec<Option<Item>>),
    /// None where the consumer does not hold it.
    Settle {
        inbox: Which,
        settled: Vec<Option<(Order, Way)>>,
    },
    Bury(Vec<(Which, Arc<Envelope>, String)>),
    Open(usize),
    Remove(usize),
    /// Which of the dead letters; none: all.
    End {
        inbox: Which,
        these: Option<Vec<DeadKey>>,
        to: Option<Which>,
    },
}

impl World {
    /// What the writer should do when it looks now. Each write is a moment.
    pub(super) fn foresee(&mut self, taken: usize) {
        let now_ms = self.up.bus.shared.clock.wall_ms();
        if self.model.bring_back(now_ms, delays::CHUNK) {
            self.moment();
        }
        let queued = self.up.queued.drain(..taken).collect::<Vec<_>>();
        let (together, apart): (Vec<_>, Vec<_>) = queued
            .into_iter()
            .partition(|one| matches!(one.what, What::Enqueue(_) | What::Settle { .. }));
        let mut promises = Vec::new();
        let some = !together.is_empty();
        for Queued { call, what } in together {
            match what {
                What::Enqueue(items) => {
                    let outlives_power = self.foresee_enqueue(call, &items);
                    promises.push((call, outlives_power));
                }
                What::Settle { inbox, settled } => {
                    self.foresee_settle(call, inbox, &settled);
                    promises.push((call, true));
                }
                _ => {}
            }
        }
        if some {
            let moment = self.moment();
            for (call, outlives_power) in promises {
                self.expect_of(call, |call| call.promises = Some((moment, outlives_power)));
            }
        }
        for Queued { call, what } in apart {
            self.foresee_apart(call, what);
        }
    }

    pub(super) fn moment(&mut self) -> usize {
        self.model.moment(self.time.passed_ms())
    }

    fn expect_of(&mut self, number: u64, change: impl FnOnce(&mut super::calls::Call)) {
        // A caller that gave up hears nothing.
        if let Some(call) = self.up.calls.iter_mut().find(|call| call.number == number) {
            change(call);
        }
    }

    fn expect(&mut self, call: u64, expected: Vec<Expected>) {
        self.expect_of(call, |call| call.expected = Some(expected));
    }

    /// True when it is to outlive a loss of power.
    fn foresee_enqueue(&mut self, call: u64, items: &[Option<Item>]) -> bool {
        let mut expected = Vec::new();
        let mut outlives_power = false;
        for item in items {
            let known =
                item.as_ref().filter(|item| item.to.iter().all(|to| self.model.exists(*to)));
            expected.push(match known {
                Some(item) => {
                    outlives_power |= item.outlives == Outlives::PowerLoss;
                    self.model.enqueue(item);
                    Expected::Fine
                }
                None => Expected::UnknownInbox,
            });
        }
        self.expect(call, expected);
        outlives_power
    }

    fn foresee_settle(&mut self, call: u64, inbox: Which, settled: &[Option<(Order, Way)>]) {
        let now = self.up.bus.shared.clock.wall();
        let exists = self.model.exists(inbox);
        let mut expected = Vec::new();
        for one in settled {
            expected.push(match one {
                None => Expected::NotHeld,
                Some(_) if !exists => Expected::UnknownInbox,
                Some((order, way)) => {
                    self.model.settle(inbox, *order, way, now);
                    self.statuses.remove(order);
                    Expected::Fine
                }
            });
        }
        self.expect(call, expected);
    }

    fn foresee_apart(&mut self, call: u64, what: What) {
        let mut expected = Expected::Fine;
        // What is so already promises nothing.
        let mut changes = true;
        match what {
            What::Open(index) => {
                changes = self.model.find(index).is_none();
                self.model.open(index);
            }
            What::Remove(index) => {
                changes = self.model.find(index).is_some();
                if let Some(gone) = self.model.state.inboxes.get(&index) {
                    for order in gone.ready.keys() {
                        self.statuses.remove(order);
                    }
                }
                self.model.remove(index);
            }
            What::Bury(burials) => {
                let now = self.up.bus.shared.clock.wall();
                if burials.iter().all(|(inbox, _, _)| self.model.exists(*inbox)) {
                    for (inbox, envelope, reason) in burials {
                        self.model.bury(inbox, envelope, &reason, now);
                    }
                } else {
                    expected = Expected::UnknownInbox;
                }
            }
            What::End { inbox, these, to } => {
                let chosen = match these {
                    Some(keys) => Chosen::These(keys),
                    None => Chosen::Range { after: None, last: self.model.youngest_dead(inbox) },
                };
                return self.up.ends.push(End { call, inbox, chosen, to, done: 0, moment: None });
            }
            What::Enqueue(_) | What::Settle { .. } => return,
        }
        let moment = self.moment();
        let answers = self.answers_of(call);
        self.expect(call, vec![expected; answers]);
        let promises = changes.then_some((moment, true));
        self.expect_of(call, |call| call.promises = promises);
    }

    /// How many answers the call is to have.
    fn answers_of(&self, number: u64) -> usize {
        let call = self.up.calls.iter().find(|call| call.number == number);
        call.map_or(0, |call| call.answers)
    }

    /// The status of what was acknowledged, or is to be written.
    pub(super) fn settling(&mut self, order: Order, consumer: u64, way: &Way) {
        let status = match way {
            Way::Done => Status::Acknowledged,
            Way::Retry { .. } | Way::Dead { .. } => Status::Settling(consumer),
        };
        self.statuses.insert(order, status);
    }
}
