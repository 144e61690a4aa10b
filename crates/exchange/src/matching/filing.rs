//! What parties do with signals.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_audit::Operation;
use wissel_broker::{Caller, Processing, Reason, Refusal};
use wissel_catalogue::{Action, Catalogue, Grant, Matching as Settings};
use wissel_identifiers::Oin;
use wissel_store::{Filed, NewSignal, Signal, Transfer};

use super::KeyError;
use super::keys::Keys;
use super::reference::{canonical, check_reference};
use crate::Exchange;

/// A signal that a party files.
#[derive(Clone)]
pub struct Filing {
    /// The type of its notices.
    pub event_type: String,
    /// Whom or what it is about. Is not kept.
    pub subject: String,
    /// What the party knows it by. Filing again with the same changes nothing.
    pub reference: String,
    /// How long it is kept, at most as long as the event type says; none: so long.
    pub keep_for: Option<Duration>,
}

/// A signal that was filed. Says nothing of those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiledSignal {
    /// Names it.
    pub id: Uuid,
    /// When it is forgotten.
    pub expires_at: SystemTime,
}

/// The most signals of one party about one subject.
const OF_ONE_SUBJECT: u32 = 100;
/// The shortest that a signal is kept.
const KEEP_LEAST: Duration = Duration::from_secs(1);

impl Exchange {
    /// Files a signal. Whether it meets one of another party is told to both by a message,
    /// and to nobody here.
    ///
    /// # Errors
    /// [`Reason::UnknownEventType`], [`Reason::NotGranted`], [`Reason::NoMandate`] and
    /// [`Reason::NoExchange`]; [`Reason::InvalidRequest`] when signals are not of this type,
    /// or a field is wrong; [`Reason::RateLimited`]; [`Reason::SignalExists`] when the party
    /// has one with this reference about another subject.
    pub async fn file_signal(
        &self,
        caller: &Caller,
        filing: Filing,
    ) -> Result<FiledSignal, Refusal> {
        let catalogue = self.broker.catalogue();
        let right = right_to_signals(caller, &catalogue, &filing.event_type);
        let filed = match &right {
            Ok((party, grant, settings)) => {
                self.file(caller, *party, grant, settings, &filing).await
            }
            Err(refusal) => Err(refusal.clone()),
        };
        if let Err(refusal) = &filed {
            let known = right.as_ref().ok();
            // What is no identifier of the kind is not even hashed: it may be anything.
            let subject = known.and_then(|(_, _, settings)| {
                settings.subject.check(&filing.subject).ok()?;
                Some((filing.subject.as_str(), settings.subject.name()))
            });
            if refusal.reason == Reason::RateLimited {
                let party = known.map(|(party, ..)| party.as_str()).unwrap_or_default();
                tracing::warn!(party, "a party files more signals than it may");
            }
            let refused = Processing {
                operation: Operation::SignalFiled,
                caller: Some(caller),
                grant: known.map(|(_, grant, _)| &**grant),
                subject,
                detail: String::new(),
            };
            self.broker.put_refusal_on_record(refused, refusal).await;
        }
        filed
    }

    async fn file(
        &self,
        caller: &Caller,
        party: Oin,
        grant: &Arc<Grant>,
        settings: &Settings,
        filing: &Filing,
    ) -> Result<FiledSignal, Refusal> {
        // The first, so that nothing can be tried out for nothing.
        self.matching.limits.take(party, &grant.event_type, settings.signals_per_hour)?;
        self.party()?;
        let subject = &filing.subject;
        settings.subject.check(subject).map_err(|error| invalid("subject", error.to_string()))?;
        let subject = canonical(subject);
        check_reference(&filing.reference, Some(&subject))?;
        let keep_for = keep_for(filing.keep_for, settings)?;

        let (id, filed_at) = (Uuid::now_v7(), SystemTime::now());
        let expires_at = filed_at + keep_for;
        let done = |detail: String| Processing {
            operation: Operation::SignalFiled,
            caller: Some(caller),
            grant: Some(grant),
            subject: Some((&filing.subject, settings.subject.name())),
            detail,
        };
        self.broker.put_on_record(done(format!("signal {id}"))).await?;
        let new = NewSignal {
            id,
            event_type: grant.event_type.to_string(),
            party,
            reference: filing.reference.clone(),
            pseudonym: [0; 32],
            keys: 0,
            filed_at,
            expires_at,
            most: OF_ONE_SUBJECT,
        };
        match self.put(new, &subject).await? {
            Filed::New => {
                self.matching.to_match.notify_one();
                Ok(FiledSignal { id, expires_at })
            }
            Filed::Same { id: first, expires_at } => {
                let detail = format!("signal {id} is {first}, which was filed before");
                self.broker.put_on_record(done(detail)).await?;
                Ok(FiledSignal { id: first, expires_at })
            }
            Filed::Conflict => Err(Refusal::of_field(
                Reason::SignalExists,
                "reference",
                "you have a signal of this reference about another subject; expected another \
                 reference",
            )),
            Filed::TooMany => {
                let message =
                    format!("you have {OF_ONE_SUBJECT} signals about it, which is the most");
                Err(invalid("subject", message))
            }
            Filed::OtherKeys => Err(Refusal::internal(&"the keys of pseudonyms change too often")),
        }
    }

