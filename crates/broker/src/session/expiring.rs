//! Giving up what is too old, in inboxes that nobody reads as well, or where whoever should
//! has come to a stop.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use wissel_bus::{Arrival, BusError, Credit, Delivery, Said, Settlement};
use wissel_identifiers::InboxName;
use wissel_message::{EventView, Timestamp, expiry_time};
use wissel_metrics::DeadCause;
use wissel_traces::Outcome;

use crate::policy::Policy;
use crate::setbacks::Setback;
use crate::{Broker, clock};

/// How often inboxes that nobody reads are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long to wait for what an inbox is said to hold.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one inbox is worked on before it is another's turn.
const AT_A_TIME: Duration = Duration::from_secs(10);
/// How many deliveries are looked at together.
const AT_ONCE: u16 = 256;

/// Why a message is not handed out any more, when it is not. One that was replayed is as
/// old as its receiver wants it.
pub(super) fn too_old(
    policy: &Policy,
    event: &EventView,
    delivery: &wissel_bus::Envelope,
    now: SystemTime,
) -> Option<String> {
    if let Ok(Some(expires_at)) = expiry_time(event)
        && expires_at <= Timestamp::from(now)
    {
        return Some(Said::Expired.to_string());
    }
    let too_old = !delivery.replayed && policy.is_too_old(delivery.admitted_at, now);
    too_old.then(|| Said::TooOld.to_string())
}

impl Broker {
    /// How the deliveries of an inbox are retried.
    pub(crate) fn policy(&self, inbox: &InboxName) -> Policy {
        let settings = self.inboxes.read().get(inbox).copied().unwrap_or_default();
        Policy::of(&settings, &self.options.delivery)
    }

    /// Makes dead letters of what is too old in inboxes with a greatest age, also when
    /// nobody reads them: a reader does so itself, unless it has come to a stop.
    pub(crate) async fn expire_what_nobody_reads(self: Arc<Self>) {
        let stopping = self.shutdown_token();
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let with_an_age: Vec<InboxName> = {
                let all = self.inboxes.read();
                let with_an_age = all.iter().filter(|(_, settings)| settings.max_age.is_some());
                with_an_age.map(|(name, _)| name.clone()).collect()
            };
            for inbox in with_an_age {
                let expired = tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    expired = self.expire(&inbox) => expired,
                };
                match expired {
                    Ok(0) => {}
                    Ok(count) => {
                        self.metrics().dead(DeadCause::Expired, count);
                        tracing::info!(%inbox, count, "deliveries expired");
                    }
                    Err(error) => tracing::warn!(%inbox, %error, "cannot look for what expired"),
                }
            }
        }
    }

    /// Takes from the head of an inbox what is too old. Says how many.
    async fn expire(&self, inbox: &InboxName) -> Result<u64, BusError> {
        let state = self.bus.inspect(inbox).await?;
        // Asked each time: whoever takes the greatest age away has it hold at once.
        let is_old = |moment| self.policy(inbox).is_too_old(moment, clock::wall());
        let waits = state.depth > state.delayed;
        if !waits || !state.oldest.is_some_and(is_old) {
            return Ok(0);
        }
        // Beside others it takes a part of what waits, and so not where that has an order.
        let beside = state.consumers > 0;
        if beside && (self.is_ordered(inbox) || self.was_settled_within(inbox, LOOK_EVERY)) {
            return Ok(0);
        }
        let credit = Credit { deliveries: AT_ONCE, bytes: self.options.delivery_bytes };
        // In an inbox with order, whoever comes meanwhile waits until this is over.
        let mut consumer = if self.is_ordered(inbox) {
            self.bus.consume_alone(inbox, credit).await?
        } else {
            self.bus.consume(inbox, credit).await?
        };
        let begun = Instant::now();
        let mut expired = 0;
        // What was replayed stays with the consumer until this is over.
        let mut kept = 0;
        let mut arrived = Vec::new();
        // Dropping the consumer gives back what it was handed beyond the last that is old.
        while begun.elapsed() < AT_A_TIME {
            let coming = consumer.arrivals.recv_many(&mut arrived, usize::from(AT_ONCE));
            match tokio::time::timeout(PATIENCE, coming).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
            let (mut settlements, mut records) = (Vec::new(), Vec::new());
            let (mut spans, mut gone) = (Vec::new(), Vec::new());
            let mut young = false;
            for arrival in arrived.drain(..) {
                let Arrival::Delivery(delivery) = arrival else { return Ok(expired) };
                let Delivery { tag, envelope, attempt: _ } = delivery;
                if is_old(envelope.admitted_at) && !envelope.replayed {
                    let copy = (envelope.message_id, envelope.replayed);
                    let settlement = Settlement::DeadLetter {
                        reason: Said::TooOld.to_string(),
                        unheard: self.ordered.unheard(inbox, copy),
                        handed_out: false,
                    };
                    let setback = Setback::of(inbox, envelope.message_id, None);
                    records.extend(setback.record(None, &settlement));
                    spans.extend(self.death_span(&envelope, inbox));
                    settlements.push((tag, settlement));
                    gone.push(copy);
                } else {
                    // What was replayed may stand before others that are old.
                    young |= !envelope.replayed;
                    kept += u64::from(envelope.replayed);
                }
            }
            if let Err(refusal) = self.keep(records).await {
                tracing::warn!(%inbox, %refusal, "what expired cannot be put on record; it stays");
                break;
            }
            expired += settlements.len() as u64;
            let settled = consumer.settler.settle(settlements).await;
            let done = gone.iter().zip(&settled).filter(|(_, outcome)| outcome.is_ok());
            self.ordered.forget(inbox, done.map(|(copy, _)| *copy));
            settled.into_iter().collect::<Result<(), _>>()?;
            for span in spans {
                span.end(Outcome::Good("done"));
            }
            if young || !self.may_be_left(inbox, kept, beside).await {
                break;
            }
        }
        Ok(expired)
    }

    /// Whether there may be more to look at than these, which are kept from whoever has come
    /// meanwhile, or was there.
    async fn may_be_left(&self, inbox: &InboxName, kept: u64, beside: bool) -> bool {
        if kept == 0 && !beside {
            return self.bus.level(inbox).is_none_or(|level| level.deliveries > 0);
        }
        // With all of its credit taken, this consumer gets no more.
        let Ok(state) = self.bus.inspect(inbox).await else { return false };
        let nobody_misses_them = kept == 0 || state.consumers <= 1;
        kept < u64::from(AT_ONCE) && nobody_misses_them && state.depth > state.delayed
    }
}

#[cfg(test)]
mod tests;
