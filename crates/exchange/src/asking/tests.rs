use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use wissel_broker::{Broker, BrokerOptions, Caller, Reason, ReplyTo};
use wissel_bus::{Bus as _, MessageId};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::Store;

use super::*;
use crate::{Exchange, ExchangeOptions};

const ASKER: &str = "00000099000000002000";
const REGISTRY: &str = "00000099000000001000";
/// May answer as well, and has no inbox for questions.
const OUTSIDER: &str = "00000099000000003000";
const PATIENCE: Duration = Duration::from_secs(30);

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Asker" },
    { oin = "00000099000000003000", name = "Outsider" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]
[[event_type]]
name = "nl.brp.vraag"
owner = "00000099000000001000"
description = "Where does this person live?"
[event_type.ask]
answer = "nl.brp.antwoord"
within = "30 seconds"
[[event_type]]
name = "nl.brp.antwoord"
owner = "00000099000000001000"
description = "Where a person lives."
[[grant]]
party = "00000099000000002000"
type = "nl.brp.vraag"
action = "publish"
purpose = "To know"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = "nl.brp.antwoord"
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[grant]]
party = ["00000099000000001000", "00000099000000003000"]
type = ["nl.brp.vraag"]
action = "receive"
purpose = "To answer"
legal_basis = "Wet BRP"
[[grant]]
party = ["00000099000000001000", "00000099000000003000"]
type = ["nl.brp.antwoord"]
action = "publish"
purpose = "To answer"
legal_basis = "Wet BRP"
[[subscription]]
name = "00000099000000001000.vragen"
"#;

struct Place {
    exchange: Arc<Exchange>,
    bus: Arc<EmbeddedBus>,
    _directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bus = Arc::new(EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap());
        let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
        let store = Store::in_memory().unwrap();
        let on = Arc::clone(&bus) as _;
        let options = BrokerOptions::default();
        let broker = Broker::start(on, store.clone(), catalogue, options).await.unwrap();
        broker.prepared().await;
        let exchange = Exchange::start(broker, store, ExchangeOptions::default());
        Self { exchange, bus, _directory: directory }
    }

    async fn answer(
        &self,
        by: &str,
        reply_to: &ReplyTo,
        answer: Result<Bytes, Failure>,
    ) -> Result<(), Reason> {
        let answered = self.exchange.answer(&party(by), &reply_to.to_string(), answer).await;
        answered.map_err(|refusal| refusal.reason)
    }

    /// Where the one who asks waits.
    fn reply_to(&self) -> ReplyTo {
        let open = self.exchange.asking.open.lock();
        assert_eq!(open.len(), 1);
        let question = *open.keys().next().unwrap();
        let inbox = self.exchange.answers_inbox().unwrap();
        ReplyTo { inbox, asker: ASKER.parse().unwrap(), question }
    }

    /// Until the question is in the inbox of the registry.
    async fn until_there(&self) {
        let inbox = format!("{REGISTRY}.vragen").parse().unwrap();
        let waiting = async {
            while self.bus.inspect(&inbox).await.unwrap().depth == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the question is there");
    }
}

fn party(oin: &str) -> Caller {
    Caller::Party(oin.parse().unwrap())
}

fn question(to: Option<&str>) -> Question {
    let source = format!("urn:nld:oin:{ASKER}:systeem:balie");
    let event = Event::builder(Uuid::new_v4().to_string(), source, "nl.brp.vraag").build();
    let to = to.map(|to| to.parse().unwrap());
    Question { event: event.unwrap().encode(), to, within: None }
}

fn message(by: &str, event_type: &str) -> Bytes {
    let source = format!("urn:nld:oin:{by}:systeem:register");
    Event::builder(Uuid::new_v4().to_string(), source, event_type).build().unwrap().encode()
}

fn failure() -> Failure {
    Failure { code: FailureCode::NotFound, message: "not mine".to_owned() }
}