    /// Keeps a signal under its pseudonym; under another when keys were added meanwhile.
    async fn put(&self, new: NewSignal, subject: &str) -> Result<Filed, Refusal> {
        const TIMES: usize = 3;
        for _ in 0..TIMES {
            let keys = self.pseudonym_keys().await.map_err(|error| Refusal::internal(&error))?;
            let pseudonym = keys.pseudonym(&new.event_type, subject);
            let signal = NewSignal { pseudonym, keys: keys.count(), ..new.clone() };
            let filed = self.store.file_signal(signal).await?;
            if filed != Filed::OtherKeys {
                return Ok(filed);
            }
            self.matching.read_keys_again();
        }
        Ok(Filed::OtherKeys)
    }

    /// Holds the file of keys against the pseudonyms that there are; makes nothing when there
    /// are none.
    ///
    /// # Errors
    /// When the keys are not those that the pseudonyms were made with.
    pub async fn check_pseudonym_keys(&self) -> Result<(), KeyError> {
        if self.store.pseudonym_keys().await?.is_some() {
            self.pseudonym_keys().await?;
        }
        Ok(())
    }

    /// The keys of pseudonyms; the first is made when there is none.
    pub(crate) async fn pseudonym_keys(&self) -> Result<Keys, KeyError> {
        if let Some(keys) = &*self.matching.keys.lock() {
            return Ok(keys.clone());
        }
        let keys = Keys::open(&self.store, &self.matching.key_file).await?;
        *self.matching.keys.lock() = Some(keys.clone());
        Ok(keys)
    }

    /// Withdraws a signal of the caller: it is forgotten, and those that it matched with are
    /// told that it is. The right to do so outlives the grant.
    ///
    /// # Errors
    /// [`Reason::UnknownSignal`] when there is none, or it is another's.
    pub async fn withdraw_signal(&self, caller: &Caller, id: Uuid) -> Result<(), Refusal> {
        let withdrawn = self.withdraw(caller, id).await;
        if let Err(refusal) = &withdrawn {
            self.refused(caller, Operation::SignalWithdrawn, refusal).await;
        }
        withdrawn
    }

    async fn withdraw(&self, caller: &Caller, id: Uuid) -> Result<(), Refusal> {
        let catalogue = self.broker.catalogue();
        let signal = self.own_signal(caller, &catalogue, id).await?;
        self.done(caller, Operation::SignalWithdrawn, &catalogue, &signal, String::new()).await?;
        let withdrawn = self.store.withdraw_signal(id, signal.party, self.notices()).await;
        if !withdrawn? {
            return Err(unknown_signal());
        }
        self.something_to_send();
        Ok(())
    }

    /// Makes a signal of the caller another party's, that may file signals too: its subject
    /// moved there. That party is told, and those that the signal matches with.
    ///
    /// # Errors
    /// [`Reason::UnknownSignal`] when there is none, or it is another's;
    /// [`Reason::NotGranted`] when the caller may file no signals of the type any more, or the
    /// other party may not; [`Reason::InvalidRequest`] when a field is wrong.
    pub async fn transfer_signal(
        &self,
        caller: &Caller,
        id: Uuid,
        to: Oin,
        reference: &str,
    ) -> Result<(), Refusal> {
        let transferred = self.transfer(caller, id, to, reference).await;
        if let Err(refusal) = &transferred {
            self.refused(caller, Operation::SignalTransferred, refusal).await;
        }
        transferred
    }

