//! Questions and answers, on both buses: those that go well, and those that do not.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wissel_client::{
    Answer, AnswerFailure, Client, ClientError, Delivery, Event, FailureCode, Oin, OpenInbox,
    Outcome, Question, in_answer_to,
};
use wissel_message::{OwnedData, Value};
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, alone};

const BRP: &str = "00000099000000001000";
const UTRECHT: &str = "00000099000000002000";
const UWV: &str = "00000099000000003000";
const SVB: &str = "00000099000000004000";
const OUTSIDER: &str = "00000099000000005000";
/// How long an answer is waited for, as the catalogue says.
const WITHIN: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(30);
const SUBJECT: &str = "999990342";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "BRP" },
    { oin = "00000099000000002000", name = "Utrecht" },
    { oin = "00000099000000003000", name = "UWV" },
    { oin = "00000099000000004000", name = "SVB" },
    { oin = "00000099000000005000", name = "Outsider" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]

[[event_type]]
name = "nl.brp.vraag"
owner = "00000099000000001000"
description = "Where does this person live?"
subject = "bsn"
[event_type.ask]
answer = "nl.brp.antwoord"
within = "30 seconds"

[[event_type]]
name = "nl.brp.antwoord"
owner = "00000099000000001000"
description = "Where a person lives."
subject = "bsn"
[event_type.schema]
type = "object"
[event_type.schema.properties]
gemeente = { type = "string" }
naam = { type = "string" }

[[event_type]]
name = "nl.uitkering.vraag"
owner = "00000099000000003000"
description = "Which benefits does this person have?"
subject = "bsn"
[event_type.ask]
answer = "nl.uitkering.antwoord"
within = "30 seconds"

[[event_type]]
name = "nl.uitkering.antwoord"
owner = "00000099000000003000"
description = "The benefits of a person."
subject = "bsn"

[[grant]]
party = "00000099000000002000"
type = ["nl.brp.vraag", "nl.uitkering.vraag"]
action = "publish"
purpose = "To know where residents live"
legal_basis = "Wet BRP, artikel 3.2"

[[grant]]
party = "00000099000000001000"
type = "nl.brp.vraag"
action = "receive"
purpose = "To answer"
legal_basis = "Wet BRP, artikel 3.2"

[[grant]]
party = "00000099000000001000"
type = "nl.brp.antwoord"
action = "publish"
purpose = "To answer"
legal_basis = "Wet BRP, artikel 3.2"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.antwoord"
action = "receive"
purpose = "To know where residents live"
legal_basis = "Wet BRP, artikel 3.2"
fields = ["/gemeente"]

[[grant]]
party = ["00000099000000003000", "00000099000000004000"]
type = "nl.uitkering.vraag"
action = "receive"
purpose = "To answer"
legal_basis = "Wet SUWI, artikel 62"

[[grant]]
party = ["00000099000000003000", "00000099000000004000"]
type = "nl.uitkering.antwoord"
action = "publish"
purpose = "To answer"
legal_basis = "Wet SUWI, artikel 62"

[[grant]]
party = "00000099000000002000"
type = "nl.uitkering.antwoord"
action = "receive"
purpose = "To judge an application"
legal_basis = "Wet SUWI, artikel 62"

[[subscription]]
name = "00000099000000001000.vragen"
[[subscription]]
name = "00000099000000003000.vragen"
[[subscription]]
name = "00000099000000004000.vragen"
"#;

/// A new question of Utrecht.
fn question(event_type: &str) -> Event {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let run = std::process::id();
    let id = format!("{run}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let source = format!("urn:nld:oin:{UTRECHT}:systeem:loket");
    Event::builder(id, source, event_type).subject(SUBJECT).build().unwrap()
}

fn answer_of(party: &str, event_type: &str, question: &Event, data: &str) -> Event {
    let source = format!("urn:nld:oin:{party}:systeem:antwoorden");
    let answer = Event::builder(format!("a-{}", question.id()), source, event_type);
    in_answer_to(question, answer).data_text("application/json", data).build().unwrap()
}

/// Answers the questions of a party, each after a while. Counts them.
fn answering(
    gateway: &Gateway,
    party: &'static str,
    after: Duration,
    answer: impl Fn(&Event) -> Result<Event, AnswerFailure> + Send + Sync + 'static,
) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    answering_once(gateway, party, move || tokio::time::sleep(after), answer)
}

