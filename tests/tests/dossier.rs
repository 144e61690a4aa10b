//! What happened to a message, and who may see which of it, on both buses.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::time::{Duration, Instant};

use wissel_client::{CaseState, Dossier, DossierEntryKind as Kind, Event, Uuid, in_answer_to};
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, alone, wissel_binary};

const REGISTRY: &str = "00000099000000001000";
const UTRECHT: &str = "00000099000000002000";
const ZWOLLE: &str = "00000099000000003000";
const STRANGER: &str = "00000099000000004000";
const PERSON: &str = "999990342";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
    { oin = "00000099000000003000", name = "Zwolle" },
    { oin = "00000099000000004000", name = "Stranger" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]

[[event_type]]
name = "nl.x.geboorte"
owner = "00000099000000001000"
description = "Something happened."
subject = "bsn"
deadline = "5 days"

[[event_type]]
name = "nl.x.vraag"
owner = "00000099000000002000"
description = "A question."
ask = { answer = "nl.x.antwoord", within = "5 seconds" }

[[event_type]]
name = "nl.x.antwoord"
owner = "00000099000000002000"
description = "Its answer."

[[event_type]]
name = "nl.x.zaak"
owner = "00000099000000001000"
description = "A case."
audience = "exactly-one"
dispatch = { status = "nl.x.status", term = "8 weeks" }

[[event_type]]
name = "nl.x.status"
owner = "00000099000000001000"
description = "How a case stands."

[[grant]]
party = "00000099000000001000"
type = ["nl.x.geboorte", "nl.x.vraag", "nl.x.zaak"]
action = "publish"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000001000"
type = ["nl.x.antwoord", "nl.x.status"]
action = "receive"
purpose = "test"
legal_basis = "test"

[[grant]]
party = ["00000099000000002000", "00000099000000003000"]
type = "nl.x.geboorte"
action = "receive"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000002000"
type = ["nl.x.vraag", "nl.x.zaak", "nl.x.status"]
action = "receive"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000002000"
type = ["nl.x.antwoord", "nl.x.status"]
action = "publish"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000009000"
type = "nl.x.zaak"
action = "receive"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000009000"
type = "nl.x.status"
action = "publish"
purpose = "test"
legal_basis = "test"

[[subscription]]
name = "00000099000000001000.post"

[[subscription]]
name = "00000099000000002000.geboorten"
types = ["nl.x.geboorte"]

[[subscription]]
name = "00000099000000002000.vragen"
types = ["nl.x.vraag"]

[[subscription]]
name = "00000099000000002000.zaken"
types = ["nl.x.zaak"]

[[subscription]]
name = "00000099000000003000.geboorten"
"#;

async fn start(bus: &str) -> Gateway {
    let mut gateway = Gateway::stopped(bus);
    gateway.write_catalogue(CATALOGUE);
    gateway.start_again().await;
    gateway
}

fn event(party: &str, event_type: &str) -> wissel_client::EventBuilder {
    let source = format!("urn:nld:oin:{party}:systeem:x");
    Event::builder(Uuid::now_v7().to_string(), source, event_type)
}

/// The kinds of what happened that a caller sees, in order, with the party where there is one.
fn seen(dossier: &Dossier) -> Vec<(Kind, String)> {
    let seen = dossier.entries.iter();
    seen.map(|one| (one.kind, one.party.map(|oin| oin.to_string()).unwrap_or_default())).collect()
}

fn count(dossier: &Dossier, kind: Kind, party: &str) -> usize {
    let wanted = (kind, party.to_owned());
    seen(dossier).into_iter().filter(|one| *one == wanted).count()
}

async fn unknown(gateway: &Gateway, caller: &str, id: Uuid) -> String {
    gateway.client(caller).dossier(id).await.unwrap_err().to_string()
}

