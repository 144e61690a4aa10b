//! Reports of doubt about registered data on both buses: who is told what, what ends them, and
//! who may doubt what.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wissel_client::{Case, CaseState, Client, ClientError, Event, EventBuilder, OpenInbox, Uuid};
use wissel_message::{OwnedData, Value};
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, alone, wissel_binary};

const HOLDER: &str = "00000099000000001000";
const FIRST: &str = "00000099000000002000";
const SECOND: &str = "00000099000000003000";
const THIRD: &str = "00000099000000004000";
/// Holds another registry, of whose data nobody reports here.
const OTHER: &str = "00000099000000005000";
const EXCHANGE: &str = "00000099000000009000";
const PATIENCE: Duration = Duration::from_secs(20);
/// In which what comes comes.
const SOON: Duration = Duration::from_millis(1_500);

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "First" },
    { oin = "00000099000000003000", name = "Second" },
    { oin = "00000099000000004000", name = "Third" },
    { oin = "00000099000000005000", name = "Other registry" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]

[[event_type]]
name = "nl.bag.adres"
owner = "00000099000000001000"
description = "An address was registered."
[event_type.schema]
type = "object"
properties = { straat = { type = "string" }, nummer = { type = "integer" }, eigenaar = { type = "string" } }

[[event_type]]
name = "nl.bag.melding"
owner = "00000099000000001000"
description = "Somebody doubts what is registered of an address."
audience = "exactly-one"
[event_type.report]
status = "nl.bag.meldingstatus"
term = "8 weeks"
remind = ["1 week"]
object = "/object/id"
field = "/gegeven"
about = "nl.bag.adres"
corrections = "nl.bag.correctie"

[[event_type]]
name = "nl.bag.spoedmelding"
owner = "00000099000000001000"
description = "The same, for what cannot wait."
audience = "exactly-one"
[event_type.report]
status = "nl.bag.meldingstatus"
term = "3 seconds"
remind = ["2 seconds"]
object = "/object/id"
field = "/gegeven"
about = "nl.bag.adres"
corrections = "nl.bag.correctie"

[[event_type]]
name = "nl.bag.meldingstatus"
owner = "00000099000000001000"
description = "How a report stands."

[[event_type]]
name = "nl.bag.correctie"
owner = "00000099000000001000"
description = "What was registered of an address is corrected."

[[grant]]
party = ["00000099000000002000", "00000099000000003000", "00000099000000004000"]
type = ["nl.bag.melding", "nl.bag.spoedmelding"]
action = "publish"
purpose = "To report doubt"
legal_basis = "Wet BAG, artikel 37"

[[grant]]
party = ["00000099000000001000", "00000099000000005000", "00000099000000009000"]
type = ["nl.bag.melding", "nl.bag.spoedmelding"]
action = "receive"
purpose = "To look into doubt"
legal_basis = "Wet BAG, artikel 38"

[[grant]]
party = ["00000099000000002000", "00000099000000003000"]
type = "nl.bag.adres"
action = "receive"
fields = ["/straat", "/nummer"]
purpose = "To know addresses"
legal_basis = "Wet BAG, artikel 32"

[[grant]]
party = "00000099000000004000"
type = "nl.bag.adres"
action = "receive"
purpose = "To know addresses and owners"
legal_basis = "Wet BAG, artikel 32"

[[grant]]
party = ["00000099000000001000", "00000099000000005000", "00000099000000009000"]
type = "nl.bag.meldingstatus"
action = "publish"
purpose = "To tell how a report stands"
legal_basis = "Wet BAG, artikel 39"

[[grant]]
party = ["00000099000000001000", "00000099000000002000", "00000099000000003000", "00000099000000004000"]
type = "nl.bag.meldingstatus"
action = "receive"
purpose = "To know how a report stands"
legal_basis = "Wet BAG, artikel 39"

[[grant]]
party = ["00000099000000001000", "00000099000000005000"]
type = ["nl.bag.adres", "nl.bag.correctie"]
action = "publish"
purpose = "To tell of addresses"
legal_basis = "Wet BAG, artikel 32"

[[grant]]
party = ["00000099000000004000", "00000099000000009000"]
type = "nl.bag.correctie"
action = "receive"
purpose = "To know corrections"
legal_basis = "Wet BAG, artikel 32"

