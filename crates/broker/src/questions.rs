//! Questions and their answers, as messages: who waits for which, and where.
//!
//! A question is a message like any other, that goes to the inbox of the one party that is
//! to answer it. It says where its asker waits: at the inbox of a gateway. The answer is a
//! message to that inbox, or, where its asker waits at this very gateway, straight to it: the
//! two end together, so a bus between them would keep nothing for anybody. Neither outlives
//! the asker's patience.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;
use wissel_audit::Operation;
use wissel_bus::{Consumer, Credit, Enqueue, Envelope, MessageId};
use wissel_catalogue::Action;
use wissel_identifiers::{InboxName, Oin};
use wissel_message::{EventView, Value};

use crate::direction::owners;
use crate::policy::Policy;
use crate::records::by;
use crate::session::entitled::{Entitled, Withheld, entitled};
use crate::{Broker, Caller, Leased, Reason, Refusal};

/// The attribute of a question that says where its asker waits.
pub const REPLY_TO: &str = "wisselreplyto";

/// Where an asker waits for an answer. Only who got the question knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// The inbox of the gateway.
    pub inbox: InboxName,
    /// Who asks.
    pub asker: Oin,
    /// Which of its questions. Cannot be guessed.
    pub question: Uuid,
}

/// The questions that askers at this gateway wait for.
#[derive(Default)]
pub(crate) struct Questions {
    desk: OnceLock<Desk>,
    /// Each with whom it goes to: nobody, until it is about to go there.
    waited_for: Mutex<HashMap<Uuid, Vec<Oin>>>,
}

/// Where answers come in at this gateway.
struct Desk {
    inbox: InboxName,
    take: Box<dyn Fn(Envelope) + Send + Sync>,
}

/// An asker that waits. Dropped, it does so no longer, and the question goes to nobody who
/// does not have it yet.
pub struct Wait {
    broker: Arc<Broker>,
    question: Uuid,
}

/// How many answers come to a gateway ahead of those who wait for them.
const ANSWERS_AHEAD: u16 = 1_000;

impl Broker {
    /// Says in which inbox answers come to this gateway; `take` gets those that are given at
    /// this one, which waits for nothing. A question of an asker here that no longer waits, as of
    /// one that went with an earlier run of this gateway, is from then on handed to nobody. Said
    /// again, it is the same inbox, and whoever took answers before still does.
    pub fn take_answers(&self, inbox: &InboxName, take: impl Fn(Envelope) + Send + Sync + 'static) {
        let _ = self.questions.desk.set(Desk { inbox: inbox.clone(), take: Box::new(take) });
    }

    /// Opens the inbox in which answers come to this gateway from others.
    ///
    /// # Errors
    /// When the bus is not there.
    pub async fn open_answers(&self, inbox: &InboxName) -> Result<Consumer, Refusal> {
        let _ticket = self.ticket()?;
        self.bus.open_inbox(inbox).await?;
        Ok(self.bus.consume(inbox, Credit::of(ANSWERS_AHEAD)).await?)
    }

    /// Begins to wait for the answer to a question.
    #[must_use]
    pub fn wait_for(self: &Arc<Self>, question: Uuid) -> Wait {
        self.questions.waited_for.lock().insert(question, Vec::new());
        Wait { broker: Arc::clone(self), question }
    }

    /// Whether a question goes to this party, which is known before anybody can have it; none when
    /// nobody at this gateway waits for its answer.
    #[must_use]
    pub fn is_asked(&self, question: Uuid, party: Oin) -> Option<bool> {
        let waited_for = self.questions.waited_for.lock();
        waited_for.get(&question).map(|asked| asked.contains(&party))
    }

