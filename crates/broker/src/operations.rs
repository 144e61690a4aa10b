use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use wissel_audit::Operation;
use wissel_bus::{BusError, Health, InboxState};
use wissel_identifiers::InboxName;
use wissel_store::{InboxRecord, InboxSettings};

use crate::{Broker, Caller, Receiver, Refusal, policy};

/// An inbox, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Its name; the owner is in it.
    pub name: InboxName,
    /// Its state of this moment.
    pub state: InboxState,
    /// How it behaves, where that is not as everywhere.
    pub settings: InboxSettings,
    /// How it behaves: by its settings, and as everywhere where it has none.
    pub in_effect: InboxSettings,
    /// Who has it open at this gateway; only of one that was asked for by name.
    pub receivers: Vec<Receiver>,
}

/// How a broker fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The kind of bus.
    pub bus: &'static str,
    /// What the bus says of itself.
    pub health: Health,
    /// Whether bus and inboxes are there. What else must hold is in [`Broker::readiness`].
    pub ready: bool,
    /// How long the broker has been up.
    pub uptime: Duration,
    /// Subscriptions in force.
    pub subscriptions: usize,
    /// Inboxes.
    pub inboxes: usize,
}

/// How many inboxes are looked at side by side.
const INSPECTIONS_AT_ONCE: usize = 16;

impl Broker {
    /// The inboxes that the caller may see, by name, behind `after`, at most
    /// `limit`.
    ///
    /// # Errors
    /// What the bus says.
    pub async fn inboxes(
        &self,
        caller: &Caller,
        after: Option<&InboxName>,
        limit: usize,
    ) -> Result<Vec<Inbox>, Refusal> {
        let _ticket = self.ticket()?;
        caller.check_may_receive(&self.catalogue.load())?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found: Vec<(InboxName, InboxSettings)> = {
            let all = self.inboxes.read();
            all.range::<InboxName, _>((from, Bound::Unbounded))
                .filter(|(name, _)| caller.may_see(name.owner()))
                .take(limit)
                .map(|(name, settings)| (name.clone(), *settings))
                .collect()
        };
        let inspections = stream::iter(found).map(|(name, settings)| async move {
            let state = self.inspect(&name, &settings).await?;
            Ok(self.as_set(name, state, settings, Vec::new()))
        });
        let inspected: Vec<Result<Inbox, Refusal>> =
            inspections.buffered(INSPECTIONS_AT_ONCE).collect().await;
        inspected.into_iter().collect()
    }

    /// One inbox.
    ///
    /// # Errors
    /// [`Reason::UnknownInbox`](crate::Reason::UnknownInbox) when there is none,
    /// or it is not the caller's; what the bus says.
    pub async fn inbox(&self, caller: &Caller, name: &InboxName) -> Result<Inbox, Refusal> {
        let _ticket = self.ticket()?;
        self.check_inbox(caller, name)?;
        let settings = self.inboxes.read().get(name).copied().unwrap_or_default();
        let (state, receivers) = (self.inspect(name, &settings).await?, self.receivers_of(name));
        Ok(self.as_set(name.clone(), state, settings, receivers))
    }

    /// Changes how an inbox behaves. It holds for deliveries from then on, also when the bus
    /// is away: then the answer tells how the inbox fared when it was looked at last.
    ///
    /// # Errors
    /// As [`Broker::inbox`]; [`Reason::NotGranted`](crate::Reason::NotGranted) for an operator
    /// without the role [`Role::Operator`](crate::Role::Operator);
    /// [`Reason::InvalidRequest`](crate::Reason::InvalidRequest) with each setting that makes no
    /// sense.
    pub async fn set_inbox(
        self: &Arc<Self>,
        caller: &Caller,
        name: &InboxName,
        change: impl FnOnce(InboxSettings) -> InboxSettings + Send,
    ) -> Result<Inbox, Refusal> {
        let outcome = self.try_set_inbox(caller, name, change).await;
        self.unless_refused(caller, Operation::InboxChanged, Some(name), outcome).await
    }

