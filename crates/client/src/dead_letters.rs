use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin};
use wissel_proto::wissel::v1 as pb;

use crate::convert::{moment, next, parsed};
use crate::{Client, ClientError, Filter, Listing};

/// A delivery that was given up on. The message's data is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Names it within its inbox.
    pub dead_letter_id: String,
    /// The inbox it died in.
    pub inbox: InboxName,
    /// Wissel's own id of the message.
    pub message_id: Uuid,
    /// The message's `source`.
    pub source: String,
    /// The message's `id`.
    pub id: String,
    /// The message's `type`.
    pub event_type: String,
    /// The party that published it.
    pub publisher: Oin,
    /// When Wissel admitted it.
    pub admitted_at: SystemTime,
    /// When it was given up on.
    pub died_at: SystemTime,
    /// How many attempts of it came to an end, since its last redrive: by what its receiver said, by the
    /// end of a lease, or with its own. One that was given back, as when a stream breaks, is not
    /// among them, nor one of an AMQP client that gave it back.
    pub attempts: u32,
    /// Why.
    pub reason: String,
    /// The attempts before its end, oldest first, those before a redrive among them; of many
    /// the last 20. See [`DeadLetter::every_attempt`].
    pub history: Vec<Attempt>,
}

/// An attempt that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Which, from 1; 0 for none: so the message was given up before a redrive, without being
    /// handed out.
    pub number: u32,
    /// When it ended.
    pub at: SystemTime,
    /// Why.
    pub reason: String,
    /// Whether it was made before the message was redriven. Since then attempts are counted
    /// from 1 again.
    pub before_redrive: bool,
}

/// Which dead letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every one that is there when the call begins.
    All,
    /// Those with these ids; one that is no longer there is passed over.
    These(Vec<String>),
    /// Those whose message matches all of these; at least one.
    Matching(Vec<Filter>),
}

/// Dead letters that are to be put back. Await it.
#[must_use = "nothing is put back until it is awaited"]
pub struct Redrive {
    client: Client,
    inbox: InboxName,
    which: Which,
    to: Option<InboxName>,
    per_second: u32,
    progress: Option<Progress>,
}

type Progress = Box<dyn FnMut(u64) + Send>;

impl Client {
    /// The dead letters of an inbox, oldest first.
    pub fn list_dead_letters(&self, inbox: &InboxName) -> Listing<DeadLetter> {
        self.list_dead_letters_by(0, inbox)
    }

