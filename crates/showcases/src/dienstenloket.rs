//! Dienstenloket: an entrepreneur from another member state has proof of receipt in a message
//! box, in a language of choice; silence is consent; and what is delivered there can be shown.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use wissel_client::{CaseState, Event, Oin, Receipt, Uuid};
use wissel_message::Value;

use crate::case::{since, states, tells, written};
use crate::party::{Party, data_of};
use crate::seen::{Received, Seen};
use crate::{Stage, codes};

const APPLICATION: &str = "nl.dienstenloket.aanvraag";
const STATUS: &str = "nl.dienstenloket.status";
const BY_LAW: &str = "nl.dienstenloket.besluit";
const MESSAGE: &str = "nl.berichtenbox.bericht";
const ACKNOWLEDGEMENT: &str = "nl.berichtenbox.ontvangst";
/// The party that watches over terms.
const EXCHANGE: &str = "00000099000000069000";
/// Eight weeks by law, as the catalogue of this play has them.
const TERM: Duration = Duration::from_secs(8);

/// An authority, and what has come to it.
struct Authority {
    party: Party,
    cases: Seen,
}

struct Cast {
    counter: Party,
    post: Seen,
    message_box: Party,
    messages: Seen,
    rotterdam: Authority,
    utrecht: Authority,
}

/// Who applies, and for what.
struct Entrepreneur {
    name: &'static str,
    member_state: &'static str,
    language: &'static str,
    message_box: &'static str,
    service: &'static str,
    municipality: &'static str,
}

const CATERER: Entrepreneur = Entrepreneur {
    name: "Probe Catering GmbH",
    member_state: "DE",
    language: "de",
    message_box: "BB-0001",
    service: "een standplaats op de markt",
    municipality: "0599",
};

const GUIDE: Entrepreneur = Entrepreneur {
    name: "Trial Tours Ltd",
    member_state: "IE",
    language: "en",
    message_box: "BB-0002",
    service: "rondvaarten",
    municipality: "0344",
};

pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    let cast = Cast::enter(stage).await?;

    stage.step(&cast.counter, "sends in what a German caterer applies for in Rotterdam").await?;
    stage.note("(the law gives eight weeks to decide; here they last 8 seconds)");
    let silent = send(&cast, &CATERER, &cast.rotterdam).await?;
    stage.step(&cast.rotterdam.party, "confirms receipt").await?;
    let proof = confirm(&cast, &cast.rotterdam.party, silent).await?;
    let case = cast.counter.case(silent).await?;
    let end = case.ends_at.context("the case has a term")?;
    let said = data_of(&proof.event);
    for (name, text) in said.as_object().into_iter().flatten() {
        stage.note(&format!("{name}: {}", text.as_str().unwrap_or_default()));
    }
    let says = |name: &str| said.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    stage.check(
        "it says when it came in, and until when there is to be a decision",
        says("ontvangen") == written(case.opened_at) && says("eindigt") == written(end),
    );
    stage.check("the term is that of the catalogue", end == case.opened_at + TERM);
    stage.check(
        "it says what may be done against it, and that silence is consent",
        says("rechtsmiddelen").contains("bezwaar") && says("gevolg").contains("van rechtswege"),
    );
    stage.step(&cast.counter, "puts the proof in the message box, in German").await?;
    let delivered = deliver(&cast, &CATERER, &proof).await?;
    show(stage, &delivered, "RECEIVED", "eingegangen");

    let decided = decide_in_time(stage, &cast).await?;
    grant_by_law(stage, &cast, silent, end).await?;
    no_consent(stage, &cast, decided).await?;
    Ok(())
}

/// A second application, on which there is a decision in time.
async fn decide_in_time(stage: &mut Stage, cast: &Cast) -> Result<Uuid> {
    let utrecht = &cast.utrecht.party;
    stage.step(&cast.counter, "sends in what an Irish guide applies for in Utrecht").await?;
    let id = send(cast, &GUIDE, &cast.utrecht).await?;
    stage.step(utrecht, "confirms receipt, and decides in time").await?;
    confirm(cast, utrecht, id).await?;
    let granted = json!({ "besluit": "verleend" });
    let case = utrecht.says(id, CaseState::Decided, STATUS, &granted).await?;
    let told = cast.told(id, CaseState::Decided, STATUS).await?;
    let in_time = since(&case, CaseState::Decided).zip(case.ends_at);
    stage.check(
        "the counter has the decision, before the end of the term",
        data_of(&told.event) == granted && in_time.is_some_and(|(at, end)| at < end),
    );
    stage.step(&cast.counter, "puts the decision in the message box, in English").await?;
    let delivered = deliver(cast, &GUIDE, &told).await?;
    show(stage, &delivered, "DECIDED", "decided");
    Ok(id)
}

