//! Cases on both buses: how they stand, what happens when time passes, and who may do what.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use wissel_client::{Case, CaseState, Client, ClientError, Delivery, Event, OpenInbox, Uuid};
use wissel_message::{OwnedData, Value};
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, alone};

const LOKET: &str = "00000099000000001000";
const UTRECHT: &str = "00000099000000002000";
const WATERSCHAP: &str = "00000099000000003000";
const OUTSIDER: &str = "00000099000000004000";
const EXCHANGE: &str = "00000099000000009000";
const PATIENCE: Duration = Duration::from_secs(20);

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Loket" },
    { oin = "00000099000000002000", name = "Utrecht" },
    { oin = "00000099000000003000", name = "Waterschap" },
    { oin = "00000099000000004000", name = "Outsider" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]

[[event_type]]
name = "nl.loket.aanvraag"
owner = "00000099000000001000"
description = "Somebody applies for a permit."
audience = "exactly-one"
archive = "1 day"
[event_type.dispatch]
status = "nl.loket.status"
term = "8 weeks"
remind = ["1 week"]

[[event_type]]
name = "nl.loket.spoed"
owner = "00000099000000001000"
description = "Somebody applies for a permit that cannot wait."
audience = "exactly-one"
[event_type.dispatch]
status = "nl.loket.status"
term = "3 seconds"
remind = ["2 seconds"]

[[event_type]]
name = "nl.loket.stilte"
owner = "00000099000000001000"
description = "Somebody applies, and silence is consent."
audience = "exactly-one"
[event_type.dispatch]
status = "nl.loket.status"
term = "2 seconds"
silence = "consents"
decision = "nl.loket.besluit"

[[event_type]]
name = "nl.loket.status"
owner = "00000099000000001000"
description = "How an application stands."

[[event_type]]
name = "nl.loket.besluit"
owner = "00000099000000001000"
description = "A decision by law."

[[grant]]
party = "00000099000000001000"
type = ["nl.loket.aanvraag", "nl.loket.spoed", "nl.loket.stilte"]
action = "publish"
purpose = "To bring applications where they belong"
legal_basis = "Omgevingswet, artikel 16.55"

[[grant]]
party = ["00000099000000002000", "00000099000000009000"]
type = ["nl.loket.aanvraag", "nl.loket.spoed", "nl.loket.stilte"]
action = "receive"
purpose = "To decide on applications, and to watch over the term"
legal_basis = "Omgevingswet, artikel 16.55"

[[grant]]
party = "00000099000000003000"
type = ["nl.loket.aanvraag", "nl.loket.spoed", "nl.loket.stilte"]
action = "receive"
purpose = "To decide on applications about water"
legal_basis = "Omgevingswet, artikel 16.55"
filters = [{ exact = { soort = "water" } }]

[[grant]]
party = ["00000099000000002000", "00000099000000003000", "00000099000000009000"]
type = "nl.loket.status"
action = "publish"
purpose = "To tell how an application stands"
legal_basis = "Awb, artikel 4:13"

[[grant]]
party = ["00000099000000001000", "00000099000000002000", "00000099000000003000"]
type = "nl.loket.status"
action = "receive"
purpose = "To know how an application stands"
legal_basis = "Awb, artikel 4:13"

[[grant]]
party = "00000099000000009000"
type = "nl.loket.besluit"
action = "publish"
purpose = "To issue what the law grants"
legal_basis = "Awb, artikel 4:20b"

[[grant]]
party = "00000099000000001000"
type = "nl.loket.besluit"
action = "receive"
purpose = "To know what is decided"
legal_basis = "Awb, artikel 4:20b"

[[subscription]]
name = "00000099000000001000.inbox"
[[subscription]]
name = "00000099000000002000.inbox"
filters = [{ any = [{ exact = { gemeente = "0344" } }, { exact = { type = "nl.loket.status" } }] }]
[[subscription]]
name = "00000099000000003000.inbox"
filters = [{ any = [{ exact = { soort = "water" } }, { exact = { type = "nl.loket.status" } }] }]
"#;

fn event(party: &str, event_type: &str) -> wissel_client::EventBuilder {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let id = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    Event::builder(id, format!("urn:nld:oin:{party}:systeem:x"), event_type)
}

