//! A message that goes on to another party than those it went to: as it was published, and
//! as that party may have it.

use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_audit::{Operation, Record};
use wissel_bus::{ArchivePage, Enqueue, Envelope};
use wissel_identifiers::{InboxName, Oin};
use wissel_message::EventView;

use crate::records::by;
use crate::road::minimise::{key_of, minimise_event};
use crate::{Broker, Caller, Reason, Refusal};

/// How many messages of the archive are looked at together.
const AT_ONCE: usize = 256;

impl Broker {
    /// Brings a message of the archive, with the id that it has, into the inboxes of a party
    /// that subscribes to it.
    ///
    /// # Errors
    /// [`Reason::NoLongerKept`] when the archive does not have it; [`Reason::AudienceUnmet`]
    /// when the party does not subscribe to it; what the bus says.
    pub async fn forward(
        &self,
        caller: Caller,
        message_id: Uuid,
        admitted_at: SystemTime,
        to: Oin,
    ) -> Result<Vec<InboxName>, Refusal> {
        let _ticket = self.ticket()?;
        let original = self.original(message_id, admitted_at).await?;
        let event =
            EventView::decode(original.event.clone()).map_err(|error| Refusal::internal(&error))?;
        let mut targets = Vec::new();
        self.router.snapshot().route(&event, &mut targets);
        targets.retain(|target| target.inbox.owner() == to && !target.watches);
        if targets.is_empty() {
            let message = format!("party {to} does not subscribe to this message");
            return Err(Refusal::of_field(Reason::AudienceUnmet, "to", message));
        }
        let record = Record {
            message_id: Some(message_id),
            detail: Some(format!("to {to}")),
            ..by(caller, Operation::CaseForwarded)
        };
        self.keep(vec![record]).await?;
        let inboxes: Vec<InboxName> = targets.iter().map(|target| target.inbox.clone()).collect();
        let items = targets.into_iter().map(|target| {
            let (event, fields) = match &target.fields {
                None => (original.event.clone(), None),
                Some(fields) => (minimise_event(&event, fields)?, Some(key_of(fields))),
            };
            let envelope = Envelope { event, fields, ..original.clone() };
            Ok(Enqueue::new(envelope, vec![target.inbox]))
        });
        let items = items.collect::<Result<Vec<_>, Refusal>>()?;
        self.bus.enqueue(items).await.into_iter().collect::<Result<(), _>>()?;
        Ok(inboxes)
    }

    /// The message as it was published.
    async fn original(&self, id: Uuid, admitted_at: SystemTime) -> Result<Envelope, Refusal> {
        // A bus keeps milliseconds.
        let until = admitted_at + Duration::from_millis(2);
        let from = admitted_at - Duration::from_millis(1);
        let mut after = None;
        loop {
            let page = ArchivePage { from, until, after, limit: AT_ONCE };
            let archived = self.bus.archived(page).await?;
            let last = archived.last().map(|last| last.position);
            let found = archived.into_iter().find(|one| one.envelope.message_id.0 == id);
            if let Some(found) = found {
                return Ok(found.envelope);
            }
            after = match last {
                Some(position) => Some(position),
                None => {
                    let message = "the original is not in the archive: its event type is not kept, or \
                                   no longer";
                    return Err(Refusal::new(Reason::NoLongerKept, message));
                }
            };
        }
    }
}
