//! How many signals a party may file in an hour.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use wissel_broker::{Reason, Refusal};
use wissel_identifiers::Oin;

/// The limiters of parties, for each event type. A party may file at once what it may in an
/// hour, and then as much as it may (GCRA). What it withdraws counts all the same.
#[derive(Default)]
pub(crate) struct FilingLimits(Mutex<HashMap<(Oin, Arc<str>), Limiter>>);

struct Limiter {
    per_hour: NonZeroU32,
    rate: RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>,
}

impl FilingLimits {
    /// Takes one of what the party may.
    pub(crate) fn take(
        &self,
        party: Oin,
        event_type: &Arc<str>,
        per_hour: NonZeroU32,
    ) -> Result<(), Refusal> {
        let mut limiters = self.0.lock();
        let limiter = limiters
            .entry((party, Arc::clone(event_type)))
            .or_insert_with(|| Limiter::new(per_hour));
        if limiter.per_hour != per_hour {
            *limiter = Limiter::new(per_hour);
        }
        limiter.rate.check().map_err(|not_until| {
            rate_limited(per_hour, not_until.wait_time_from(MonotonicClock.now()))
        })
    }
}

impl Limiter {
    fn new(per_hour: NonZeroU32) -> Self {
        let rate = RateLimiter::direct_with_clock(Quota::per_hour(per_hour), MonotonicClock);
        Self { per_hour, rate }
    }
}

fn rate_limited(per_hour: NonZeroU32, wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    let message = format!(
        "the party files more than the {per_hour} signals an hour that it may, which is on \
         record; try again after {seconds} s"
    );
    let retry_after = Some(Duration::from_secs(seconds));
    Refusal { retry_after, ..Refusal::new(Reason::RateLimited, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_may_file_so_many_for_each_event_type_and_no_other_is_touched() {
        let limits = FilingLimits::default();
        let party = |number: u8| format!("0000009900000000{number}000").parse::<Oin>().unwrap();
        let (one, other): (Arc<str>, Arc<str>) = ("nl.one".into(), "nl.other".into());
        let three = NonZeroU32::new(3).unwrap();
        for _ in 0..3 {
            limits.take(party(1), &one, three).unwrap();
        }
        let refusal = limits.take(party(1), &one, three).unwrap_err();
        assert_eq!(refusal.reason, Reason::RateLimited);
        let wait = refusal.retry_after.unwrap();
        assert!((Duration::from_secs(1_190)..=Duration::from_secs(1_201)).contains(&wait));
        limits.take(party(2), &one, three).unwrap();
        limits.take(party(1), &other, three).unwrap();
        limits.take(party(1), &one, NonZeroU32::new(5).unwrap()).unwrap();
    }
}
