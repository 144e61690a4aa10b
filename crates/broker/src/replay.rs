//! Replay: messages of the archive, once more, for a party that may have them.
//!
//! A replay goes the road from routing on: the party's grant of this moment decides, with
//! its row limits, and its fields. What it brings is marked. It takes its time, so that live
//! messages are not held up, and waits for room in the inbox.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use wissel_audit::Operation;
use wissel_bus::{ArchivePage, ArchivePosition, Archived, Enqueue, Envelope};
use wissel_catalogue::{Action, Catalogue};
use wissel_filter::{Condition, EventFacts, Filter};
use wissel_identifiers::InboxName;
use wissel_message::{EventView, Timestamp, expiry_time};

use crate::dead_letters::check_amount;
use crate::road::minimise::{key_of, minimise_event};
use crate::{Broker, Caller, Fault, Reason, Refusal, clock};

/// What is to be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Admitted at this moment or later,
    pub from: SystemTime,
    /// and before this one.
    pub until: SystemTime,
    /// Of these event types; none: of all that the owner of the inbox may receive.
    pub types: Vec<String>,
    /// That match all of these.
    pub filters: Vec<Filter>,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many messages of the archive were looked at.
    pub examined: u64,
    /// How many of them are in the inbox.
    pub replayed: u64,
    /// When the last one that was looked at was admitted.
    pub reached: Option<SystemTime>,
}

/// How many messages a replay brings in a second unless told otherwise.
pub(crate) const REPLAY_PER_SECOND: NonZeroU32 = NonZeroU32::new(5_000).unwrap();

/// How many bytes of the archive one goes through in a second.
const BYTES_PER_SECOND: f64 = (32 << 20) as f64;

/// How many messages are looked at together, unless they are large: see
/// [`PAGE_BYTES`](wissel_bus::PAGE_BYTES).
const AT_ONCE: usize = 250;
/// How long to wait for room in the inbox before looking again.
const ROOM_PAUSE: Duration = Duration::from_millis(200);

impl Broker {
    /// Brings messages of the archive into an inbox, as far as the grants of its owner go,
    /// marked as replayed. Says how many, and tells `progress` how far it is. Interrupted, it
    /// leaves what was replayed by then.
    ///
    /// # Errors
    /// As [`Broker::inbox`]; [`Reason::InvalidRequest`] for types, filters or times that
    /// cannot be used; [`Reason::RateLimited`] while as many replays of the owner are under way
    /// as may be; what the bus says.
    pub async fn replay(
        &self,
        caller: &Caller,
        inbox: &InboxName,
        options: ReplayOptions,
        progress: impl Fn(Replayed) + Send,
    ) -> Result<Replayed, Refusal> {
        let outcome = self.try_replay(caller, inbox, options, progress).await;
        self.unless_refused(caller, Operation::Replayed, Some(inbox), outcome).await
    }

    async fn try_replay(
        &self,
        caller: &Caller,
        inbox: &InboxName,
        options: ReplayOptions,
        progress: impl Fn(Replayed) + Send,
    ) -> Result<Replayed, Refusal> {
        let _ticket = self.ticket()?;
        self.check_inbox(caller, inbox)?;
        caller.party()?;
        caller.check_may_receive_all(&self.catalogue.load())?;
        let selected = Selected::of(inbox, &options, &self.catalogue.load())?;
        let _underway = self.replays.begin(inbox.owner())?;
        let detail = format!("types {}, filters {}", options.types.len(), options.filters.len());
        self.keep_one(caller, Operation::Replayed, Some(inbox), detail).await?;

        // Whatever it waits for just then.
        let replaying = self.replay_all(&selected, progress);
        let replayed = self.shutdown_token().run_until_cancelled_owned(replaying).await;
        let so_far = replayed.unwrap_or_else(|| Err(Refusal::shutting_down()))?;
        let Replayed { examined, replayed, .. } = so_far;
        tracing::info!(%inbox, examined, replayed, "replayed");
        Ok(so_far)
    }

    /// One page after the other. Dropped, it leaves what was replayed by then.
    async fn replay_all(
        &self,
        selected: &Selected,
        progress: impl Fn(Replayed) + Send,
    ) -> Result<Replayed, Refusal> {
        let (mut so_far, mut after) = (Replayed::default(), None);
        loop {
            let limit = self.wait_for_room(&selected.inbox).await;
            let turn = self.replays.turn().await;
            let begun = Instant::now();
            let looked_at = self.replay_some(selected, limit, &mut after, &mut so_far).await?;
            drop(turn);
            progress(so_far);
            if looked_at.ended {
                return Ok(so_far);
            }
            tokio::time::sleep_until(begun + self.time_for(&looked_at)).await;
        }
    }

    /// How long a page takes at the least.
    fn time_for(&self, page: &LookedAt) -> Duration {
        let by_number = page.messages as f64 / f64::from(self.options.replay_per_second.get());
        let by_size = page.bytes as f64 / BYTES_PER_SECOND;
        Duration::from_secs_f64(by_number.max(by_size))
    }

