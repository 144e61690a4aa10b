//! What happened to one message, or in one correlation, as the one who asks may see it.
//!
//! The source is the record of processing. `timeline` makes entries of its records and decides
//! who sees which of them.

mod timeline;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_audit::{Found, Operation, Outcome, Record, Search};
use wissel_identifiers::{InboxName, Oin};

use self::timeline::Timeline;
use crate::records::by;
use crate::{Broker, Caller, Reason, Refusal};

/// What a dossier is about.
#[derive(Clone, PartialEq, Eq)]
pub enum Sought {
    /// One message, by Wissel's id of it, and what belongs to it: the answer to a question, the
    /// statuses of a case.
    Message(Uuid),
    /// The messages with this `correlationid`.
    Correlation {
        /// The value. It may be anything, and is not shown.
        id: String,
        /// From when on to look; none: from a month ago.
        since: Option<SystemTime>,
    },
}

impl Sought {
    /// The most characters of a correlation.
    pub const CORRELATION_MAX: usize = 1_000;
}

/// What happened, as far as the one who asked may see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dossier {
    /// The messages, in the order of their admission.
    pub messages: Vec<Message>,
    /// What happened to them, in order.
    pub entries: Vec<Entry>,
    /// Whether there may be more, that was not looked for.
    pub truncated: bool,
}

/// A message of a dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Wissel's id of it.
    pub id: Uuid,
    /// Its event type.
    pub event_type: Option<String>,
    /// The party that published it.
    pub publisher: Option<Oin>,
    /// When it was admitted.
    pub admitted_at: Option<SystemTime>,
    /// To how many inboxes it went; none for who may not know.
    pub inboxes: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When; a deadline may be still to come.
    pub at: SystemTime,
    /// To which message.
    pub message_id: Uuid,
    /// What.
    pub what: What,
    /// The party concerned: who published, or received. None: Wissel itself.
    pub party: Option<Oin>,
    /// Who acted for that party, when somebody did.
    pub acted_by: Option<Oin>,
    /// In which inbox.
    pub inbox: Option<InboxName>,
    /// At which attempt.
    pub attempt: Option<u32>,
    /// Why. Numbers that may be a person's are masked.
    pub reason: Option<String>,
}

/// The kinds of things that happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// It was admitted.
    Admitted,
    /// It was admitted, and could not be made durable: its publisher got no receipt.
    Refused,
    /// It went to an inbox.
    Routed,
    /// It was handed to a receiver.
    HandedOut,
    /// The receiver did not manage; it comes again.
    Retried,
    /// It was given up on in an inbox.
    DeadLettered,
    /// Nobody waited for its answer any more, so it was handed to nobody.
    QuestionOver,
    /// Its asker got no answer.
    Unanswered,
    /// By then its receivers are to be done with it.
    Deadline,
}

/// How many may look through the records at a time.
pub(crate) const SEARCHES_AT_ONCE: usize = 2;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many records one dossier is made of at most.
const RECORDS_MAX: usize = 1_000;
/// How many bytes of records are looked through at most.
const BYTES_MAX: u64 = 4 << 30;
/// How far back a correlation is looked for when nothing is said.
const MONTH: Duration = Duration::from_hours(31 * 24);
/// What a dossier is made of.
const OPERATIONS: [Operation; 6] = [
    Operation::Admission,
    Operation::Delivery,
    Operation::Retried,
    Operation::DeadLettered,
    Operation::QuestionOver,
    Operation::Unanswered,
];

