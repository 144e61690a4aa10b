//! Dead letters are put back, all or some, at once or slowly, where they died or elsewhere; or
//! they are purged.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use wissel_bus::DeadLetter;
use wissel_filter::Filter;

use super::Found;
use super::ledger::{Mending, Now, Pace, Which};
use super::town::{self, PLACES};
use super::world::World;
use crate::dead_letters::AT_ONCE;
use crate::{Caller, RedriveOptions, Refusal, Which as These, masked};

/// Nothing that is put back slowly takes longer.
const PATIENCE: usize = 200;

/// What came of mending, with when and of which call.
pub(super) type News = Arc<Mutex<Vec<(Instant, u64, Told)>>>;

pub(super) enum Told {
    /// So many so far.
    Step(u64),
    Done(Deed, Result<u64, Refusal>),
}

/// A call that mends.
pub(super) struct Task {
    number: u64,
    task: tokio::task::AbortHandle,
}

/// What is done with dead letters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Redrive { to: usize, per_second: Option<u32> },
    Purge,
}

/// Which dead letters somebody wants.
#[derive(Debug)]
enum Wanted {
    All,
    /// By their ids: of these letters, one and then the next but so many.
    Every(usize),
    OfType {
        urgent: bool,
    },
    Expiring,
    /// Operators may not ask for that.
    OfSubject(usize),
    Because(String),
}

impl Wanted {
    fn which(&self, letters: &[DeadLetter]) -> These {
        let matching = |filter: String| These::Matching(vec![Filter::Sql(filter)]);
        match self {
            Self::All => These::All,
            Self::Every(step) => {
                let ids = letters.iter().step_by(*step).map(|letter| letter.id.clone());
                These::These(ids.collect())
            }
            Self::OfType { urgent } => matching(format!("type = '{}'", town::event_type(*urgent))),
            Self::Expiring => matching("EXISTS expirytime".to_owned()),
            Self::OfSubject(subject) => {
                matching(format!("subject = '{}'", town::subject(*subject)))
            }
            Self::Because(reason) => These::Because(masked(reason)),
        }
    }
}

impl Deed {
    fn to(self) -> Option<usize> {
        match self {
            Self::Redrive { to, .. } => Some(to),
            Self::Purge => None,
        }
    }

    /// In how many steps of how long, as the broker does it.
    fn pace(self) -> Pace {
        match self {
            Self::Redrive { per_second: Some(per_second), .. } => {
                let at_once = per_second.div_ceil(10);
                let period = Duration::from_secs(1) * at_once / per_second;
                Pace { at_once: at_once as usize, period }
            }
            _ => Pace { at_once: AT_ONCE, period: Duration::ZERO },
        }
    }
}

impl World {
    fn wants(&mut self, letters: &[DeadLetter]) -> Wanted {
        match self.random.u32(..8) {
            0 | 1 => Wanted::All,
            2 => Wanted::Every(self.random.usize(1..3)),
            3 => Wanted::OfType { urgent: self.random.bool() },
            4 => Wanted::Expiring,
            5 | 6 => Wanted::OfSubject(self.random.usize(..3)),
            _ => match letters.first() {
                Some(letter) => Wanted::Because(letter.reason.clone()),
                None => Wanted::All,
            },
        }
    }

    /// Whether this dead letter, the one of this number, is wanted.
    fn is_wanted(
        &self,
        wanted: &Wanted,
        number: usize,
        (message, ..): Which,
        reason: &str,
    ) -> bool {
        let message = &self.ledger.messages[message];
        match wanted {
            Wanted::All => true,
            Wanted::Every(step) => number.is_multiple_of(*step),
            Wanted::OfType { urgent } => message.urgent == *urgent,
            Wanted::Expiring => message.expires.is_some(),
            Wanted::OfSubject(subject) => message.subject == *subject,
            Wanted::Because(wanted) => masked(wanted) == masked(reason),
        }
    }

    /// Some dead letters are put back, or all.
    pub(super) async fn redrive(&mut self, place: usize) -> Result<(), Found> {
        let letters = self.mendable(place).await?;
        let wanted = self.wants(&letters);
        // One at a time, so that it is known of which a step is that is not told of.
        let slowly = !self.ledger.is_mended_slowly(place) && self.chance(60);
        let per_second = if slowly { Some(self.pick(&[1, 3, 20, 100])) } else { None };
        let to = PLACES[place].other.filter(|_| self.random.bool()).unwrap_or(place);
        self.mend(place, &letters, &wanted, Deed::Redrive { to, per_second }).await
    }

    /// All dead letters are put back where they died, at once.
    pub(super) async fn redrive_all(&mut self, place: usize) -> Result<(), Found> {
        let letters = self.mendable(place).await?;
        let deed = Deed::Redrive { to: place, per_second: None };
        self.mend(place, &letters, &Wanted::All, deed).await
    }

    /// Some dead letters are purged, or all.
    pub(super) async fn purge(&mut self, place: usize) -> Result<(), Found> {
        let letters = self.mendable(place).await?;
        let wanted = self.wants(&letters);
        self.mend(place, &letters, &wanted, Deed::Purge).await
    }

