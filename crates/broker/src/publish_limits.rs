//! How much a party may publish in a second.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;
use wissel_catalogue::Catalogue;
use wissel_identifiers::Oin;

use crate::{Reason, Refusal};

/// The limiters of parties that have a limit. A party may publish at once what it may in a
/// second, and then as much as it may (GCRA).
pub(crate) struct PublishLimits {
    /// For parties of which the catalogue does not say; none: no limit.
    default: Option<NonZeroU32>,
    limiters: RwLock<HashMap<Oin, Arc<Limiter>>>,
}

struct Limiter {
    per_second: NonZeroU32,
    rate: RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>,
}

impl PublishLimits {
    pub(crate) fn new(default: Option<NonZeroU32>) -> Self {
        Self { default, limiters: RwLock::default() }
    }

    /// Of so many messages that a party publishes together, how many it may; and why not
    /// more, when not all.
    pub(crate) fn take(
        &self,
        party: Oin,
        count: usize,
        catalogue: &Catalogue,
    ) -> (usize, Option<Refusal>) {
        let stated = catalogue.party(&party).and_then(|party| party.publish_per_second);
        let Some(per_second) = stated.or(self.default) else { return (count, None) };
        let limiter = self.limiter(party, per_second);
        for taken in 0..count {
            if let Err(not_until) = limiter.rate.check() {
                let wait = not_until.wait_time_from(MonotonicClock.now());
                return (taken, Some(rate_limited(per_second, wait)));
            }
        }
        (count, None)
    }

    /// That of the party; a new one when it has another limit than before.
    fn limiter(&self, party: Oin, per_second: NonZeroU32) -> Arc<Limiter> {
        let same = |limiter: &&Arc<Limiter>| limiter.per_second == per_second;
        if let Some(limiter) = self.limiters.read().get(&party).filter(same) {
            return Arc::clone(limiter);
        }
        let rate = RateLimiter::direct_with_clock(Quota::per_second(per_second), MonotonicClock);
        let limiter = Arc::new(Limiter { per_second, rate });
        self.limiters.write().insert(party, Arc::clone(&limiter));
        limiter
    }
}

fn rate_limited(per_second: NonZeroU32, wait: Duration) -> Refusal {
    let message = format!(
        "the party publishes more than the {per_second} messages a second that it may; try again \
         after {} ms",
        wait.as_millis().max(1)
    );
    let retry_after = Some(wait.max(Duration::from_millis(1)));
    Refusal { retry_after, ..Refusal::new(Reason::RateLimited, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_may_what_it_may_and_no_other_is_touched() {
        let catalogue = Catalogue::from_toml(
            "test",
            r#"party = [
                { oin = "00000099000000001000", name = "A", publish_per_second = 5 },
                { oin = "00000099000000002000", name = "B" },
            ]"#,
        )
        .unwrap();
        let of = |oin: &str| oin.parse::<Oin>().unwrap();
        let limits = PublishLimits::new(NonZeroU32::new(2));
        let (taken, refusal) = limits.take(of("00000099000000001000"), 7, &catalogue);
        let refusal = refusal.unwrap();
        assert_eq!((taken, refusal.reason), (5, Reason::RateLimited));
        assert!(refusal.retry_after.unwrap() <= Duration::from_millis(200));
        let (taken, refused) = limits.take(of("00000099000000002000"), 3, &catalogue);
        assert_eq!((taken, refused.unwrap().reason), (2, Reason::RateLimited));

        std::thread::sleep(refusal.retry_after.unwrap() + Duration::from_millis(5));
        assert_eq!(limits.take(of("00000099000000001000"), 1, &catalogue), (1, None));

        let none = PublishLimits::new(None);
        assert_eq!(none.take(of("00000099000000002000"), 9_999, &catalogue), (9_999, None));
    }
}
