//! What RabbitMQ returned and passed for confirmed: it is published again.
//!
//! This takes a queue that somebody deleted by hand, and confirms that RabbitMQ tells several of
//! at once: of a returned message the client library tells with any of them.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::BasicReturnMessage;
use lapin::types::ShortString;
use tokio::time::{Instant, sleep};
use wissel_bus::InboxName;

use crate::codec;
use crate::confirm::{Outgoing, Tried};
use crate::gathering::Target;
use crate::link::Link;
use crate::publisher::Shared;
use crate::topology;

/// For how long it is tried.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
const PAUSE: Duration = Duration::from_millis(500);
const DECLARE_PATIENCE: Duration = Duration::from_secs(10);

/// Publishes it until it is confirmed, with its queues declared again before. `targets`: those
/// of a pack that goes to several.
pub(crate) async fn publish_again(
    link: Link,
    shared: Arc<Shared>,
    returned: BasicReturnMessage,
    targets: Option<Arc<[Target]>>,
) {
    // An orderly end waits for it.
    let _room = shared.room.try_acquire();
    let delivery = &returned.delivery;
    let queue = &delivery.routing_key;
    tracing::warn!(%queue, "RabbitMQ returned a message after its answer; it is published again");
    let inboxes = inboxes_of(&delivery.routing_key, targets.as_deref());
    let again = async {
        loop {
            let deadline = Instant::now() + DECLARE_PATIENCE;
            if let Ok(up) = link.up(deadline).await
                && link.declare_again(&inboxes, deadline).await.is_ok()
            {
                let outgoing = outgoing(delivery, &inboxes, targets.as_deref());
                if shared.returns.publish_single(&up.publish, outgoing).await == Tried::Confirmed {
                    return;
                }
            }
            sleep(PAUSE).await;
        }
    };
    let is_gone = !inboxes.is_empty() && !inboxes.iter().any(|inbox| link.knows(inbox));
    let is_there = async {
        tokio::select! {
            () = again => true,
            () = sleep(PATIENCE) => false,
            () = link.closed() => false,
        }
    };
    if is_gone || !is_there.await {
        tracing::error!(%queue, "a message that RabbitMQ returned has no queue to go to");
    }
}

fn outgoing<'a>(
    delivery: &'a lapin::message::Delivery,
    inboxes: &[InboxName],
    targets: Option<&[Target]>,
) -> Outgoing<&'a [u8]> {
    let mut properties = delivery.properties.clone();
    if let Some(targets) = targets {
        properties = properties.with_headers(codec::copy_to(targets));
    }
    // What was to wait for its time in a queue that is not there comes at once.
    let waits = !delivery.exchange.as_str().is_empty();
    let routing_key = match inboxes {
        [inbox] if waits => topology::inbox_queue(inbox),
        _ => delivery.routing_key.clone(),
    };
    Outgoing { exchange: ShortString::default(), routing_key, properties, body: &delivery.data }
}

/// The inboxes whose queues it goes to: the routing key names the queue, or the inbox.
fn inboxes_of(routing_key: &ShortString, targets: Option<&[Target]>) -> Vec<InboxName> {
    if let Some(targets) = targets {
        return targets.iter().filter_map(|target| target.inbox().cloned()).collect();
    }
    topology::inbox_of(routing_key).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_tells_its_inbox() {
        let inbox: InboxName = "00000099000000001000.inbox".parse().unwrap();
        let retry = inbox.as_str().into();
        for queue in [topology::inbox_queue(&inbox), topology::dead_queue(&inbox), retry] {
            assert_eq!(inboxes_of(&queue, None), std::slice::from_ref(&inbox), "{queue}");
        }
        assert!(inboxes_of(&topology::ARCHIVE.into(), None).is_empty());
    }
}