    /// The dead letters of an inbox, when all is at rest. None on a disk that has failed.
    async fn mendable(&mut self, place: usize) -> Result<Vec<DeadLetter>, Found> {
        self.rest().await?;
        if self.now().failed { Ok(Vec::new()) } else { self.letters(place).await }
    }

    async fn mend(
        &mut self,
        place: usize,
        letters: &[DeadLetter],
        wanted: &Wanted,
        deed: Deed,
    ) -> Result<(), Found> {
        let now = self.now();
        if now.failed {
            return Ok(());
        }
        let dead = self.ledger.dead_letters(place, letters, now)?;
        // What died later, by the clock on the wall, is not meant; the bus does not ask for that.
        let at_once = matches!(deed, Deed::Purge | Deed::Redrive { per_second: None, .. });
        let named = matches!(wanted, Wanted::Every(_));
        let by_bus = named || at_once && matches!(wanted, Wanted::All);
        let meant = dead.iter().zip(letters).enumerate().filter(|(number, (which, letter))| {
            (by_bus || letter.died_at <= now.wall)
                && self.is_wanted(wanted, *number, **which, &letter.reason)
        });
        let meant: Vec<Which> = meant.map(|(_, (which, _))| *which).collect();
        let number = self.number();
        self.log(|| {
            let (from, count) = (PLACES[place].local, meant.len());
            format!("mending {number} of {from}: {deed:?}, {count}: {wanted:?}")
        });
        let caller = match wanted {
            Wanted::OfSubject(_) => town::receiver(),
            _ if self.random.bool() => town::receiver(),
            _ => town::operator(),
        };
        self.ledger.mendings.push(Mending::new(
            number,
            (place, deed.to()),
            meant,
            deed.pace(),
            now,
        ));
        let doing = self.doing(number, caller, place, wanted.which(letters), deed);
        self.mendings.push(Task { number, task: tokio::spawn(doing).abort_handle() });
        // Of one that is not waited for it is not known when it begins, and so what is meant by it.
        if named && at_once && !self.ledger.is_mended_slowly(place) && self.random.bool() {
            return Ok(());
        }
        self.settle_down().await?;
        self.collect()
    }

    /// The call, which tells how it goes on.
    fn doing(
        &self,
        number: u64,
        caller: Caller,
        place: usize,
        which: These,
        deed: Deed,
    ) -> impl Future<Output = ()> + use<> {
        let (broker, news) = (self.broker(), Arc::clone(&self.news));
        let tell = move |told| news.lock().push((Instant::now(), number, told));
        async move {
            let from = town::inbox(place);
            let done = match deed {
                Deed::Redrive { to, per_second } => {
                    let to = (to != place).then(|| town::inbox(to));
                    let per_second = per_second.and_then(NonZeroU32::new);
                    let options = RedriveOptions { which, to, per_second, why: None };
                    let progress = |count| tell(Told::Step(count));
                    broker.redrive(&caller, &from, options, progress).await
                }
                Deed::Purge => broker.purge_dead_letters(&caller, &from, which, None).await,
            };
            tell(Told::Done(deed, done));
        }
    }

    /// What was done is held against the ledger.
    pub(super) fn hear_of_mendings(&mut self, now: Now) -> Result<(), Found> {
        let news = std::mem::take(&mut *self.news.lock());
        for (at, number, told) in news {
            let then = now.back_at(self.passed + (at - self.begun));
            match told {
                Told::Step(count) => {
                    self.log(|| format!("mending {number}: {count}"));
                    self.log.note((number, count, then.passed.as_millis()));
                    self.ledger.step_done(number, count, then)?;
                }
                Told::Done(deed, outcome) => {
                    self.log(|| format!("mending {number} is done: {outcome:?}"));
                    self.mendings.retain(|task| task.number != number);
                    self.ledger.mended(number, &outcome, then)?;
                    let count = outcome.unwrap_or_default();
                    match deed {
                        Deed::Redrive { .. } => self.counts.redriven += count,
                        Deed::Purge => self.counts.purged += count,
                    }
                }
            }
        }
        Ok(())
    }

    /// Whoever has asked for it goes away.
    pub(super) async fn give_up_mending(&mut self) -> Result<(), Found> {
        self.rest().await?;
        if self.now().failed || self.mendings.is_empty() {
            return Ok(());
        }
        let at = self.random.usize(..self.mendings.len());
        let Task { number, task } = self.mendings.swap_remove(at);
        self.log(|| format!("mending {number} is given up"));
        task.abort();
        self.ledger.mending_ends(number);
        self.settle_down().await
    }

    /// What is put back slowly is so to its end.
    pub(super) async fn mendings_end(&mut self) -> Result<(), Found> {
        for _ in 0..PATIENCE {
            if self.mendings.is_empty() {
                return Ok(());
            }
            self.pass(Duration::from_secs(1)).await?;
            self.collect()?;
        }
        Err(Found("dead letters are not put back to the last".to_owned()))
    }
}
