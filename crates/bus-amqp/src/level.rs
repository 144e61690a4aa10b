//! How full inboxes are, known without asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{InboxName, Level};

use crate::inspect::{Inboxes, Knowledge};
use crate::link::{Link, in_time};

/// How full one inbox is: what was counted last, and what was published since.
#[derive(Default)]
pub(crate) struct Gauge {
    /// Somebody asked lately.
    asked: AtomicBool,
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

    /// None until it was counted once.
    pub(crate) fn level(&self) -> Option<Level> {
        self.asked.store(true, Ordering::Relaxed);
        let reading = self.reading.lock();
        let (count, published_then) = reading.counted?;
        let deliveries = count + (reading.published - published_then);
        let bytes = u128::from(deliveries) * u128::from(reading.seen_bytes)
            / u128::from(reading.seen.max(1));
        Some(Level { deliveries, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) })
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
    /// An inbox that nobody asks for is counted so many times more.
    const IDLE_ROUNDS: u32 = 60;
    let mut round: u32 = 0;
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        round = round.wrapping_add(1);
        let asked: Vec<(InboxName, Arc<Knowledge>)> = {
            let inboxes = inboxes.read();
            let asked = inboxes.iter().filter(|(_, inbox)| inbox.knowledge.gauge.is_asked());
            asked.map(|(name, inbox)| (name.clone(), Arc::clone(&inbox.knowledge))).collect()
        };
        if round.is_multiple_of(IDLE_ROUNDS) {
            for (_, knowledge) in &asked {
                knowledge.gauge.asked.store(false, Ordering::Relaxed);
            }
        }
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

impl Gauge {
    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
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
