//! A message that goes on to another party than those it went to: as it was published, and
//! as that party may have it.

use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_audit::{Operation, Record};
use wissel_bus::{ArchivePage, Enqueue, Envelope};
use wissel_catalogue::Action;
use wissel_identifiers::{InboxName, Oin};
use wissel_message::EventView;

use crate::entitlement::{Target, wants};
use crate::records::by;
use crate::road::minimise::{key_of, minimise_event};
use crate::{Broker, Caller, Reason, Refusal};

/// How many messages of the archive are looked at together.
const AT_ONCE: usize = 256;

impl Broker {
    /// Brings a message of the archive, with the id that it has, into the inboxes of a party
    /// whose grant covers it: those that it goes to by itself; or, when its filters leave it
    /// out, those of its subscriptions to messages of this type. Filters say what is addressed
    /// to a party, and what goes on was addressed to another.
    ///
    /// # Errors
    /// [`Reason::NoLongerKept`] when the archive does not have it; [`Reason::AudienceUnmet`]
    /// when no grant of the party covers it, or it does not subscribe to the type; what the
    /// bus says.
    pub async fn forward(
        &self,
        caller: &Caller,
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
            targets = self.but_for_filters(&event, to);
        }
        if targets.is_empty() {
            let message = format!(
                "party {to} may not receive this message, or does not subscribe to its type"
            );
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

    /// The inboxes of a party that a message would go to but for filters: of its subscriptions
    /// that name the type; of those that name no types, when there are none.
    fn but_for_filters(&self, event: &EventView, to: Oin) -> Vec<Target> {
        let catalogue = self.catalogue();
        let grant = catalogue.grant(&to, Action::Receive, event.event_type());
        let Some(grant) = grant.filter(|grant| grant.covers(event)) else { return Vec::new() };
        if catalogue.exchange() == Some(to) {
            return Vec::new();
        }
        let subscriptions = self.subscriptions.read();
        let of_party = subscriptions.values().filter(|one| one.name.owner() == to && !one.follows);
        let (unnamed, named): (Vec<_>, Vec<_>) =
            of_party.filter(|one| wants(one, grant)).partition(|one| one.types.is_empty());
        let chosen = if named.is_empty() { unnamed } else { named };
        let mut inboxes: Vec<&InboxName> = chosen.iter().map(|one| &one.inbox).collect();
        inboxes.sort_unstable();
        inboxes.dedup();
        let target = |inbox: &InboxName| Target {
            inbox: inbox.clone(),
            fields: grant.fields.clone(),
            watches: false,
        };
        inboxes.into_iter().map(target).collect()
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
