//! A service that fails again and again is left alone for a while.

use std::time::Duration;

use failsafe::backoff::Exponential;
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::{Config, StateMachine, backoff};

/// How many failures in a row open the circuit.
const FAILURES: u32 = 5;
/// How long it stays open at first; longer each time, up to the last.
const OPEN_FIRST: Duration = Duration::from_secs(1);
const OPEN_LAST: Duration = Duration::from_secs(30);

/// The circuit breaker of one service.
pub(super) struct Breaker(StateMachine<ConsecutiveFailures<Exponential>, ()>);

impl Breaker {
    pub(super) fn new() -> Self {
        let open_for = backoff::exponential(OPEN_FIRST, OPEN_LAST);
        let policy = consecutive_failures(FAILURES, open_for);
        Self(Config::new().failure_policy(policy).build())
    }

    /// Whether the service may be called now.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_call_permitted()
    }

    /// How a call went: failed is one to which the service did not answer for itself.
    pub(super) fn called(&self, failed: bool) {
        if failed {
            self.0.on_error();
        } else {
            self.0.on_success();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_fails_is_left_alone_and_tried_again() {
        let breaker = Breaker::new();
        for _ in 0..FAILURES {
            assert!(breaker.is_closed());
            breaker.called(true);
        }
        assert!(!breaker.is_closed());
        let begun = std::time::Instant::now();
        while !breaker.is_closed() {
            assert!(begun.elapsed() < OPEN_LAST, "it is not tried again");
            std::thread::sleep(Duration::from_millis(10));
        }
        breaker.called(false);
        assert!(breaker.is_closed());
    }
}
