//! From enqueue to delivery.

use bytes::Bytes;

use super::Fixture;
use super::support::{
    QUIET, Reader, enqueue_all, envelopes_of, message, new_inbox, new_name, number_of, numbered,
    put, tidy, to_inbox,
};
use crate::{BusError, Enqueue};

/// Deliveries come in the order of the items and of the calls, to a consumer
/// that was there before as to one that comes later.
pub async fn deliveries_come_in_order(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "order").await;
    let envelopes = numbered(300);

    put(&*bus, &inbox, &envelopes[..100]).await;
    let mut reader = Reader::of(&*bus, &inbox, 1000).await;
    for one in envelopes[100..200].chunks(1) {
        put(&*bus, &inbox, one).await;
    }
    put(&*bus, &inbox, &envelopes[200..]).await;

    let deliveries = reader.take(300).await;
    assert_eq!(envelopes_of(&deliveries), envelopes);
    assert!(deliveries.iter().all(|delivery| delivery.attempt == 1));
    reader.acknowledge(&deliveries).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Calls that run side by side keep the order in which they were made.
pub async fn calls_without_awaiting_keep_their_order(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "pipelined").await;
    let envelopes = numbered(200);

    let calls = envelopes.chunks(4).map(|chunk| bus.enqueue(to_inbox(&inbox, chunk)));
    for answer in futures::future::join_all(calls).await.concat() {
        answer.expect("the item is taken");
    }

    let mut reader = Reader::of(&*bus, &inbox, 200).await;
    let deliveries = reader.take(200).await;
    let order: Vec<usize> = deliveries.iter().map(|d| number_of(&d.envelope)).collect();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
    tidy(&*bus, &[&inbox]).await;
}

/// Whatever others do, those of one lane keep their order.
pub async fn each_lane_keeps_its_order(fixture: &dyn Fixture) {
    const COUNT: usize = 600;
    const LANES: usize = 7;
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "lanes").await;
    let in_lane =
        |(number, item): (usize, Enqueue)| Enqueue { lane: (number % LANES) as u64, ..item };
    let items = to_inbox(&inbox, &numbered(COUNT)).into_iter().enumerate().map(in_lane);
    let items: Vec<Enqueue> = items.collect();
    let calls = items.chunks(20).map(|chunk| bus.enqueue(chunk.to_vec()));
    for answer in futures::future::join_all(calls).await.concat() {
        answer.expect("the item is taken");
    }

    let mut reader = Reader::of(&*bus, &inbox, 1000).await;
    let deliveries = reader.take(COUNT).await;
    let came: Vec<usize> = deliveries.iter().map(|d| number_of(&d.envelope)).collect();
    for lane in 0..LANES {
        let of_lane = came.iter().copied().filter(|number| number % LANES == lane);
        let expected = (0..COUNT).filter(|number| number % LANES == lane);
        assert!(of_lane.eq(expected), "lane {lane}: {came:?}");
    }
    reader.acknowledge(&deliveries).await;
    tidy(&*bus, &[&inbox]).await;
}

/// The same envelope, to the millisecond, comes to every inbox of an item.
pub async fn one_message_reaches_each_of_its_inboxes(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let first = new_inbox(&*bus, "fan-first").await;
    let second = new_inbox(&*bus, "fan-second").await;
    let third = new_inbox(&*bus, "fan-third").await;
    let to_all = message("to all");
    let to_two = message("to two");

    let items = vec![
        Enqueue::new(to_all.clone(), vec![first.clone(), second.clone(), third.clone()]),
        Enqueue::new(to_two.clone(), vec![third.clone(), first.clone()]),
    ];
    enqueue_all(&*bus, items).await;

    for (inbox, expected) in [
        (&first, vec![to_all.clone(), to_two.clone()]),
        (&second, vec![to_all.clone()]),
        (&third, vec![to_all.clone(), to_two.clone()]),
    ] {
        let mut reader = Reader::of(&*bus, inbox, 10).await;
        let deliveries = reader.take(expected.len()).await;
        assert_eq!(envelopes_of(&deliveries), expected);
        reader.acknowledge(&deliveries).await;
        reader.expect_nothing(QUIET).await;
    }
    tidy(&*bus, &[&first, &second, &third]).await;
}

/// An item that goes nowhere is no error.
pub async fn an_item_without_inboxes_is_ok(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let nowhere = Enqueue::new(message("nowhere"), vec![]);
    enqueue_all(&*bus, vec![nowhere]).await;
    assert!(bus.enqueue(vec![]).await.is_empty());
    tidy(&*bus, &[]).await;
}

/// An item with an unknown inbox fails; the others of the call succeed.
pub async fn an_unknown_inbox_fails_only_its_own_item(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let known = new_inbox(&*bus, "known").await;
    let unknown = new_name("unknown");
    let envelopes = numbered(3);

    let mut items = to_inbox(&known, &envelopes);
    items[1].inboxes = vec![unknown.clone()];
    let answers = bus.enqueue(items).await;
    let expected = vec![Ok(()), Err(BusError::UnknownInbox(unknown)), Ok(())];
    assert_eq!(answers, expected);

    let mut reader = Reader::of(&*bus, &known, 10).await;
    let deliveries = reader.take(2).await;
    let survivors = [envelopes[0].clone(), envelopes[2].clone()];
    assert_eq!(envelopes_of(&deliveries), survivors);
    tidy(&*bus, &[&known]).await;
}

/// A message of 1 MiB and one of nothing at all come as they were.
pub async fn large_and_empty_messages_pass(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "sizes").await;
    let pattern: Vec<u8> = (0..1024 * 1024_u32).map(|i| (i % 251) as u8).collect();
    let envelopes = [message(pattern), message(Bytes::new()), message(vec![0; 65_536])];
    put(&*bus, &inbox, &envelopes).await;

    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(3).await;
    assert!(envelopes_of(&deliveries) == envelopes, "the bytes differ");
    reader.acknowledge(&deliveries).await;
    tidy(&*bus, &[&inbox]).await;
}
