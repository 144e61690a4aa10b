//! Bringing the deliveries of one inbox to the queue that its owner reads.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{
    BusError, DirectMessage, DirectQueues, Envelope, Handed, Judgement, Said, Settlement,
};
use wissel_identifiers::InboxName;

use super::message::direct_message;
use crate::session::entitled::{Entitled, Withheld, entitled};
use crate::setbacks::Setback;
use crate::{
    Broker, Caller, Leased, Refusal, Session, SessionEnd, SessionEvent, SessionOptions, Verdict,
};

/// How many deliveries are on their way at a time.
const CREDIT: u16 = 100;
/// Longer than it takes to hand something over; while the queue is full, it is extended.
const LEASE: Duration = Duration::from_secs(300);
/// How long to wait before a full queue is tried again.
const WHILE_FULL: Duration = Duration::from_millis(250);
/// How long to wait after a failure; twice as long after each further one.
const PAUSE_LEAST: Duration = Duration::from_millis(200);
const DOUBLINGS_MAX: u32 = 6;
/// One that worked for so long failed for the first time.
const WORKED: Duration = Duration::from_secs(60);
/// How long acknowledgements are waited for in the end. One that is lost makes a duplicate.
const SETTLING_PATIENCE: Duration = Duration::from_secs(5);

/// Forwards what comes to one inbox until it is told to end.
pub(super) struct Forwarder {
    broker: Arc<Broker>,
    inbox: InboxName,
    ending: CancellationToken,
    /// Changes when another catalogue is in force.
    catalogues: watch::Receiver<u64>,
}

/// Why forwarding goes no further.
enum Stopped {
    /// It is to end.
    Ending,
    /// Another catalogue is in force: what waits is to be looked at again.
    Changed,
}

/// Deliveries, each with the message that is handed over for it.
#[derive(Default)]
struct Batch {
    ids: Vec<u64>,
    messages: Vec<DirectMessage>,
}

