//! What RabbitMQ returned and passed for confirmed: it is published again.
//!
//! This takes a queue that somebody deleted by hand, and confirms that RabbitMQ tells several of
//! at once: of a returned message the client library tells with any of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lapin::message::BasicReturnMessage;
use lapin::types::ShortString;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use wissel_bus::InboxName;

use crate::codec;
use crate::confirm::{Outgoing, Tried};
use crate::gathering::Target;
use crate::link::Link;
use crate::publisher::Shared;
use crate::topology;

const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be published again.
#[derive(Default)]
pub(crate) struct Late {
    waiting: Mutex<VecDeque<Returned>>,
    arrived: Notify,
    /// How many wait or are being published.
    left: watch::Sender<usize>,
}

/// A message that came back.
pub(crate) struct Returned {
    pub(crate) message: BasicReturnMessage,
    /// Those of a pack that goes to several.
    pub(crate) targets: Option<Arc<[Target]>>,
}

impl Late {
    pub(crate) fn add(&self, returned: Returned) {
        let queue = &returned.message.delivery.routing_key;
        tracing::warn!(%queue, "RabbitMQ returned a message after its answer; it is published again");
        self.left.send_modify(|left| *left += 1);
        self.waiting.lock().push_back(returned);
        self.arrived.notify_one();
    }

    /// Until nothing is left.
    pub(crate) async fn is_done(&self) {
        let _ = self.left.subscribe().wait_for(|left| *left == 0).await;
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        *self.left.borrow()
    }
}

/// Publishes them one after the other, until the bus is closed.
pub(crate) async fn publish_all(link: Link, shared: Arc<Shared>) {
    let late = &shared.late;
    loop {
        let next = late.waiting.lock().pop_front();
        let publishing = async {
            match next {
                Some(returned) => {
                    publish(&link, &shared, &returned).await;
                    late.left.send_modify(|left| *left -= 1);
                }
                None => late.arrived.notified().await,
            }
        };
        tokio::select! {
            () = publishing => {}
            () = link.closed() => return,
        }
    }
}

/// Until it is confirmed, with its queues declared again before; or until its inboxes are gone.
async fn publish(link: &Link, shared: &Shared, returned: &Returned) {
    let Returned { message, targets } = returned;
    let delivery = &message.delivery;
    let inboxes = inboxes_of(&delivery.routing_key, targets.as_deref());
    while inboxes.is_empty() || inboxes.iter().any(|inbox| link.knows(inbox)) {
        let deadline = Instant::now() + PATIENCE;
        if let Ok(up) = link.up(deadline).await
            && link.declare_again(&inboxes, deadline).await.is_ok()
        {
            let outgoing = outgoing(delivery, &inboxes, targets.as_deref());
            if shared.returns.publish_single(up.channel_of_lane(0), outgoing).await
                == Tried::Confirmed
            {
                return;
            }
        }
        sleep(PAUSE).await;
    }
    let queue = &delivery.routing_key;
    tracing::warn!(%queue, "the inbox of a message that RabbitMQ returned was removed");
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