    async fn try_set_inbox(
        self: &Arc<Self>,
        caller: &Caller,
        name: &InboxName,
        change: impl FnOnce(InboxSettings) -> InboxSettings + Send,
    ) -> Result<Inbox, Refusal> {
        let _ticket = self.ticket()?;
        self.check_may_mend(caller, name)?;
        let turn = self.turns.of(name).await;
        let before = self.inboxes.read().get(name).copied().unwrap_or_default();
        let settings = change(before);
        policy::check(&settings)?;
        // This may take long, and keeps nobody from changing what is not this inbox.
        let leaving = self.prepare_direct(name, before.direct_amqp, settings.direct_amqp).await?;
        let one_at_a_time = self.control.lock().await;
        // Who waited may have lost the right to.
        self.check_may_mend(caller, name)?;
        self.keep_settings(caller, name, settings, described(&settings)).await?;
        drop(leaving);
        self.forward_as_set();
        drop((one_at_a_time, turn));
        let state = match self.inspect(name, &settings).await {
            Err(BusError::Unavailable { reason }) => {
                tracing::warn!(inbox = %name, reason, "how a changed inbox fares is not known");
                self.state_before(name)
            }
            inspected => inspected?,
        };
        let receivers = self.receivers_of(name);
        Ok(self.as_set(name.clone(), state, settings, receivers))
    }

    /// An inbox that has these settings.
    fn as_set(
        &self,
        name: InboxName,
        state: InboxState,
        settings: InboxSettings,
        receivers: Vec<Receiver>,
    ) -> Inbox {
        let in_effect = policy::in_effect(&settings, &self.options.delivery);
        Inbox { name, state, settings, in_effect, receivers }
    }

    /// How an inbox fared when all were looked at last.
    fn state_before(&self, name: &InboxName) -> InboxState {
        let survey = self.last_survey();
        let known = survey.inboxes.iter().find(|one| one.name == *name);
        let state = known.map(|one| one.state.clone()).unwrap_or_default();
        InboxState { depth_is_least: true, ..state }
    }

    async fn keep_settings(
        &self,
        caller: &Caller,
        name: &InboxName,
        settings: InboxSettings,
        detail: String,
    ) -> Result<(), Refusal> {
        self.keep_one(caller, Operation::InboxChanged, Some(name), detail).await?;
        self.store.set_inbox(InboxRecord { name: name.clone(), settings }).await?;
        self.inboxes.write().insert(name.clone(), settings);
        self.room.set(name, &settings);
        self.room.ask(&*self.bus);
        self.pauses.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// How this broker fares.
    #[must_use]
    pub fn status(&self) -> Status {
        let health = self.bus.health();
        Status {
            bus: self.bus.kind(),
            ready: health.ready && self.is_prepared() && !self.shutdown_token().is_cancelled(),
            health,
            uptime: self.started_at.elapsed(),
            subscriptions: self.subscriptions.read().len(),
            inboxes: self.inboxes.read().len(),
        }
    }

    pub(crate) fn check_inbox(&self, caller: &Caller, name: &InboxName) -> Result<(), Refusal> {
        caller.check_may_receive(&self.catalogue.load())?;
        caller.check_sees(name)?;
        if self.inboxes.read().contains_key(name) {
            Ok(())
        } else {
            Err(Refusal::unknown_inbox(name))
        }
    }
}

/// The settings that an inbox has of its own, for the record.
fn described(settings: &InboxSettings) -> String {
    let InboxSettings {
        max_attempts,
        retry_initial,
        retry_max,
        max_age,
        max_deliveries,
        max_bytes,
        when_full,
        direct_amqp,
        paused,
        draining,
    } = settings;
    let ms = |duration: &Option<Duration>| duration.map(|duration| duration.as_millis());
    let stated = [
        max_attempts.map(|count| format!("max_attempts {count}")),
        ms(retry_initial).map(|ms| format!("retry_initial {ms} ms")),
        ms(retry_max).map(|ms| format!("retry_max {ms} ms")),
        ms(max_age).map(|ms| format!("max_age {ms} ms")),
        max_deliveries.map(|count| format!("max_deliveries {count}")),
        max_bytes.map(|count| format!("max_bytes {count}")),
        when_full.map(|what| format!("when_full {what:?}")),
        direct_amqp.then(|| "direct_amqp".to_owned()),
        paused.then(|| "paused".to_owned()),
        draining.then(|| "draining".to_owned()),
    ];
    let stated: Vec<String> = stated.into_iter().flatten().collect();
    if stated.is_empty() { "as the gateway is set".to_owned() } else { stated.join(", ") }
}