/// The same, each once this is done.
fn answering_once<Done: Future<Output = ()> + Send>(
    gateway: &Gateway,
    party: &'static str,
    done: impl Fn() -> Done + Send + Sync + 'static,
    answer: impl Fn(&Event) -> Result<Event, AnswerFailure> + Send + Sync + 'static,
) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let (client, count) = (gateway.client(party), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let running = tokio::spawn(async move {
        // Little at a time, so that those who answer share.
        let inbox = client.subscribe(format!("{party}.vragen")).credit(4);
        let answer = |question: &Delivery| {
            counted.fetch_add(1, Ordering::Relaxed);
            let (answer, done) = (answer(question.event()), done());
            async move {
                done.await;
                answer
            }
        };
        let _ = client.answer_all(inbox, answer).await;
    });
    (running, count)
}

fn addresses(question: &Event) -> Result<Event, AnswerFailure> {
    let data = r#"{"gemeente":"0344","naam":"Proef"}"#;
    Ok(answer_of(BRP, "nl.brp.antwoord", question, data))
}

fn text(answer: &Answer) -> String {
    match answer.result.as_ref().unwrap().data() {
        Some(OwnedData::Text(text)) => text.clone(),
        _ => panic!("no text"),
    }
}

fn reason(error: ClientError) -> String {
    assert!(!error.to_string().contains(SUBJECT), "{error}");
    error.refusal().unwrap_or_else(|| panic!("no refusal: {error}")).reason.clone()
}

fn oin(text: &str) -> Oin {
    text.parse().unwrap()
}

async fn start(bus: &str) -> Gateway {
    let mut gateway = Gateway::stopped(bus);
    gateway.write_catalogue(CATALOGUE);
    gateway.start_again().await;
    gateway
}

async fn depth(client: &Client, inbox: &str) -> u64 {
    let state = client.get_inbox(&inbox.parse().unwrap()).await.unwrap();
    state.depth + state.in_flight + state.dead_letters
}

