//! An open inbox: credit, leases, settlements, broken connections.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tonic::Code;
use wissel_client::{ClientError, Delivery, OpenInbox, Token, TokenError, TokenProvider, Uuid};

use crate::peer::{
    INBOX, PARTY, Peer, SessionFault, Settled, TOKEN, bus_unavailable, event, in_time, refusal,
    until,
};

async fn next(inbox: &mut OpenInbox) -> Delivery {
    in_time(inbox.next()).await.unwrap().unwrap()
}

async fn open(peer: &Peer) -> OpenInbox {
    in_time(peer.client().subscribe(INBOX).open()).await.unwrap()
}

#[tokio::test]
async fn deliveries_come_in_order_and_are_acknowledged() {
    let peer = Peer::start().await;
    let sent: Vec<Uuid> = (0..50).map(|id| peer.state.enqueue(&event(id))).collect();
    let mut inbox = open(&peer).await;
    assert_eq!(inbox.name().as_str(), INBOX);
    for (id, message_id) in sent.iter().enumerate() {
        let delivery = next(&mut inbox).await;
        assert_eq!(delivery.message_id(), *message_id);
        assert_eq!(delivery.event(), &event(id));
        assert_eq!(delivery.publisher().as_str(), PARTY);
        assert_eq!(delivery.attempt(), 1);
        assert!(delivery.lease_ends_at() > delivery.admitted_at());
        delivery.acknowledge().await.unwrap();
    }
    until("all acknowledged", || peer.state.acknowledged() == 50).await;
    assert_eq!(peer.state.queue.lock().unwrap().ready(), 0);
    assert_eq!((inbox.lease_lost(), inbox.reconnects()), (0, 0));
}