fn status(party: &str) -> Event {
    event(party, "nl.loket.status").data_text("application/json", "{}").build().unwrap()
}

/// Sends a case to Utrecht.
async fn send(loket: &Client, event_type: &str) -> Uuid {
    let event = event(LOKET, event_type).extension("gemeente", "0344").build().unwrap();
    let receipt = loket.publish(&event).await.unwrap();
    let inboxes: Vec<String> = receipt.inboxes.iter().map(ToString::to_string).collect();
    assert_eq!(inboxes, [format!("{UTRECHT}.inbox")], "the exchange is no recipient");
    receipt.message_id
}

fn text(event: &Event, name: &str) -> String {
    match event.attribute(name) {
        Some(Value::String(text)) => text.to_owned(),
        _ => String::new(),
    }
}

async fn next(inbox: &mut OpenInbox) -> Delivery {
    let next = tokio::time::timeout(PATIENCE, inbox.next()).await;
    next.expect("a delivery comes").unwrap().unwrap()
}

async fn taken(inbox: &mut OpenInbox) -> Event {
    let delivery = next(inbox).await;
    let event = delivery.event().clone();
    delivery.acknowledge().await.unwrap();
    event
}

/// The next message of an inbox that tells of a case: what it says of which.
async fn told(inbox: &mut OpenInbox) -> (String, Uuid, String) {
    let mut event = taken(inbox).await;
    // A case that was acknowledged just before its gateway was killed comes again.
    while text(&event, "wisselcase").is_empty() {
        event = taken(inbox).await;
    }
    let case = text(&event, "wisselcase");
    assert_eq!(text(&event, "correlationid"), case);
    (text(&event, "wisselstatus"), case.parse().unwrap(), event.event_type().to_owned())
}

fn reason(error: ClientError) -> String {
    error.refusal().unwrap_or_else(|| panic!("no refusal: {error}")).reason.clone()
}

fn states(case: &Case) -> Vec<&'static str> {
    case.history.iter().map(|one| one.state.as_str()).collect()
}

async fn start(bus: &str) -> Gateway {
    let mut gateway = Gateway::stopped(bus);
    gateway.write_catalogue(CATALOGUE);
    gateway.start_again().await;
    gateway
}

/// Stops a gateway in good order, so that nothing that was acknowledged comes again in the next
/// part, which is on the same bus.
async fn stop(gateway: &mut Gateway) {
    gateway.terminate().await;
}

async fn inbox(gateway: &Gateway, party: &str) -> OpenInbox {
    gateway.client(party).subscribe(format!("{party}.inbox")).open().await.unwrap()
}