/// Nobody decides on the first one, and the term ends.
async fn grant_by_law(stage: &mut Stage, cast: &Cast, silent: Uuid, end: SystemTime) -> Result<()> {
    let (rotterdam, cases) = (&cast.rotterdam.party, &cast.rotterdam.cases);
    stage.step(rotterdam, "stays silent until the term has ended").await?;
    let decision = cast.told(silent, CaseState::Consented, BY_LAW).await?;
    let case = cast.counter.case(silent).await?;
    stage.check(
        "the permit is granted by law, when the term had ended and not before",
        case.closed
            && states(&case) == ["RECEIVED", "CONSENTED"]
            && since(&case, CaseState::Consented).is_some_and(|at| at >= end),
    );
    let consents = |one: &Event| tells(one, silent, CaseState::Consented);
    let told = cases.wait("what the law granted", consents).await?;
    let wissel: Oin = EXCHANGE.parse()?;
    let told_counter = cast.post.all(consents);
    let ids: BTreeSet<&str> = told_counter.iter().map(|one| one.event.id()).collect();
    stage.check(
        "Wissel itself tells the counter, once, and Rotterdam, which is to announce it",
        decision.publisher == wissel && told.publisher == wissel && ids.len() == 1,
    );
    let late = rotterdam.event(STATUS).data_json(&json!({ "besluit": "geweigerd" })).build()?;
    let refused =
        rotterdam.refused(|| rotterdam.client.set_status(silent, CaseState::Decided, &late));
    let refused = refused.await?;
    stage.check("it cannot deny it any more: WRONG_STATE", refused == "WRONG_STATE");

    stage.step(&cast.counter, "puts the decision in the message box, and can show it").await?;
    let delivered = deliver(cast, &CATERER, &decision).await?;
    show(stage, &delivered, "CONSENTED", "kraft Gesetzes genehmigt");
    let inboxes: Vec<String> = delivered.receipt.inboxes.iter().map(ToString::to_string).collect();
    stage.check(
        "the receipt says that it went to the message box",
        inboxes == [format!("{}.berichten", cast.message_box.oin)],
    );
    stage.check(
        "the message box says that it has this message",
        data_of(&delivered.acknowledgement.event)["bericht"]
            == delivered.receipt.message_id.to_string(),
    );
    let on_record = on_record(stage, cast, &delivered).await?;
    stage.check(
        "both are on record, as sent and as delivered, with purpose and legal basis",
        on_record,
    );
    let named = [CATERER.message_box, CATERER.name];
    let records = serde_json::to_string(&stage.records().await?)?;
    stage.check(
        "the record names neither the entrepreneur nor the message box",
        named.iter().all(|name| !records.contains(name)),
    );
    Ok(())
}

/// The term of the second one has ended too, and it means nothing.
async fn no_consent(stage: &mut Stage, cast: &Cast, decided: Uuid) -> Result<()> {
    stage.step(&cast.utrecht.party, "hears no more of what it has decided").await?;
    let case = cast.utrecht.party.case(decided).await?;
    let end = case.ends_at.context("the case has a term")?;
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left).await;
    let consents = |event: &Event| tells(event, decided, CaseState::Consented);
    stage.check(
        "its term has ended, and nothing was granted by law",
        cast.post.none(consents).await && cast.utrecht.cases.none(consents).await,
    );
    let case = cast.counter.case(decided).await?;
    stage.check("the decision stands", states(&case) == ["RECEIVED", "DECIDED"]);
    Ok(())
}

impl Cast {
    async fn enter(stage: &Stage) -> Result<Self> {
        let counter = stage.party("00000099000000061000", "Dienstenloket").await?;
        let message_box = stage.party("00000099000000062000", "Berichtenbox").await?;
        let rotterdam = stage.party("00000099000000063000", "Rotterdam").await?;
        let utrecht = stage.party("00000099000000064000", "Utrecht").await?;
        Ok(Self {
            post: counter.receives("post"),
            counter,
            messages: message_box.receives("berichten"),
            message_box,
            rotterdam: Authority { cases: rotterdam.receives("zaken"), party: rotterdam },
            utrecht: Authority { cases: utrecht.receives("zaken"), party: utrecht },
        })
    }

    /// What the counter is told of a case, in a message of this type.
    async fn told(&self, case: Uuid, state: CaseState, event_type: &str) -> Result<Received> {
        let wanted = |event: &Event| event.event_type() == event_type && tells(event, case, state);
        self.post.wait(state.as_str(), wanted).await
    }
}

