//! Publishing: messages go the road, and each has an outcome.

use std::future::Future;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wissel_audit::Record;
use wissel_catalogue::Catalogue;

use crate::counting::Counted;
use crate::direction::Direction;
use crate::followed::Followed;
use crate::road::deduplicate::{Known, UnderWay, deduplicate};
use crate::road::minimise::Minimised;
use crate::road::validate::Admitted;
use crate::road::{authorise, decode, enqueue, identify, minimise, room, route, validate};
use crate::{Broker, Caller, Receipt, Refusal};

/// How far a message came before something has to be awaited.
enum Step {
    Done(Result<Receipt, Refusal>),
    Wait(Box<UnderWay>),
    Enqueue(Box<Minimised>),
}

/// Where the outcome of a message comes from.
enum Place {
    Done(Result<Receipt, Refusal>),
    Wait(Box<UnderWay>),
    Enqueued,
}

impl Broker {
    /// Takes messages; one outcome each, in order. The road up to the bus is gone
    /// in this call itself, so messages keep the order of the calls; the future
    /// ends when each message is durable or refused.
    pub fn publish(
        self: &Arc<Self>,
        caller: &Caller,
        frames: Vec<Bytes>,
    ) -> impl Future<Output = Vec<Result<Receipt, Refusal>>> + Send + use<> {
        self.publish_to(caller, frames, &Direction::Subscribed)
    }

    /// As [`Broker::publish`], for one message that goes where the exchange says, within
    /// everybody's grants.
    ///
    /// # Errors
    /// Whatever the road refuses.
    pub fn publish_directed(
        self: &Arc<Self>,
        caller: &Caller,
        frame: Bytes,
        direction: &Direction,
    ) -> impl Future<Output = Result<Receipt, Refusal>> + Send + use<> {
        let publishing = self.publish_to(caller, vec![frame], direction);
        async move { publishing.await.pop().expect("one answer for one message") }
    }

    fn publish_to(
        self: &Arc<Self>,
        caller: &Caller,
        frames: Vec<Bytes>,
        direction: &Direction,
    ) -> impl Future<Output = Vec<Result<Receipt, Refusal>>> + Send + use<> {
        let came = Instant::now();
        self.options.metrics.received(frames.iter().map(Bytes::len).sum());
        let (ticket, steps, refusals) = self.take_in(caller, frames, direction);
        let broker = Arc::clone(self);
        async move {
            let outcomes = broker.carry_out(steps, refusals).await;
            drop(ticket);
            broker.count_outcomes(&outcomes, came);
            outcomes
        }
    }

    /// What is to be awaited for each message, and the records of those refused already.
    fn take_in(
        &self,
        caller: &Caller,
        frames: Vec<Bytes>,
        direction: &Direction,
    ) -> (Option<TaskTrackerToken>, Vec<Step>, Vec<Record>) {
        let mut records = Vec::new();
        let ticket = match self.ticket() {
            Ok(ticket) => ticket,
            Err(refusal) => {
                // One for all, as whoever waits for the bus tries again and again.
                records.push(Self::refusal_of_all(caller, frames.len(), &refusal));
                let refused = |_| Step::Done(Err(refusal.clone()));
                return (None, frames.iter().map(refused).collect(), records);
            }
        };
        let catalogue = self.catalogue.load();
        let mut steps = Vec::with_capacity(frames.len());
        let (allowed, over) = match caller.party() {
            Ok(party) => self.publish_limits.take(party, frames.len(), &catalogue),
            // It is refused in a room of its own.
            Err(_) => (frames.len(), None),
        };
        let rest = frames.len() - allowed;
        for frame in frames.into_iter().take(allowed) {
            let step = match self.admit(frame.clone(), caller, direction, &catalogue) {
                Ok(admitted) => self.direct(admitted),
                Err(refusal) => Step::Done(Err(refusal)),
            };
            if let Step::Done(Err(refusal)) = &step {
                records.extend(self.refusal(&frame, caller, &catalogue, refusal));
            }
            steps.push(step);
        }
        if let Some(refusal) = over {
            // One for all, as a flood is not to flood the record.
            records.push(Self::refusal_of_all(caller, rest, &refusal));
            steps.extend((0..rest).map(|_| Step::Done(Err(refusal.clone()))));
        }
        (Some(ticket), steps, records)
    }

    /// The road from the frame to the admitted message.
    fn admit(
        &self,
        frame: Bytes,
        caller: &Caller,
        direction: &Direction,
        catalogue: &Catalogue,
    ) -> Result<Admitted, Refusal> {
        let limits = &self.options.limits;
        let tracer = &self.options.tracer;
        let began = tracer.is_on().then(SystemTime::now);
        let received = decode::decode(frame, limits)?;
        let mut followed = Followed::begin(tracer, began, &received.event);
        let admitting = || {
            let identified = followed.stage("identify", || identify::identify(received, caller))?;
            let authorised = followed.stage("authorise", || {
                authorise::authorise(identified, direction, catalogue, limits)
            })?;
            followed.stage("validate", || validate::validate(authorised, limits))
        };
        match admitting() {
            Ok(admitted) => followed.admitted(admitted),
            Err(refusal) => {
                followed.refused(caller, &refusal);
                Err(refusal)
            }
        }
    }