async fn stands_as_its_holder_says(bus: &str) {
    let mut gateway = start(bus).await;
    let (loket, utrecht) = (gateway.client(LOKET), gateway.client(UTRECHT));
    let (mut of_loket, mut of_utrecht) =
        (inbox(&gateway, LOKET).await, inbox(&gateway, UTRECHT).await);
    let id = send(&loket, "nl.loket.aanvraag").await;
    let delivery = next(&mut of_utrecht).await;
    assert_eq!(delivery.message_id(), id);
    delivery.acknowledge().await.unwrap();

    // The term is that of the law: at least eight weeks, to the end of a working day.
    let case = loket.get_case(id).await.unwrap();
    let term = case.ends_at.unwrap().duration_since(case.opened_at).unwrap();
    let days = Duration::from_secs(24 * 3_600);
    assert!(term > 56 * days && term < 62 * days, "{term:?}");

    let received = status(UTRECHT);
    utrecht.set_status(id, CaseState::Received, &received).await.unwrap();
    // Said again, it is not said twice.
    utrecht.set_status(id, CaseState::Received, &received).await.unwrap();
    assert_eq!(
        told(&mut of_loket).await,
        ("RECEIVED".to_owned(), id, "nl.loket.status".to_owned())
    );
    let set = async |state| utrecht.set_status(id, state, &status(UTRECHT)).await;
    set(CaseState::Suspended).await.unwrap();
    assert_eq!(reason(set(CaseState::Suspended).await.unwrap_err()), "WRONG_STATE");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let resumed = set(CaseState::Resumed).await.unwrap();
    let later = resumed.ends_at.unwrap().duration_since(case.ends_at.unwrap()).unwrap();
    assert!(later >= Duration::from_millis(1_100), "{later:?}");
    let end = SystemTime::now() + 100 * days;
    assert!(set(CaseState::Extended(Some(end))).await.unwrap().ends_at > resumed.ends_at);
    assert_eq!(reason(set(CaseState::Extended(None)).await.unwrap_err()), "INVALID_REQUEST");
    assert_eq!(reason(set(CaseState::Lapsed).await.unwrap_err()), "INVALID_REQUEST");

    // Who has nothing to do with it does not learn that it exists; the sender may not decide.
    let outsider = gateway.client(OUTSIDER);
    assert_eq!(reason(outsider.get_case(id).await.unwrap_err()), "UNKNOWN_CASE");
    let by_sender = loket.set_status(id, CaseState::Decided, &status(LOKET)).await.unwrap_err();
    assert_eq!(reason(by_sender), "NOT_GRANTED");
    // Nobody forges a status.
    assert_eq!(reason(utrecht.publish(&status(UTRECHT)).await.unwrap_err()), "INVALID_REQUEST");
    let forged = event(UTRECHT, "nl.loket.status").extension("wisselcase", id.to_string());
    let forged = utrecht.set_status(id, CaseState::Decided, &forged.build().unwrap()).await;
    assert_eq!(reason(forged.unwrap_err()), "INVALID_MESSAGE");

    let decided = set(CaseState::Decided).await.unwrap();
    assert!(decided.closed);
    assert_eq!(states(&decided), ["RECEIVED", "SUSPENDED", "RESUMED", "EXTENDED", "DECIDED"]);
    for expected in ["SUSPENDED", "RESUMED", "EXTENDED", "DECIDED"] {
        assert_eq!(told(&mut of_loket).await.0, expected);
    }
    assert_eq!(reason(set(CaseState::InProgress).await.unwrap_err()), "WRONG_STATE");
    assert_eq!(reason(loket.withdraw_case(id).await.unwrap_err()), "WRONG_STATE");
    let all = gateway.client(OPERATOR).list_cases(false).all().await.unwrap();
    assert!(all.iter().any(|case| case.id == id));
    assert!(loket.list_cases(true).all().await.unwrap().iter().all(|case| case.id != id));
    stop(&mut gateway).await;
}

async fn goes_to_one_or_to_nobody(bus: &str) {
    let mut gateway = start(bus).await;
    let loket = gateway.client(LOKET);
    let build = |event: wissel_client::EventBuilder| event.build().unwrap();
    let nobody = loket.publish(&build(event(LOKET, "nl.loket.aanvraag"))).await.unwrap_err();
    assert_eq!(reason(nobody), "AUDIENCE_UNMET");
    let two = event(LOKET, "nl.loket.aanvraag").extension("gemeente", "0344");
    let two = loket.publish(&build(two.extension("soort", "water"))).await.unwrap_err();
    assert_eq!(reason(two), "AUDIENCE_UNMET");

    // Its sender takes it back; whoever has it is told.
    let mut of_utrecht = inbox(&gateway, UTRECHT).await;
    let id = send(&loket, "nl.loket.aanvraag").await;
    next(&mut of_utrecht).await.acknowledge().await.unwrap();
    let by_holder = gateway.client(UTRECHT).withdraw_case(id).await.unwrap_err();
    assert_eq!(reason(by_holder), "NOT_GRANTED");
    assert!(loket.withdraw_case(id).await.unwrap().closed);
    assert!(loket.withdraw_case(id).await.unwrap().closed);
    assert_eq!(told(&mut of_utrecht).await.0, "WITHDRAWN");
    stop(&mut gateway).await;
}

