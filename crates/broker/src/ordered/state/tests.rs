use std::time::SystemTime;

use async_trait::async_trait;
use wissel_message::Event;

use super::*;

/// Is never asked here.
struct Nobody;

#[async_trait]
impl Settle for Nobody {
    async fn settle(&self, _: Vec<(DeliveryTag, Settlement)>) -> Vec<Result<(), BusError>> {
        Vec::new()
    }
}

fn envelope() -> Envelope {
    let event = Event::builder("1", "/s", "nl.t.x").subject("999990019").build().unwrap();
    Envelope {
        message_id: MessageId::now(),
        publisher: "00000099000000001000".parse().unwrap(),
        admitted_at: SystemTime::now(),
        fields: None,
        replayed: false,
        event: event.encode(),
    }
}

/// A connection breaks while the only delivery is being settled; it comes again before
/// the bus answers that it is no longer held.
#[test]
fn what_comes_again_before_its_settlement_failed_is_handed_out() {
    let mut state = State::default();
    let (sender, mut arrivals) = mpsc::channel(10);
    let joining = (sender, 5, CancellationToken::new());
    let receiver = state.begin(Arc::new(Nobody), CancellationToken::new(), joining);
    let mut next = |state: &mut State| {
        state.hand_out();
        match arrivals.try_recv() {
            Ok(Arrival::Delivery(delivery)) => Some(delivery.tag),
            _ => None,
        }
    };
    let (first, second) = (envelope(), envelope());
    let arrived = |tag, envelope: &Envelope| Delivery {
        tag: DeliveryTag(tag),
        envelope: envelope.clone(),
        attempt: 1,
    };
    state.arrive(arrived(1, &first));
    let held = next(&mut state).unwrap();
    assert!(state.settle(receiver, held, Settlement::Acknowledge).unwrap().is_some());
    state.arrive(arrived(2, &first));
    state.arrive(arrived(3, &second));
    assert_eq!(next(&mut state), None, "its settlement is under way");
    state.void(held.0);
    let again = next(&mut state).unwrap();
    assert_eq!(next(&mut state), None, "the second waits for the first");
    assert!(state.settle(receiver, again, Settlement::Acknowledge).unwrap().is_some());
    state.done(again.0, (first.message_id, false));
    assert!(next(&mut state).is_some());
}

/// A receiver goes while its dead letter is on the way to the bus, and takes the lanes with it.
#[test]
fn a_dead_letter_leaves_no_attempts_when_its_receiver_has_gone() {
    let mut state = State::default();
    let envelope = envelope();
    let arrived = |tag| Delivery { tag: DeliveryTag(tag), envelope: envelope.clone(), attempt: 1 };
    let begin = |state: &mut State| {
        let (sender, arrivals) = mpsc::channel(10);
        let joining = (sender, 5, CancellationToken::new());
        (state.begin(Arc::new(Nobody), CancellationToken::new(), joining), arrivals)
    };
    let (receiver, mut arrivals) = begin(&mut state);
    let mut next = |state: &mut State| {
        state.hand_out();
        match arrivals.try_recv() {
            Ok(Arrival::Delivery(delivery)) => delivery,
            _ => panic!("nothing was handed out"),
        }
    };
    state.arrive(arrived(1));
    let first = next(&mut state);
    let retry = Settlement::Retry { after: Duration::ZERO, reason: "busy".to_owned() };
    assert!(state.settle(receiver, first.tag, retry).unwrap().is_none());
    let second = next(&mut state);
    assert_eq!(second.attempt, 2);
    let dead = state.settle(receiver, second.tag, Settlement::dead_letter("op")).unwrap();
    let (copy, ..) = dead.unwrap();
    state.remove_receiver(receiver);
    state.done(second.tag.0, copy);

    // It is put back, and another receiver has come.
    let (_, mut arrivals) = begin(&mut state);
    state.arrive(arrived(2));
    let Ok(Arrival::Delivery(again)) = arrivals.try_recv() else { panic!("nothing came") };
    assert_eq!(again.attempt, 1);
}