/// Waits until it shows this.
async fn until(gateway: &Gateway, id: Uuid, shows: impl Fn(&Dossier) -> bool) -> Dossier {
    let begun = Instant::now();
    loop {
        let dossier = gateway.client(OPERATOR).dossier(id).await.unwrap();
        if shows(&dossier) {
            return dossier;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{dossier:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_message_has_a_dossier(bus: &str) {
    let mut gateway = start(bus).await;
    let published = event(REGISTRY, "nl.x.geboorte").subject(PERSON).data_text("text/plain", "x");
    let receipt = gateway.client(REGISTRY).publish(&published.build().unwrap()).await.unwrap();
    let id = receipt.message_id;

    let mut utrecht =
        gateway.client(UTRECHT).subscribe(format!("{UTRECHT}.geboorten")).open().await.unwrap();
    utrecht.next().await.unwrap().unwrap().acknowledge().await.unwrap();
    let mut zwolle =
        gateway.client(ZWOLLE).subscribe(format!("{ZWOLLE}.geboorten")).open().await.unwrap();
    let first = zwolle.next().await.unwrap().unwrap();
    let reason = format!("no room for {PERSON}");
    first.retry(Duration::from_millis(50), reason).await.unwrap();
    let second = zwolle.next().await.unwrap().unwrap();
    assert_eq!(second.attempt(), 2);
    second.reject("of no use here").await.unwrap();

    // An operator sees everything, and the number of nobody.
    let all = until(&gateway, id, |one| count(one, Kind::DeadLettered, ZWOLLE) == 1).await;
    assert_eq!(all.messages.len(), 1);
    assert_eq!(all.messages[0].inboxes, Some(2));
    for (kind, party, expected) in [
        (Kind::Admitted, REGISTRY, 1),
        (Kind::Routed, UTRECHT, 1),
        (Kind::Routed, ZWOLLE, 1),
        (Kind::HandedOut, UTRECHT, 1),
        (Kind::HandedOut, ZWOLLE, 2),
        (Kind::Retried, ZWOLLE, 1),
        (Kind::DeadLettered, ZWOLLE, 1),
        (Kind::Deadline, "", 1),
    ] {
        assert_eq!(count(&all, kind, party), expected, "{kind} {party}: {:?}", seen(&all));
    }
    let retried = all.entries.iter().find(|one| one.kind == Kind::Retried).unwrap();
    assert_eq!(retried.reason.as_deref(), Some("no room for [number]"));
    assert_eq!(retried.attempt, Some(1));
    assert!(all.entries.is_sorted_by_key(|one| one.at));

    // Its publisher sees where it went and what became of it, and not the words of receivers.
    let own = gateway.client(REGISTRY).dossier(id).await.unwrap();
    assert_eq!(seen(&own), seen(&all));
    let dead = own.entries.iter().find(|one| one.kind == Kind::DeadLettered).unwrap();
    assert_eq!(dead.reason, None);

    // A receiver sees its admission, and its own.
    let of_zwolle = gateway.client(ZWOLLE).dossier(id).await.unwrap();
    assert_eq!(of_zwolle.messages[0].inboxes, None);
    let others = seen(&of_zwolle).into_iter().filter(|(kind, party)| {
        *kind != Kind::Admitted && *kind != Kind::Deadline && party != ZWOLLE
    });
    assert_eq!(others.count(), 0, "{of_zwolle:?}");
    let dead = of_zwolle.entries.iter().find(|one| one.kind == Kind::DeadLettered).unwrap();
    assert_eq!(dead.reason.as_deref(), Some("of no use here"));
    let of_utrecht = gateway.client(UTRECHT).dossier(id).await.unwrap();
    assert_eq!(count(&of_utrecht, Kind::HandedOut, UTRECHT), 1);
    assert_eq!(count(&of_utrecht, Kind::DeadLettered, ZWOLLE), 0);

    // Anybody else sees nothing, as of a message that there never was.
    let refused = unknown(&gateway, STRANGER, id).await;
    assert!(refused.contains("UNKNOWN_MESSAGE"), "{refused}");
    assert_eq!(refused, unknown(&gateway, STRANGER, Uuid::now_v7()).await);
    assert_eq!(refused, unknown(&gateway, OPERATOR, Uuid::now_v7()).await);

    // The same after kill -9, and on the command line.
    gateway.kill().await;
    gateway.start_again().await;
    assert_eq!(seen(&gateway.client(OPERATOR).dossier(id).await.unwrap()), seen(&all));
    let command = |arguments: &[&str]| {
        let mut command = Command::new(wissel_binary());
        command.args(["dossier", "show"]).args(["--server", &gateway.url()]).args(arguments);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(PERSON), "{text}");
        (output.status.code(), text)
    };
    let (code, text) = command(&["--as", OPERATOR, &id.to_string()]);
    assert_eq!(code, Some(0), "{text}");
    for expected in ["nl.x.geboorte", "to 2 inboxes", "DEAD_LETTERED", "of no use here"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let (code, text) = command(&["--as", REGISTRY, "--json", &id.to_string()]);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, told["entries"].as_array().unwrap().len()), (Some(0), all.entries.len()));
    assert_eq!(command(&["--as", STRANGER, &id.to_string()]).0, Some(1));
    assert!(gateway.records().contains("dossier"), "that somebody looked is on record");
}

async fn a_question_and_a_case_have_one(bus: &str) {
    let gateway = start(bus).await;
    let utrecht = gateway.client(UTRECHT);
    let answering = tokio::spawn({
        let utrecht = utrecht.clone();
        let questions = utrecht.subscribe(format!("{UTRECHT}.vragen"));
        async move {
            let answer = |question: &wissel_client::Delivery| {
                let event = event(UTRECHT, "nl.x.antwoord").data_text("text/plain", "yes");
                let answer = in_answer_to(question.event(), event).build().unwrap();
                async move { Ok(answer) }
            };
            utrecht.answer_all(questions, answer).await
        }
    });
    let correlation = format!("order-{}", Uuid::new_v4());
    let question = event(REGISTRY, "nl.x.vraag").extension("correlationid", correlation.as_str());
    let registry = gateway.client(REGISTRY);
    let answer = registry.ask(&question.build().unwrap()).await.unwrap();
    assert!(answer.result.is_ok());

    // By what it is correlated with: the question, and its answer.
    let of_question = registry.dossier_of_correlation(&correlation, None).await.unwrap();
    let types: Vec<_> =
        of_question.messages.iter().filter_map(|one| one.event_type.as_deref()).collect();
    assert!(types.contains(&"nl.x.vraag"), "{of_question:?}");
    assert_eq!(count(&of_question, Kind::HandedOut, UTRECHT), 1);
    let asked = of_question.messages[0].message_id;
    let whole = registry.dossier(asked).await.unwrap();
    let types: Vec<_> = whole.messages.iter().filter_map(|one| one.event_type.as_deref()).collect();
    assert_eq!(types, ["nl.x.vraag", "nl.x.antwoord"]);
    let stranger = gateway.client(STRANGER);
    let refused = stranger.dossier_of_correlation(&correlation, None).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, "UNKNOWN_MESSAGE");
    assert!(!gateway.records().contains(&correlation), "a correlation may be personal");
    answering.abort();

    // A case: how it stood, and when its term ends.
    let receipt = registry.publish(&event(REGISTRY, "nl.x.zaak").build().unwrap()).await.unwrap();
    let case = receipt.message_id;
    let status = event(UTRECHT, "nl.x.status").build().unwrap();
    utrecht.set_status(case, CaseState::Received, &status).await.unwrap();
    for client in [&registry, &utrecht] {
        let dossier = client.dossier(case).await.unwrap();
        assert_eq!(dossier.cases.len(), 1);
        assert_eq!(count(&dossier, Kind::CaseOpened, REGISTRY), 1, "{dossier:?}");
        assert_eq!(count(&dossier, Kind::CaseStatus(CaseState::Received), UTRECHT), 1);
        let end = dossier.entries.iter().find(|one| one.kind == Kind::TermEnds).unwrap();
        assert_eq!(Some(end.at), dossier.cases[0].ends_at);
    }
    assert!(unknown(&gateway, ZWOLLE, case).await.contains("UNKNOWN_MESSAGE"));
}

#[tokio::test]
async fn messages_have_dossiers_on_the_embedded_bus() {
    let _alone = alone().await;
    a_message_has_a_dossier("embedded").await;
}

#[tokio::test]
async fn messages_have_dossiers_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    a_message_has_a_dossier(&rabbitmq.url()).await;
}

#[tokio::test]
async fn questions_and_cases_have_dossiers_on_the_embedded_bus() {
    let _alone = alone().await;
    a_question_and_a_case_have_one("embedded").await;
}

#[tokio::test]
async fn questions_and_cases_have_dossiers_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    a_question_and_a_case_have_one(&rabbitmq.url()).await;
}
