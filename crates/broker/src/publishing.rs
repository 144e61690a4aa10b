//! Publishing: messages go the road, and each has an outcome.

use std::future::Future;
use std::ops::Range;
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
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Step {
    Enqueue(Minimised),
    Other(Box<Other>),
}

/// A message that does not go to the bus, or not yet.
enum Other {
    Done(Result<Receipt, Refusal>),
    Wait(UnderWay),
}

/// What is to be awaited for the messages of one call.
struct Steps {
    ready: Vec<Minimised>,
    /// Which of all messages do not go to the bus, in order: mostly none.
    others: Vec<(usize, Box<Other>)>,
    /// Of those that were refused already.
    refusals: Vec<Record>,
}

impl Step {
    fn done(outcome: Result<Receipt, Refusal>) -> Self {
        Self::Other(Box::new(Other::Done(outcome)))
    }
}

impl Steps {
    /// Refuses messages together, with one record.
    fn refuse_all(&mut self, caller: &Caller, places: Range<usize>, refusal: &Refusal) {
        self.refusals.push(Broker::refusal_of_all(caller, places.len(), refusal));
        let refused = || Box::new(Other::Done(Err(refusal.clone())));
        self.others.extend(places.map(|place| (place, refused())));
    }
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
        let (ticket, steps) = self.take_in(caller, frames, direction);
        let broker = Arc::clone(self);
        async move {
            let outcomes = broker.carry_out(steps).await;
            drop(ticket);
            broker.count_outcomes(&outcomes, came);
            outcomes
        }
    }

    /// Goes the road with each message, up to where something is to be awaited.
    fn take_in(
        &self,
        caller: &Caller,
        frames: Vec<Bytes>,
        direction: &Direction,
    ) -> (Option<TaskTrackerToken>, Steps) {
        let mut steps = Steps { ready: Vec::new(), others: Vec::new(), refusals: Vec::new() };
        let ticket = match self.ticket() {
            Ok(ticket) => ticket,
            Err(refusal) => {
                // One for all, as whoever waits for the bus tries again and again.
                steps.refuse_all(caller, 0..frames.len(), &refusal);
                return (None, steps);
            }
        };
        let catalogue = self.catalogue.load();
        steps.ready.reserve_exact(frames.len());
        let (allowed, over) = match caller.party() {
            Ok(party) => self.publish_limits.take(party, frames.len(), &catalogue),
            // It is refused in a room of its own.
            Err(_) => (frames.len(), None),
        };
        let all = frames.len();
        for (place, frame) in frames.into_iter().take(allowed).enumerate() {
            let step = match self.admit(frame.clone(), caller, direction, &catalogue) {
                Ok(admitted) => self.direct(admitted),
                Err(refusal) => Step::done(Err(refusal)),
            };
            match step {
                Step::Enqueue(message) => steps.ready.push(message),
                Step::Other(other) => {
                    if let Other::Done(Err(refusal)) = &*other {
                        let record = self.refusal(&frame, caller, &catalogue, refusal);
                        steps.refusals.extend(record);
                    }
                    steps.others.push((place, other));
                }
            }
        }
        if let Some(refusal) = over {
            // One for all, as a flood is not to flood the record.
            steps.refuse_all(caller, allowed..all, &refusal);
        }
        (Some(ticket), steps)
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
                return Step::done(Ok(receipt));
            }
            Known::UnderWay(first) => {
                followed.ended("under_way");
                return Step::Other(Box::new(Other::Wait(first)));
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
                Step::Enqueue(minimised)
            }
            Err(refusal) => {
                followed.refused(&caller, &refusal);
                Step::done(Err(refusal))
            }
        }
    }

    async fn carry_out(&self, steps: Steps) -> Vec<Result<Receipt, Refusal>> {
        let Steps { ready, others, refusals } = steps;
        let enqueued = self.enqueue(ready, refusals).await;
        if others.is_empty() {
            return enqueued;
        }
        let mut outcomes = Vec::with_capacity(enqueued.len() + others.len());
        let mut enqueued = enqueued.into_iter();
        for (place, other) in others {
            let before = place - outcomes.len();
            outcomes.extend(enqueued.by_ref().take(before));
            outcomes.push(match *other {
                Other::Done(outcome) => outcome,
                Other::Wait(first) => self.follow(first).await,
            });
        }
        outcomes.extend(enqueued);
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
        let inboxes = Minimised::shared_inboxes(&messages);
        let mut records = refusals;
        let begin = records.len();
        records.reserve_exact(messages.len());
        let admissions = messages.iter().zip(&inboxes);
        records
            .extend(admissions.filter_map(|(message, inboxes)| self.admission(message, inboxes)));
        let admitted = begin..records.len();
        records.extend(messages.iter().flat_map(|message| self.burials(message)));
        let records = Arc::new(records);
        let counted = Counted::of(&messages);
        let recording = self.keep(Arc::clone(&records));
        let enqueued = enqueue::enqueue(messages, inboxes, &*self.bus, &self.questions, recording);
        let outcomes = enqueued.await;
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
            let other = match self.direct(admitted) {
                Step::Other(other) => *other,
                Step::Enqueue(message) => {
                    let mut outcome = self.enqueue(vec![message], Vec::new()).await;
                    return outcome.pop().expect("one answer for one message");
                }
            };
            match other {
                Other::Done(outcome) => {
                    if let Err(refusal) = &outcome {
                        let catalogue = self.catalogue.load();
                        let record = self.refusal(&frame, &caller, &catalogue, refusal);
                        self.keep_refusals(record.into_iter().collect()).await;
                    }
                    return outcome;
                }
                Other::Wait(again) => first = again,
            }
        }
    }
}
