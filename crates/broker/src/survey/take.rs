//! Looking at every inbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use wissel_bus::BusError;
use wissel_identifiers::InboxName;

use super::history::extended;
use super::{Rates, Survey, Surveyed};
use crate::Broker;

/// How often, when nobody asks.
const EVERY: Duration = Duration::from_secs(10);
/// A survey is followed by a pause of so many times what it took.
const PAUSE_OF_WORK: u32 = 20;
/// How many inboxes are looked at side by side.
const AT_ONCE: usize = 16;

/// What was counted by the survey before.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    at: Option<Instant>,
    messages: u64,
    enqueued: u64,
    handed_out: u64,
    types: HashMap<Arc<str>, u64>,
    settled: HashMap<InboxName, u64>,
}

impl Broker {
    /// How all inboxes fare, at most `max_age` ago: or longer, when looking at them takes
    /// so long that doing so again would be a burden, or the bus is not there.
    pub async fn survey(&self, max_age: Duration) -> Arc<Survey> {
        let is_fresh = |survey: &Survey| {
            let wait = max_age.max(survey.took * PAUSE_OF_WORK);
            survey.taken_at.is_some() && survey.age() < wait
        };
        let last = self.surveys.last.load_full();
        if is_fresh(&last) {
            return last;
        }
        let mut counted = self.surveys.taking.lock().await;
        let last = self.surveys.last.load_full();
        if is_fresh(&last) || !self.status().ready {
            return last;
        }
        match self.take_survey(&last, &mut counted).await {
            Ok(survey) => {
                let survey = Arc::new(survey);
                self.surveys.last.store(Arc::clone(&survey));
                survey
            }
            Err(error) => {
                tracing::debug!(%error, "not every inbox can be looked at");
                last
            }
        }
    }

    /// The last one, however old it is.
    pub(crate) fn last_survey(&self) -> Arc<Survey> {
        self.surveys.last.load_full()
    }

    /// Surveys until the broker stops, so that there is a history.
    pub(crate) async fn survey_now_and_then(self: Arc<Self>) {
        let stopping = self.shutdown_token();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = self.survey(EVERY / 2) => {}
            }
        }
    }

    async fn take_survey(&self, last: &Survey, counted: &mut Counted) -> Result<Survey, BusError> {
        let begun = Instant::now();
        let all = self.inboxes.read().clone();
        let inspections = stream::iter(all).map(|(name, settings)| async move {
            match self.inspect(&name, &settings).await {
                Ok(state) => Ok(Some((name, settings, state))),
                // It was removed meanwhile.
                Err(BusError::UnknownInbox(_)) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let found: Vec<_> = inspections.buffered(AT_ONCE).try_collect().await?;
        let interval = counted.at.replace(begun).map_or(Duration::MAX, |at| begun - at);
        let per_second = |count: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a rate is no account")]
            let rate = count as f64 / interval.as_secs_f64();
            rate
        };
        let mut inboxes = Vec::with_capacity(found.len());
        for (name, settings, state) in found.into_iter().flatten() {
            let before = last.inboxes.binary_search_by(|one| one.name.cmp(&name));
            let before = before.ok().map(|place| &last.inboxes[place]);
            let settled = self.settled_so_far(&name);
            let earlier = counted.settled.get(&name).copied().unwrap_or(settled);
            let settled_now = settled.saturating_sub(earlier);
            let came = before.map_or(0, |before| {
                let there = |state: &wissel_bus::InboxState| {
                    state.depth - state.handed_over + state.in_flight + state.dead_letters
                };
                (there(&state) + settled_now).saturating_sub(there(&before.state))
            });
            if settled > 0 {
                counted.settled.insert(name.clone(), settled);
            }
            let history = before.map(|before| Arc::clone(&before.history)).unwrap_or_default();
            inboxes.push(Surveyed {
                name,
                settings,
                came_per_second: per_second(came),
                settled_per_second: per_second(settled_now),
                history: extended(&history, &state),
                state,
            });
        }
        // Those that were removed are counted no longer.
        let is_there = |name: &InboxName| {
            inboxes.binary_search_by(|one: &Surveyed| one.name.cmp(name)).is_ok()
        };
        counted.settled.retain(|name, _| is_there(name));
        self.surveys
            .traffic
            .write()
            .retain(|name, traffic| is_there(name) || Arc::strong_count(traffic) > 1);
        let metrics = &self.options.metrics;
        let (messages, (enqueued, handed_out)) =
            (metrics.messages_so_far(), metrics.deliveries_so_far());
        let (receipt, delivery) = metrics.since_last_look();
        let rates = Rates {
            messages_per_second: per_second(messages - counted.messages),
            enqueued_per_second: per_second(enqueued - counted.enqueued),
            handed_out_per_second: per_second(handed_out - counted.handed_out),
            receipt,
            delivery,
        };
        (counted.messages, counted.enqueued, counted.handed_out) = (messages, enqueued, handed_out);
        let mut types = HashMap::new();
        for name in self.catalogue().event_types().map(|one| &one.name) {
            let (now, before) = (metrics.admitted_so_far(name), counted.types.get(name));
            let admitted = now - before.copied().unwrap_or_default();
            // The first look has nothing before it.
            if admitted > 0 && interval < Duration::MAX {
                types.insert(Arc::clone(name), per_second(admitted));
            }
            if now > 0 {
                counted.types.insert(Arc::clone(name), now);
            }
        }
        let taken_at = Some(SystemTime::now());
        Ok(Survey { taken_at, took: begun.elapsed(), inboxes, rates, types })
    }

    fn settled_so_far(&self, inbox: &InboxName) -> u64 {
        let traffic = self.surveys.traffic.read();
        traffic.get(inbox).map_or(0, |traffic| traffic.settled.load(Ordering::Relaxed))
    }
}
