use std::ops::Bound;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use wissel_audit::Operation;
use wissel_bus::{DeadLetter, DeadLetterId, Health, InboxState, Page, Selection};
use wissel_identifiers::InboxName;
use wissel_store::{InboxRecord, InboxSettings};

use crate::{Broker, Caller, Reason, Refusal};

/// An inbox, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Its name; the owner is in it.
    pub name: InboxName,
    /// Its state of this moment.
    pub state: InboxState,
    /// How it behaves, where that is not as everywhere.
    pub settings: InboxSettings,
}

/// How a broker fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The kind of bus.
    pub bus: &'static str,
    /// What the bus says of itself.
    pub health: Health,
    /// Whether messages are taken now.
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
        caller: Caller,
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
            let state = self.bus.inspect(&name).await?;
            Ok(Inbox { name, state, settings })
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
    pub async fn inbox(&self, caller: Caller, name: &InboxName) -> Result<Inbox, Refusal> {
        let _ticket = self.ticket()?;
        self.check_inbox(caller, name)?;
        let settings = self.inboxes.read().get(name).copied().unwrap_or_default();
        Ok(Inbox { name: name.clone(), state: self.bus.inspect(name).await?, settings })
    }

    /// Changes how an inbox behaves. It holds for deliveries from then on.
    ///
    /// # Errors
    /// As [`Broker::inbox`]; [`Reason::InvalidRequest`](crate::Reason::InvalidRequest) for
    /// less than one attempt.
    pub async fn set_inbox(
        &self,
        caller: Caller,
        name: &InboxName,
        settings: InboxSettings,
    ) -> Result<Inbox, Refusal> {
        let outcome = self.try_set_inbox(caller, name, settings).await;
        self.unless_refused(caller, Operation::InboxChanged, name, outcome).await
    }

    async fn try_set_inbox(
        &self,
        caller: Caller,
        name: &InboxName,
        settings: InboxSettings,
    ) -> Result<Inbox, Refusal> {
        let _ticket = self.ticket()?;
        let _one_at_a_time = self.control.lock().await;
        self.check_inbox(caller, name)?;
        caller.check_may_receive_all(&self.catalogue.load())?;
        if settings.max_attempts == Some(0) {
            let description = "0; expected at least 1";
            return Err(Refusal::of_field(Reason::InvalidRequest, "max_attempts", description));
        }
        let attempts = settings.max_attempts.map_or("default".to_owned(), |n| n.to_string());
        let detail = format!("max_attempts {attempts}");
        self.keep_one(caller, Operation::InboxChanged, Some(name), detail).await?;
        let kept = self.store.set_inbox(InboxRecord { name: name.clone(), settings }).await;
        kept.map_err(|error| Refusal::internal(&error))?;
        self.inboxes.write().insert(name.clone(), settings);
        Ok(Inbox { name: name.clone(), state: self.bus.inspect(name).await?, settings })
    }

    /// Dead letters of an inbox, oldest first.
    ///
    /// # Errors
    /// As [`Broker::inbox`].
    pub async fn dead_letters(
        &self,
        caller: Caller,
        name: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, Refusal> {
        let outcome = self.try_dead_letters(caller, name, page).await;
        self.unless_refused(caller, Operation::DeadLettersListed, name, outcome).await
    }

    async fn try_dead_letters(
        &self,
        caller: Caller,
        name: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, Refusal> {
        let _ticket = self.ticket()?;
        self.check_inbox(caller, name)?;
        caller.check_may_receive_all(&self.catalogue.load())?;
        let detail = format!("at most {}", page.limit);
        self.keep_one(caller, Operation::DeadLettersListed, Some(name), detail).await?;
        Ok(self.bus.dead_letters(name, page).await?)
    }

    /// Puts dead letters back in their inbox. Says how many.
    ///
    /// # Errors
    /// As [`Broker::inbox`].
    pub async fn redrive(
        &self,
        caller: Caller,
        name: &InboxName,
        selection: &Selection,
    ) -> Result<u64, Refusal> {
        let outcome = self.try_redrive(caller, name, selection).await;
        self.unless_refused(caller, Operation::DeadLettersRedriven, name, outcome).await
    }

    async fn try_redrive(
        &self,
        caller: Caller,
        name: &InboxName,
        selection: &Selection,
    ) -> Result<u64, Refusal> {
        let _ticket = self.ticket()?;
        self.check_inbox(caller, name)?;
        caller.check_may_receive_all(&self.catalogue.load())?;
        let detail = match selection {
            Selection::All => "all".to_owned(),
            Selection::These(ids) => format!("{} chosen", ids.len()),
        };
        self.keep_one(caller, Operation::DeadLettersRedriven, Some(name), detail).await?;
        let redriven = self.bus.redrive(name, selection).await?;
        tracing::info!(inbox = %name, redriven, "dead letters redriven");
        Ok(redriven)
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

    fn check_inbox(&self, caller: Caller, name: &InboxName) -> Result<(), Refusal> {
        caller.check_may_receive(&self.catalogue.load())?;
        caller.check_sees(name)?;
        if self.inboxes.read().contains_key(name) {
            Ok(())
        } else {
            Err(Refusal::unknown_inbox(name))
        }
    }
}
