//! Publishing one AMQP message, and what comes of it.

use std::collections::{HashMap, HashSet};

use futures::FutureExt as _;
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// One AMQP message to publish.
pub(crate) struct Outgoing<B> {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    /// With a message id; no other message under way has both that and the routing key.
    pub(crate) properties: BasicProperties,
    pub(crate) body: B,
}

/// A body, and what is kept until it is written to the connection: before that the client library
/// holds it, for as long as RabbitMQ reads nothing.
pub(crate) struct Unwritten<B, K> {
    body: B,
    /// Dropped with it.
    _kept: K,
}

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    Confirmed,
    /// No queue took it.
    Unroutable,
    /// The broker said no; it may say yes later.
    Nacked,
    /// The connection broke: it may have arrived, or not.
    Broken,
}

/// Message id and routing key.
type Key = (ShortString, ShortString);

/// Messages that the broker returned because no queue took them.
///
/// The client library hands a returned message over with the next confirm that comes, which
/// may be that of another message, and may be looked at later: then what was returned passed
/// for confirmed. That is told by [`Returns::take_late`].
#[derive(Default)]
pub(crate) struct Returns {
    returned: Mutex<HashMap<Key, BasicReturnMessage>>,
    /// What is published by itself and has no answer yet.
    singles: Mutex<HashSet<Key>>,
    /// Something was returned with the confirm of another message.
    pub(crate) noticed: Notify,
}

impl Returns {
    /// Publishes, and waits for the confirm. The first poll puts the message in its
    /// place among all that the channel publishes.
    pub(crate) async fn publish<B: AsRef<[u8]>>(
        &self,
        channel: &Channel,
        outgoing: Outgoing<B>,
    ) -> Tried {
        let key = outgoing.key();
        let Outgoing { exchange, routing_key, properties, body } = outgoing;
        // Of an earlier try, whose answer did not come.
        self.returned.lock().remove(&key);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent =
            channel.basic_publish(exchange, routing_key, options, body.as_ref(), properties).await;
        // It is written.
        drop(body);
        let Ok(confirm) = sent else { return Tried::Broken };
        let (returned, tried) = match confirm.await {
            Ok(Confirmation::Ack(returned)) => (returned, Tried::Confirmed),
            Ok(Confirmation::Nack(returned)) => (returned, Tried::Nacked),
            Ok(Confirmation::NotRequested) => (None, Tried::Nacked),
            Err(_) => return Tried::Broken,
        };
        let mut all = self.returned.lock();
        if let Some(returned) = returned {
            let id = returned.delivery.properties.message_id().clone().unwrap_or_default();
            let its_key = (id, returned.delivery.routing_key.clone());
            if its_key != key {
                self.noticed.notify_one();
            }
            all.insert(its_key, returned);
        }
        let was_returned = !all.is_empty() && all.remove(&key).is_some();
        if was_returned { Tried::Unroutable } else { tried }
    }

    /// Publishes each; all is answered when all is confirmed, and so exact as long as nobody else
    /// publishes on the channel.
    pub(crate) async fn publish_all<B: AsRef<[u8]>>(
        &self,
        channel: &Channel,
        all: impl IntoIterator<Item = Outgoing<B>>,
    ) -> Vec<Tried> {
        // The first poll of each, in their order, puts it in its place.
        let publishing = all.into_iter().map(|outgoing| {
            let key = outgoing.key();
            self.publish(channel, outgoing).map(|tried| (key, tried))
        });
        let all = futures::future::join_all(publishing).await;
        let mut returned = self.returned.lock();
        let judge = |(key, tried)| match returned.remove(&key) {
            Some(_) => Tried::Unroutable,
            None => tried,
        };
        all.into_iter().map(judge).collect()
    }

    /// As [`Returns::publish`], of a message that is no pack.
    pub(crate) async fn publish_single<B: AsRef<[u8]>>(
        &self,
        channel: &Channel,
        outgoing: Outgoing<B>,
    ) -> Tried {
        let key = outgoing.key();
        self.singles.lock().insert(key.clone());
        let _single = Single { returns: self, key };
        self.publish(channel, outgoing).await
    }

    /// What was returned and has had its answer before that was known. `is_under_way` says
    /// whether a pack with this message id has none yet.
    pub(crate) fn take_late(
        &self,
        is_under_way: impl Fn(&ShortString) -> bool,
    ) -> Vec<BasicReturnMessage> {
        let mut returned = self.returned.lock();
        if returned.is_empty() {
            return Vec::new();
        }
        let singles = self.singles.lock();
        let is_late = |key: &Key| !singles.contains(key) && !is_under_way(&key.0);
        returned.extract_if(|key, _| is_late(key)).map(|(_, late)| late).collect()
    }
}

/// Is published by itself; until it is dropped.
struct Single<'a> {
    returns: &'a Returns,
    key: Key,
}

impl Drop for Single<'_> {
    fn drop(&mut self) {
        self.returns.singles.lock().remove(&self.key);
    }
}

impl<B: AsRef<[u8]>, K> AsRef<[u8]> for Unwritten<B, K> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}

impl<B> Outgoing<B> {
    /// Keeps this until it is written.
    pub(crate) fn keeping<K>(self, kept: K) -> Outgoing<Unwritten<B, K>> {
        let Self { exchange, routing_key, properties, body } = self;
        Outgoing { exchange, routing_key, properties, body: Unwritten { body, _kept: kept } }
    }

    fn key(&self) -> Key {
        let id = self.properties.message_id().clone().unwrap_or_default();
        (id, self.routing_key.clone())
    }
}
