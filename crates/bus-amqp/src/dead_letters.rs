//! Looking through dead letters, putting them back, and removing them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use lapin::options::BasicAckOptions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{
    Attempt, BusError, DeadLetter, DeadLetterId, DeadLetterWalk as _, InboxName, MessageId,
    PAGE_BYTES, Page, Selection,
};

use crate::codec::Queued;
use crate::inspect::{Inbox, Inboxes};
use crate::link::{Link, in_time};
use crate::publisher::Publisher;
use crate::taking::Place;
use crate::walk::{Here, Walker};

/// What it takes to work with dead letters.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) link: Link,
    pub(crate) patience: Duration,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) inboxes: Arc<Inboxes>,
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// What becomes of dead letters.
pub(crate) enum Fate {
    /// They go to the end of this inbox.
    Redriven(Arc<Publisher>, InboxName),
    /// They are gone.
    Purged,
}

/// What came of some dead letters.
#[derive(Default)]
pub(crate) struct Worked {
    /// Those with which it was done, and where they were taken.
    pub(crate) done: Vec<(DeadLetterId, Vec<Place>)>,
    pub(crate) not_done: Vec<Here>,
    /// Why not.
    pub(crate) refused: Option<BusError>,
    /// Whether RabbitMQ may not know that they are done with.
    pub(crate) broke: bool,
}

/// How many are taken at a time by whoever takes all.
const AT_ONCE: usize = 1_000;

impl Desk {
    pub(crate) fn inbox(&self, name: &InboxName) -> Result<Inbox, BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Closed);
        }
        let found = self.inboxes.read().get(name).cloned();
        found.ok_or_else(|| BusError::UnknownInbox(name.clone()))
    }

    async fn walk(
        &self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<Box<Walker>, BusError> {
        Ok(Box::new(Walker::begin(self.clone(), inbox, selection, false).await?))
    }

    /// One page. Every dead letter is looked at, a page of them is kept in memory.
    pub(crate) async fn list(
        &self,
        inbox: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let mut walk = self.walk(inbox, &Selection::All).await?;
        let mut found: BTreeMap<DeadLetterId, DeadLetter> = BTreeMap::new();
        let mut bytes = 0;
        loop {
            let letters = walk.next(AT_ONCE).await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                if page.after.as_ref().is_none_or(|after| letter.id > *after) {
                    bytes += letter.envelope.event.len();
                    found.insert(letter.id.clone(), letter);
                    // Of the first ones, as many as the page may hold.
                    let mut too_many = found.len() > page.limit;
                    while let Some(last) = found.last_entry() {
                        let before_it = bytes - last.get().envelope.event.len();
                        if !too_many && before_it < PAGE_BYTES {
                            break;
                        }
                        last.remove();
                        (bytes, too_many) = (before_it, false);
                    }
                }
            }
        }
        walk.end().await;
        Ok(found.into_values().collect())
    }

    /// One. Every dead letter before it is taken out, and those behind it that came back before.
    pub(crate) async fn find(
        &self,
        inbox: &InboxName,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, BusError> {
        let mut walk = self.walk(inbox, &Selection::These(vec![id.clone()])).await?;
        let found = walk.next(1).await?.pop();
        walk.end().await;
        Ok(found)
    }

    /// Puts back those selected, into the inbox `to`. Says how many.
    pub(crate) async fn redrive(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        to: &InboxName,
    ) -> Result<u64, BusError> {
        self.inbox(to)?;
        let mut walk = self.walk(inbox, selection).await?;
        let mut redriven = 0;
        loop {
            let ids = ids_of(walk.next(AT_ONCE).await?);
            if ids.is_empty() {
                break;
            }
            redriven += walk.redrive(&ids, to).await?;
        }
        walk.end().await;
        Ok(redriven)
    }

    /// Removes those selected. Says how many.
    pub(crate) async fn purge(
        &self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<u64, BusError> {
        let mut walk = self.walk(inbox, selection).await?;
        let mut purged = 0;
        loop {
            let ids = ids_of(walk.next(AT_ONCE).await?);
            if ids.is_empty() {
                break;
            }
            purged += walk.purge(&ids).await?;
        }
        walk.end().await;
        Ok(purged)
    }
}

fn ids_of(letters: Vec<DeadLetter>) -> Vec<DeadLetterId> {
    letters.into_iter().map(|letter| letter.id).collect()
}

/// Does it with these, in their order: each is published and confirmed before it is taken from
/// the dead letters.
pub(crate) async fn work(letters: Vec<Here>, fate: Fate) -> Worked {
    let mut worked = Worked::default();
    let mut rest = letters.into_iter().peekable();
    while rest.peek().is_some() {
        // What is returned by the broker is known by its message id.
        let mut message_ids: HashSet<MessageId> = HashSet::new();
        let mut run = Vec::new();
        while let Some(here) =
            rest.next_if(|here| message_ids.insert(here.letter.envelope.message_id))
        {
            run.push(here);
        }
        let outcomes = match &fate {
            Fate::Purged => vec![Ok(()); run.len()],
            Fate::Redriven(publisher, to) => {
                let publishing = run.iter().map(|here| put_back(publisher, to, &here.letter));
                // Without a forced pause they are published in their order.
                tokio::task::unconstrained(futures::future::join_all(publishing)).await
            }
        };
        for (here, outcome) in run.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => worked.settle(here).await,
                Err(error) => {
                    worked.not_done.push(here);
                    worked.refused.get_or_insert(error);
                }
            }
        }
        if worked.refused.is_some() {
            break;
        }
    }
    worked.not_done.extend(rest);
    worked
}

async fn put_back(
    publisher: &Publisher,
    to: &InboxName,
    letter: &DeadLetter,
) -> Result<(), BusError> {
    let DeadLetter { envelope, attempts, died_at, reason, history, .. } = letter.clone();
    let last = Attempt::new(attempts, died_at, reason);
    let history = Attempt::before_redrive(history, last);
    publisher.put_back(to, &Queued { envelope, attempt: 1, history }).await
}

impl Worked {
    async fn settle(&mut self, here: Here) {
        let Here { letter, copies } = here;
        let mut places = Vec::with_capacity(copies.len());
        for (acker, place) in copies {
            let acknowledged = in_time(acker.ack(BasicAckOptions::default())).await;
            self.broke |= !matches!(acknowledged, Ok(true));
            places.push(place);
        }
        self.done.push((letter.id, places));
    }
}
