//! Deliveries of one subject, one after the other.
//!
//! An inbox that is ordered is consumed by nobody but [`Lanes`], which stands between the
//! bus and the sessions and looks to them like the bus. The deliveries of one subject are a
//! lane: the first of it is handed out, the others wait until that is settled. Other lanes
//! go on meanwhile.
//!
//! A retry waits here, and not on the bus, where it would lose its place. So the bus holds
//! it as unsettled, and whatever ends, a receiver, a connection, the gateway, everything
//! comes again in its order. What is lost with the gateway is how many attempts there were.
//!
//! No more than [`WINDOW`] deliveries of an inbox are taken from the bus at a time, and no more
//! bytes than one receiver may have. When so many wait behind deliveries of their own subjects,
//! others wait as well. What receivers hold is of these, so their bytes are not counted again.

mod lanes;
mod receiver;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;
use wissel_bus::{Attempt, Bus, BusError, Consumer, Credit};
use wissel_identifiers::InboxName;

use self::lanes::Lanes;
pub(crate) use self::state::Copy;

/// How many deliveries of an ordered inbox are taken from the bus at a time.
const WINDOW: u16 = 4_096;

/// The ordered inboxes that were consumed since the start.
#[derive(Default)]
pub(crate) struct Ordered {
    inboxes: Mutex<HashMap<InboxName, Arc<Lanes>>>,
}

impl Ordered {
    /// As [`Bus::consume`], with the deliveries of a subject one after the other. Of the credit,
    /// the bytes are for the inbox, and those count that the first of its receivers brings.
    pub(crate) async fn consume(
        &self,
        bus: &Arc<dyn Bus>,
        inbox: &InboxName,
        credit: Credit,
        tasks: &TaskTracker,
    ) -> Result<Consumer, BusError> {
        let lanes = {
            let mut inboxes = self.inboxes.lock();
            Arc::clone(inboxes.entry(inbox.clone()).or_default())
        };
        lanes.consume(bus, inbox, credit, tasks).await
    }

    /// The attempts of a message that the bus did not hear of, for whoever takes it from the bus
    /// while the inbox is not consumed here.
    pub(crate) fn unheard(&self, inbox: &InboxName, copy: Copy) -> Vec<Attempt> {
        let lanes = self.inboxes.lock().get(inbox).cloned();
        lanes.map(|lanes| lanes.unheard(copy)).unwrap_or_default()
    }

    /// The bus is done with these, which were taken so.
    pub(crate) fn forget(&self, inbox: &InboxName, copies: impl Iterator<Item = Copy>) {
        let lanes = self.inboxes.lock().get(inbox).cloned();
        if let Some(lanes) = lanes {
            lanes.forget(copies);
        }
    }
}
