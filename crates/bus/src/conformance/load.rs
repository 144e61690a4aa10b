//! Many messages.

use std::sync::Arc;

use super::Fixture;
use super::support::{
    Reader, enqueue_all, expect_state, new_inbox, number_of, numbered, put, tidy,
};
use crate::{Enqueue, InboxState};

/// 10,000 messages pass, in order and once, while they are still being enqueued.
pub async fn many_messages_pass(fixture: &dyn Fixture) {
    const COUNT: usize = 10_000;
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "many").await;
    let mut reader = Reader::of(&*bus, &inbox, 1000).await;

    let publisher = {
        let (bus, inbox) = (Arc::clone(&bus), inbox.clone());
        tokio::spawn(async move {
            for batch in numbered(COUNT).chunks(250) {
                put(&*bus, &inbox, batch).await;
            }
        })
    };
    let mut expected = 0;
    while expected < COUNT {
        let mut batch = reader.take(1).await;
        while batch.len() < 100 && !reader.0.arrivals.is_empty() {
            batch.push(reader.next().await);
        }
        for delivery in &batch {
            assert_eq!(number_of(&delivery.envelope), expected);
            expected += 1;
        }
        reader.acknowledge(&batch).await;
    }
    publisher.await.expect("everything was enqueued");

    drop(reader);
    expect_state(&*bus, &inbox, InboxState::default()).await;
    tidy(&*bus, &[&inbox]).await;
}

/// One consumer takes nothing; the other inbox of the same messages is emptied
/// all the same, and the slow one loses nothing.
pub async fn a_slow_consumer_holds_back_nobody(fixture: &dyn Fixture) {
    const COUNT: usize = 3_000;
    let bus = fixture.bus().await;
    let slow_inbox = new_inbox(&*bus, "slow").await;
    let fast_inbox = new_inbox(&*bus, "fast").await;
    let mut slow = Reader::of(&*bus, &slow_inbox, 10).await;
    let mut fast = Reader::of(&*bus, &fast_inbox, 100).await;

    let items = numbered(COUNT)
        .into_iter()
        .map(|envelope| Enqueue::new(envelope, vec![slow_inbox.clone(), fast_inbox.clone()]))
        .collect();
    enqueue_all(&*bus, items).await;
    for expected in 0..COUNT {
        let delivery = fast.next().await;
        assert_eq!(number_of(&delivery.envelope), expected);
        fast.acknowledge(&[delivery]).await;
    }

    let slow_state = InboxState {
        depth: COUNT as u64 - 10,
        in_flight: 10,
        consumers: 1,
        ..InboxState::default()
    };
    expect_state(&*bus, &slow_inbox, slow_state).await;
    for expected in 0..100 {
        let delivery = slow.next().await;
        assert_eq!(number_of(&delivery.envelope), expected);
        slow.acknowledge(&[delivery]).await;
    }
    tidy(&*bus, &[&slow_inbox, &fast_inbox]).await;
}
