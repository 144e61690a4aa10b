//! Walking over dead letters: each is taken out of its queue once, and what is left goes back
//! at the end.
//!
//! A walk may last for hours. RabbitMQ closes a channel that leaves something unacknowledged for
//! 30 minutes, connections break, and others want to look as well: then all goes back, and the
//! walk goes on over what it has seen, by what it remembers of that, which is a hash of each id.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wissel_bus::{BusError, DeadLetter, DeadLetterId, DeadLetterWalk, InboxName, Selection};

use crate::codec;
use crate::dead_letters::{self, Desk, Fate, Worked};
use crate::inspect::Knowledge;
use crate::link::{CALL_PATIENCE, in_time};
use crate::sight::{Known, Sight};
use crate::taking::{Found, Place, Taking, unavailable};
use crate::topology;

/// A walk over dead letters of an inbox.
struct Walk {
    desk: Desk,
    inbox: InboxName,
    knowledge: Arc<Knowledge>,
    /// Whether it lets others look in between.
    gives_way: bool,
    /// Those that are meant and were not met yet; none: all are.
    named: Option<HashSet<DeadLetterId>>,
    /// How many are not met yet.
    to_meet: u64,
    sight: Option<Sight>,
    here: HashMap<DeadLetterId, Here>,
    /// Those of `here` that are to be handed out.
    ahead: VecDeque<DeadLetterId>,
    /// What was handed out last.
    handed: Vec<DeadLetterId>,
    /// What was handed out, and is to be taken once more.
    lost: HashSet<DeadLetterId>,
    /// What was met and left.
    left: Known,
    /// What is redriven or purged. It comes again when RabbitMQ did not hear of it.
    done: Known,
    /// Whether a connection broke, so that what was taken may not be back yet.
    broke: bool,
    /// Whether one broke at any time: what does not come back is not gone, then.
    ever_broke: bool,
    /// How many of those that are done with may come again, as RabbitMQ may not have heard.
    again: u64,
}

/// A dead letter that is taken, and not decided on.
pub(crate) struct Here {
    pub(crate) letter: DeadLetter,
    /// One, but for a dead letter that was published twice as a connection broke.
    pub(crate) copies: Vec<(Acker, Place)>,
}

impl Walk {
    async fn begin(
        desk: Desk,
        inbox: InboxName,
        selection: Selection,
        gives_way: bool,
    ) -> Result<Self, BusError> {
        let knowledge = desk.inbox(&inbox)?.knowledge;
        desk.link.up(Instant::now() + CALL_PATIENCE).await?;
        let named = match selection {
            Selection::All => None,
            Selection::These(ids) => Some(ids.into_iter().collect()),
        };
        let mut walk = Self {
            desk,
            inbox,
            knowledge,
            gives_way,
            named,
            to_meet: 0,
            sight: None,
            here: HashMap::new(),
            ahead: VecDeque::new(),
            handed: Vec::new(),
            lost: HashSet::new(),
            left: Known::default(),
            done: Known::default(),
            broke: false,
            ever_broke: false,
            again: 0,
        };
        let unknown = walk.unknown();
        walk.to_meet = walk.look().await?.ready(unknown).await?;
        Ok(walk)
    }

    fn unknown(&self) -> BusError {
        BusError::UnknownInbox(self.inbox.clone())
    }

    fn is_over(&self) -> bool {
        self.to_meet == 0 || self.named.as_ref().is_some_and(HashSet::is_empty)
    }

    /// The sight of the queue; after a pause a new one.
    async fn look(&mut self) -> Result<&mut Sight, BusError> {
        let sight = match self.sight.take() {
            Some(sight) => sight,
            None => {
                self.desk.inbox(&self.inbox)?;
                let turn = self.knowledge.turn.take().await;
                let (link, queue) = (self.desk.link.clone(), topology::dead_queue(&self.inbox));
                let taking = Taking::begin(link, self.desk.patience, queue).await?;
                if std::mem::take(&mut self.broke) {
                    taking.until_back(self.to_meet + self.left.len()).await;
                }
                Sight::new(taking, Arc::clone(&self.knowledge), turn)
            }
        };
        Ok(self.sight.insert(sight))
    }

    /// Takes the next from the queue. Says whether there were any.
    async fn fill(&mut self) -> Result<bool, BusError> {
        const TRIES: u32 = 3;
        let mut tried = 1;
        loop {
            let filled = self.try_fill().await;
            if matches!(filled, Ok(_) | Err(BusError::UnknownInbox(_) | BusError::Closed)) {
                return filled;
            }
            self.pause().await;
            if !self.broke || tried == TRIES {
                return filled;
            }
            tried += 1;
        }
    }