/// Goes as far as it goes without waiting.
fn begin<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Whatever it has to say, whenever it says so, and whether or not the asker named anybody.
#[tokio::test]
async fn only_who_was_asked_can_answer_from_the_first_moment_on() {
    let place = Place::new().await;
    for to in [None, Some(REGISTRY)] {
        let asker = party(ASKER);
        let mut asking = pin!(place.exchange.ask(&asker, question(to)));
        begin(asking.as_mut());
        let reply_to = place.reply_to();
        let attempts = || {
            let texts = ["nl.brp.antwoord", "nl.brp.vraag", "nl.brp.onbekend"];
            let answers = texts.map(|event_type| Ok(message(OUTSIDER, event_type)));
            answers.into_iter().chain([Ok(Bytes::from_static(b"no event")), Err(failure())])
        };
        // It is not in the inbox of the registry, and has no receipt.
        for answer in attempts() {
            let answered = place.answer(OUTSIDER, &reply_to, answer).await;
            assert_eq!(answered, Err(Reason::NotAsked));
        }
        place.until_there().await;
        for answer in attempts() {
            let answered = place.answer(OUTSIDER, &reply_to, answer).await;
            assert_eq!(answered, Err(Reason::NotAsked));
        }
        let other = place.answer(REGISTRY, &reply_to, Ok(message(REGISTRY, "nl.brp.vraag"))).await;
        assert_eq!(other, Err(Reason::InvalidMessage), "it may try again");
        let answer = message(REGISTRY, "nl.brp.antwoord");
        place.answer(REGISTRY, &reply_to, Ok(answer.clone())).await.unwrap();
        let second = place.answer(REGISTRY, &reply_to, Ok(answer)).await;
        assert_eq!(second, Err(Reason::NotWaiting));
        let answer = tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap();
        assert!(answer.by.as_str() == REGISTRY && answer.result.is_ok());
        let inbox = format!("{REGISTRY}.vragen").parse().unwrap();
        place.bus.remove_inbox(&inbox).await.unwrap();
        place.bus.open_inbox(&inbox).await.unwrap();
    }
    place.exchange.broker().shut_down(PATIENCE).await;
}

/// Bytes of which it shows when nobody has them any more.
struct Held(Bytes, #[expect(dead_code, reason = "it is dropped with the bytes")] Arc<()>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[tokio::test]
async fn an_asker_that_waits_takes_no_memory_for_its_question() {
    let place = Place::new().await;
    let (asker, asked) = (party(ASKER), question(None));
    let held = Arc::new(());
    let event = Bytes::from_owner(Held(asked.event.clone(), Arc::clone(&held)));
    let mut asking = pin!(place.exchange.ask(&asker, Question { event, ..asked }));
    begin(asking.as_mut());
    assert_eq!(Arc::strong_count(&held), 1, "the asker still has its question");
    place.until_there().await;
    let reply_to = place.reply_to();
    place.answer(REGISTRY, &reply_to, Err(failure())).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, asking).await.unwrap().is_ok());
    place.exchange.broker().shut_down(PATIENCE).await;
}

/// Those of others come from another gateway, more than have room: they push nothing out.
#[tokio::test]
async fn what_comes_from_another_gateway_of_one_who_was_not_asked_is_passed_over() {
    let place = Place::new().await;
    let asker = party(ASKER);
    let mut asking = pin!(place.exchange.ask(&asker, question(None)));
    begin(asking.as_mut());
    let reply_to = place.reply_to();
    place.until_there().await;
    let came = |by: &str| Envelope {
        message_id: MessageId::now(),
        publisher: by.parse().unwrap(),
        admitted_at: std::time::SystemTime::now(),
        fields: None,
        replayed: false,
        event: answer::addressed(message(by, "nl.brp.antwoord"), reply_to.question).unwrap(),
    };
    for _ in 0..10 {
        place.exchange.hand_to_asker(came(OUTSIDER));
    }
    place.exchange.hand_to_asker(came(REGISTRY));
    let answer = tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert!(answer.by.as_str() == REGISTRY && answer.result.is_ok());
    place.exchange.broker().shut_down(PATIENCE).await;
}
