//! What parties do with cases.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;
use wissel_audit::Operation;
use wissel_broker::direction::check_reserved;
use wissel_broker::{Caller, Direction, Processing, Reason, Refusal};
use wissel_catalogue::{Action, Dispatch};
use wissel_identifiers::Oin;
use wissel_message::EventView;
use wissel_store::{CaseChange, CaseFile, CaseStatus};

use super::state::{check_open, follow};
use super::{Status, messages, unknown, watch};
use crate::Exchange;

/// How a case stands from now on, as whoever has it says.
#[derive(Debug, Clone)]
pub struct StatusChange {
    /// The case.
    pub case: Uuid,
    /// How it stands.
    pub status: Status,
    /// When its term ends, with [`Status::Extended`].
    pub ends_at: Option<SystemTime>,
    /// What its sender is to get: an event of the type of status messages, in the CloudEvents
    /// protobuf format.
    pub event: Bytes,
}

/// How long a case may take to come to the exchange, after its receipt.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A message that is older is not on its way to the exchange any more.
const RECENT: Duration = Duration::from_mins(1);
/// When to try again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Exchange {
    /// Says how a case stands, and tells its sender. The same again changes nothing.
    ///
    /// # Errors
    /// [`Reason::UnknownCase`]; [`Reason::NotGranted`] for another than the party that has it;
    /// [`Reason::WrongState`]; [`Reason::InvalidRequest`]; all that the road refuses.
    pub async fn set_status(
        &self,
        caller: &Caller,
        change: StatusChange,
    ) -> Result<CaseFile, Refusal> {
        let StatusChange { case: id, status, ends_at, event } = change;
        let party = caller.party()?;
        let view = EventView::decode(event).map_err(|error| {
            Refusal::of_field(Reason::MalformedMessage, "event", error.to_string())
        })?;
        check_reserved(&view)?;
        self.find_case(caller, id).await?;
        let _turn = self.cases.turn.lock().await;
        let case = self.find_case(caller, id).await?;
        let is_same = |known: &CaseStatus| known.party == party && known.event_id == view.id();
        if case.statuses.iter().any(is_same) {
            return Ok(case);
        }
        check_holder(&case, party)?;
        let now = SystemTime::now();
        let dispatch = self.dispatch_of(&case)?;
        let next = follow(&case, dispatch.report.is_some(), status, ends_at, now)?;
        if view.event_type() != &*dispatch.status {
            let message =
                format!("expected the event type of status messages, {}", dispatch.status);
            return Err(Refusal::of_field(Reason::InvalidMessage, "type", message));
        }
        caller.check_mandate(&self.broker.catalogue(), Action::Publish, &dispatch.status)?;
        let frame = messages::stamp(&view, id, status)?;
        let of_same = self.said_of_same(&case, status, ends_at, now).await?;
        let direction = Direction::One(Some(case.sender));
        self.broker.publish_directed(caller, frame, &direction).await?;

        let stated = CaseStatus {
            status: status.as_str().to_owned(),
            party,
            at: now,
            event_id: view.id().to_owned(),
            correction: None,
        };
        let due = watch::due_after(status, &dispatch, &next, now);
        let messages = Vec::new();
        let own = CaseChange { case: next, status: Some(stated), due, done: None, messages };
        self.change([vec![own], of_same].concat()).await?;
        self.case_of(id).await
    }

    /// Takes a case back, and tells whoever has it. The same again changes nothing.
    ///
    /// # Errors
    /// [`Reason::UnknownCase`]; [`Reason::NotGranted`] for another than its sender;
    /// [`Reason::WrongState`] when it is closed.
    pub async fn withdraw_case(&self, caller: &Caller, id: Uuid) -> Result<CaseFile, Refusal> {
        let party = caller.party()?;
        self.find_case(caller, id).await?;
        let _turn = self.cases.turn.lock().await;
        let case = self.find_case(caller, id).await?;
        if case.sender != party {
            let message = "only the sender of a case withdraws it";
            return Err(Refusal::new(Reason::NotGranted, message));
        }
        if case.statuses.last().is_some_and(|last| last.status == Status::Withdrawn.as_str()) {
            return Ok(case);
        }
        check_open(&case)?;
        caller.check_mandate(&self.broker.catalogue(), Action::Publish, &case.event_type)?;
        self.put_on_record(caller, Operation::CaseWithdrawn, &case).await?;
        let (dispatch, holder) = (self.dispatch_of(&case)?, case.holder);
        let next = CaseFile { closed: true, ..case };
        let change = self.told(next, Status::Withdrawn, party, &[(holder, &dispatch.status)])?;
        self.change(vec![CaseChange { due: Some(Vec::new()), ..change }]).await?;
        self.case_of(id).await
    }

    /// Sends a case on to another party that is competent (*doorzendplicht*, Awb 2:3): its
    /// message as it was published, as that party may have it. Its sender is told, its term
    /// runs on. The same again changes nothing.
    ///
    /// # Errors
    /// [`Reason::UnknownCase`]; [`Reason::NotGranted`] for another than the party that has it;
    /// [`Reason::WrongState`] when it is closed; [`Reason::NoLongerKept`] when the archive
    /// does not have the message; [`Reason::AudienceUnmet`] when no grant of the other party
    /// covers it, or it does not subscribe to the type.
    pub async fn forward_case(
        &self,
        caller: &Caller,
        id: Uuid,
        to: Oin,
    ) -> Result<CaseFile, Refusal> {
        let party = caller.party()?;
        self.find_case(caller, id).await?;
        let _turn = self.cases.turn.lock().await;
        let case = self.find_case(caller, id).await?;
        if case.holder == to {
            return Ok(case);
        }
        check_holder(&case, party)?;
        check_open(&case)?;
        caller.check_mandate(&self.broker.catalogue(), Action::Receive, &case.event_type)?;
        self.broker.forward(caller, id, case.opened_at, to).await?;
        let (dispatch, sender) = (self.dispatch_of(&case)?, case.sender);
        let next = CaseFile { holder: to, ..case };
        let change = self.told(next, Status::Forwarded, party, &[(sender, &dispatch.status)])?;
        self.change(vec![change]).await?;
        self.case_of(id).await
    }

    /// A case that the caller sent, has or had.
    ///
    /// # Errors
    /// [`Reason::UnknownCase`].
    pub async fn get_case(&self, caller: &Caller, id: Uuid) -> Result<CaseFile, Refusal> {
        self.find_case(caller, id).await
    }

    /// The cases that the caller sent or has; an operator's call: everybody's.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn list_cases(
        &self,
        caller: &Caller,
        open_only: bool,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<CaseFile>, Refusal> {
        let party = if caller.is_operator() { None } else { Some(caller.party()?) };
        Ok(self.store.cases(party, open_only, after, limit).await?)
    }

    /// The case, when the caller has to do with it.
    async fn find_case(&self, caller: &Caller, id: Uuid) -> Result<CaseFile, Refusal> {
        let made_at = was_made_at(id);
        let age = made_at.and_then(|at| SystemTime::now().duration_since(at).ok());
        let case = if age.is_some_and(|age| age < RECENT) {
            let waiting = tokio::time::timeout(PATIENCE, self.wait_for_case(id)).await;
            waiting
                .unwrap_or_else(|_| Err(Refusal { retry_after: Some(AGAIN_AFTER), ..unknown() }))?
        } else {
            self.case_of(id).await?
        };
        if is_concerned(caller, &case)? { Ok(case) } else { Err(unknown()) }
    }

    /// A case that has a receipt, and may not be here yet.
    async fn wait_for_case(&self, id: Uuid) -> Result<CaseFile, Refusal> {
        loop {
            let opened = self.cases.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            match self.store.case(id).await? {
                Some(case) => return Ok(case),
                None => opened.await,
            }
        }
    }

    async fn case_of(&self, id: Uuid) -> Result<CaseFile, Refusal> {
        self.store.case(id).await?.ok_or_else(unknown)
    }

    /// What the catalogue says of the type of a case.
    pub(super) fn dispatch_of(&self, case: &CaseFile) -> Result<Dispatch, Refusal> {
        let catalogue = self.broker.catalogue();
        let event_type = catalogue.event_type(&case.event_type);
        event_type.and_then(|one| one.dispatch.clone()).ok_or_else(|| {
            let message = format!("{} is no type of cases any more", case.event_type);
            Refusal::new(Reason::UnknownEventType, message)
        })
    }

    /// A status of which the exchange tells each of these parties, in a message of its type.
    pub(super) fn told(
        &self,
        case: CaseFile,
        status: Status,
        by: Oin,
        to: &[(Oin, &str)],
    ) -> Result<CaseChange, Refusal> {
        self.told_with(case, status, None, by, to)
    }

    /// The same of a status that comes of a correction, this message.
    pub(super) fn told_with(
        &self,
        case: CaseFile,
        status: Status,
        correction: Option<Uuid>,
        by: Oin,
        to: &[(Oin, &str)],
    ) -> Result<CaseChange, Refusal> {
        let (exchange, now) = (self.party()?, SystemTime::now());
        let event_id = messages::event_id(&case, status);
        let messages = to.iter().map(|(to, event_type)| {
            let message =
                messages::write(exchange, event_type, &case, status, correction, now, *to)?;
            Ok((*to, message))
        });
        let messages = messages.collect::<Result<_, Refusal>>()?;
        let status = CaseStatus {
            status: status.as_str().to_owned(),
            party: by,
            at: now,
            event_id,
            correction,
        };
        Ok(CaseChange { case, status: Some(status), due: None, done: None, messages })
    }

    pub(super) async fn change(&self, changes: Vec<CaseChange>) -> Result<(), Refusal> {
        self.store.change_cases(changes).await?;
        self.cases.due.notify_one();
        self.something_to_send();
        Ok(())
    }

    async fn put_on_record(
        &self,
        caller: &Caller,
        operation: Operation,
        case: &CaseFile,
    ) -> Result<(), Refusal> {
        let processing = Processing {
            operation,
            caller: Some(caller),
            grant: None,
            subject: None,
            detail: format!("case {}", case.id),
        };
        self.broker.put_on_record(processing).await
    }
}

/// Whether the caller sent a case, has it, or had it; or is an operator.
pub(crate) fn is_concerned(caller: &Caller, case: &CaseFile) -> Result<bool, Refusal> {
    if caller.is_operator() {
        return Ok(true);
    }
    let party = caller.party()?;
    let had = case.statuses.iter().any(|status| status.party == party);
    Ok(party == case.sender || party == case.holder || had)
}

fn check_holder(case: &CaseFile, party: Oin) -> Result<(), Refusal> {
    if case.holder == party {
        return Ok(());
    }
    let message = format!("party {party} does not have the case");
    Err(Refusal::new(Reason::NotGranted, message))
}

/// When a UUID version 7 was made.
pub(super) fn was_made_at(id: Uuid) -> Option<SystemTime> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}
