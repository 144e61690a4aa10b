use std::fmt;
use std::time::{Duration, SystemTime};

use tonic::transport::Channel;
use uuid::Uuid;
use wissel_identifiers::Oin;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::matching_client::MatchingClient;

use crate::convert::{moment, parsed, to_proto};
use crate::{Client, ClientError, Listing};

/// A signal to be filed: that the caller is concerned with somebody or something.
#[derive(Clone)]
pub struct NewSignal {
    event_type: String,
    subject: String,
    reference: String,
    keep_for: Option<Duration>,
}

/// A signal that was filed. Says nothing of the signals of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiledSignal {
    /// Names it.
    pub signal_id: Uuid,
    /// When it is forgotten.
    pub expires_at: SystemTime,
}

/// A signal of the caller: not whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Names it.
    pub signal_id: Uuid,
    /// The event type of its notices.
    pub event_type: String,
    /// What the caller knows it by.
    pub reference: String,
    /// When it was filed.
    pub filed_at: SystemTime,
    /// When it is forgotten.
    pub expires_at: SystemTime,
    /// The signals of others that it matches with, by time.
    pub matches: Vec<SignalMatch>,
}

/// That a signal matches with one of another party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalMatch {
    /// That party.
    pub party: Oin,
    /// Since when.
    pub matched_at: SystemTime,
}

impl NewSignal {
    /// A signal about a subject, under an event type whose notices tell of matches. The
    /// reference is what the caller knows it by, such as the number of its file, and must not
    /// hold the number of a person.
    #[must_use]
    pub fn new(
        event_type: impl Into<String>,
        subject: impl Into<String>,
        reference: impl Into<String>,
    ) -> Self {
        let (event_type, subject, reference) =
            (event_type.into(), subject.into(), reference.into());
        Self { event_type, subject, reference, keep_for: None }
    }

    /// Has it forgotten after so long, and not as late as the catalogue allows.
    #[must_use]
    pub fn keep_for(self, keep_for: Duration) -> Self {
        Self { keep_for: Some(keep_for), ..self }
    }
}

impl fmt::Debug for NewSignal {
    /// Without the subject, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSignal")
            .field("event_type", &self.event_type)
            .field("reference", &self.reference)
            .field("keep_for", &self.keep_for)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Files a signal. Whether it meets one of another party is told by a message to the
    /// caller's subscriptions to the event type. Filing again with the same reference and
    /// subject changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_EVENT_TYPE`, `INVALID_REQUEST`, `NOT_GRANTED`,
    /// `NO_MANDATE`, `NO_EXCHANGE`, or `SIGNAL_EXISTS` when the reference is that of a signal
    /// about another subject; [`ClientError::Unavailable`] with `RATE_LIMITED` when the caller
    /// files more than it may in an hour.
    pub async fn file_signal(&self, signal: &NewSignal) -> Result<FiledSignal, ClientError> {
        let keep_for = signal.keep_for.map(|time| to_proto("keep_for", time)).transpose()?;
        let body = pb::FileSignalRequest {
            r#type: signal.event_type.clone(),
            subject: signal.subject.clone(),
            reference: signal.reference.clone(),
            keep_for,
        };
        let filed = self
            .call(body, |channel, request| {
                let mut service = self.matching(channel);
                async move { service.file_signal(request).await }
            })
            .await?;
        Ok(FiledSignal {
            signal_id: parsed("signal_id", &filed.signal_id)?,
            expires_at: moment("expires_at", filed.expires_at)?,
        })
    }

    /// Has a signal forgotten for good. Those that it matched with are told that it was
    /// withdrawn.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_SIGNAL` when there is none, or it is another
    /// party's; also when it was there, and the answer of a first attempt was lost.
    pub async fn withdraw_signal(&self, signal_id: Uuid) -> Result<(), ClientError> {
        let body = pb::WithdrawSignalRequest { signal_id: signal_id.to_string() };
        self.call(body, |channel, request| {
            let mut service = self.matching(channel);
            async move { service.withdraw_signal(request).await }
        })
        .await
        .map(drop)
    }

    /// Makes a signal another party's, that may file signals too, with its matches. That
    /// party knows it by this reference or, without one, by its id.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_SIGNAL` as for [`Client::withdraw_signal`], or
    /// with `NOT_GRANTED` when caller or party may file no signals of the type.
    pub async fn transfer_signal(
        &self,
        signal_id: Uuid,
        to: Oin,
        reference: Option<&str>,
    ) -> Result<(), ClientError> {
        let body = pb::TransferSignalRequest {
            signal_id: signal_id.to_string(),
            to: to.to_string(),
            reference: reference.unwrap_or_default().to_owned(),
        };
        self.call(body, |channel, request| {
            let mut service = self.matching(channel);
            async move { service.transfer_signal(request).await }
        })
        .await
        .map(drop)
    }

    /// The caller's signals, in the order in which they were filed.
    pub fn list_signals(&self) -> Listing<Signal> {
        let client = self.clone();
        Listing::new(move |page_token| {
            let client = client.clone();
            async move {
                let body = pb::ListSignalsRequest { page_token, ..Default::default() };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.matching(channel);
                        async move { service.list_signals(request).await }
                    })
                    .await?;
                let page: Result<_, _> =
                    response.signals.into_iter().map(Signal::try_from).collect();
                Ok((page?, response.next_page_token))
            }
        })
    }

    fn matching(&self, channel: Channel) -> MatchingClient<Channel> {
        let limit = self.settings().max_message_bytes;
        MatchingClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

impl TryFrom<pb::Signal> for Signal {
    type Error = ClientError;

    fn try_from(signal: pb::Signal) -> Result<Self, ClientError> {
        let matches = signal.matches.into_iter().map(|one| {
            Ok::<_, ClientError>(SignalMatch {
                party: parsed("party", &one.party)?,
                matched_at: moment("matched_at", one.matched_at)?,
            })
        });
        Ok(Self {
            signal_id: parsed("signal_id", &signal.signal_id)?,
            event_type: signal.r#type,
            reference: signal.reference,
            filed_at: moment("filed_at", signal.filed_at)?,
            expires_at: moment("expires_at", signal.expires_at)?,
            matches: matches.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_signal_does_not_show_its_subject() {
        let signal = NewSignal::new("nl.vir.match", "999990019", "7").keep_for(Duration::MAX);
        assert!(!format!("{signal:?}").contains("999990019"));
    }
}
