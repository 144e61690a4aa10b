//! Publishing one AMQP message, and what comes of it.

use std::collections::HashSet;

use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use parking_lot::Mutex;

/// One AMQP message to publish.
pub(crate) struct Outgoing<B> {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    /// With a message id; no other message under way has both that and the routing key.
    pub(crate) properties: BasicProperties,
    pub(crate) body: B,
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

/// Messages that the broker returned because no queue took them. The client library
/// hands a returned message over with the next confirm that comes, which may be that
/// of another message. They are known by message id and routing key.
#[derive(Default)]
pub(crate) struct Returns(Mutex<HashSet<(ShortString, ShortString)>>);

impl Returns {
    /// Publishes, and waits for the confirm. The first poll puts the message in its
    /// place among all that the channel publishes.
    pub(crate) async fn publish<B: AsRef<[u8]>>(
        &self,
        channel: &Channel,
        outgoing: Outgoing<B>,
    ) -> Tried {
        let Outgoing { exchange, routing_key, properties, body } = outgoing;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let message_id = properties.message_id().clone().unwrap_or_default();
        let key = (message_id, routing_key.clone());
        let sent =
            channel.basic_publish(exchange, routing_key, options, body.as_ref(), properties).await;
        drop(body);
        let Ok(confirm) = sent else { return Tried::Broken };
        match confirm.await {
            Ok(Confirmation::Ack(returned)) => {
                self.note(returned);
                if self.was_returned(&key) { Tried::Unroutable } else { Tried::Confirmed }
            }
            Ok(Confirmation::Nack(returned)) => {
                self.note(returned);
                if self.was_returned(&key) { Tried::Unroutable } else { Tried::Nacked }
            }
            Ok(Confirmation::NotRequested) => Tried::Nacked,
            Err(_) => Tried::Broken,
        }
    }

    fn was_returned(&self, key: &(ShortString, ShortString)) -> bool {
        self.0.lock().remove(key)
    }

    fn note(&self, returned: Option<lapin::message::BasicReturnMessage>) {
        let Some(returned) = returned else { return };
        let routing_key = returned.delivery.routing_key.clone();
        if let Some(message_id) = returned.delivery.properties.message_id() {
            let mut returns = self.0.lock();
            // Those of connections that broke are never asked for.
            const KEPT_MAX: usize = 10_000;
            if returns.len() >= KEPT_MAX {
                returns.clear();
            }
            returns.insert((message_id.clone(), routing_key));
        }
    }
}
