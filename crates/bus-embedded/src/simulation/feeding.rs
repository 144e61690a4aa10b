//! The thread that reads, in parts: what the writer does falls between any two of them.

use std::sync::Arc;

use super::random::Random;
use crate::feeder::{Fetched, Turn};
use crate::shared::Shared;
use crate::storage::Storage;

pub(super) struct Feeding {
    shared: Arc<Shared>,
    storage: Arc<Storage>,
    random: Random,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Planned(Turn),
    Fetched(Fetched),
}

impl Feeding {
    pub(super) fn new(shared: Arc<Shared>, storage: Arc<Storage>, random: Random) -> Self {
        Self { shared, storage, random, stage: Stage::Idle }
    }

    /// What falls before or after a write: some parts, or none.
    pub(super) fn meanwhile(&mut self) {
        while self.random.chance(40) {
            self.part();
        }
    }

    /// The next part. False when there is nothing to do.
    pub(super) fn part(&mut self) -> bool {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Idle => match self.shared.feeds.take_now() {
                None => return false,
                Some(inbox) => Turn::of(&inbox).map_or(Stage::Idle, Stage::Planned),
            },
            Stage::Planned(turn) => match turn.fetch(&self.storage) {
                Ok(fetched) => fetched.map_or(Stage::Idle, Stage::Fetched),
                Err(error) => {
                    self.shared.fail(&error);
                    Stage::Idle
                }
            },
            Stage::Fetched(fetched) => {
                fetched.hand_out(&self.shared);
                Stage::Idle
            }
        };
        true
    }
}