    /// Has RabbitMQ know what is done with, after a connection broke.
    async fn sweep(&mut self) -> Result<(), BusError> {
        while self.again > 0 {
            let before = (self.again, self.left_of_sight());
            if !self.fill().await? || before == (self.again, self.left_of_sight()) {
                break;
            }
        }
        self.again = 0;
        Ok(())
    }

    fn left_of_sight(&self) -> u64 {
        self.sight.as_ref().map_or(0, |sight| sight.left)
    }

    async fn try_fill(&mut self) -> Result<bool, BusError> {
        let unknown = self.unknown();
        let (to_meet, left) = (self.to_meet + self.again, self.left.len());
        let sight = self.look().await?;
        let ready = sight.ready(unknown).await?;
        if ready == 0 {
            return Ok(false);
        }
        let most = ready.min((to_meet + left.saturating_sub(sight.left)).max(1));
        let found = sight.take(most).await?;
        for found in found {
            self.meet(found).await;
        }
        Ok(true)
    }

    async fn meet(&mut self, found: Found) {
        let Found { delivery: Delivery { properties, data, acker, .. }, place } = found;
        let Some(sight) = &mut self.sight else { return };
        let Ok(letter) = codec::read_dead(&properties, data) else {
            sight.foreign += 1;
            self.to_meet = self.to_meet.saturating_sub(1);
            return;
        };
        if self.left.has(&letter.id) {
            sight.left += 1;
            return;
        }
        if self.done.has(&letter.id) {
            if let Ok(true) = in_time(acker.ack(BasicAckOptions::default())).await {
                self.again = self.again.saturating_sub(1);
                sight.settled(place);
            }
            return;
        }
        if self.to_meet == 0 {
            // It died later.
            return;
        }
        sight.fresh.get_or_insert_with(Instant::now);
        self.to_meet -= 1;
        if let Some(here) = self.here.get_mut(&letter.id) {
            here.copies.push((acker, place));
            return;
        }
        let id = letter.id.clone();
        if !self.lost.remove(&id) {
            if self.named.as_mut().is_some_and(|named| !named.remove(&id)) {
                self.left.add(&id);
                sight.left += 1;
                return;
            }
            self.ahead.push_back(id.clone());
        }
        self.here.insert(id, Here { letter, copies: vec![(acker, place)] });
    }

    /// Gives all back that was taken, for now.
    async fn pause(&mut self) {
        let taken = self.here.values().map(|here| here.copies.len() as u64);
        self.to_meet += taken.sum::<u64>();
        let ahead: Vec<DeadLetterId> = self.ahead.drain(..).collect();
        for id in &ahead {
            self.here.remove(id);
        }
        if let Some(named) = &mut self.named {
            named.extend(ahead);
        }
        self.lost.extend(self.here.drain().map(|(id, _)| id));
        if let Some(sight) = self.sight.take() {
            self.to_meet += sight.foreign;
            if sight.broke || sight.taking.is_broken() {
                (self.broke, self.ever_broke) = (true, true);
                self.again += sight.settled;
            }
            sight.end().await;
        }
    }

    /// Pauses when it is time to.
    async fn give_way(&mut self) {
        /// Well below the 30 minutes after which RabbitMQ closes the channel.
        const LONG: Duration = Duration::from_secs(10 * 60);
        let Some(sight) = &self.sight else { return };
        let wanted = self.gives_way && self.knowledge.turn.is_wanted() && sight.had_its_turn();
        if wanted || sight.begun.elapsed() > LONG {
            self.pause().await;
        }
    }

    /// Does it with these, of what was handed out.
    async fn work(&mut self, ids: &[DeadLetterId], fate: Fate) -> Result<u64, BusError> {
        self.give_way().await;
        // Those that were handed out come before others.
        while self.ahead.is_empty() && ids.iter().any(|id| self.lost.contains(id)) {
            if !self.fill().await? {
                break;
            }
        }
        if self.ever_broke && ids.iter().any(|id| self.lost.contains(id)) {
            return Err(not_back());
        }
        let letters: Vec<Here> = ids.iter().filter_map(|id| self.here.remove(id)).collect();
        let Worked { done, not_done, refused, broke } = dead_letters::work(letters, fate).await;
        let count = done.len() as u64;
        for (id, places) in done {
            self.done.add(&id);
            for place in places {
                self.sight.iter_mut().for_each(|sight| sight.settled(place));
            }
        }
        self.here.extend(not_done.into_iter().map(|here| (here.letter.id.clone(), here)));
        if broke {
            self.sight.iter_mut().for_each(|sight| sight.broke = true);
            self.pause().await;
        }
        refused.map_or(Ok(count), Err)
    }