impl Forwarder {
    pub(super) fn new(broker: Arc<Broker>, inbox: InboxName, ending: CancellationToken) -> Self {
        let catalogues = broker.catalogue_version.subscribe();
        Self { broker, inbox, ending, catalogues }
    }

    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            match self.forward().await {
                Ok(Stopped::Ending) => return,
                Ok(Stopped::Changed) => failures = 0,
                Err(refusal) => {
                    if begun.elapsed() > WORKED {
                        failures = 0;
                    }
                    tracing::warn!(inbox = %self.inbox, %refusal, "forwarding failed; beginning again");
                    let pause = PAUSE_LEAST * (1 << failures.min(DOUBLINGS_MAX));
                    failures = failures.saturating_add(1);
                    tokio::select! {
                        () = self.ending.cancelled() => return,
                        _ = self.catalogues.changed() => {}
                        () = tokio::time::sleep(pause.mul_f64(0.8 + 0.4 * fastrand::f64())) => {}
                    }
                }
            }
        }
    }

    /// Looks at what waits, then forwards until something changes.
    async fn forward(&mut self) -> Result<Stopped, Refusal> {
        // A change from here on is a reason to begin again.
        self.catalogues.mark_unchanged();
        let broker = Arc::clone(&self.broker);
        let Some(direct) = broker.bus.direct() else { return Ok(Stopped::Ending) };
        direct.open(&self.inbox).await?;
        let buried = Mutex::new(Vec::new());
        let judge = |envelope: &Envelope| {
            let judgement = self.judge(envelope);
            if let Judgement::Bury(reason) = &judgement {
                let setback = Setback::of(&self.inbox, envelope.message_id, None);
                buried.lock().extend(setback.record(None, &Settlement::dead_letter(reason)));
            }
            judgement
        };
        let reviewed = direct.review(&self.inbox, &judge).await;
        broker.keep_refusals(buried.into_inner()).await;
        let reviewed = reviewed?;
        if reviewed.kept + reviewed.buried > 0 {
            let (kept, buried) = (reviewed.kept, reviewed.buried);
            tracing::info!(inbox = %self.inbox, kept, buried, "what waited for an AMQP client was looked at again");
        }
        let owner = Caller::Party(self.inbox.owner());
        if owner.check_may_receive(&broker.catalogue()).is_err() {
            // Until the catalogue knows the party, again.
            return Ok(self.stopped().await);
        }
        let options = SessionOptions { credit: CREDIT, lease: LEASE };
        let mut session = broker.open_session(&owner, &self.inbox, options).await?;
        let outcome = self.forward_all(direct, &mut session).await;
        let _ = tokio::time::timeout(SETTLING_PATIENCE, session.settled()).await;
        outcome
    }

    async fn forward_all(
        &mut self,
        direct: &dyn DirectQueues,
        session: &mut Session,
    ) -> Result<Stopped, Refusal> {
        loop {
            let event = tokio::select! {
                biased;
                stopped = self.stopped() => return Ok(stopped),
                event = session.next() => event,
            };
            match event {
                SessionEvent::Deliveries(deliveries) => {
                    let batch = self.batch(deliveries, session);
                    if let Some(stopped) = self.hand_over(direct, session, batch).await? {
                        return Ok(stopped);
                    }
                }
                // They come again.
                SessionEvent::LeaseLost(_) => {}
                SessionEvent::Ended(SessionEnd::ShuttingDown) => return Ok(Stopped::Ending),
                SessionEvent::Ended(end) => return Err(end.into()),
            }
        }
    }

    /// What is handed over for these deliveries. One that cannot be becomes a dead letter.
    fn batch(&self, deliveries: Vec<Leased>, session: &mut Session) -> Batch {
        let policy = self.broker.policy(&self.inbox);
        let mut batch = Batch::default();
        for Leased { id, envelope, .. } in deliveries {
            match direct_message(&envelope, &policy) {
                Ok(message) => {
                    batch.ids.push(id);
                    batch.messages.push(message);
                }
                Err(reason) => {
                    session.settle(&[id], &Verdict::Reject { reason });
                }
            }
        }
        batch
    }

    /// Hands all over, however long there is no room for them.
    async fn hand_over(
        &mut self,
        direct: &dyn DirectQueues,
        session: &mut Session,
        mut batch: Batch,
    ) -> Result<Option<Stopped>, Refusal> {
        let mut was_full = false;
        while !batch.messages.is_empty() {
            let answers = {
                let handing = direct.hand_over(&self.inbox, &batch.messages);
                tokio::pin!(handing);
                // It is never broken off: what is under way would come after a review.
                tokio::select! {
                    biased;
                    answers = &mut handing => answers,
                    _ = session.tend() => handing.await,
                }
            };
            let failure = batch.settle(answers, session);
            if let Some(error) = failure {
                return Err(error.into());
            }
            if batch.messages.is_empty() {
                break;
            }
            if !was_full {
                was_full = true;
                tracing::info!(inbox = %self.inbox, "no room for its AMQP client to take more; waiting");
            }
            session.extend(&batch.ids, LEASE);
            tokio::select! {
                biased;
                stopped = self.stopped() => return Ok(Some(stopped)),
                () = tokio::time::sleep(WHILE_FULL) => {}
                // The next event of the session says why.
                _ = session.tend() => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn stopped(&mut self) -> Stopped {
        tokio::select! {
            biased;
            () = self.ending.cancelled() => Stopped::Ending,
            // The sender lives as long as the broker.
            _ = self.catalogues.changed() => Stopped::Changed,
        }
    }

    /// What becomes of a message that waits for the owner's client, by the rights of now.
    fn judge(&self, envelope: &Envelope) -> Judgement {
        let policy = self.broker.policy(&self.inbox);
        let catalogue = self.broker.catalogue();
        let questions = &self.broker.questions;
        let owner = self.inbox.owner();
        let may = entitled(owner, &policy, envelope, &catalogue, questions, |_| Ok(()));
        let Entitled { event, fields, .. } = match may {
            Ok(entitled) => entitled,
            Err(Withheld::Dead(reason) | Withheld::Expired(reason)) => {
                return Judgement::Bury(reason);
            }
            Err(Withheld::Over) => return Judgement::Bury(Said::NobodyWaits.to_string()),
            Err(Withheld::NotForCaller(refusal)) => return Judgement::Bury(refusal.as_said()),
        };
        match direct_message(&Envelope { event, fields, ..envelope.clone() }, &policy) {
            Ok(message) => Judgement::Keep(Box::new(message)),
            Err(reason) => Judgement::Bury(reason),
        }
    }
}

impl Batch {
    /// Acknowledges what is durable, and keeps that for which there was no room. Says what
    /// failed, when something did.
    fn settle(
        &mut self,
        answers: Vec<Result<Handed, BusError>>,
        session: &mut Session,
    ) -> Option<BusError> {
        let before = std::mem::take(self);
        let (mut durable, mut failure) = (Vec::new(), None);
        for ((id, message), answer) in before.ids.into_iter().zip(before.messages).zip(answers) {
            match answer {
                Ok(Handed::Durable) => durable.push(id),
                Ok(Handed::Full) => {
                    self.ids.push(id);
                    self.messages.push(message);
                }
                Err(error) => failure = Some(error),
            }
        }
        session.settle(&durable, &Verdict::Acknowledge);
        failure
    }
}