#[tokio::test]
async fn it_is_a_stream() {
    let peer = Peer::start().await;
    for id in 0..5 {
        peer.state.enqueue(&event(id));
    }
    let inbox = open(&peer).await;
    let deliveries: Vec<_> = in_time(inbox.take(5).collect()).await;
    let ids: Vec<String> =
        deliveries.into_iter().map(|delivery| delivery.unwrap().event().id().to_owned()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn no_more_than_the_credit_is_in_flight() {
    let peer = Peer::start().await;
    for id in 0..100 {
        peer.state.enqueue(&event(id));
    }
    let mut inbox = peer.client().subscribe(INBOX).credit(7).open().await.unwrap();
    let mut unsettled = Vec::new();
    for _ in 0..7 {
        unsettled.push(next(&mut inbox).await);
    }
    let wait = Duration::from_millis(100);
    let eighth = tokio::time::timeout(wait, inbox.next()).await;
    assert!(eighth.is_err(), "without credit nothing comes");

    for delivery in unsettled {
        delivery.acknowledge().await.unwrap();
    }
    for _ in 7..100 {
        next(&mut inbox).await.acknowledge().await.unwrap();
    }
    until("all acknowledged", || peer.state.acknowledged() == 100).await;
    assert_eq!(peer.state.queue.lock().unwrap().most_in_flight, 7);
}

#[tokio::test]
async fn retry_reject_and_extend_reach_the_gateway() {
    let peer = Peer::start().await;
    let retried = peer.state.enqueue(&event(1));
    let rejected = peer.state.enqueue(&event(2));
    let mut inbox = open(&peer).await;

    let after = Duration::from_millis(50);
    next(&mut inbox).await.retry(after, "busy").await.unwrap();
    let second = next(&mut inbox).await;
    second.extend_lease(Duration::from_secs(60)).await.unwrap();
    until("extended", || peer.state.extended.load(Ordering::SeqCst) == 1).await;
    second.reject("unreadable").await.unwrap();

    let again = next(&mut inbox).await;
    assert_eq!((again.message_id(), again.attempt()), (retried, 2));
    again.acknowledge().await.unwrap();
    until("acknowledged", || peer.state.acknowledged() == 1).await;
    let reason = "busy".to_owned();
    assert_eq!(
        peer.state.settled(retried),
        [Settled::Retried { after, reason }, Settled::Acknowledged]
    );
    let reason = "unreadable".to_owned();
    assert_eq!(peer.state.settled(rejected), [Settled::Rejected { reason }]);
}

#[tokio::test]
async fn wrong_arguments_are_not_sent() {
    let peer = Peer::start().await;
    let client = peer.client();
    let invalid = |outcome: Result<(), ClientError>| {
        assert!(matches!(outcome, Err(ClientError::InvalidArgument { .. })));
    };
    invalid(client.subscribe("verhuizingen").open().await.map(drop));
    invalid(client.subscribe(INBOX).credit(0).open().await.map(drop));
    invalid(client.subscribe(INBOX).credit(10_001).open().await.map(drop));
    let short = Duration::from_millis(999);
    invalid(client.subscribe(INBOX).lease(short).open().await.map(drop));

    peer.state.enqueue(&event(1));
    peer.state.enqueue(&event(2));
    let mut inbox = open(&peer).await;
    let delivery = next(&mut inbox).await;
    invalid(delivery.extend_lease(short).await);
    invalid(delivery.reject(" ").await);
    let long = Duration::from_secs(24 * 60 * 60 + 1);
    invalid(next(&mut inbox).await.retry(long, "").await);
    assert_eq!(peer.state.settle_requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn after_its_lease_a_delivery_is_lost_and_comes_again() {
    let peer = Peer::start().await;
    let message_id = peer.state.enqueue(&event(1));
    let lease = Duration::from_secs(1);
    let opening = peer.client().subscribe(INBOX).lease(lease);
    let mut inbox = opening.open().await.unwrap();

    let late = next(&mut inbox).await;
    assert!(!late.is_lease_lost());
    let again = next(&mut inbox).await;
    assert!(late.is_lease_lost());
    assert_eq!(inbox.lease_lost(), 1);
    let error = late.acknowledge().await.unwrap_err();
    assert!(matches!(error, ClientError::LeaseLost { .. }), "{error:?}");
    assert_eq!((again.message_id(), again.attempt()), (message_id, 2));
    again.acknowledge().await.unwrap();
    until("acknowledged", || peer.state.acknowledged() == 1).await;
    assert_eq!(inbox.reconnects(), 0);
}

#[tokio::test]
async fn deliveries_of_a_lost_stream_are_stale_and_come_again() {
    let peer = Peer::start().await;
    let sent: Vec<Uuid> = (0..10).map(|id| peer.state.enqueue(&event(id))).collect();
    let mut inbox = open(&peer).await;
    let stale = next(&mut inbox).await;
    let also_stale = next(&mut inbox).await;

    peer.state.wire.cut();
    // The rest of the lost stream is left out: the next is the first again, under
    // the same delivery id as the stale one.
    until("lost", || stale.is_lease_lost()).await;
    let fresh = next(&mut inbox).await;
    assert_eq!(fresh.message_id(), stale.message_id());
    for delivery in [stale, also_stale] {
        let error = delivery.acknowledge().await.unwrap_err();
        assert!(matches!(error, ClientError::LeaseLost { .. }), "{error:?}");
    }
    assert_eq!(peer.state.acknowledged(), 0);
    assert_eq!(inbox.reconnects(), 1);
    assert_eq!(inbox.lease_lost(), 10);

    assert_eq!(fresh.message_id(), sent[0]);
    fresh.acknowledge().await.unwrap();
    for message_id in &sent[1..] {
        let delivery = next(&mut inbox).await;
        assert_eq!(delivery.message_id(), *message_id);
        delivery.acknowledge().await.unwrap();
    }
    until("all acknowledged", || peer.state.acknowledged() == 10).await;
}

#[tokio::test]
async fn everything_arrives_though_the_connection_breaks_again_and_again() {
    const COUNT: usize = 1_000;
    let peer = Peer::start().await;
    let mut missing: HashSet<Uuid> = (0..COUNT).map(|id| peer.state.enqueue(&event(id))).collect();
    let mut inbox = peer.client().subscribe(INBOX).credit(20).open().await.unwrap();
    let mut taken = 0;
    while !missing.is_empty() {
        let delivery = next(&mut inbox).await;
        taken += 1;
        if taken % 150 == 0 {
            peer.state.wire.cut();
        }
        missing.remove(&delivery.message_id());
        match delivery.acknowledge().await {
            Ok(()) | Err(ClientError::LeaseLost { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(inbox.reconnects() >= 3, "{}", inbox.reconnects());
    // What was acknowledged into a broken connection comes again.
    while peer.state.acknowledged() < COUNT {
        let wait = Duration::from_millis(20);
        if let Ok(delivery) = tokio::time::timeout(wait, inbox.next()).await {
            let _ = delivery.unwrap().unwrap().acknowledge().await;
        }
    }
}

/// Has no token the second and third time.
struct Flaky(AtomicUsize);

#[async_trait::async_trait]
impl TokenProvider for Flaky {
    async fn token(&self) -> Result<Token, TokenError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            1 | 2 => Err(TokenError::temporary("not now")),
            _ => Ok(TOKEN.into()),
        }
    }
}

#[tokio::test]
async fn without_a_token_for_now_it_still_comes_back() {
    let peer = Peer::start().await;
    let client = peer.builder().token_provider(Flaky(AtomicUsize::new(0)));
    let client = client.connect().unwrap();
    let mut inbox = client.subscribe(INBOX).open().await.unwrap();
    peer.state.wire.cut();
    peer.state.enqueue(&event(1));
    while inbox.reconnects() == 0 {
        // May come by the stream that is about to be lost.
        drop(next(&mut inbox).await);
    }
}

#[tokio::test]
async fn an_inbox_that_nobody_reads_can_be_closed() {
    let peer = Peer::start().await;
    for id in 0..999 {
        peer.state.enqueue(&event(id));
    }
    let closed = refusal(Code::NotFound, "INBOX_CLOSED", "the inbox was removed");
    let faults = [SessionFault::EndAfter(1_000, closed)];
    peer.state.session_faults.lock().unwrap().extend(faults);
    let opening = peer.client().subscribe(INBOX).credit(1_000);
    let inbox = opening.open().await.unwrap();
    // The hand-over to the caller fills up before the stream ends.
    tokio::time::sleep(Duration::from_millis(100)).await;
    peer.state.enqueue(&event(999));
    let ended = || peer.state.sessions.load(Ordering::SeqCst) == 0;
    until("the stream ends", ended).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    in_time(inbox.close()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_inbox_is_refused_at_opening() {
    let peer = Peer::start().await;
    let other = format!("{PARTY}.other");
    let error = peer.client().subscribe(other).open().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().reason, "UNKNOWN_INBOX");
}

#[tokio::test]
async fn opening_is_tried_again_while_unavailable() {
    let peer = Peer::start().await;
    let faults = (0..2).map(|_| SessionFault::Refuse(bus_unavailable()));
    peer.state.session_faults.lock().unwrap().extend(faults);
    peer.state.enqueue(&event(1));
    let mut inbox = open(&peer).await;
    assert_eq!(next(&mut inbox).await.event().id(), "1");
    assert_eq!(inbox.reconnects(), 0);
}

#[tokio::test]
async fn a_gateway_that_shuts_down_is_come_back_to() {
    let peer = Peer::start().await;
    let end = || refusal(Code::Unavailable, "SHUTTING_DOWN", "elsewhere");
    peer.state.session_faults.lock().unwrap().extend([
        SessionFault::EndAfter(1, end()),
        SessionFault::Refuse(end()),
        SessionFault::EndAfter(1, end()),
    ]);
    peer.state.enqueue(&event(1));
    let mut inbox = open(&peer).await;
    let again = || inbox.reconnects() == 2;
    until("opened again", again).await;
    assert_eq!(next(&mut inbox).await.event().id(), "1");
}

#[tokio::test]
async fn a_stream_whose_token_is_over_is_opened_again_with_the_next() {
    let peer = Peer::start().await;
    let over = || refusal(Code::Unauthenticated, "UNAUTHENTICATED", "the token has expired");
    peer.state.session_faults.lock().unwrap().push_back(SessionFault::EndAfter(1, over()));
    peer.state.enqueue(&event(1));
    let mut inbox = open(&peer).await;
    until("opened again", || inbox.reconnects() == 1).await;
    next(&mut inbox).await.acknowledge().await.unwrap();
    in_time(inbox.close()).await.unwrap();

    // Once: who is not let in with the next either is told.
    let faults = [SessionFault::EndAfter(0, over()), SessionFault::Refuse(over())];
    peer.state.session_faults.lock().unwrap().extend(faults);
    let mut inbox = open(&peer).await;
    let error = in_time(inbox.next()).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().reason, "UNAUTHENTICATED");
}

#[tokio::test]
async fn what_cannot_be_mended_is_told_once_and_ends_it() {
    let peer = Peer::start().await;
    let closed = refusal(Code::NotFound, "INBOX_CLOSED", "the inbox was removed");
    let faults = [SessionFault::EndAfter(0, closed)];
    peer.state.session_faults.lock().unwrap().extend(faults);
    let mut inbox = open(&peer).await;

    let error = in_time(inbox.next()).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().reason, "INBOX_CLOSED");
    assert!(in_time(inbox.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn more_than_twice_the_credit_is_not_taken() {
    let peer = Peer::start().await;
    for id in 0..30 {
        peer.state.enqueue(&event(id));
    }
    let faults = [SessionFault::IgnoreCredit];
    peer.state.session_faults.lock().unwrap().extend(faults);
    let mut inbox = peer.client().subscribe(INBOX).credit(10).open().await.unwrap();
    let error = in_time(inbox.next()).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter() {
    let peer = Peer::start().await;
    let unreadable = peer.state.enqueue_frame(b"\xff\xff\xff".as_slice().into());
    peer.state.enqueue(&event(2));
    let mut inbox = open(&peer).await;
    assert_eq!(next(&mut inbox).await.event().id(), "2");
    until("rejected", || matches!(peer.state.settled(unreadable)[..], [Settled::Rejected { .. }]))
        .await;
}

#[tokio::test]
async fn acknowledgements_that_are_ready_go_together() {
    const COUNT: usize = 2_000;
    let peer = Peer::start().await;
    for id in 0..COUNT {
        peer.state.enqueue(&event(id));
    }
    let opening = peer.client().subscribe(INBOX).credit(2_000);
    let mut inbox = opening.open().await.unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..COUNT {
        deliveries.push(next(&mut inbox).await);
    }
    for delivery in deliveries {
        delivery.acknowledge().await.unwrap();
    }
    until("all acknowledged", || peer.state.acknowledged() == COUNT).await;
    let requests = peer.state.settle_requests.load(Ordering::SeqCst);
    assert!(requests < COUNT / 4, "{requests} requests");
}

#[tokio::test]
async fn close_sends_the_last_settlements_and_gives_back_the_rest() {
    let peer = Peer::start().await;
    for id in 0..200 {
        peer.state.enqueue(&event(id));
    }
    let mut inbox = peer.client().subscribe(INBOX).credit(200).open().await.unwrap();
    let kept = next(&mut inbox).await;
    for _ in 1..150 {
        next(&mut inbox).await.acknowledge().await.unwrap();
    }
    assert_eq!(in_time(inbox.close()).await.unwrap(), 0, "all were taken");
    assert_eq!(peer.state.acknowledged(), 149);
    assert_eq!(peer.state.queue.lock().unwrap().ready(), 51);
    let error = kept.acknowledge().await.unwrap_err();
    assert!(matches!(error, ClientError::LeaseLost { .. }), "{error:?}");
}

#[tokio::test]
async fn close_tells_what_is_not_known_to_have_been_taken() {
    let peer = Peer::start().await;
    peer.state.enqueue(&event(1));
    let mut inbox = open(&peer).await;
    next(&mut inbox).await.reject("unreadable").await.unwrap();
    peer.state.wire.cut();
    until("opened again", || inbox.reconnects() == 1).await;
    // Whether it was taken or came again, this client did not hear of it.
    assert_eq!(in_time(inbox.close()).await.unwrap(), 1);
}

#[tokio::test]
async fn close_tells_so_too_while_the_gateway_is_away() {
    let peer = Peer::start().await;
    peer.state.enqueue(&event(1));
    let mut inbox = open(&peer).await;
    let away = (0..1_000).map(|_| SessionFault::Refuse(bus_unavailable()));
    peer.state.session_faults.lock().unwrap().extend(away);
    next(&mut inbox).await.acknowledge().await.unwrap();
    peer.state.wire.cut();
    until("lost", || !inbox.is_connected()).await;
    assert_eq!(in_time(inbox.close()).await.unwrap(), 1);
}

#[tokio::test]
async fn dropping_ends_the_stream_and_gives_everything_back() {
    let peer = Peer::start().await;
    for id in 0..10 {
        peer.state.enqueue(&event(id));
    }
    let mut inbox = open(&peer).await;
    let kept = next(&mut inbox).await;
    drop(inbox);
    let ended = || peer.state.sessions.load(Ordering::SeqCst) == 0;
    until("the stream ends", ended).await;
    assert_eq!(peer.state.queue.lock().unwrap().ready(), 10);
    assert!(kept.is_lease_lost());
    let error = kept.acknowledge().await.unwrap_err();
    assert!(matches!(error, ClientError::LeaseLost { .. }), "{error:?}");
}

#[tokio::test]
async fn dropping_while_the_gateway_is_away_ends_the_task() {
    let peer = Peer::start().await;
    let inbox = open(&peer).await;
    let away = (0..1_000).map(|_| SessionFault::Refuse(bus_unavailable()));
    peer.state.session_faults.lock().unwrap().extend(away);
    peer.state.wire.cut();
    let left = || peer.state.session_faults.lock().unwrap().len();
    until("it tries to come back", || left() < 999).await;
    drop(inbox);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let left_after = left();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(left(), left_after, "nobody tries any more");
}