/// Sends in an application: the case that it becomes.
async fn send(cast: &Cast, who: &Entrepreneur, authority: &Authority) -> Result<Uuid> {
    let data = json!({
        "dienst": who.service,
        "ondernemer": { "naam": who.name, "lidstaat": who.member_state, "taal": who.language },
    });
    let event = cast.counter.event(APPLICATION).extension("gemeente", who.municipality);
    let event = event.data_json(&data).build()?;
    let receipt = cast.counter.publish(&event).await?;
    authority.cases.wait_for("an application", &receipt).await?;
    Ok(receipt.message_id)
}

/// Confirms receipt, as the Dienstenwet wants it: what the counter gets.
async fn confirm(cast: &Cast, authority: &Party, id: Uuid) -> Result<Received> {
    let case = authority.case(id).await?;
    let proof = json!({
        "ontvangen": written(case.opened_at),
        "termijn": "acht weken",
        "eindigt": case.ends_at.map(written),
        "rechtsmiddelen": "bezwaar binnen zes weken na de beslissing",
        "gevolg": "zonder beslissing voor het einde is de vergunning van rechtswege verleend",
    });
    authority.says(id, CaseState::Received, STATUS, &proof).await?;
    cast.told(id, CaseState::Received, STATUS).await
}

/// Something that lies in a message box, and what proves it.
struct Delivered {
    message: Event,
    receipt: Receipt,
    acknowledgement: Received,
    acknowledged: Receipt,
}

/// Puts what the counter was told in the message box of an entrepreneur, in their language.
async fn deliver(cast: &Cast, to: &Entrepreneur, told: &Received) -> Result<Delivered> {
    let text_of = |name: &str| match told.event.attribute(name) {
        Some(Value::String(text)) => text.to_owned(),
        _ => String::new(),
    };
    let code = text_of("wisselstatus");
    let text = codes::text(&code, to.language);
    let text = text.with_context(|| format!("{code} has no text in {}", to.language))?;
    let data = json!({
        "code": code, "taal": to.language, "tekst": text, "bijlage": data_of(&told.event),
    });
    let message = cast.counter.event(MESSAGE).subject(to.message_box).data_json(&data);
    let message = message
        .extension("correlationid", text_of("wisselcase"))
        .extension("causationid", told.event.id())
        .build()?;
    let receipt = cast.counter.publish(&message).await?;
    let came = cast.messages.wait_for("a message", &receipt).await?;
    let said = json!({
        "bericht": came.message_id.to_string(), "ontvangen": written(SystemTime::now()),
    });
    let event = cast.message_box.event(ACKNOWLEDGEMENT).subject(to.message_box);
    let event = event.extension("causationid", message.id()).data_json(&said).build()?;
    let acknowledged = cast.message_box.publish(&event).await?;
    let acknowledgement = cast.post.wait_for("an acknowledgement", &acknowledged).await?;
    Ok(Delivered { message: came.event, receipt, acknowledgement, acknowledged })
}

fn show(stage: &mut Stage, delivered: &Delivered, code: &str, expected: &str) {
    let data = data_of(&delivered.message);
    let text = data["tekst"].as_str().unwrap_or_default();
    stage.note(&format!("in the message box: {} ({})", text, data["code"]));
    stage.check(
        "the entrepreneur can read it",
        data["code"] == code && text == expected && data["bijlage"].is_object(),
    );
}

/// Whether the message and its acknowledgement are on record, each as sent and as delivered.
async fn on_record(stage: &mut Stage, cast: &Cast, delivered: &Delivered) -> Result<bool> {
    let (counter, message_box) = (cast.counter.oin, cast.message_box.oin);
    let (message, acknowledged) = (&delivered.receipt, &delivered.acknowledged);
    let expected: BTreeSet<_> = [
        ("admission", counter, message),
        ("delivery", message_box, message),
        ("admission", message_box, acknowledged),
        ("delivery", counter, acknowledged),
    ]
    .into_iter()
    .map(|(operation, actor, receipt)| {
        (operation.to_owned(), actor.to_string(), receipt.message_id.to_string())
    })
    .collect();
    let records = stage.records().await?;
    let found: BTreeSet<_> = records
        .iter()
        .filter(|one| one["status"] == "ok")
        .filter(|one| !one["purpose"].is_null() && !one["legal_basis"].is_null())
        .filter_map(|one| {
            let text = |name: &str| one[name].as_str().map(str::to_owned);
            Some((text("operation")?, text("actor")?, text("message_id")?))
        })
        .collect();
    Ok(expected.is_subset(&found))
}