[[subscription]]
name = "00000099000000001000.inbox"
[[subscription]]
name = "00000099000000002000.inbox"
[[subscription]]
name = "00000099000000003000.inbox"
[[subscription]]
name = "00000099000000004000.inbox"
"#;

fn event(party: &str, event_type: &str) -> EventBuilder {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let id = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    Event::builder(id, format!("urn:nld:oin:{party}:systeem:x"), event_type)
}

fn report(party: &str, event_type: &str, object: &str, field: &str) -> Event {
    let data = format!(
        r#"{{"object":{{"id":"{object}"}},"gegeven":"{field}","geregistreerd":"Dorpsstraat",
            "vermoed":"Dorpstraat","bewijs":"bord in de straat"}}"#
    );
    event(party, event_type).data_text("application/json", data).build().unwrap()
}

fn status(party: &str) -> Event {
    let event = event(party, "nl.bag.meldingstatus");
    event.data_text("application/json", r#"{"toelichting":"voor de melder"}"#).build().unwrap()
}

fn correction(party: &str, reports: &[Uuid]) -> Event {
    let ids: Vec<String> = reports.iter().map(Uuid::to_string).collect();
    let event = event(party, "nl.bag.correctie").extension("reports", ids.join(", "));
    event.data_text("application/json", r#"{"straat":"Dorpstraat"}"#).build().unwrap()
}

fn text(event: &Event, name: &str) -> String {
    match event.attribute(name) {
        Some(Value::String(text)) => text.to_owned(),
        _ => String::new(),
    }
}

fn reason(error: ClientError) -> String {
    error.refusal().unwrap_or_else(|| panic!("no refusal: {error}")).reason.clone()
}

/// The reason of a refusal, and the fields at fault.
fn faults(error: ClientError) -> (String, Vec<String>) {
    let refusal = error.refusal().unwrap_or_else(|| panic!("no refusal: {error}"));
    let fields = refusal.violations.iter().map(|one| one.field.clone()).collect();
    (refusal.reason.clone(), fields)
}

fn states(case: &Case) -> Vec<&'static str> {
    case.history.iter().map(|one| one.state.as_str()).collect()
}

/// A party at its inbox.
struct Party {
    client: Client,
    inbox: OpenInbox,
}

impl Party {
    async fn of(gateway: &Gateway, party: &str) -> Self {
        let client = gateway.client(party);
        let inbox = client.subscribe(format!("{party}.inbox")).open().await.unwrap();
        Self { client, inbox }
    }

    async fn report(&self, event: Event) -> Uuid {
        let receipt = self.client.publish(&event).await.unwrap();
        let inboxes: Vec<String> = receipt.inboxes.iter().map(ToString::to_string).collect();
        assert_eq!(inboxes, [format!("{HOLDER}.inbox")], "the exchange is no recipient");
        receipt.message_id
    }

    /// The message of an inbox that is the next of this case.
    async fn told(&mut self, case: Uuid) -> Event {
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let next = tokio::time::timeout(left, self.inbox.next()).await;
            let delivery = next.expect("a message comes").unwrap().unwrap();
            let (event, of) = (delivery.event().clone(), delivery.message_id());
            delivery.acknowledge().await.unwrap();
            if of == case || text(&event, "wisselcase") == case.to_string() {
                return event;
            }
        }
    }

    /// How the next message of this case says that it stands.
    async fn state(&mut self, case: Uuid) -> String {
        text(&self.told(case).await, "wisselstatus")
    }

    /// All that still comes, soon.
    async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(next) = tokio::time::timeout(SOON, self.inbox.next()).await {
            let delivery = next.unwrap().unwrap();
            events.push(delivery.event().clone());
            delivery.acknowledge().await.unwrap();
        }
        events
    }

    async fn says(&self, case: Uuid, state: CaseState) -> Result<Case, ClientError> {
        self.client.set_status(case, state, &status(HOLDER)).await
    }
}

async fn start(bus: &str) -> Gateway {
    let mut gateway = Gateway::stopped(bus);
    gateway.write_catalogue(CATALOGUE);
    gateway.start_again().await;
    gateway
}