    /// One page of the archive.
    async fn replay_some(
        &self,
        selected: &Selected,
        limit: usize,
        after: &mut Option<ArchivePosition>,
        so_far: &mut Replayed,
    ) -> Result<LookedAt, Refusal> {
        let Selected { inbox, from, until, .. } = selected;
        let page = ArchivePage { from: *from, until: *until, after: *after, limit };
        let archived = self.bus.archived(page).await?;
        let bytes = archived.iter().map(|one| one.envelope.event.len()).sum();
        let (messages, ended) = (archived.len(), !page.is_full(&archived));
        let looked_at = LookedAt { messages, bytes, ended };
        let Some(last) = archived.last() else { return Ok(looked_at) };
        *after = Some(last.position);
        so_far.reached = Some(last.envelope.admitted_at);
        let catalogue = self.catalogue();
        let items = archived.iter().filter_map(|one| selected.take(one, &catalogue));
        let items: Vec<Enqueue> =
            items.map(|envelope| Enqueue::new(envelope, vec![inbox.clone()])).collect();
        let replayed = items.len() as u64;
        self.bus.enqueue(items).await.into_iter().collect::<Result<(), _>>()?;
        so_far.examined += messages as u64;
        so_far.replayed += replayed;
        self.metrics().replayed(replayed);
        Ok(looked_at)
    }

    /// Waits until the inbox has room within its limits, and says for how many messages of
    /// one page.
    async fn wait_for_room(&self, inbox: &InboxName) -> usize {
        loop {
            let settings = self.inboxes.read().get(inbox).copied().unwrap_or_default();
            let level = self.bus.level(inbox).unwrap_or_default();
            let most = settings.max_deliveries.unwrap_or(u64::MAX);
            let left = usize::try_from(most.saturating_sub(level.deliveries)).unwrap_or(AT_ONCE);
            if left > 0 && level.bytes < settings.max_bytes.unwrap_or(u64::MAX) {
                return left.min(AT_ONCE);
            }
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }
}

/// A page of the archive that was gone through.
struct LookedAt {
    messages: usize,
    bytes: usize,
    /// Whether it was the last.
    ended: bool,
}

/// What is replayed, and to where.
struct Selected {
    inbox: InboxName,
    from: SystemTime,
    until: SystemTime,
    types: Vec<String>,
    condition: Condition,
}

impl Selected {
    /// Refuses what cannot be used, with every field at fault.
    fn of(
        inbox: &InboxName,
        options: &ReplayOptions,
        catalogue: &Catalogue,
    ) -> Result<Self, Refusal> {
        let ReplayOptions { from, until, types, filters } = options;
        check_amount(filters)?;
        let mut faults = Vec::new();
        let mut fault = |field: String, description: String| {
            faults.push(Fault { field, description });
        };
        if from >= until {
            fault("until".to_owned(), "not after `from`; expected a later moment".to_owned());
        }
        for (index, event_type) in types.iter().enumerate() {
            if catalogue.grant(&inbox.owner(), Action::Receive, event_type).is_none() {
                let description = "the owner has no grant to receive an event type of this name";
                fault(format!("types[{index}]"), description.to_owned());
            }
        }
        let mut conditions = Vec::new();
        for (index, filter) in filters.iter().enumerate() {
            match filter.check().and_then(|()| filter.compile()) {
                Ok(condition) => conditions.push(condition),
                Err(error) => {
                    fault(format!("filters[{index}].{}", error.place), error.fault.to_string());
                }
            }
        }
        if !faults.is_empty() {
            return Err(Refusal::of_fields(Reason::InvalidRequest, faults));
        }
        Ok(Self {
            inbox: inbox.clone(),
            from: *from,
            until: *until,
            types: types.clone(),
            condition: Condition::all(conditions),
        })
    }

    /// The message as the owner of the inbox may have it, if it is to have it. A filter is
    /// held against what it gets, so that it tells nothing of the rest.
    fn take(&self, archived: &Archived, catalogue: &Arc<Catalogue>) -> Option<Envelope> {
        let Archived { envelope, .. } = archived;
        let event = EventView::decode(envelope.event.clone()).ok()?;
        let event_type = event.event_type();
        if !self.types.is_empty() && !self.types.iter().any(|wanted| wanted == event_type) {
            return None;
        }
        let grant = catalogue.grant(&self.inbox.owner(), Action::Receive, event_type)?;
        if !grant.covers(&event) {
            return None;
        }
        let now = Timestamp::from(clock::wall());
        if expiry_time(&event).ok().flatten().is_some_and(|expires_at| expires_at <= now) {
            return None;
        }
        let fields = grant.fields.as_ref();
        let seen = match fields {
            Some(fields) => EventView::decode(minimise_event(&event, fields).ok()?).ok()?,
            None => event,
        };
        let wanted = self.condition.holds(&EventFacts::new(&seen));
        wanted.then(|| Envelope {
            fields: fields.map(|fields| key_of(fields)),
            replayed: true,
            event: seen.frame().clone(),
            ..envelope.clone()
        })
    }
}