async fn is_answered_within_its_grant(bus: &str) {
    let gateway = start(bus).await;
    let utrecht = gateway.client(UTRECHT);
    let takes = Duration::from_millis(5);
    let (_first, of_first) = answering(&gateway, BRP, takes, addresses);
    let (_second, of_second) = answering(&gateway, BRP, takes, addresses);
    let (brp, name) = (gateway.client(BRP), format!("{BRP}.vragen").parse().unwrap());
    let begun = Instant::now();
    while brp.get_inbox(&name).await.unwrap().consumers < 2 {
        assert!(begun.elapsed() < PATIENCE, "both take questions");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let question = question("nl.brp.vraag");
    let answer = utrecht.ask(&question).await.unwrap();
    assert_eq!(answer.by, oin(BRP));
    // Only what the grant allows, and tied to the question.
    assert_eq!(text(&answer), r#"{"gemeente":"0344"}"#);
    let event = answer.result.as_ref().unwrap();
    let causation = event.attribute("causationid");
    assert!(causation == Some(Value::String(question.id())));

    // Asked again with the same id it is no new question.
    assert_eq!(reason(utrecht.ask(&question).await.unwrap_err()), "INVALID_REQUEST");

    // Those who answer share the load.
    let asking = (0..100).map(|_| {
        let utrecht = &utrecht;
        async move { utrecht.ask(&self::question("nl.brp.vraag")).await.unwrap() }
    });
    futures::future::join_all(asking).await;
    let shares = (of_first.load(Ordering::Relaxed), of_second.load(Ordering::Relaxed));
    assert_eq!(shares.0 + shares.1, 101, "each question is answered once: {shares:?}");
    // On RabbitMQ questions that come together travel together, and go to one of them.
    assert!(bus != "embedded" || shares.0.min(shares.1) > 10, "{shares:?}");

    // The registry and the asker are on record, the person is not.
    let records = gateway.records();
    // The exchange has no inbox here, and is not refused one again and again.
    assert!(!records.contains("UNKNOWN_INBOX"), "{records}");
    assert!(records.contains("nl.brp.antwoord") && records.contains("Wet BRP, artikel 3.2"));
    assert!(!records.contains(SUBJECT) && !gateway.log().contains(SUBJECT));
}

async fn is_refused_for_a_reason(bus: &str) {
    let gateway = start(bus).await;
    let utrecht = gateway.client(UTRECHT);
    let ask = |client: &Client, event: &Event| client.ask(event).within(Duration::from_secs(10));

    // Nobody may publish a question, and what is none cannot be asked.
    let published = utrecht.publish(&question("nl.brp.vraag")).await.unwrap_err();
    assert_eq!(reason(published), "INVALID_REQUEST");
    let none = ask(&utrecht, &question("nl.brp.antwoord")).await.unwrap_err();
    assert_eq!(reason(none), "NOT_A_QUESTION");
    let unknown = ask(&utrecht, &question("nl.brp.onbekend")).await.unwrap_err();
    assert_eq!(reason(unknown), "UNKNOWN_EVENT_TYPE");
    // Without a grant there is no question.
    let source = format!("urn:nld:oin:{OUTSIDER}:systeem:x");
    let outsider = Event::builder("1", source, "nl.brp.vraag").subject(SUBJECT).build().unwrap();
    let outside = ask(&gateway.client(OUTSIDER), &outsider).await.unwrap_err();
    assert_eq!(reason(outside), "NOT_GRANTED");
    // Two could answer, and none is named; one is named who cannot.
    let two = ask(&utrecht, &question("nl.uitkering.vraag")).await.unwrap_err();
    assert_eq!(reason(two), "AUDIENCE_UNMET");
    let nobody = ask(&utrecht, &question("nl.uitkering.vraag")).to(oin(BRP)).await.unwrap_err();
    assert_eq!(reason(nobody), "AUDIENCE_UNMET");
    // What only Wissel writes.
    let forged = Event::builder("f", format!("urn:nld:oin:{UTRECHT}:systeem:x"), "nl.brp.vraag")
        .subject(SUBJECT)
        .extension("wisselreplyto", "x")
        .build()
        .unwrap();
    assert_eq!(reason(ask(&utrecht, &forged).await.unwrap_err()), "INVALID_MESSAGE");

    // Errors of whoever answers are typed.
    let known =
        |_: &Event| Err(AnswerFailure::new(FailureCode::NotFound, "no such person 999990342"));
    let (running, _) = answering(&gateway, BRP, Duration::ZERO, known);
    let answer = utrecht.ask(&question("nl.brp.vraag")).await.unwrap();
    let failure = answer.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::NotFound);
    assert!(failure.message.starts_with("no such person") && !failure.message.contains(SUBJECT));
    running.abort();
    let _ = running.await;

    // An answer that breaks its schema, or is of another type, is a failure at once.
    for wrong in [("nl.brp.antwoord", r#"{"gemeente":1}"#), ("nl.uitkering.antwoord", "{}")] {
        let answer = move |question: &Event| Ok(answer_of(BRP, wrong.0, question, wrong.1));
        let (running, _) = answering(&gateway, BRP, Duration::ZERO, answer);
        let begun = Instant::now();
        let answer = utrecht.ask(&question("nl.brp.vraag")).await.unwrap();
        assert_eq!(answer.result.unwrap_err().code, FailureCode::Failed);
        assert!(begun.elapsed() < WITHIN, "it is waited for another");
        running.abort();
        let _ = running.await;
    }
}

/// A question that somebody has, and whose asker waits no longer.
async fn taken_and_not_answered(asker: &Client, inbox: &mut OpenInbox) -> Delivery {
    let mut next = std::pin::pin!(inbox.next());
    let mut within = Duration::from_millis(300);
    loop {
        let asked = asker.ask(&question("nl.brp.vraag")).within(within).await;
        assert_eq!(reason(asked.unwrap_err()), "ANSWER_LATE");
        // Nobody gets one that is not there before its asker is gone.
        let taken = tokio::time::timeout(Duration::from_secs(1), next.as_mut()).await;
        if let Ok(delivery) = taken {
            return delivery.unwrap().unwrap();
        }
        within *= 2;
        assert!(within < WITHIN, "the question does not arrive");
    }
}

async fn comes_too_late_or_from_another(bus: &str) {
    let gateway = start(bus).await;
    let (utrecht, brp) = (gateway.client(UTRECHT), gateway.client(BRP));
    let mut inbox = brp.subscribe(format!("{BRP}.vragen")).open().await.unwrap();

    // After the deadline.
    let delivery = taken_and_not_answered(&utrecht, &mut inbox).await;
    let answer = addresses(delivery.event()).unwrap();
    let late = brp.answer(&delivery, Ok(answer)).await.unwrap_err();
    assert_eq!(reason(late), "NOT_WAITING");
    delivery.acknowledge().await.unwrap();

    // From one who was not asked; then twice.
    let asking = tokio::spawn({
        let utrecht = utrecht.clone();
        async move { utrecht.ask(&question("nl.brp.vraag")).await }
    });
    let delivery = inbox.next().await.unwrap().unwrap();
    let of_another = answer_of(UWV, "nl.uitkering.antwoord", delivery.event(), "{}");
    let not_asked = gateway.client(UWV).answer(&delivery, Ok(of_another)).await.unwrap_err();
    assert_eq!(reason(not_asked), "NOT_ASKED", "whether or not the question has its receipt");
    let answer = addresses(delivery.event()).unwrap();
    brp.answer(&delivery, Ok(answer.clone())).await.unwrap();
    let second = brp.answer(&delivery, Ok(answer)).await.unwrap_err();
    assert_eq!(reason(second), "NOT_WAITING");
    delivery.acknowledge().await.unwrap();
    assert_eq!(text(&asking.await.unwrap().unwrap()), r#"{"gemeente":"0344"}"#);
    inbox.close().await.unwrap();

    // Its asker leaves, or waits no longer, before anybody has the question: nobody gets it,
    // and it is no dead letter either.
    let asking = utrecht.ask(&question("nl.brp.vraag"));
    let left = tokio::time::timeout(Duration::from_millis(300), asking).await;
    assert!(left.is_err(), "nobody answers");
    let late = utrecht.ask(&question("nl.brp.vraag")).within(Duration::from_millis(100));
    assert_eq!(reason(late.await.unwrap_err()), "ANSWER_LATE");
    let (_running, count) = answering(&gateway, BRP, Duration::ZERO, addresses);
    utrecht.ask(&question("nl.brp.vraag")).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1, "only the last question is handed out");
    let begun = Instant::now();
    while depth(&brp, &format!("{BRP}.vragen")).await > 0 {
        assert!(begun.elapsed() < PATIENCE, "something is left in the inbox");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn is_gathered_from_many(bus: &str) {
    let gateway = start(bus).await;
    let utrecht = gateway.client(UTRECHT);
    let benefits = |question: &Event| {
        Ok(answer_of(UWV, "nl.uitkering.antwoord", question, r#"{"uitkeringen":[]}"#))
    };
    let (_quick, _) = answering(&gateway, BRP, Duration::ZERO, addresses);
    let may_answer = Arc::new(Semaphore::new(0));
    let opens = Arc::clone(&may_answer);
    let opened = move || {
        let opens = Arc::clone(&opens);
        async move { opens.acquire().await.unwrap().forget() }
    };
    let (_slow, _) = answering_once(&gateway, UWV, opened, benefits);
    let fails = |_: &Event| Err(AnswerFailure::new(FailureCode::Unavailable, "in maintenance"));
    let (_failing, _) = answering(&gateway, SVB, Duration::from_millis(20), fails);

    let of = |event_type: &str| Question::new(&question(event_type));
    let questions = [
        of("nl.uitkering.vraag").to(oin(UWV)),
        of("nl.brp.vraag"),
        of("nl.uitkering.vraag").to(oin(SVB)),
        of("nl.uitkering.vraag"),
    ];
    let begun = Instant::now();
    let mut gathering = utrecht.gather(&questions, Some(WITHIN)).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(gathering.next().await.unwrap().unwrap());
    }
    assert!(all.iter().all(|one| one.index != 0), "answers come as they are there: {all:?}");
    may_answer.add_permits(1);
    all.extend(gathering.map(Result::unwrap).collect::<Vec<_>>().await);
    assert!(begun.elapsed() < WITHIN, "it is waited for more than the slowest");
    assert_eq!(all.len(), 4, "{all:?}");
    let all: BTreeMap<_, _> = all.into_iter().map(|one| (one.index, one.outcome)).collect();
    let Outcome::Answered(slow) = &all[&0] else { panic!("{all:?}") };
    assert_eq!((slow.by, text(slow).as_str()), (oin(UWV), r#"{"uitkeringen":[]}"#));
    let Outcome::Answered(quick) = &all[&1] else { panic!("{all:?}") };
    assert_eq!(text(quick), r#"{"gemeente":"0344"}"#);
    let Outcome::Answered(failed) = &all[&2] else { panic!("{all:?}") };
    assert_eq!(failed.result.as_ref().unwrap_err().code, FailureCode::Unavailable);
    let Outcome::Refused(refused) = &all[&3] else { panic!("{all:?}") };
    assert_eq!(refused.reason, "AUDIENCE_UNMET");

    // Every source fails: what became of each is told nevertheless, in time.
    let questions = [of("nl.uitkering.vraag").to(oin(SVB)), of("nl.uitkering.vraag").to(oin(UWV))];
    let begun = Instant::now();
    let gathering = utrecht.gather(&questions, Some(Duration::from_secs(2))).await.unwrap();
    let all: Vec<_> = gathering.map(Result::unwrap).collect().await;
    assert!(begun.elapsed() < WITHIN, "it is waited for longer than was asked");
    assert_eq!((all[0].index, &all[1].outcome), (0, &Outcome::Late));

    let none = utrecht.gather(&[], None).await.unwrap().next().await.unwrap_err();
    assert_eq!(reason(none), "INVALID_REQUEST");
}

async fn does_not_survive_its_gateway_and_harms_nobody(bus: &str) {
    let mut gateway = start(bus).await;
    let asking = tokio::spawn({
        let utrecht = gateway.client(UTRECHT);
        async move { utrecht.ask(&question("nl.brp.vraag")).await }
    });
    let brp = gateway.client(BRP);
    let begun = Instant::now();
    while depth(&brp, &format!("{BRP}.vragen")).await == 0 {
        assert!(begun.elapsed() < PATIENCE, "the question does not arrive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.kill().await;
    assert!(asking.await.unwrap().is_err(), "the asker hears of it");
    gateway.start_again().await;
    let (_running, count) = answering(&gateway, BRP, Duration::ZERO, addresses);
    let answer = gateway.client(UTRECHT).ask(&question("nl.brp.vraag")).await.unwrap();
    assert_eq!(text(&answer), r#"{"gemeente":"0344"}"#);
    assert_eq!(count.load(Ordering::Relaxed), 1, "nobody is asked for one who left");
}

/// A registry that answers over HTTP, as the path of its answer says: its port, and how many
/// questions it got.
async fn http_registry(
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The body ends as JSON does.
            while !request.ends_with(b"}") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = answer(&String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, count)
}

fn http_answer(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

async fn is_answered_over_http(bus: &str) {
    let mode = Arc::new(AtomicUsize::new(0));
    let chosen = Arc::clone(&mode);
    let (port, count) = http_registry(move |request| {
        assert!(request.starts_with("POST /vragen HTTP/1.1") && request.contains(SUBJECT));
        assert!(request.contains("content-type: application/cloudevents+json"), "{request}");
        assert!(!request.contains("wisselreplyto"), "{request}");
        let trace = request.lines().find_map(|line| line.strip_prefix("traceparent: "));
        assert_eq!(trace.map(|trace| &trace[3..35]), Some(&PARENT[3..35]), "{request}");
        let data = r#"{"gemeente":"0344","naam":"Proef"}"#;
        match chosen.load(Ordering::Relaxed) {
            0 => http_answer("200 OK", "application/json", data),
            1 => {
                let source = format!("urn:nld:oin:{BRP}:systeem:rest");
                let event = Event::builder("structured-1", source, "nl.brp.antwoord");
                let event = event.subject(SUBJECT).data_text("application/json", data);
                let json = event.build().unwrap().to_json();
                http_answer("200 OK", "application/cloudevents+json; charset=utf-8", &json)
            }
            2 => http_answer("404 Not Found", "application/problem+json", r#"{"title":"geen"}"#),
            3 => http_answer("200 OK", "application/json", r#"{"gemeente":1}"#),
            _ => http_answer("500 Oops", "text/html", "<html>"),
        }
    })
    .await;
    let mut gateway = Gateway::stopped(bus);
    gateway.write_catalogue(CATALOGUE);
    gateway.write_config(&format!(
        "[[exchange.http]]\ninbox = '{BRP}.vragen'\nurl = 'http://127.0.0.1:{port}/vragen'"
    ));
    gateway.start_again().await;
    let utrecht = gateway.client(UTRECHT).in_trace(PARENT.parse().unwrap());

    for structured in [0, 1] {
        mode.store(structured, Ordering::Relaxed);
        let answer = utrecht.ask(&question("nl.brp.vraag")).await.unwrap();
        assert_eq!((answer.by, text(&answer).as_str()), (oin(BRP), r#"{"gemeente":"0344"}"#));
    }
    let failure = async || {
        let answer = utrecht.ask(&question("nl.brp.vraag")).await.unwrap();
        answer.result.unwrap_err()
    };
    mode.store(2, Ordering::Relaxed);
    let not_found = AnswerFailure::new(FailureCode::NotFound, "the service answered 404: geen");
    assert_eq!(failure().await, not_found);
    mode.store(3, Ordering::Relaxed);
    assert_eq!(failure().await.code, FailureCode::Failed);
    // One that fails again and again is left alone for a while, and then tried again.
    mode.store(4, Ordering::Relaxed);
    for _ in 0..4 {
        assert_eq!(failure().await.code, FailureCode::Failed);
    }
    loop {
        let begun = Instant::now();
        failure().await;
        let called = count.load(Ordering::Relaxed);
        if failure().await.code == FailureCode::Unavailable {
            assert_eq!(count.load(Ordering::Relaxed), called, "the circuit is open");
            break;
        }
        // It is open for a second, and longer after each failure then.
        assert!(begun.elapsed() >= Duration::from_secs(1), "the circuit is not open");
    }
    mode.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    while utrecht.ask(&question("nl.brp.vraag")).await.unwrap().result.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the circuit stays open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn all(bus: &str) {
    is_answered_within_its_grant(bus).await;
    is_refused_for_a_reason(bus).await;
    comes_too_late_or_from_another(bus).await;
    is_gathered_from_many(bus).await;
    does_not_survive_its_gateway_and_harms_nobody(bus).await;
    is_answered_over_http(bus).await;
}

#[tokio::test]
async fn a_question_on_the_embedded_bus() {
    let _alone = alone().await;
    all("embedded").await;
}

#[tokio::test]
async fn a_question_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    all(&rabbitmq.url()).await;
}