async fn is_sent_on_with_all_that_it_is(bus: &str) {
    let mut gateway = start(bus).await;
    let (loket, utrecht) = (gateway.client(LOKET), gateway.client(UTRECHT));
    let (mut of_loket, mut of_utrecht) =
        (inbox(&gateway, LOKET).await, inbox(&gateway, UTRECHT).await);
    let mut of_water = inbox(&gateway, WATERSCHAP).await;
    let id = send(&loket, "nl.loket.aanvraag").await;
    next(&mut of_utrecht).await.acknowledge().await.unwrap();
    let opened = loket.get_case(id).await.unwrap();
    // Who subscribes to nothing of this kind cannot have it, nor who has no right to it.
    let (water, outsider) = (WATERSCHAP.parse().unwrap(), OUTSIDER.parse().unwrap());
    for other in [outsider, water, EXCHANGE.parse().unwrap()] {
        let refused = utrecht.forward_case(id, other).await.unwrap_err();
        assert_eq!(reason(refused), "AUDIENCE_UNMET");
    }
    // The right is there; that its filters do not ask for it does not matter.
    let all = CATALOGUE.replace("filters = [{ exact = { soort = \"water\" } }]\n", "");
    let all = all.replace(
        "audience = \"exactly-one\"\narchive",
        "audience = \"exactly-one\"\nretention = \"1 day\"\narchive",
    );
    assert!(all.contains("filters = [{ any = [{ exact = { soort = \"water\" } }"), "{all}");
    gateway.write_catalogue(&all);
    gateway.hang_up().await;
    let begun = Instant::now();
    while let Err(error) = utrecht.forward_case(id, water).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Sent on again, it is not sent twice.
    assert_eq!(utrecht.forward_case(id, water).await.unwrap().history.len(), 1);
    let forwarded = next(&mut of_water).await;
    assert_eq!((forwarded.message_id(), forwarded.publisher()), (id, LOKET.parse().unwrap()));
    assert_eq!(text(forwarded.event(), "gemeente"), "0344");
    forwarded.acknowledge().await.unwrap();
    assert_eq!(told(&mut of_loket).await.0, "FORWARDED");
    let by_former = utrecht.set_status(id, CaseState::Decided, &status(UTRECHT)).await;
    assert_eq!(reason(by_former.unwrap_err()), "NOT_GRANTED");
    let water = gateway.client(WATERSCHAP);
    let case = water.set_status(id, CaseState::Decided, &status(WATERSCHAP)).await.unwrap();
    assert_eq!((states(&case), case.ends_at), (vec!["FORWARDED", "DECIDED"], opened.ends_at));
    assert_eq!(told(&mut of_loket).await.0, "DECIDED");
    // Whoever had it still sees it.
    assert!(utrecht.get_case(id).await.unwrap().closed);
    stop(&mut gateway).await;
}

async fn lapses_and_its_sender_is_told(bus: &str) {
    let mut gateway = start(bus).await;
    let id = send(&gateway.client(LOKET), "nl.loket.spoed").await;
    let mut of_utrecht = inbox(&gateway, UTRECHT).await;
    next(&mut of_utrecht).await.acknowledge().await.unwrap();
    let mut reminder = taken(&mut of_utrecht).await;
    while text(&reminder, "wisselcase").is_empty() {
        reminder = taken(&mut of_utrecht).await;
    }
    assert_eq!(text(&reminder, "wisselstatus"), "REMINDED");
    drop(of_utrecht);
    // The end falls due while nobody is there; it is told once, and so after kill -9.
    gateway.kill().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    gateway.spawn();
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.kill().await;
    gateway.start_again().await;
    let (mut of_loket, mut of_utrecht) =
        (inbox(&gateway, LOKET).await, inbox(&gateway, UTRECHT).await);
    assert_eq!(told(&mut of_loket).await, ("LAPSED".to_owned(), id, "nl.loket.status".to_owned()));
    // What was acknowledged just before kill -9 may come again, and it is the same.
    let mut lapsed = taken(&mut of_utrecht).await;
    while lapsed.id() == reminder.id() {
        lapsed = taken(&mut of_utrecht).await;
    }
    assert_eq!(text(&lapsed, "wisselstatus"), "LAPSED");
    let more = tokio::time::timeout(Duration::from_secs(2), of_loket.next()).await;
    assert!(more.is_err(), "it is told once");
    // A decision may still come.
    let utrecht = gateway.client(UTRECHT);
    let case = utrecht.set_status(id, CaseState::Decided, &status(UTRECHT)).await.unwrap();
    assert_eq!(states(&case), ["REMINDED", "LAPSED", "DECIDED"]);
    assert_eq!(told(&mut of_loket).await.0, "DECIDED");
    stop(&mut gateway).await;
}