    /// The road from the admitted message to the bus's door.
    fn direct(&self, mut admitted: Admitted) -> Step {
        let mut followed = std::mem::take(&mut admitted.followed);
        let caller = admitted.caller.clone();
        let known = followed.pass("deduplicate", || deduplicate(admitted, &self.window));
        let fresh = match known {
            Known::Repeat(receipt) => {
                followed.ended("repeated");
                return Step::Done(Ok(receipt));
            }
            Known::UnderWay(first) => {
                followed.ended("under_way");
                return Step::Wait(Box::new(first));
            }
            Known::Fresh(fresh) => fresh,
        };
        let directing = || {
            let table = self.router.snapshot();
            let mut routed = followed.stage("route", || route::route(fresh, &table))?;
            followed.stage("room", || room::make_room(&mut routed, &self.room, &*self.bus))?;
            followed.stage("minimise", || minimise::minimise(routed))
        };
        match directing() {
            Ok(mut minimised) => {
                minimised.admitted.followed = followed;
                Step::Enqueue(Box::new(minimised))
            }
            Err(refusal) => {
                followed.refused(&caller, &refusal);
                Step::Done(Err(refusal))
            }
        }
    }

    async fn carry_out(
        &self,
        steps: Vec<Step>,
        refusals: Vec<Record>,
    ) -> Vec<Result<Receipt, Refusal>> {
        let mut ready = Vec::with_capacity(steps.len());
        let places: Vec<Place> = steps
            .into_iter()
            .map(|step| match step {
                Step::Done(outcome) => Place::Done(outcome),
                Step::Wait(first) => Place::Wait(first),
                Step::Enqueue(message) => {
                    ready.push(*message);
                    Place::Enqueued
                }
            })
            .collect();
        let mut enqueued = self.enqueue(ready, refusals).await.into_iter();

        let mut outcomes = Vec::with_capacity(places.len());
        for place in places {
            outcomes.push(match place {
                Place::Done(outcome) => outcome,
                Place::Wait(first) => self.follow(*first).await,
                Place::Enqueued => enqueued.next().expect("one answer for each message"),
            });
        }
        outcomes
    }

    /// Makes messages durable, and puts them and the refusals on record.
    async fn enqueue(
        &self,
        mut messages: Vec<Minimised>,
        refusals: Vec<Record>,
    ) -> Vec<Result<Receipt, Refusal>> {
        let followed = Followed::take_from(&mut messages);
        let begun = if followed.is_empty() { SystemTime::UNIX_EPOCH } else { SystemTime::now() };
        let admissions: Vec<Record> =
            messages.iter().filter_map(|message| self.admission(message)).collect();
        let burials: Vec<Record> =
            messages.iter().flat_map(|message| self.burials(message)).collect();
        let admitted = refusals.len()..refusals.len() + admissions.len();
        let records: Arc<[Record]> =
            refusals.into_iter().chain(admissions).chain(burials).collect();
        let counted = Counted::of(&messages);
        let recording = self.keep(Arc::clone(&records));
        let outcomes = enqueue::enqueue(messages, &*self.bus, &self.questions, recording).await;
        counted.tell(&outcomes, &self.options.metrics);
        for (place, followed) in followed {
            followed.enqueued(begun, &outcomes[place]);
        }
        let failed = outcomes.iter().zip(&records[admitted]);
        let failed = failed
            .filter_map(|(outcome, record)| Some(Self::failure(record, outcome.as_ref().err()?)));
        if let Err(refusal) = self.keep(failed.collect::<Vec<_>>()).await {
            tracing::error!(%refusal, "messages that failed are on record as admitted");
        }
        outcomes
    }

    /// Waits for the first publication of the same message; when that fails, this
    /// one takes its place.
    async fn follow(&self, first: UnderWay) -> Result<Receipt, Refusal> {
        let mut first = first;
        loop {
            let admitted = match first.wait().await {
                Ok(receipt) => return Ok(receipt),
                Err(admitted) => admitted,
            };
            let (frame, caller) = (admitted.event.frame().clone(), admitted.caller.clone());
            match self.direct(admitted) {
                Step::Done(outcome) => {
                    if let Err(refusal) = &outcome {
                        let catalogue = self.catalogue.load();
                        let record = self.refusal(&frame, &caller, &catalogue, refusal);
                        self.keep_refusals(record.into_iter().collect()).await;
                    }
                    return outcome;
                }
                Step::Wait(again) => first = *again,
                Step::Enqueue(message) => {
                    let mut outcome = self.enqueue(vec![*message], Vec::new()).await;
                    return outcome.pop().expect("one answer for one message");
                }
            }
        }
    }
}
