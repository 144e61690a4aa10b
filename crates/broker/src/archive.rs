//! What the archive keeps, for those who look after it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use wissel_bus::{ArchivePage, Envelope};
use wissel_message::EventView;

use crate::{Broker, Caller, Reason, Refusal, Role};

/// A part of the archive that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePart {
    /// Admitted at this moment or later,
    pub from: SystemTime,
    /// and before this one.
    pub until: SystemTime,
    /// Of these event types; none: of all.
    pub types: Vec<String>,
}

/// What the archive keeps of one event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedType {
    /// The type.
    pub event_type: String,
    /// How many messages.
    pub messages: u64,
    /// The bytes of their events.
    pub bytes: u64,
    /// When the first of them was admitted, and the last.
    pub admitted: (SystemTime, SystemTime),
}

/// How many messages are looked at together.
const AT_ONCE: usize = 250;

impl Broker {
    /// How many messages of that time there are, and what the archive keeps of each event type
    /// asked for, by name of the type. Reads all of them, and tells `progress` how many it has
    /// read.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] for whoever is no operator: what others published is not for a
    /// party to count. [`Reason::InvalidRequest`] for times that cannot be used; what the bus
    /// says.
    pub async fn survey_archive(
        &self,
        caller: &Caller,
        part: ArchivePart,
        progress: impl Fn(u64) + Send,
    ) -> Result<(u64, Vec<ArchivedType>), Refusal> {
        let _ticket = self.ticket()?;
        caller.check_operator(Role::Viewer)?;
        let ArchivePart { from, until, types } = part;
        if from >= until {
            let message = "not later than from; expected a later moment";
            return Err(Refusal::of_field(Reason::InvalidRequest, "until", message));
        }
        let stopping = self.shutdown_token();
        let mut kept: BTreeMap<String, ArchivedType> = BTreeMap::new();
        let (mut examined, mut after) = (0, None);
        loop {
            if stopping.is_cancelled() {
                return Err(Refusal::shutting_down());
            }
            let page = ArchivePage { from, until, after, limit: AT_ONCE };
            let archived = self.bus.archived(page).await?;
            for one in &archived {
                count(&mut kept, &types, &one.envelope);
            }
            examined += archived.len() as u64;
            progress(examined);
            match archived.last() {
                Some(last) if page.is_full(&archived) => after = Some(last.position),
                _ => return Ok((examined, kept.into_values().collect())),
            }
        }
    }
}

fn count(kept: &mut BTreeMap<String, ArchivedType>, types: &[String], envelope: &Envelope) {
    let Ok(event) = EventView::decode(envelope.event.clone()) else { return };
    let event_type = event.event_type();
    if !types.is_empty() && !types.iter().any(|one| one == event_type) {
        return;
    }
    let at = envelope.admitted_at;
    let one = kept.entry(event_type.to_owned()).or_insert_with(|| ArchivedType {
        event_type: event_type.to_owned(),
        messages: 0,
        bytes: 0,
        admitted: (at, at),
    });
    one.messages += 1;
    one.bytes += envelope.event.len() as u64;
    one.admitted = (one.admitted.0.min(at), one.admitted.1.max(at));
}