    /// The same, so many at a time: at most 1,000; 0: 100. On RabbitMQ each page costs a look at
    /// all of them.
    pub fn list_dead_letters_by(&self, page_size: u32, inbox: &InboxName) -> Listing<DeadLetter> {
        let client = self.clone();
        let inbox = inbox.to_string();
        Listing::new(move |page_token| {
            let client = client.clone();
            let inbox = inbox.clone();
            async move {
                let body = pb::ListDeadLettersRequest { inbox, page_token, page_size };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.operations(channel);
                        async move { service.list_dead_letters(request).await }
                    })
                    .await?;
                let page = response.dead_letters.into_iter();
                let page: Result<_, _> = page.map(DeadLetter::try_from).collect();
                Ok((page?, response.next_page_token))
            }
        })
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_INBOX`, or with `UNKNOWN_MESSAGE` when there is
    /// none of this id.
    pub async fn get_dead_letter(
        &self,
        inbox: &InboxName,
        dead_letter_id: &str,
    ) -> Result<DeadLetter, ClientError> {
        let (inbox, dead_letter_id) = (inbox.to_string(), dead_letter_id.to_owned());
        let body = pb::GetDeadLetterRequest { inbox, dead_letter_id };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.get_dead_letter(request).await }
            })
            .await?;
        let found = response.dead_letter;
        found.ok_or_else(|| ClientError::protocol("no dead letter; expected one"))?.try_into()
    }

    /// Puts dead letters back, as if newly routed; awaited, it tells how many.
    ///
    /// # Errors
    /// [`ClientError::InvalidArgument`] when no dead letter is named;
    /// [`ClientError::Refused`] with `UNKNOWN_INBOX`, or `INVALID_REQUEST` for a filter that
    /// cannot be used.
    pub fn redrive(&self, inbox: &InboxName, which: Which) -> Redrive {
        let (client, inbox) = (self.clone(), inbox.clone());
        Redrive { client, inbox, which, to: None, per_second: 0, progress: None }
    }

    /// Removes dead letters for good, and tells how many. When the answer of a first attempt
    /// was lost, those are not counted again.
    ///
    /// # Errors
    /// As [`Client::redrive`].
    pub async fn purge_dead_letters(
        &self,
        inbox: &InboxName,
        which: Which,
    ) -> Result<u64, ClientError> {
        let (dead_letter_ids, all, filters) = which.to_proto()?;
        let (inbox, confirm) = (inbox.to_string(), inbox.to_string());
        let body = pb::PurgeDeadLettersRequest { inbox, dead_letter_ids, all, filters, confirm };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.purge_dead_letters(request).await }
            })
            .await?;
        Ok(response.purged)
    }
}

impl Redrive {
    /// Into another inbox of the same owner.
    pub fn to(self, inbox: &InboxName) -> Self {
        Self { to: Some(inbox.clone()), ..self }
    }

    /// At most so many in a second; 0: as fast as it goes.
    pub fn per_second(self, per_second: u32) -> Self {
        Self { per_second, ..self }
    }

    /// Tells how many were put back so far, now and then.
    pub fn on_progress(self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    async fn run(self) -> Result<u64, ClientError> {
        let Self { client, inbox, which, to, per_second, mut progress } = self;
        let (dead_letter_ids, all, filters) = which.to_proto()?;
        let to_inbox = to.map(|to| to.to_string()).unwrap_or_default();
        let inbox = inbox.to_string();
        let body =
            pb::RedriveRequest { inbox, dead_letter_ids, all, filters, to_inbox, per_second };
        let mut answers = client
            .call(body, |channel, request| {
                let mut service = client.operations(channel);
                async move { service.redrive(request).await }
            })
            .await?;
        let mut redriven = None;
        while let Some(answer) = next(&mut answers).await? {
            redriven = Some(answer.redriven);
            if let Some(progress) = &mut progress {
                progress(answer.redriven);
            }
        }
        redriven.ok_or_else(|| ClientError::protocol("no count; expected one"))
    }
}

impl IntoFuture for Redrive {
    type Output = Result<u64, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Redrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redrive")
            .field("inbox", &self.inbox)
            .field("to", &self.to)
            .field("per_second", &self.per_second)
            .finish_non_exhaustive()
    }
}

impl Which {
    fn to_proto(&self) -> Result<(Vec<String>, bool, Vec<pb::Filter>), ClientError> {
        match self {
            Self::All => Ok((Vec::new(), true, Vec::new())),
            Self::These(ids) if ids.is_empty() => {
                Err(ClientError::invalid("which", "expected at least one dead letter"))
            }
            Self::These(ids) => Ok((ids.clone(), false, Vec::new())),
            Self::Matching(filters) if filters.is_empty() => {
                Err(ClientError::invalid("which", "expected at least one filter"))
            }
            Self::Matching(filters) => {
                Ok((Vec::new(), false, filters.iter().map(Filter::to_proto).collect()))
            }
        }
    }
}

impl DeadLetter {
    /// Its history, and the attempt at which it was given up, unless that was without being handed
    /// out, as when it expired.
    #[must_use]
    pub fn every_attempt(&self) -> Vec<Attempt> {
        let mut all = self.history.clone();
        let before = all.last().filter(|last| !last.before_redrive).map_or(0, |last| last.number);
        if self.attempts > before {
            all.push(Attempt {
                number: self.attempts,
                at: self.died_at,
                reason: self.reason.clone(),
                before_redrive: false,
            });
        }
        all
    }
}

impl TryFrom<pb::DeadLetter> for DeadLetter {
    type Error = ClientError;

    fn try_from(letter: pb::DeadLetter) -> Result<Self, ClientError> {
        Ok(Self {
            dead_letter_id: letter.dead_letter_id,
            inbox: parsed("inbox", &letter.inbox)?,
            message_id: parsed("message_id", &letter.message_id)?,
            source: letter.source,
            id: letter.id,
            event_type: letter.r#type,
            publisher: parsed("publisher", &letter.publisher)?,
            admitted_at: moment("admitted_at", letter.admitted_at)?,
            died_at: moment("died_at", letter.died_at)?,
            attempts: letter.attempts,
            reason: letter.reason,
            history: attempts(letter.history)?,
        })
    }
}

pub(crate) fn attempts(history: Vec<pb::Attempt>) -> Result<Vec<Attempt>, ClientError> {
    let read = |attempt: pb::Attempt| {
        let at = moment("history.at", attempt.at)?;
        let pb::Attempt { number, reason, before_redrive, .. } = attempt;
        Ok(Attempt { number, at, reason, before_redrive })
    };
    history.into_iter().map(read).collect()
}
