//! Inboxes that their owners read with AMQP clients of their own.
//!
//! The inbox stays Wissel's. A forwarder takes its deliveries as any receiver does, in a
//! session of the owner, so that grant, fields, deadline and record are looked after; hands
//! each over to a short queue that the owner's client reads; and acknowledges it when that
//! is durable. When rights change, what waits in the queue is taken back and looked at again.

mod forwarder;
mod message;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{DirectQueues, Removal};
use wissel_identifiers::InboxName;

use self::forwarder::Forwarder;
use crate::{Broker, Reason, Refusal};

/// The setting of an inbox that says so.
const FIELD: &str = "settings.direct_amqp";

/// The forwarders at work.
#[derive(Default)]
pub(crate) struct Forwarders {
    running: Mutex<BTreeMap<InboxName, Running>>,
    /// Queues in which something waits and that no client consumes, since this was seen.
    unread: Mutex<BTreeMap<InboxName, SystemTime>>,
}

struct Running {
    ending: CancellationToken,
    task: TaskTracker,
}

impl Broker {
    /// Begins a forwarder for each inbox that is set so and has none.
    pub(crate) fn forward_as_set(self: &Arc<Self>) {
        if !self.is_prepared() || self.shutdown_token().is_cancelled() {
            return;
        }
        let inboxes = self.inboxes.read();
        let direct = inboxes.iter().filter(|(_, settings)| settings.direct_amqp);
        let mut running = self.forwarders.running.lock();
        for (inbox, _) in direct {
            if self.bus.direct().is_none() {
                tracing::warn!(%inbox, bus = self.bus.kind(), "no AMQP client can read this inbox: it needs RabbitMQ");
            } else if !running.contains_key(inbox) {
                let ending = self.shutdown_token().child_token();
                let forwarder = Forwarder::new(Arc::clone(self), inbox.clone(), ending.clone());
                let task = TaskTracker::new();
                self.work.spawn(task.track_future(forwarder.run()));
                task.close();
                running.insert(inbox.clone(), Running { ending, task });
            }
        }
    }

    /// Makes the queue of an inbox, before it is set to be read directly; ends its forwarder
    /// and removes the queue, before it is set not to be.
    ///
    /// # Errors
    /// On a bus without such queues, and while a client consumes the queue that is to go.
    pub(crate) async fn prepare_direct(
        self: &Arc<Self>,
        inbox: &InboxName,
        before: bool,
        after: bool,
    ) -> Result<(), Refusal> {
        let Some(direct) = self.bus.direct() else {
            if after {
                let description = format!(
                    "the bus of this gateway is {}; expected RabbitMQ, or false",
                    self.bus.kind()
                );
                return Err(Refusal::of_field(Reason::InvalidRequest, FIELD, description));
            }
            return Ok(());
        };
        match (before, after) {
            (false, true) => Ok(direct.open(inbox).await?),
            (true, false) => {
                let ended = self.end_forwarding(direct, inbox).await;
                if ended.is_err() {
                    // It is set as before.
                    self.forward_as_set();
                }
                ended
            }
            _ => Ok(()),
        }
    }

    async fn end_forwarding(
        &self,
        direct: &dyn DirectQueues,
        inbox: &InboxName,
    ) -> Result<(), Refusal> {
        let running = self.forwarders.running.lock().remove(inbox);
        if let Some(Running { ending, task }) = running {
            ending.cancel();
            task.wait().await;
        }
        match direct.remove(inbox).await? {
            Removal::Removed => {
                self.forwarders.unread.lock().remove(inbox);
                Ok(())
            }
            Removal::InUse => Err(Refusal::of_field(
                Reason::InvalidRequest,
                FIELD,
                "a client consumes its queue; close it first, so that nothing it holds is lost",
            )),
        }
    }
}
