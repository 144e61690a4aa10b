//! The publish stream: order, back-pressure, broken connections.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tonic::Code;
use wissel_client::{ClientError, PublisherOptions};

use crate::peer::{Peer, StreamFault, event, in_time, refusal, typed_event, until};

#[tokio::test]
async fn each_message_gets_its_own_receipt_and_requests_hold_several() {
    const COUNT: usize = 5_000;
    let peer = Peer::start().await;
    let publisher = peer.client().publisher();
    let mut receipts = Vec::new();
    for id in 0..COUNT {
        receipts.push((id, publisher.send(&event(id)).await.unwrap()));
    }
    for (id, receipt) in receipts {
        assert_eq!(in_time(receipt).await.unwrap().id, id.to_string());
    }
    in_time(publisher.close()).await.unwrap();

    let log = peer.state.log.lock().unwrap();
    let in_order: Vec<String> = (0..COUNT).map(|id| id.to_string()).collect();
    assert_eq!(log.admitted, in_order);
    assert_eq!(log.received, COUNT, "nothing was sent twice");
    assert!(log.requests < COUNT / 2, "{} requests", log.requests);
}

#[tokio::test]
async fn what_has_no_outcome_is_sent_again_after_a_cut() {
    const COUNT: usize = 3_000;
    let peer = Peer::start().await;
    let cuts = [0, 10, 500, 1, 700].map(StreamFault::CutAfter);
    peer.state.stream_faults.lock().unwrap().extend(cuts);

    let publisher = peer.client().publisher();
    let mut receipts = Vec::new();
    for id in 0..COUNT {
        receipts.push((id, in_time(publisher.send(&event(id))).await.unwrap()));
    }
    for (id, receipt) in receipts {
        assert_eq!(in_time(receipt).await.unwrap().id, id.to_string());
    }
    let log = peer.state.log.lock().unwrap();
    assert_eq!(log.admitted.len(), COUNT, "each admitted once");
    assert!(log.received > COUNT, "some were sent again");
    assert!(peer.state.stream_faults.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_gateway_that_shuts_down_is_come_back_to() {
    let peer = Peer::start().await;
    let end = refusal(Code::Unavailable, "SHUTTING_DOWN", "elsewhere");
    let faults = [StreamFault::EndAfter(1, end)];
    peer.state.stream_faults.lock().unwrap().extend(faults);

    let publisher = peer.client().publisher();
    let first = publisher.send(&event(1)).await.unwrap();
    in_time(first).await.unwrap();
    let second = publisher.send(&event(2)).await.unwrap();
    assert_eq!(in_time(second).await.unwrap().id, "2");
}

#[tokio::test]
async fn a_refused_message_does_not_hurt_the_others() {
    let peer = Peer::start().await;
    let publisher = peer.client().publisher();
    let good = publisher.send(&event(1)).await.unwrap();
    let bad = publisher.send(&typed_event(2, "nl.unknown")).await.unwrap();
    let failed = publisher.send(&typed_event(4, "nl.failing")).await.unwrap();
    let also_good = publisher.send(&event(3)).await.unwrap();

    assert_eq!(in_time(good).await.unwrap().id, "1");
    let error = in_time(bad).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
    assert_eq!(error.refusal().unwrap().reason, "UNKNOWN_EVENT_TYPE");
    let error = in_time(failed).await.unwrap_err();
    assert!(matches!(error, ClientError::MayBePublished { .. }), "{error:?}");
    assert_eq!(error.refusal().unwrap().reason, "INTERNAL");
    assert_eq!(in_time(also_good).await.unwrap().id, "3");
}

#[tokio::test]
async fn what_the_bus_cannot_take_now_is_sent_again_and_holds_up_nobody() {
    let peer = Peer::start().await;
    let not_now = [("1".to_owned(), 4)];
    peer.state.log.lock().unwrap().not_now.extend(not_now);

    let publisher = peer.client().publisher();
    let later = publisher.send(&event(1)).await.unwrap();
    for id in 2..50 {
        let receipt = publisher.send(&event(id)).await.unwrap();
        assert_eq!(in_time(receipt).await.unwrap().id, id.to_string());
        if id == 2 {
            let admitted = &peer.state.log.lock().unwrap().admitted;
            assert_eq!(admitted, &["2"], "the first one waits");
        }
    }
    in_time(publisher.flush()).await.unwrap();
    assert_eq!(in_time(later).await.unwrap().id, "1");
}

#[tokio::test]
async fn what_the_bus_never_takes_is_given_up() {
    let peer = Peer::start().await;
    let never = [("1".to_owned(), usize::MAX)];
    peer.state.log.lock().unwrap().not_now.extend(never);

    let options = PublisherOptions::default().give_up_after(Duration::from_millis(200));
    let publisher = peer.client().publisher_with(options);
    let given_up = publisher.send(&event(1)).await.unwrap();
    let error = in_time(given_up).await.unwrap_err();
    // Of a bus that is away nobody knows what it took.
    assert!(matches!(error, ClientError::MayBePublished { .. }), "{error:?}");
    assert_eq!(error.refusal().unwrap().reason, "BUS_UNAVAILABLE");
    let receipt = publisher.send(&event(2)).await.unwrap();
    in_time(receipt).await.unwrap();
}

#[tokio::test]
async fn a_fast_publisher_waits_for_a_place() {
    let peer = Peer::start().await;
    peer.state.outcomes_allowed.forget_permits(usize::MAX);
    let options = PublisherOptions::default().max_in_flight(10);
    let publisher = peer.client().publisher_with(options);
    let mut receipts = Vec::new();
    for id in 0..10 {
        receipts.push(in_time(publisher.send(&event(id))).await.unwrap());
    }
    let eleventh = event(10);
    let mut eleventh = Box::pin(publisher.send(&eleventh));
    let wait = Duration::from_millis(100);
    let too_early = tokio::time::timeout(wait, &mut eleventh).await;
    assert!(too_early.is_err(), "there was no place");

    peer.state.outcomes_allowed.add_permits(1);
    receipts.push(in_time(eleventh).await.unwrap());
    peer.state.outcomes_allowed.add_permits(100);
    for receipt in receipts {
        in_time(receipt).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_and_a_large_message_goes_alone() {
    let peer = Peer::start().await;
    peer.state.outcomes_allowed.forget_permits(usize::MAX);
    let options = PublisherOptions::default().max_bytes_in_flight(10);
    let publisher = peer.client().publisher_with(options);
    let first = in_time(publisher.send(&event(1))).await.unwrap();
    let second = event(2);
    let mut second = Box::pin(publisher.send(&second));
    let wait = Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, &mut second).await.is_err());

    peer.state.outcomes_allowed.add_permits(2);
    in_time(first).await.unwrap();
    in_time(in_time(second).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_refused_stream_fails_what_is_pending_and_the_next_message_tries_anew() {
    let peer = Peer::start().await;
    "another".clone_into(&mut peer.state.token.lock().unwrap());
    let publisher = peer.client().publisher();
    let first = publisher.send(&event(1)).await.unwrap();
    let second = publisher.send(&event(2)).await.unwrap();
    for receipt in [first, second] {
        let error = in_time(receipt).await.unwrap_err();
        assert!(matches!(error, ClientError::NotPublished { .. }), "{error:?}");
        assert_eq!(error.refusal().unwrap().reason, "UNAUTHENTICATED");
    }
    crate::peer::TOKEN.clone_into(&mut peer.state.token.lock().unwrap());
    let third = publisher.send(&event(3)).await.unwrap();
    assert_eq!(in_time(third).await.unwrap().id, "3");
}

#[tokio::test]
async fn outcomes_out_of_order_are_not_believed() {
    let peer = Peer::start().await;
    let faults = [StreamFault::CountFrom(1)];
    peer.state.stream_faults.lock().unwrap().extend(faults);
    let publisher = peer.client().publisher();
    let receipt = publisher.send(&event(1)).await.unwrap();
    let error = in_time(receipt).await.unwrap_err();
    let ClientError::MayBePublished { reason } = &error else { panic!("{error:?}") };
    assert!(matches!(**reason, ClientError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_given_up() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let client = wissel_client::Client::builder(format!("http://{address}"))
        .retry(crate::peer::quick())
        .connect()
        .unwrap();
    let options = PublisherOptions::default().give_up_after(Duration::from_millis(300));
    let publisher = client.publisher_with(options);

    let began = Instant::now();
    let receipt = publisher.send(&event(1)).await.unwrap();
    in_time(publisher.close()).await.unwrap();
    let error = receipt.await.unwrap_err();
    let ClientError::NotPublished { reason } = &error else { panic!("{error:?}") };
    assert!(matches!(**reason, ClientError::Transport { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(5));

    let publisher = client.publisher();
    let receipt = publisher.send(&event(2)).await.unwrap();
    in_time(publisher.give_up(Duration::from_secs(7))).await.unwrap();
    let error = receipt.await.unwrap_err();
    let ClientError::NotPublished { reason } = &error else { panic!("{error:?}") };
    assert!(reason.to_string().starts_with("no answer within 7s"), "{error:?}");
}

#[tokio::test]
async fn what_was_sent_once_is_not_called_unsent() {
    let peer = Peer::start().await;
    peer.state.outcomes_allowed.forget_permits(usize::MAX);
    let client = peer.client();
    let options = PublisherOptions::default().give_up_after(Duration::from_millis(300));
    let publisher = client.publisher_with(options);
    let sent = publisher.send(&event(1)).await.unwrap();
    until("it is there", || peer.state.log.lock().unwrap().received == 1).await;
    peer.state.wire.cut();
    drop(peer);
    // The last attempts find nobody, and yet the first may have been answered.
    let error = in_time(sent).await.unwrap_err();
    let ClientError::MayBePublished { reason } = &error else { panic!("{error:?}") };
    assert!(matches!(**reason, ClientError::Transport { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_given_up_while_a_gateway_has_it_may_be_published() {
    let peer = Peer::start().await;
    peer.state.outcomes_allowed.forget_permits(usize::MAX);
    let publisher = peer.client().publisher();
    let taken = publisher.send(&event(1)).await.unwrap();
    until("it is there", || peer.state.log.lock().unwrap().received == 1).await;
    in_time(publisher.give_up(Duration::from_secs(7))).await.unwrap();
    let error = in_time(taken).await.unwrap_err();
    let ClientError::MayBePublished { reason } = &error else { panic!("{error:?}") };
    assert!(matches!(**reason, ClientError::DeadlineExceeded { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_refused_for_now_each_time_is_told_with_that_and_was_not_published() {
    let peer = Peer::start().await;
    peer.state.log.lock().unwrap().too_fast.push("1".to_owned());
    let options = PublisherOptions::default().give_up_after(Duration::from_millis(300));
    let publisher = peer.client().publisher_with(options);
    let given_up = publisher.send(&event(1)).await.unwrap();
    let error = in_time(given_up).await.unwrap_err();
    assert!(matches!(error, ClientError::NotPublished { .. }), "{error:?}");
    assert_eq!(error.refusal().unwrap().reason, "RATE_LIMITED");

    // Also when it waits to be sent again while all is given up.
    let publisher = peer.client().publisher();
    let waiting = publisher.send(&event(1)).await.unwrap();
    in_time(publisher.send(&event(2)).await.unwrap()).await.unwrap();
    in_time(publisher.give_up(Duration::from_secs(7))).await.unwrap();
    let error = in_time(waiting).await.unwrap_err();
    assert!(matches!(error, ClientError::NotPublished { .. }), "{error:?}");
    assert_eq!(error.refusal().unwrap().reason, "RATE_LIMITED");
}

#[tokio::test]
async fn what_may_be_there_of_an_earlier_attempt_is_not_called_refused() {
    let peer = Peer::start().await;
    peer.state.log.lock().unwrap().too_fast.push("1".to_owned());
    let messages =
        [(event(1), "RATE_LIMITED"), (typed_event(2, "nl.unknown"), "UNKNOWN_EVENT_TYPE")];
    for (message, expected) in messages {
        peer.state.stream_faults.lock().unwrap().push_back(StreamFault::CutAfter(0));
        let options = PublisherOptions::default().give_up_after(Duration::from_millis(300));
        let publisher = peer.client().publisher_with(options);
        let sent = publisher.send(&message).await.unwrap();
        let error = in_time(sent).await.unwrap_err();
        assert!(matches!(error, ClientError::MayBePublished { .. }), "{error:?}");
        assert_eq!(error.refusal().unwrap().reason, expected);
    }
    assert!(peer.state.stream_faults.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_whose_token_is_over_is_opened_again_with_the_next() {
    let peer = Peer::start().await;
    let over = || refusal(Code::Unauthenticated, "UNAUTHENTICATED", "the token has expired");
    let faults = [StreamFault::EndAfter(1, over()), StreamFault::EndAfter(0, over())];
    peer.state.stream_faults.lock().unwrap().extend(faults);
    let publisher = peer.client().publisher();
    let first = publisher.send(&event(1)).await.unwrap();
    in_time(first).await.unwrap();
    let second = publisher.send(&event(2)).await.unwrap();
    assert_eq!(in_time(second).await.unwrap().id, "2");
    assert!(peer.state.stream_faults.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_on_a_stream_whose_token_is_over_may_be_published() {
    let peer = Peer::start().await;
    peer.state.outcomes_allowed.forget_permits(usize::MAX);
    let over = refusal(Code::Unauthenticated, "UNAUTHENTICATED", "the token has expired");
    peer.state.stream_faults.lock().unwrap().push_back(StreamFault::EndAfter(0, over));
    let publisher = peer.client().publisher();
    let sent = publisher.send(&event(1)).await.unwrap();
    until("it is there", || peer.state.log.lock().unwrap().received == 1).await;
    // There is none that holds.
    "another".clone_into(&mut peer.state.token.lock().unwrap());
    peer.state.outcomes_allowed.add_permits(1);
    let error = in_time(sent).await.unwrap_err();
    assert!(matches!(error, ClientError::MayBePublished { .. }), "{error:?}");
    assert_eq!(error.refusal().unwrap().reason, "UNAUTHENTICATED");
}

#[tokio::test]
async fn flush_waits_for_every_outcome() {
    let peer = Peer::start().await;
    let publisher = peer.client().publisher();
    let mut receipts = Vec::new();
    for id in 0..500 {
        receipts.push(publisher.send(&event(id)).await.unwrap());
    }
    in_time(publisher.flush()).await.unwrap();
    assert_eq!(peer.state.log.lock().unwrap().admitted.len(), 500);
    for receipt in receipts {
        let at_once = tokio::task::unconstrained(receipt).now_or_never();
        at_once.unwrap().unwrap();
    }
}

#[tokio::test]
async fn close_waits_and_ends_the_stream() {
    let peer = Peer::start().await;
    let publisher = peer.client().publisher();
    for id in 0..500 {
        // Nobody asks for the receipt: it is published all the same.
        drop(publisher.send(&event(id)).await.unwrap());
    }
    in_time(publisher.close()).await.unwrap();
    assert_eq!(peer.state.log.lock().unwrap().admitted.len(), 500);
    let ended = || peer.state.streams.load(Ordering::SeqCst) == 0;
    until("the stream ends", ended).await;
}

#[tokio::test]
async fn dropping_abandons_what_is_pending() {
    let peer = Peer::start().await;
    peer.state.outcomes_allowed.forget_permits(usize::MAX);
    let publisher = peer.client().publisher();
    let receipt = publisher.send(&event(1)).await.unwrap();
    let opened = || peer.state.streams.load(Ordering::SeqCst) == 1;
    until("the stream opens", opened).await;

    drop(publisher);
    let error = in_time(receipt).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed), "{error:?}");
    let ended = || peer.state.streams.load(Ordering::SeqCst) == 0;
    until("the stream ends", ended).await;
}