    /// An answer as a party may have it at this moment; that it gets it is on record.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] when it may not have it; when it cannot be put on record.
    pub async fn hand_over(
        &self,
        caller: &Caller,
        inbox: &InboxName,
        mut envelope: Envelope,
    ) -> Result<Bytes, Refusal> {
        let party = caller.party()?;
        let catalogue = self.catalogue();
        let policy = Policy::of(&Default::default(), &self.options.delivery);
        let may = |event_type: &str| caller.check_mandate(&catalogue, Action::Receive, event_type);
        let entitled = entitled(party, &policy, &envelope, &catalogue, &self.questions, may);
        let Entitled { event, fields, .. } = entitled.map_err(|withheld| match withheld {
            Withheld::NotForCaller(refusal) => refusal,
            Withheld::Over => Refusal::new(Reason::NotGranted, "it is a question that is over"),
            Withheld::Dead(reason) | Withheld::Expired(reason) => {
                Refusal::new(Reason::NotGranted, reason)
            }
        })?;
        envelope.event = event.clone();
        envelope.fields = fields;
        let now = SystemTime::now();
        let leased =
            Leased { id: 0, envelope, attempt: 1, lease_ends_at: now, deadline: None, trace: None };
        let record = self.delivery(caller, party, inbox, &leased, &catalogue);
        self.keep(record.into_iter().collect::<Vec<_>>()).await?;
        Ok(event)
    }

    /// Tells an asker that there will be no answer, in a message of the exchange's own
    /// making.
    ///
    /// # Errors
    /// When the bus is not there, or it cannot be put on record.
    pub async fn send_failure(
        &self,
        caller: &Caller,
        to: &ReplyTo,
        event: Bytes,
    ) -> Result<(), Refusal> {
        let _ticket = self.ticket()?;
        let message_id = MessageId::now();
        let record = wissel_audit::Record {
            message_id: Some(message_id.0),
            inbox: Some(to.inbox.clone()),
            detail: Some("no answer".to_owned()),
            ..by(caller, Operation::Admission)
        };
        self.keep(vec![record]).await?;
        let envelope = Envelope {
            message_id,
            publisher: caller.party()?,
            admitted_at: SystemTime::now(),
            fields: None,
            replayed: false,
            event,
        };
        if self.questions.is_taken_here(&to.inbox) {
            self.questions.take(envelope);
            return Ok(());
        }
        let sent = self.bus.enqueue(vec![Enqueue::new(envelope, vec![to.inbox.clone()])]).await;
        Ok(sent.into_iter().collect::<Result<(), _>>()?)
    }
}

impl Questions {
    /// Whether answers to this inbox are taken at this gateway.
    pub(crate) fn is_taken_here(&self, inbox: &InboxName) -> bool {
        self.desk.get().is_some_and(|desk| desk.inbox == *inbox)
    }

    /// Hands an answer to whoever waits for it here.
    pub(crate) fn take(&self, answer: Envelope) {
        if let Some(desk) = self.desk.get() {
            (desk.take)(answer);
        }
    }

    /// A question, of which somebody here waits for the answer, is about to go to these inboxes.
    pub(crate) fn goes_to(&self, question: &EventView, inboxes: &[InboxName]) {
        let Some(reply_to) = ReplyTo::of(question) else { return };
        if let Some(asked) = self.waited_for.lock().get_mut(&reply_to.question) {
            *asked = owners(inboxes.iter());
        }
    }

    /// Whether nobody waits for the answer to a question any more, as far as is known here.
    pub(crate) fn is_over(&self, question: &EventView) -> bool {
        let Some(reply_to) = ReplyTo::of(question) else { return true };
        let is_waited_for = || self.waited_for.lock().contains_key(&reply_to.question);
        self.is_taken_here(&reply_to.inbox) && !is_waited_for()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.broker.questions.waited_for.lock().remove(&self.question);
    }
}

// === impl ReplyTo ===

impl ReplyTo {
    /// Where the asker of a question waits.
    #[must_use]
    pub fn of(question: &EventView) -> Option<Self> {
        match question.attribute(REPLY_TO) {
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.inbox, self.asker, self.question)
    }
}

impl FromStr for ReplyTo {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(());
        let inbox = next()?.parse().map_err(drop)?;
        let asker = next()?.parse().map_err(drop)?;
        let question = next()?.parse().map_err(drop)?;
        if parts.next().is_some() { Err(()) } else { Ok(Self { inbox, asker, question }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_asker_waits_is_read_as_it_is_written() {
        let text = "00000099000000009000.answers/00000099000000002000/\
                    0190f0a1-b2c3-7d4e-8f5a-6b7c8d9e0f1a";
        assert_eq!(text.parse::<ReplyTo>().unwrap().to_string(), text);
        for bad in ["", "a/b/c", &text[1..], &format!("{text}/x"), "00000099000000009000.answers"] {
            assert!(bad.parse::<ReplyTo>().is_err(), "{bad}");
        }
    }
}