async fn is_granted_by_silence(bus: &str) {
    let mut gateway = start(bus).await;
    let (loket, utrecht) = (gateway.client(LOKET), gateway.client(UTRECHT));
    let (mut of_loket, mut of_utrecht) =
        (inbox(&gateway, LOKET).await, inbox(&gateway, UTRECHT).await);
    let decided = send(&loket, "nl.loket.stilte").await;
    let silent = send(&loket, "nl.loket.stilte").await;
    for _ in 0..2 {
        next(&mut of_utrecht).await.acknowledge().await.unwrap();
    }
    utrecht.set_status(decided, CaseState::Decided, &status(UTRECHT)).await.unwrap();
    let mut first = told(&mut of_loket).await;
    // What a gateway that was killed did not settle, in the part before, comes again.
    while first.1 != decided && first.1 != silent {
        first = told(&mut of_loket).await;
    }
    assert_eq!((first.0.as_str(), first.1), ("DECIDED", decided));
    let delivery = next(&mut of_loket).await;
    let event = delivery.event().clone();
    assert_eq!(delivery.publisher(), EXCHANGE.parse().unwrap());
    delivery.acknowledge().await.unwrap();
    assert_eq!(
        (event.event_type(), text(&event, "wisselstatus").as_str()),
        ("nl.loket.besluit", "CONSENTED")
    );
    let Some(OwnedData::Text(data)) = event.data() else { panic!("no data") };
    assert!(data.contains(&silent.to_string()), "{data}");
    assert_eq!(
        told(&mut of_utrecht).await,
        ("CONSENTED".to_owned(), silent, "nl.loket.status".to_owned())
    );
    let late = utrecht.set_status(silent, CaseState::Decided, &status(UTRECHT)).await;
    assert_eq!(reason(late.unwrap_err()), "WRONG_STATE");
    assert_eq!(states(&loket.get_case(silent).await.unwrap()), ["CONSENTED"]);
    stop(&mut gateway).await;
}

async fn that_cannot_be_handled_stands_before_no_other(bus: &str) {
    let mut gateway = start(bus).await;
    let loket = gateway.client(LOKET);
    let mut of_utrecht = inbox(&gateway, UTRECHT).await;
    let stuck = send(&loket, "nl.loket.spoed").await;
    next(&mut of_utrecht).await.acknowledge().await.unwrap();
    // Its type is no longer one of cases, so that nothing that is due of it can be done.
    let no_case = "[event_type.dispatch]\nstatus = \"nl.loket.status\"\nterm = \"3 seconds\"\n\
                   remind = [\"2 seconds\"]\n";
    assert!(CATALOGUE.contains(no_case));
    gateway.write_catalogue(&CATALOGUE.replace(no_case, ""));
    gateway.hang_up().await;
    gateway.logs("what is due of a case cannot be done").await;
    let other = send(&loket, "nl.loket.stilte").await;
    next(&mut of_utrecht).await.acknowledge().await.unwrap();
    let mut found = told(&mut of_utrecht).await;
    while found.1 == stuck {
        found = told(&mut of_utrecht).await;
    }
    assert_eq!((found.0.as_str(), found.1), ("CONSENTED", other));
    stop(&mut gateway).await;
}

async fn all(bus: &str) {
    stands_as_its_holder_says(bus).await;
    goes_to_one_or_to_nobody(bus).await;
    is_sent_on_with_all_that_it_is(bus).await;
    lapses_and_its_sender_is_told(bus).await;
    is_granted_by_silence(bus).await;
    that_cannot_be_handled_stands_before_no_other(bus).await;
}

#[tokio::test]
async fn a_case_on_the_embedded_bus() {
    let _alone = alone().await;
    all("embedded").await;
}

#[tokio::test]
async fn a_case_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    all(&rabbitmq.url()).await;
}