impl Broker {
    /// What happened. `concerned` is a message with which the caller has to do in a way that the
    /// record does not tell: it has the case.
    ///
    /// # Errors
    /// [`Reason::UnknownMessage`] for a message that never was, and in the same words for one
    /// that is none of the caller's business; [`Reason::NotGranted`] and [`Reason::NoMandate`]
    /// for a caller without any right; [`Reason::RateLimited`] while others look.
    pub async fn dossier(
        &self,
        caller: &Caller,
        sought: &Sought,
        concerned: Option<Uuid>,
    ) -> Result<Dossier, Refusal> {
        let _ticket = self.ticket()?;
        let catalogue = self.catalogue();
        caller.check(&catalogue)?;
        let found = self.look_up(sought).await?;
        let timeline = Timeline { caller, catalogue: &catalogue, concerned };
        let mut dossier = timeline.dossier(&found.entries);
        dossier.truncated = found.truncated;
        let sees = match sought {
            Sought::Message(id) => dossier.messages.iter().any(|message| message.id == *id),
            Sought::Correlation { .. } => !dossier.messages.is_empty(),
        };
        let outcome = if sees { Ok(dossier) } else { Err(unknown()) };
        self.keep_read(caller, sought, outcome.as_ref().err()).await?;
        outcome
    }

    /// Looks through the records, beside what else the gateway does.
    async fn look_up(&self, sought: &Sought) -> Result<Found, Refusal> {
        let nothing = Found { entries: Vec::new(), truncated: false };
        let Some(records) = self.options.records.clone() else { return Ok(nothing) };
        let correlation = |text: &str| records.subjects.correlation(text);
        let (messages, correlations, from) = match sought {
            Sought::Message(id) => {
                let Some(made_at) = made_at(*id) else { return Ok(nothing) };
                (vec![*id], vec![correlation(&id.to_string())], made_at)
            }
            Sought::Correlation { id, since } => {
                // A case is correlated by the id of its message.
                let case: Option<Uuid> = id.parse().ok();
                let month_ago = || SystemTime::now() - MONTH;
                let from = since.or_else(|| made_at(case?)).unwrap_or_else(month_ago);
                (case.into_iter().collect(), vec![correlation(id)], from)
            }
        };
        let search = Search {
            messages,
            correlations,
            follow: matches!(sought, Sought::Message(_)),
            operations: OPERATIONS.to_vec(),
            from,
            limit: RECORDS_MAX,
            bytes: BYTES_MAX,
        };
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.searches).acquire_owned());
        let Ok(Ok(turn)) = turn.await else { return Err(busy()) };
        let searching = tokio::task::spawn_blocking(move || {
            // Kept until the search ends, also when nobody waits for it any more.
            let _turn = turn;
            records.log.search(&search)
        });
        let searched = searching.await.map_err(|error| Refusal::internal(&error))?;
        searched.map_err(|error| Refusal::internal(&error))
    }

    /// Puts on record that somebody looked.
    async fn keep_read(
        &self,
        caller: &Caller,
        sought: &Sought,
        refusal: Option<&Refusal>,
    ) -> Result<(), Refusal> {
        let Some(records) = &self.options.records else { return Ok(()) };
        let record = by(caller, Operation::DossierRead);
        let record = match (sought, refusal) {
            // What was made up is not named.
            (_, Some(refusal)) => {
                Record { outcome: Outcome::Refused(refusal.reason.as_str()), ..record }
            }
            (Sought::Message(id), None) => Record { message_id: Some(*id), ..record },
            (Sought::Correlation { id, .. }, None) => {
                Record { correlation: Some(records.subjects.correlation(id)), ..record }
            }
        };
        self.keep(vec![record]).await
    }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::UnknownMessage, "there is no such message that you may see")
}

fn busy() -> Refusal {
    let message = "others look through the record of processing; try again";
    let retry_after = Some(Duration::from_secs(1));
    Refusal { retry_after, ..Refusal::new(Reason::RateLimited, message) }
}

/// When a message id was given: all that is on record of it is later.
fn made_at(id: Uuid) -> Option<SystemTime> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

impl fmt::Debug for Sought {
    /// A correlation is not shown: it may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(id) => f.debug_tuple("Message").field(id).finish(),
            Self::Correlation { since, .. } => {
                f.debug_struct("Correlation").field("since", since).finish_non_exhaustive()
            }
        }
    }
}
