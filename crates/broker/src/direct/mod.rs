//! Inboxes that their owners read with AMQP clients of their own.
//!
//! The inbox stays Wissel's. A forwarder takes its deliveries as any receiver does, in a
//! session of the owner, so that grant, fields, deadline and record are looked after; hands
//! each over to a short queue that the owner's client reads; and acknowledges it when that
//! is durable. When rights change, what waits in the queue is taken back and looked at again.

mod forwarder;
mod message;
mod state;

use std::collections::{BTreeMap, BTreeSet};
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
    table: Mutex<Table>,
    /// Queues in which something waits and that no client consumes, since this was seen.
    unread: Mutex<BTreeMap<InboxName, SystemTime>>,
}

#[derive(Default)]
struct Table {
    running: BTreeMap<InboxName, Running>,
    /// Those that are being set not to be read directly: no forwarder begins for them.
    leaving: BTreeSet<InboxName>,
}

#[derive(Clone)]
struct Running {
    /// Once it is cancelled, another may begin when the task has ended.
    ending: CancellationToken,
    task: TaskTracker,
}

/// An inbox that is being set not to be read directly. Dropped when that is so, or was given up:
/// then it is forwarded as before.
pub(crate) struct Leaving {
    broker: Arc<Broker>,
    inbox: InboxName,
}

impl Broker {
    /// Begins a forwarder for each inbox that is set so and has none.
    pub(crate) fn forward_as_set(self: &Arc<Self>) {
        if !self.is_prepared() || self.shutdown_token().is_cancelled() {
            return;
        }
        let inboxes = self.inboxes.read();
        let direct = inboxes.iter().filter(|(_, settings)| settings.direct_amqp);
        let mut table = self.forwarders.table.lock();
        for (inbox, _) in direct {
            if self.bus.direct().is_none() {
                tracing::warn!(%inbox, bus = self.bus.kind(), "no AMQP client can read this inbox: it needs RabbitMQ");
                continue;
            }
            let earlier = table.running.get(inbox).cloned();
            let is_running = earlier.as_ref().is_some_and(|one| !one.ending.is_cancelled());
            if is_running || table.leaving.contains(inbox) {
                continue;
            }
            let ending = self.shutdown_token().child_token();
            let forwarder = Forwarder::new(Arc::clone(self), inbox.clone(), ending.clone());
            let task = TaskTracker::new();
            self.work.spawn(task.track_future(async move {
                if let Some(earlier) = earlier {
                    earlier.task.wait().await;
                }
                forwarder.run().await;
            }));
            task.close();
            table.running.insert(inbox.clone(), Running { ending, task });
        }
    }

    /// Makes the queue of an inbox, before it is set to be read directly; ends its forwarder
    /// and removes the queue, before it is set not to be. That may take a minute and a half. What is
    /// returned is to be dropped when it is set.
    ///
    /// # Errors
    /// On a bus without such queues, and while a client consumes the queue that is to go.
    pub(crate) async fn prepare_direct(
        self: &Arc<Self>,
        inbox: &InboxName,
        before: bool,
        after: bool,
    ) -> Result<Option<Leaving>, Refusal> {
        let Some(direct) = self.bus.direct() else {
            if after {
                let description = format!(
                    "the bus of this gateway is {}; expected RabbitMQ, or false",
                    self.bus.kind()
                );
                return Err(Refusal::of_field(Reason::InvalidRequest, FIELD, description));
            }
            return Ok(None);
        };
        match (before, after) {
            (false, true) => {
                direct.open(inbox).await?;
                Ok(None)
            }
            (true, false) => self.end_forwarding(direct, inbox).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn end_forwarding(
        self: &Arc<Self>,
        direct: &dyn DirectQueues,
        inbox: &InboxName,
    ) -> Result<Leaving, Refusal> {
        let leaving = Leaving::begin(self, inbox);
        let running = self.forwarders.table.lock().running.get(inbox).cloned();
        if let Some(Running { ending, task }) = running {
            ending.cancel();
            task.wait().await;
            self.forwarders.table.lock().running.remove(inbox);
        }
        match direct.remove(inbox).await? {
            Removal::Removed => {
                self.forwarders.unread.lock().remove(inbox);
                Ok(leaving)
            }
            Removal::InUse => Err(Refusal::of_field(
                Reason::InvalidRequest,
                FIELD,
                "a client consumes its queue; close it first, so that nothing it holds is lost",
            )),
        }
    }
}

impl Leaving {
    fn begin(broker: &Arc<Broker>, inbox: &InboxName) -> Self {
        broker.forwarders.table.lock().leaving.insert(inbox.clone());
        Self { broker: Arc::clone(broker), inbox: inbox.clone() }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.broker.forwarders.table.lock().leaving.remove(&self.inbox);
        self.broker.forward_as_set();
    }
}
