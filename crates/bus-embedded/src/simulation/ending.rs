//! Dead letters that are redriven or purged, some at a time.

use wissel_bus::BusError;

use super::compare::same;
use super::model::{Chosen, Which};
use super::queued::What;
use super::world::World;
use super::{Found, name};
use crate::writer::jobs;

pub(super) struct End {
    pub(super) call: u64,
    pub(super) inbox: Which,
    pub(super) chosen: Chosen,
    pub(super) to: Option<Which>,
    /// How many it was so far.
    pub(super) done: u64,
    /// When there was the last of them.
    pub(super) moment: Option<usize>,
}

impl World {
    /// Whether dead letters of the inbox are being redriven or purged.
    pub(super) fn is_ending(&self, inbox: Which) -> bool {
        let asked = self.up.queued.iter().any(|queued| match &queued.what {
            What::End { inbox: of, .. } => *of == inbox,
            _ => false,
        });
        asked || self.up.ends.iter().any(|end| end.inbox == inbox)
    }

    /// Notes how far the writer came, which is seen from how many are left.
    pub(super) fn follow_ends(&mut self) -> Result<(), Found> {
        for mut end in std::mem::take(&mut self.up.ends) {
            if self.exist(&end)
                && let Some(inbox) = self.up.bus.shared.find(&name(end.inbox.index))
            {
                let left = inbox.inspect()?.0.dead_letters;
                let were = self.model.dead_keys(end.inbox).len() as u64;
                let ended = usize::try_from(were.saturating_sub(left)).unwrap();
                if ended > 0 {
                    self.go_on(&mut end, ended.min(jobs::CHUNK));
                }
            }
            self.up.ends.push(end);
        }
        Ok(())
    }

    fn exist(&self, end: &End) -> bool {
        [Some(end.inbox), end.to].into_iter().flatten().all(|inbox| self.model.exists(inbox))
    }

    fn go_on(&mut self, end: &mut End, at_most: usize) {
        let ended = self.model.end_dead(end.inbox, &mut end.chosen, end.to, at_most);
        if ended > 0 {
            end.done += ended as u64;
            end.moment = Some(self.moment());
        }
    }

    /// It was answered.
    pub(super) fn ended(
        &mut self,
        mut end: End,
        answer: &Result<u64, BusError>,
        had_failed: bool,
    ) -> Result<(), Found> {
        let exist = self.exist(&end);
        match answer {
            // For nothing, nothing is written.
            Ok(0) if self.has_failed() => return Ok(()),
            Ok(ended) if exist && !had_failed => {
                same("dead letters ended", ended, &end.done)?;
                let left = self.model.end_dead(end.inbox, &mut end.chosen, end.to, 1);
                same("dead letters that were left", &left, &0)?;
                if let Some(moment) = end.moment {
                    self.model.promise(moment);
                    self.up.written = self.up.written.max(moment);
                }
                return Ok(());
            }
            Err(BusError::UnknownInbox(_)) if !exist => return Ok(()),
            Err(BusError::Storage { .. }) if had_failed => return Ok(()),
            Err(BusError::Storage { .. }) if self.has_failed() => {
                // The next may be on disk all the same.
                if exist {
                    self.go_on(&mut end, jobs::CHUNK);
                }
                return Ok(());
            }
            // The bus was closed before it came to it.
            Err(BusError::Closed) if self.up.bus.shared.is_closed() => return Ok(()),
            _ => {}
        }
        Err(Found(format!("dead letters of {:?} ended: {answer:?}", end.inbox)))
    }
}