    /// As [`DeadLetterWalk::next`].
    async fn next(&mut self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        for id in std::mem::take(&mut self.handed) {
            if self.here.remove(&id).is_some() {
                self.left.add(&id);
                self.sight.iter_mut().for_each(|sight| sight.left += 1);
            } else if self.lost.remove(&id) {
                self.left.add(&id);
                self.to_meet = self.to_meet.saturating_sub(1);
            }
        }
        self.give_way().await;
        while self.ahead.is_empty() && !self.is_over() {
            if !self.fill().await? {
                if self.ever_broke {
                    return Err(not_back());
                }
                break;
            }
        }
        if self.ahead.is_empty() {
            self.sweep().await?;
        }
        let count = limit.min(self.ahead.len());
        self.handed = self.ahead.drain(..count).collect();
        let letters = self.handed.iter().filter_map(|id| self.here.get(id));
        Ok(letters.map(|here| here.letter.clone()).collect())
    }

    /// Gives back what is left.
    async fn end(&mut self) {
        self.pause().await;
        if self.sweep().await.is_err() {
            tracing::warn!(inbox = %self.inbox, "what was redriven may still be a dead letter");
        }
        self.pause().await;
    }

    /// Does what it is asked to, each to its end, until nobody asks any more or the bus is
    /// closed; then it ends.
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let closing = self.desk.closing.clone();
        while let Some(Some(asked)) = closing.run_until_cancelled(asked.recv()).await {
            match asked {
                Asked::Next(limit, reply) => drop(reply.send(self.next(limit).await)),
                Asked::Work(ids, fate, reply) => drop(reply.send(self.work(&ids, fate).await)),
            }
        }
        self.end().await;
    }
}

/// Whoever walks begins again: what was done by then stays done.
fn not_back() -> BusError {
    unavailable("dead letters that were taken are not back, as a connection broke; try again")
}

/// What a walk is asked to do.
enum Asked {
    Next(usize, oneshot::Sender<Result<Vec<DeadLetter>, BusError>>),
    Work(Vec<DeadLetterId>, Fate, oneshot::Sender<Result<u64, BusError>>),
}

/// A walk in a task of its own: what was begun is done to its end, also when whoever walks goes
/// away. A call to the broker that is given up in the middle would break the connection.
pub(crate) struct Walker {
    desk: Desk,
    asked: mpsc::Sender<Asked>,
    walking: JoinHandle<()>,
}

impl Walker {
    pub(crate) async fn begin(
        desk: Desk,
        inbox: &InboxName,
        selection: &Selection,
        gives_way: bool,
    ) -> Result<Self, BusError> {
        let (inbox, selection) = (inbox.clone(), selection.clone());
        let beginning = Walk::begin(desk.clone(), inbox, selection, gives_way);
        let walk = desk.tasks.spawn(beginning).await.unwrap_or(Err(BusError::Closed))?;
        let (asked, asking) = mpsc::channel(1);
        let walking = desk.tasks.spawn(walk.run(asking));
        Ok(Self { desk, asked, walking })
    }

    async fn ask<T>(
        &self,
        asked: impl FnOnce(oneshot::Sender<Result<T, BusError>>) -> Asked,
    ) -> Result<T, BusError> {
        let (reply, answer) = oneshot::channel();
        self.asked.send(asked(reply)).await.map_err(|_| BusError::Closed)?;
        answer.await.unwrap_or(Err(BusError::Closed))
    }
}

#[async_trait]
impl DeadLetterWalk for Walker {
    async fn next(&mut self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.ask(|reply| Asked::Next(limit, reply)).await
    }

    async fn redrive(&mut self, ids: &[DeadLetterId], to: &InboxName) -> Result<u64, BusError> {
        self.desk.inbox(to)?;
        let fate = Fate::Redriven(Arc::clone(&self.desk.publisher), to.clone());
        self.ask(|reply| Asked::Work(ids.to_vec(), fate, reply)).await
    }

    async fn purge(&mut self, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        self.ask(|reply| Asked::Work(ids.to_vec(), Fate::Purged, reply)).await
    }

    async fn end(self: Box<Self>) {
        let Self { asked, walking, .. } = *self;
        drop(asked);
        let _ = walking.await;
    }
}