    async fn transfer(
        &self,
        caller: &Caller,
        id: Uuid,
        to: Oin,
        reference: &str,
    ) -> Result<(), Refusal> {
        let catalogue = self.broker.catalogue();
        let signal = self.own_signal(caller, &catalogue, id).await?;
        let (from, ..) = right_to_signals(caller, &catalogue, &signal.event_type)?;
        self.party()?;
        if to == from {
            return Err(invalid("to", "the signal is that party's; expected another party"));
        }
        if catalogue.grant(&to, Action::Receive, &signal.event_type).is_none() {
            let message = "that party may file no signals of this type; expected one with a grant \
                           to receive it";
            return Err(Refusal::of_field(Reason::NotGranted, "to", message));
        }
        if !reference.is_empty() {
            check_reference(reference, None)?;
        }
        let detail = format!(", to {to}");
        self.done(caller, Operation::SignalTransferred, &catalogue, &signal, detail).await?;
        let transfer = Transfer { id, from, to, reference: reference.to_owned() };
        let moved = self.store.transfer_signal(transfer, self.notices()).await;
        if !moved? {
            return Err(unknown_signal());
        }
        self.something_to_send();
        // With what its former party has left, it may match now.
        self.matching.to_match.notify_one();
        Ok(())
    }

    /// The signals of the caller behind this one, in the order in which they were filed: not
    /// whom they are about.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] for an operator; [`Reason::NoMandate`] for who acts for another
    /// without a mandate to receive every type.
    pub async fn signals(
        &self,
        caller: &Caller,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Signal>, Refusal> {
        let party = caller.party()?;
        caller.check_may_receive_all(&self.broker.catalogue())?;
        Ok(self.store.signals_of(party, after, limit).await?)
    }

    /// A signal of the caller. One of another party looks as if it did not exist.
    async fn own_signal(
        &self,
        caller: &Caller,
        catalogue: &Catalogue,
        id: Uuid,
    ) -> Result<Signal, Refusal> {
        let party = caller.party()?;
        let signal = self.store.signal(id).await?;
        let own = signal.filter(|signal| signal.party == party).ok_or_else(unknown_signal)?;
        caller.check_mandate(catalogue, Action::Receive, &own.event_type)?;
        Ok(own)
    }

    async fn done(
        &self,
        caller: &Caller,
        operation: Operation,
        catalogue: &Catalogue,
        signal: &Signal,
        more: String,
    ) -> Result<(), Refusal> {
        let grant = catalogue.grant(&signal.party, Action::Receive, &signal.event_type);
        let done = Processing {
            operation,
            caller: Some(caller),
            grant: grant.map(|grant| &**grant),
            subject: None,
            detail: format!("signal {}{more}", signal.id),
        };
        self.broker.put_on_record(done).await
    }

    async fn refused(&self, caller: &Caller, operation: Operation, refusal: &Refusal) {
        let (grant, subject, detail) = (None, None, String::new());
        let refused = Processing { operation, caller: Some(caller), grant, subject, detail };
        self.broker.put_refusal_on_record(refused, refusal).await;
    }
}

/// Who files, by which grant, and what the catalogue says of signals of this type.
fn right_to_signals(
    caller: &Caller,
    catalogue: &Catalogue,
    event_type: &str,
) -> Result<(Oin, Arc<Grant>, Settings), Refusal> {
    let party = caller.party()?;
    let Some(known) = catalogue.event_type(event_type) else {
        let message = "not an event type of the catalogue";
        return Err(Refusal::of_field(Reason::UnknownEventType, "type", message));
    };
    caller.check_mandate(catalogue, Action::Receive, event_type)?;
    let Some(settings) = known.matching else {
        let message = "signals are not of this type; expected one with `match` in the catalogue";
        return Err(invalid("type", message));
    };
    let Some(grant) = catalogue.grant(&party, Action::Receive, event_type) else {
        let message = format!("party {party} has no grant to receive notices of this type");
        return Err(Refusal::of_field(Reason::NotGranted, "type", message));
    };
    Ok((party, Arc::clone(grant), settings))
}

fn keep_for(asked: Option<Duration>, settings: &Settings) -> Result<Duration, Refusal> {
    let most = settings.keep;
    match asked {
        None => Ok(most),
        Some(asked) if (KEEP_LEAST..=most).contains(&asked) => Ok(asked),
        Some(_) => {
            let message = format!("out of bounds; expected 1 s to {} s", most.as_secs());
            Err(invalid("keep_for", message))
        }
    }
}

fn invalid(field: &str, description: impl Into<String>) -> Refusal {
    Refusal::of_field(Reason::InvalidRequest, field, description)
}

fn unknown_signal() -> Refusal {
    Refusal::of_field(Reason::UnknownSignal, "signal_id", "there is no such signal of yours")
}
