//! Looking through dead letters, putting them back, and removing them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use wissel_bus::{Attempt, BusError, DeadLetter, DeadLetterId, InboxName, Page, Selection};

use crate::codec::{self, Queued};
use crate::link::in_time;
use crate::publisher::Publisher;
use crate::topology;

/// Every dead letter that was there when the reading began, taken out of the
/// queue; dropped without an acknowledgement, it is back when the channel closes.
struct Reading {
    consumer: lapin::Consumer,
    left: u64,
}

/// One page, and how many dead letters there are. Every dead letter is looked at, a page of them is kept in memory.
pub(crate) async fn list(
    channel: &Channel,
    inbox: &InboxName,
    page: Page<DeadLetterId>,
) -> Result<(Vec<DeadLetter>, u64), BusError> {
    let mut reading = Reading::begin(channel, inbox).await?;
    let count = reading.left;
    let mut found: BTreeMap<DeadLetterId, DeadLetter> = BTreeMap::new();
    while let Some(delivery) = reading.next().await? {
        let Ok(dead_letter) = codec::read_dead(&delivery.properties, delivery.data) else {
            continue;
        };
        let behind = page.after.as_ref().is_none_or(|after| dead_letter.id > *after);
        if behind {
            found.insert(dead_letter.id.clone(), dead_letter);
            if found.len() > page.limit {
                found.pop_last();
            }
        }
    }
    Ok((found.into_values().collect(), count))
}

/// One, and how many dead letters there are. Every dead letter is looked at.
pub(crate) async fn find(
    channel: &Channel,
    inbox: &InboxName,
    id: &DeadLetterId,
) -> Result<(Option<DeadLetter>, u64), BusError> {
    let mut reading = Reading::begin(channel, inbox).await?;
    let count = reading.left;
    let mut found = None;
    while let Some(delivery) = reading.next().await? {
        let letter = codec::read_dead(&delivery.properties, delivery.data);
        found = found.or(letter.ok().filter(|letter| letter.id == *id));
    }
    Ok((found, count))
}

/// Puts back those selected, into the inbox `to`; each is published and confirmed
/// before it is taken from the dead letters. Says how many, and how many are left.
pub(crate) async fn redrive(
    channel: &Channel,
    inbox: &InboxName,
    selection: &Selection,
    to: &InboxName,
    publisher: &Publisher,
) -> Result<(u64, u64), BusError> {
    take_out(channel, inbox, selection, |letter| async move {
        let DeadLetter { envelope, attempts, died_at, reason, history, .. } = letter;
        let last = Attempt::new(attempts, died_at, reason);
        let history = Attempt::before_redrive(history, last);
        let again = Queued { envelope, attempt: 1, history };
        publisher.put_back(to, &again).await
    })
    .await
}

/// Removes those selected. Says how many, and how many are left.
pub(crate) async fn purge(
    channel: &Channel,
    inbox: &InboxName,
    selection: &Selection,
) -> Result<(u64, u64), BusError> {
    take_out(channel, inbox, selection, |_| std::future::ready(Ok(()))).await
}

/// Does `first` with each dead letter selected, and takes it out when that was done.
async fn take_out<F>(
    channel: &Channel,
    inbox: &InboxName,
    selection: &Selection,
    first: impl Fn(DeadLetter) -> F,
) -> Result<(u64, u64), BusError>
where
    F: Future<Output = Result<(), BusError>>,
{
    let wanted: Option<HashSet<&DeadLetterId>> = match selection {
        Selection::All => None,
        Selection::These(ids) => Some(ids.iter().collect()),
    };
    let mut reading = Reading::begin(channel, inbox).await?;
    let count = reading.left;
    let mut taken = 0;
    while let Some(delivery) = reading.next().await? {
        let Delivery { properties, data, acker, .. } = delivery;
        let Ok(dead_letter) = codec::read_dead(&properties, data) else {
            continue;
        };
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&dead_letter.id)) {
            continue;
        }
        first(dead_letter).await?;
        in_time(acker.ack(BasicAckOptions::default())).await.map_err(|error| broken(&error))?;
        taken += 1;
    }
    Ok((taken, count - taken))
}

impl Reading {
    async fn begin(channel: &Channel, inbox: &InboxName) -> Result<Self, BusError> {
        let queue = topology::dead_queue(inbox);
        let (left, _) = in_time(topology::count(channel, queue.clone()))
            .await
            .map_err(|_| BusError::UnknownInbox(inbox.clone()))?;
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let consumer = in_time(consumer).await.map_err(|error| broken(&error))?;
        Ok(Self { consumer, left })
    }

    async fn next(&mut self) -> Result<Option<Delivery>, BusError> {
        const PATIENCE: Duration = Duration::from_secs(10);
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match tokio::time::timeout(PATIENCE, self.consumer.next()).await {
            Ok(Some(Ok(delivery))) => Ok(Some(delivery)),
            Ok(Some(Err(error))) => Err(broken(&error)),
            Ok(None) => Err(BusError::Unavailable { reason: "the connection broke".to_owned() }),
            Err(_) => Err(BusError::Unavailable { reason: "no answer in time".to_owned() }),
        }
    }
}

fn broken(error: &lapin::Error) -> BusError {
    BusError::Unavailable { reason: error.to_string() }
}
