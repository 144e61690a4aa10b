use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::ClientError;

/// How long to wait between attempts: twice as long each time, with a random
/// part, from `min_delay` to `max_delay`. The gateway's own `retry_after` is kept
/// to when it is longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    retries: bool,
    min_delay: Duration,
    max_delay: Duration,
    listener: Listener,
}

/// Who is told of what is tried again.
#[derive(Clone, Default)]
struct Listener(Option<Arc<Tell>>);

type Tell = dyn Fn(&ClientError) + Send + Sync;

impl RetryPolicy {
    /// Delays from `min_delay` to about `max_delay`; the default is from 100 ms to
    /// 5 s. Neither is taken as less than 1 ms, or more than an hour.
    #[must_use]
    pub fn new(min_delay: Duration, max_delay: Duration) -> Self {
        const LEAST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let min_delay = min_delay.clamp(LEAST, LONGEST);
        let max_delay = max_delay.clamp(min_delay, LONGEST);
        Self { retries: true, min_delay, max_delay, listener: Listener::default() }
    }

    /// Tells of each failure after which something may be tried again, when it happens:
    /// otherwise a gateway that is not there looks as one that takes its time.
    #[must_use]
    pub fn on_failure(self, tell: impl Fn(&ClientError) + Send + Sync + 'static) -> Self {
        Self { listener: Listener(Some(Arc::new(tell))), ..self }
    }

    /// Single calls are not repeated. Streams still come back, with the default
    /// delays.
    #[must_use]
    pub fn never() -> Self {
        Self { retries: false, ..Self::default() }
    }

    pub(crate) fn delays(&self) -> Delays {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .without_max_times()
            .with_jitter()
            .build();
        Delays { backoff, max_delay: self.max_delay, listener: self.listener.clone() }
    }

    /// Repeats what may succeed later until the deadline. Of an attempt that has no answer by then
    /// it is not known what came; what the one before failed of is told beside.
    pub(crate) async fn repeat<T, F>(
        &self,
        timeout: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let deadline = Instant::now() + timeout;
        let mut delays = self.delays();
        let mut before = None;
        loop {
            let error = match tokio::time::timeout_at(deadline, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => return Err(ClientError::DeadlineExceeded { after: timeout, before }),
            };
            let delay = delays.after(&error);
            let is_in_time = Instant::now() + delay < deadline;
            if !(self.retries && error.is_retryable() && is_in_time) {
                return Err(error);
            }
            tracing::debug!(%error, ?delay, "trying again");
            tokio::time::sleep(delay).await;
            before = Some(error.to_string());
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

/// The delays of one run of attempts.
#[derive(Debug)]
pub(crate) struct Delays {
    backoff: ExponentialBackoff,
    max_delay: Duration,
    listener: Listener,
}

impl Delays {
    /// How long to wait after this failure.
    pub(crate) fn after(&mut self, error: &ClientError) -> Duration {
        if let Some(tell) = self.listener.0.as_ref().filter(|_| error.is_retryable()) {
            tell(error);
        }
        let delay = self.backoff.next().unwrap_or(self.max_delay);
        delay.max(error.retry_after())
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "None" })
    }
}

impl PartialEq for Listener {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Listener {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_do_not_end() {
        let policy = RetryPolicy::new(Duration::from_millis(10), Duration::from_millis(80));
        let mut delays = policy.delays();
        let error = ClientError::stream_ended();
        assert!(delays.after(&error) < Duration::from_millis(21));
        for _ in 0..100 {
            assert!(delays.after(&error) <= Duration::from_millis(160));
        }
        assert!(delays.after(&error) >= Duration::from_millis(80));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_the_deadline() {
        let policy = RetryPolicy::new(Duration::from_millis(5), Duration::from_millis(20));
        let timeout = Duration::from_millis(200);
        let began = Instant::now();
        let mut attempts = 0;
        let outcome: Result<(), _> = policy
            .repeat(timeout, || {
                attempts += 1;
                async { Err(ClientError::stream_ended()) }
            })
            .await;
        assert!(matches!(outcome, Err(ClientError::Transport { .. })));
        assert!(began.elapsed() <= timeout);
        assert!(attempts > 2, "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_ends_at_the_deadline() {
        let timeout = Duration::from_millis(20);
        let outcome: Result<(), _> =
            RetryPolicy::default().repeat(timeout, std::future::pending).await;
        assert!(matches!(
            outcome,
            Err(ClientError::DeadlineExceeded { after, before: None }) if after == timeout
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_attempt_before_failed_of_is_told_at_the_deadline() {
        let mut attempts = 0;
        let policy = RetryPolicy::new(Duration::from_millis(1), Duration::from_millis(1));
        let outcome: Result<(), _> = policy
            .repeat(Duration::from_millis(50), || {
                attempts += 1;
                let answers = attempts == 1;
                async move {
                    if answers {
                        Err(ClientError::stream_ended())
                    } else {
                        std::future::pending().await
                    }
                }
            })
            .await;
        let told = outcome.unwrap_err().to_string();
        assert!(told.starts_with("no answer within 50ms; before that: "), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_tried_again_is_told_at_once() {
        let (sender, told) = std::sync::mpsc::channel();
        let policy = RetryPolicy::default().on_failure(move |error| {
            let _ = sender.send(error.to_string());
        });
        let failing = async || Err::<(), _>(ClientError::stream_ended());
        let began = Instant::now();
        let outcome = policy.repeat(Duration::from_millis(20), failing).await;
        assert!(outcome.is_err() && began.elapsed() < Duration::from_secs(5));
        assert!(told.try_recv().unwrap().contains("ended the stream"));
        let refused = async || Err::<(), _>(ClientError::invalid("a", "b"));
        let _ = policy.repeat(Duration::from_millis(20), refused).await;
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn never_is_once() {
        let mut attempts = 0;
        let outcome: Result<(), _> = RetryPolicy::never()
            .repeat(Duration::from_secs(10), || {
                attempts += 1;
                async { Err(ClientError::stream_ended()) }
            })
            .await;
        assert!(outcome.is_err());
        assert_eq!(attempts, 1);
    }
}