async fn is_closed(client: &Client, case: Uuid) -> Case {
    let begun = Instant::now();
    loop {
        let found = client.get_case(case).await.unwrap();
        if found.closed {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `wissel cases status`, as the holder.
async fn command(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let mut command = tokio::process::Command::new(wissel_binary());
    command.args(["cases", "status", "--as", HOLDER, "--server", &gateway.url()]).args(arguments);
    let output = command.stdin(std::process::Stdio::null()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn lives_until_it_is_corrected_or_confirmed(bus: &str) {
    let mut gateway = start(bus).await;
    let mut holder = Party::of(&gateway, HOLDER).await;
    let mut first = Party::of(&gateway, FIRST).await;
    let id = first.report(report(FIRST, "nl.bag.melding", "0363-geheim-1", "straat")).await;
    let reported = holder.told(id).await;
    let Some(OwnedData::Text(data)) = reported.data() else { panic!("no data") };
    assert!(data.contains("bord in de straat"), "{data}");

    // The command line says it, with what its reporter is to read.
    let case = id.to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("data.json");
    std::fs::write(&file, r#"{"toelichting":"wij kijken"}"#).unwrap();
    let file = file.display().to_string();
    let said = command(&gateway, &[&case, "received", "--data", &file, "--json"]).await;
    assert!(said.0 == 0 && said.1.contains("\"RECEIVED\""), "{said:?}");
    let received = first.told(id).await;
    assert_eq!(text(&received, "wisselstatus"), "RECEIVED");
    assert_eq!(received.source(), format!("urn:nld:oin:{HOLDER}:systeem:wissel"));
    let Some(OwnedData::Text(data)) = received.data() else { panic!("no data") };
    assert!(data.contains("wij kijken"), "{data}");
    let until = command(&gateway, &[&case, "CONFIRMED", "--until", "2030-01-01T00:00:00Z"]).await;
    assert!(until.0 == 2 && until.2.contains("--until goes with EXTENDED"), "{until:?}");
    std::fs::write(directory.path().join("data.json"), "{").unwrap();
    let broken = command(&gateway, &[&case, "CONFIRMED", "--data", &file]).await;
    assert!(broken.0 == 2 && broken.2.contains("not JSON at line 1"), "{broken:?}");
    let unknown = command(&gateway, &[&case, "LAPSED"]).await;
    assert!(unknown.0 == 2 && unknown.2.contains("UNDER_INVESTIGATION"), "{unknown:?}");
    let extended = command(&gateway, &[&case, "EXTENDED", "--until", "2100-01-01T00:00:00Z"]).await;
    assert!(extended.0 == 0 && extended.1.contains("2100-01-01"), "{extended:?}");
    assert_eq!(first.state(id).await, "EXTENDED");

    // What is for other cases is not for reports.
    for state in [CaseState::InProgress, CaseState::Decided] {
        assert_eq!(reason(holder.says(id, state).await.unwrap_err()), "INVALID_REQUEST");
    }
    holder.says(id, CaseState::UnderInvestigation).await.unwrap();
    assert_eq!(first.state(id).await, "UNDER_INVESTIGATION");
    let by_reporter = first.client.set_status(id, CaseState::Confirmed, &status(FIRST)).await;
    assert_eq!(reason(by_reporter.unwrap_err()), "NOT_GRANTED");
    for nobody in [SECOND, OTHER] {
        let found = gateway.client(nobody).get_case(id).await;
        assert_eq!(reason(found.unwrap_err()), "UNKNOWN_CASE");
    }

    let correction = correction(HOLDER, &[id]);
    let receipt = holder.client.publish(&correction).await.unwrap();
    let corrected = first.told(id).await;
    assert_eq!(text(&corrected, "wisselstatus"), "CORRECTED");
    assert_eq!(text(&corrected, "wisselcorrection"), receipt.message_id.to_string());
    let Some(OwnedData::Text(data)) = corrected.data() else { panic!("no data") };
    assert!(data.contains(&format!(r#""correctie":"{}""#, receipt.message_id)), "{data}");
    let case = first.client.get_case(id).await.unwrap();
    assert!(case.closed);
    assert_eq!(states(&case), ["RECEIVED", "EXTENDED", "UNDER_INVESTIGATION", "CORRECTED"]);
    let last = case.history.last().unwrap();
    assert_eq!(last.correction, Some(receipt.message_id));
    assert_eq!(last.party, HOLDER.parse().unwrap());
    assert!(case.history.iter().rev().skip(1).all(|one| one.correction.is_none()));
    let late = holder.says(id, CaseState::UnderInvestigation).await;
    assert_eq!(reason(late.unwrap_err()), "WRONG_STATE");

    // The registered value is right.
    let id = first.report(report(FIRST, "nl.bag.melding", "0363-geheim-1", "/nummer")).await;
    assert!(holder.says(id, CaseState::Confirmed).await.unwrap().closed);
    assert_eq!(first.state(id).await, "CONFIRMED");
    let extended = holder.says(id, CaseState::UnderInvestigation).await;
    assert_eq!(reason(extended.unwrap_err()), "WRONG_STATE");

    // What is doubted stands in no log, no record and not in the state.
    let open = first.report(report(FIRST, "nl.bag.melding", "0363-geheim-1", "straat")).await;
    holder.says(open, CaseState::UnderInvestigation).await.unwrap();
    gateway.terminate().await;
    let state: Vec<u8> = ["control.sqlite", "control.sqlite-wal"]
        .iter()
        .flat_map(|name| std::fs::read(gateway.data_directory().join(name)).unwrap_or_default())
        .collect();
    assert!(state.windows(19).any(|bytes| bytes == b"UNDER_INVESTIGATION"));
    assert!(!state.windows(11).any(|bytes| bytes == b"0363-geheim"));
    assert!(!gateway.log().contains("0363-geheim") && !gateway.records().contains("0363-geheim"));
    assert!(gateway.records().contains(r#""operation":"report-corrected""#));
}

async fn of_the_same_is_told_to_each_reporter(bus: &str) {
    let mut gateway = start(bus).await;
    let mut holder = Party::of(&gateway, HOLDER).await;
    let mut first = Party::of(&gateway, FIRST).await;
    let mut second = Party::of(&gateway, SECOND).await;
    let mut third = Party::of(&gateway, THIRD).await;
    let one = first.report(report(FIRST, "nl.bag.melding", "0363-2", "straat")).await;
    let other = second.report(report(SECOND, "nl.bag.spoedmelding", "0363-2", "/straat")).await;
    // Of another field, and of another object.
    let field = third.report(report(THIRD, "nl.bag.melding", "0363-2", "eigenaar")).await;
    let object = third.report(report(THIRD, "nl.bag.melding", "0363-3", "straat")).await;
    for id in [one, other, field, object] {
        holder.told(id).await;
        third.client.get_case(id).await.ok();
    }

    // It was received once of each, and that is not said of others again.
    holder.says(one, CaseState::Received).await.unwrap();
    assert_eq!(first.state(one).await, "RECEIVED");
    assert_eq!(second.state(other).await, "RECEIVED");
    holder.says(other, CaseState::Received).await.unwrap();
    assert_eq!(second.state(other).await, "RECEIVED");
    let investigation = status(HOLDER);
    let state = CaseState::UnderInvestigation;
    holder.client.set_status(one, state, &investigation).await.unwrap();
    holder.client.set_status(one, state, &investigation).await.unwrap();
    let own = first.told(one).await;
    assert_eq!(text(&own, "wisselstatus"), "UNDER_INVESTIGATION");
    // What the holder writes to one reporter is for that one.
    let Some(OwnedData::Text(data)) = own.data() else { panic!("no data") };
    assert!(data.contains("voor de melder"), "{data}");
    let same = second.told(other).await;
    assert_eq!(text(&same, "wisselstatus"), "UNDER_INVESTIGATION");
    assert_eq!(same.source(), format!("urn:nld:oin:{EXCHANGE}:systeem:zaken"));
    let Some(OwnedData::Text(data)) = same.data() else { panic!("no data") };
    assert!(data.contains(&other.to_string()), "{data}");
    assert!(!data.contains(&one.to_string()) && !data.contains("voor de melder"), "{data}");

    // A correction of another, and one that names what there is not, change nothing.
    let unknown = "01890000-0000-7000-8000-000000000000".parse().unwrap();
    let of_stranger = correction(OTHER, &[one, field]);
    gateway.client(OTHER).publish(&of_stranger).await.unwrap();
    let of_nothing = correction(HOLDER, &[unknown, Uuid::nil()]);
    holder.client.publish(&of_nothing).await.unwrap();
    let of_both = correction(HOLDER, &[unknown, one]);
    let receipt = holder.client.publish(&of_both).await.unwrap();
    for (reporter, id) in [(&mut first, one), (&mut second, other)] {
        let corrected = reporter.told(id).await;
        assert_eq!(text(&corrected, "wisselstatus"), "CORRECTED");
        assert_eq!(text(&corrected, "wisselcorrection"), receipt.message_id.to_string());
        let case = is_closed(&reporter.client, id).await;
        assert_eq!(case.history.last().unwrap().correction, Some(receipt.message_id));
    }
    let case = second.client.get_case(other).await.unwrap();
    assert_eq!(states(&case), ["RECEIVED", "RECEIVED", "UNDER_INVESTIGATION", "CORRECTED"]);
    assert_eq!(reason(second.client.get_case(one).await.unwrap_err()), "UNKNOWN_CASE");
    let listed = second.client.list_cases(false).all().await.unwrap();
    assert!(listed.iter().all(|case| case.sender == SECOND.parse().unwrap()), "{listed:?}");
    assert!(first.rest().await.is_empty() && second.rest().await.is_empty());

    // Who reports of something else hears of the corrections, and not of reports.
    let rest = third.rest().await;
    // On a bus that parts share, those of the part before come too.
    assert!(rest.iter().all(|event| event.event_type() == "nl.bag.correctie"), "{rest:?}");
    for published in [of_stranger, of_nothing, of_both] {
        assert_eq!(rest.iter().filter(|event| event.id() == published.id()).count(), 1);
    }
    assert!(rest.iter().all(|event| event.attribute("reports").is_none()), "{rest:?}");
    for id in [field, object] {
        let case = third.client.get_case(id).await.unwrap();
        assert!(!case.closed && case.history.is_empty(), "{case:?}");
    }
    gateway.terminate().await;
}

async fn outside_the_grant_is_refused(bus: &str) {
    let mut gateway = start(bus).await;
    let first = gateway.client(FIRST);
    let refused = async |event: Event| faults(first.publish(&event).await.unwrap_err());
    for field in ["eigenaar", "/eigenaar/naam", "bestaatniet"] {
        let found = first.publish(&report(FIRST, "nl.bag.melding", "0363-4", field)).await;
        let refusal = found.unwrap_err();
        let message = refusal.to_string();
        assert!(message.contains("expected one of /nummer, /straat"), "{message}");
        assert!(!message.contains(field), "no value of the data is told: {message}");
        let expected = ("NOT_GRANTED".to_owned(), vec!["data/gegeven".to_owned()]);
        assert_eq!(faults(refusal), expected, "{field}");
    }
    // Who may have everything may doubt everything.
    let all = report(THIRD, "nl.bag.melding", "0363-4", "eigenaar");
    gateway.client(THIRD).publish(&all).await.unwrap();
    let build = |data: &str| {
        let event = event(FIRST, "nl.bag.melding");
        event.data_text("application/json", data).build().unwrap()
    };
    let invalid = |field: &str| ("INVALID_MESSAGE".to_owned(), vec![field.to_owned()]);
    assert_eq!(refused(build(r#"{"gegeven":"straat"}"#)).await, invalid("data/object/id"));
    assert_eq!(refused(build(r#"{"object":{"id":"1"}}"#)).await, invalid("data/gegeven"));
    let nothing = refused(event(FIRST, "nl.bag.melding").build().unwrap()).await;
    assert_eq!(nothing.1, ["data/object/id", "data/gegeven"]);
    // What a correction names are ids.
    let event = event(HOLDER, "nl.bag.correctie").extension("reports", "1, 2").build().unwrap();
    let bad = gateway.client(HOLDER).publish(&event).await.unwrap_err();
    assert_eq!(faults(bad), invalid("reports"));
    assert!(gateway.client(OPERATOR).list_cases(false).all().await.unwrap().len() <= 1);
    // Its report of before is taken out of the bus that the next part is on.
    Party::of(&gateway, HOLDER).await.rest().await;
    gateway.terminate().await;
}

async fn is_withdrawn_for_one_reporter(bus: &str) {
    let mut gateway = start(bus).await;
    let mut holder = Party::of(&gateway, HOLDER).await;
    let mut first = Party::of(&gateway, FIRST).await;
    let mut second = Party::of(&gateway, SECOND).await;
    let one = first.report(report(FIRST, "nl.bag.melding", "0363-5", "straat")).await;
    let other = second.report(report(SECOND, "nl.bag.melding", "0363-5", "straat")).await;
    holder.told(one).await;
    holder.told(other).await;
    assert_eq!(reason(second.client.withdraw_case(one).await.unwrap_err()), "UNKNOWN_CASE");
    assert!(first.client.withdraw_case(one).await.unwrap().closed);
    assert_eq!(holder.state(one).await, "WITHDRAWN");
    assert_eq!(reason(holder.says(one, CaseState::Received).await.unwrap_err()), "WRONG_STATE");
    assert!(holder.says(other, CaseState::Confirmed).await.unwrap().closed);
    assert_eq!(second.state(other).await, "CONFIRMED");
    assert!(first.rest().await.is_empty(), "who withdrew is told no more");
    assert_eq!(states(&first.client.get_case(one).await.unwrap()), ["WITHDRAWN"]);
    gateway.terminate().await;
}

async fn lapses_and_is_ended_over_kills(bus: &str) {
    let mut gateway = start(bus).await;
    let mut holder = Party::of(&gateway, HOLDER).await;
    let (first, second) = (gateway.client(FIRST), gateway.client(SECOND));
    let urgent = report(FIRST, "nl.bag.spoedmelding", "0363-6", "straat");
    let lapsing = first.publish(&urgent).await.unwrap().message_id;
    let calm = report(SECOND, "nl.bag.melding", "0363-6", "straat");
    let waiting = second.publish(&calm).await.unwrap().message_id;
    holder.told(lapsing).await;
    assert_eq!(holder.state(lapsing).await, "REMINDED");
    // The end falls due while nobody is there; it is told once, and so after kill -9.
    gateway.kill().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    gateway.spawn();
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.kill().await;
    gateway.start_again().await;
    let mut first = Party::of(&gateway, FIRST).await;
    let mut second = Party::of(&gateway, SECOND).await;
    let holder = gateway.client(HOLDER);
    assert_eq!(first.state(lapsing).await, "LAPSED");
    assert!(first.rest().await.is_empty() && second.rest().await.is_empty());

    // A correction still ends it, and that of the other reporter too, whenever it is killed.
    let correction = correction(HOLDER, &[lapsing]);
    let receipt = holder.publish(&correction).await.unwrap();
    gateway.kill().await;
    gateway.spawn();
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.kill().await;
    gateway.start_again().await;
    for (reporter, id) in [(&mut first, lapsing), (&mut second, waiting)] {
        let case = is_closed(&reporter.client, id).await;
        let last = case.history.last().unwrap();
        assert_eq!(last.correction, Some(receipt.message_id), "{case:?}");
        let corrected = reporter.told(id).await;
        assert_eq!(text(&corrected, "wisselstatus"), "CORRECTED");
        // What was acknowledged just before kill -9 may come again, and it is the same.
        let more = reporter.rest().await;
        assert!(more.iter().all(|event| event.id() == corrected.id()), "{more:?}");
    }
    assert_eq!(
        states(&first.client.get_case(lapsing).await.unwrap()),
        ["REMINDED", "LAPSED", "CORRECTED"]
    );
    gateway.terminate().await;
}

async fn all(bus: &str) {
    lives_until_it_is_corrected_or_confirmed(bus).await;
    of_the_same_is_told_to_each_reporter(bus).await;
    outside_the_grant_is_refused(bus).await;
    is_withdrawn_for_one_reporter(bus).await;
    lapses_and_is_ended_over_kills(bus).await;
}

#[tokio::test]
async fn a_report_on_the_embedded_bus() {
    let _alone = alone().await;
    all("embedded").await;
}

#[tokio::test]
async fn a_report_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    all(&rabbitmq.url()).await;
}
