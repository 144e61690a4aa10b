//! How full inboxes are, known without asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{InboxName, Level};

use crate::inspect::{Inboxes, Knowledge};
use crate::link::{Link, in_time};

/// An inbox that nobody asks for is counted so many times more. After that nothing is known of it,
/// for others go on.
const IDLE_ROUNDS: u32 = 60;

/// How full one inbox is: what was counted last, and what was published since.
pub(crate) struct Gauge {
    /// How many rounds of counting have begun since somebody asked.
    rounds: AtomicU32,
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    /// Messages published by this process, ever.
    published: u64,
    /// Of the events seen lately: how many, and of how many bytes together.
    seen: u64,
    seen_bytes: u64,
    /// What was counted, and how many had been published by then.
    counted: Option<(u64, u64)>,
}

impl Gauge {
    /// Messages were put in the queue.
    pub(crate) fn published(&self, messages: u64, bytes: u64) {
        let mut reading = self.reading.lock();
        reading.published += messages;
        reading.see(messages, bytes);
    }

    /// A message came out of the queue; of one that others put there the size is
    /// known only now.
    pub(crate) fn came(&self, bytes: u64) {
        self.reading.lock().see(1, bytes);
    }

    /// None until it was counted once, and when nobody has asked for long.
    pub(crate) fn level(&self) -> Option<Level> {
        self.rounds.store(0, Ordering::Relaxed);
        let reading = self.reading.lock();
        let (count, published_then) = reading.counted?;
        let deliveries = count + (reading.published - published_then);
        let bytes = u128::from(deliveries) * u128::from(reading.seen_bytes)
            / u128::from(reading.seen.max(1));
        Some(Level { deliveries, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) })
    }

    /// A round of counting begins: is this one counted? When not, what was counted is forgotten.
    fn is_counted_now(&self) -> bool {
        let rounds = self.rounds.load(Ordering::Relaxed);
        if rounds < IDLE_ROUNDS {
            // Who asks at this moment begins anew either way.
            let _ = self.rounds.compare_exchange(
                rounds,
                rounds + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            return true;
        }
        self.reading.lock().counted = None;
        false
    }
}

impl Default for Gauge {
    /// Nobody has asked.
    fn default() -> Self {
        Self { rounds: AtomicU32::new(IDLE_ROUNDS), reading: Mutex::default() }
    }
}

impl Reading {
    /// The average follows what comes: of many, half are forgotten.
    fn see(&mut self, messages: u64, bytes: u64) {
        const MANY: u64 = 10_000;
        self.seen += messages;
        self.seen_bytes += bytes;
        if self.seen > MANY {
            self.seen /= 2;
            self.seen_bytes /= 2;
        }
    }
}

/// Counts the inboxes that somebody asks for, about every second.
pub(crate) async fn keep_counting(link: Link, inboxes: Arc<Inboxes>, closing: CancellationToken) {
    const PERIOD: Duration = Duration::from_millis(900);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let asked: Vec<(InboxName, Arc<Knowledge>)> = {
            let inboxes = inboxes.read();
            let asked = inboxes.iter().filter(|(_, inbox)| inbox.knowledge.gauge.is_counted_now());
            asked.map(|(name, inbox)| (name.clone(), Arc::clone(&inbox.knowledge))).collect()
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = count(&link, asked) => {}
        }
    }
}

async fn count(link: &Link, asked: Vec<(InboxName, Arc<Knowledge>)>) {
    const PATIENCE: Duration = Duration::from_secs(5);
    if asked.is_empty() {
        return;
    }
    let Ok((mut channel, _)) = link.channel(Instant::now() + PATIENCE).await else { return };
    for (name, knowledge) in asked {
        let published = knowledge.gauge.reading.lock().published;
        match in_time(knowledge.count(&channel, &name)).await {
            Ok(Some(count)) => knowledge.gauge.reading.lock().counted = Some((count, published)),
            // As it was.
            Ok(None) => {}
            // The queue is gone, which closed the channel, or the connection is.
            Err(_) => match link.channel(Instant::now() + PATIENCE).await {
                Ok((next, _)) => channel = next,
                Err(_) => return,
            },
        }
    }
    let _ = in_time(channel.close(200, "counted".into())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_counts_at_once() {
        let gauge = Gauge::default();
        assert_eq!(gauge.level(), None);
        gauge.published(10, 1_000);
        gauge.reading.lock().counted = Some((4, 10));
        assert_eq!(gauge.level(), Some(Level { deliveries: 4, bytes: 400 }));
        gauge.published(30, 1_000);
        assert_eq!(gauge.level(), Some(Level { deliveries: 34, bytes: 1_700 }));
    }

    #[test]
    fn what_was_counted_long_ago_is_not_held_against_anybody() {
        let gauge = Gauge::default();
        assert!(!gauge.is_counted_now(), "nobody asked");
        assert_eq!(gauge.level(), None);
        for _ in 0..IDLE_ROUNDS {
            assert!(gauge.is_counted_now());
        }
        gauge.reading.lock().counted = Some((1_000, 0));
        // In time: for as long again it is counted.
        assert!(gauge.level().is_some());
        for _ in 0..IDLE_ROUNDS {
            assert!(gauge.is_counted_now());
        }
        // Nobody asked: others may have taken all of them since.
        assert!(!gauge.is_counted_now());
        assert_eq!(gauge.level(), None);
        assert!(gauge.is_counted_now());
    }

    #[test]
    fn the_average_follows_what_comes() {
        let gauge = Gauge::default();
        gauge.published(1_000, 1_000_000);
        gauge.reading.lock().counted = Some((1, 1_000));
        for _ in 0..200_000 {
            gauge.came(10);
        }
        let Some(level) = gauge.level() else { panic!("it was counted") };
        assert!(level.bytes < 20, "{level:?}");
    }
}
