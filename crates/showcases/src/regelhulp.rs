//! Regelhulp: one application goes to municipality, CIZ and UWV as its answers require; who
//! applied sees one status; a provider withdraws, and another takes over.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use wissel_client::{CaseState, Event, Receipt, Uuid};
use wissel_message::Value;

use crate::Stage;
use crate::case::{states, tells};
use crate::party::{Party, data_of};
use crate::seen::{Received, Seen};

const APPLICATION: &str = "nl.regelhulp.aanvraag";
const PROGRESS: &str = "nl.regelhulp.voortgang";
const ASSIGNMENT: &str = "nl.wmo.toewijzing";
const ASSIGNMENT_STATUS: &str = "nl.wmo.status";
/// Who applies: a number of the test range.
const APPLICANT: &str = "999990342";

/// A body that judges applications, and what has come to it.
struct Body {
    party: Party,
    applications: Seen,
}

/// Somebody who gives support at home.
struct Provider {
    party: Party,
    assignments: Seen,
}

struct Cast {
    counter: Party,
    post: Seen,
    municipality: Body,
    assigned: Seen,
    ciz: Body,
    uwv: Body,
    north: Provider,
    south: Provider,
}

/// What somebody answers: whether help is needed at home, day and night, and with work.
#[derive(Clone, Copy)]
struct Answers {
    at_home: bool,
    day_and_night: bool,
    work: bool,
}

/// How far a body is; the furthest last.
const STEPS: [&str; 3] = ["ontvangen", "onderzoek", "besloten"];

pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    let cast = Cast::enter(stage).await?;
    let id = apply_to_all(stage, &cast).await?;
    apply_at_home(stage, &cast).await?;
    nobody_is_concerned(stage, &cast).await?;
    acknowledge(stage, &cast, &id).await?;
    provide(stage, &cast).await?;
    decide(stage, &cast, &id).await
}

impl Cast {
    async fn enter(stage: &Stage) -> Result<Self> {
        let counter = stage.party("00000099000000041000", "Regelhulp").await?;
        let municipality = Body::of(stage, "00000099000000042000", "Gemeente").await?;
        Ok(Self {
            post: counter.receives("post"),
            counter,
            assigned: municipality.party.receives("zorg"),
            municipality,
            ciz: Body::of(stage, "00000099000000043000", "CIZ").await?,
            uwv: Body::of(stage, "00000099000000044000", "UWV").await?,
            north: Provider::of(stage, "00000099000000045000", "Thuiszorg Noord").await?,
            south: Provider::of(stage, "00000099000000046000", "Thuiszorg Zuid").await?,
        })
    }

    fn bodies(&self) -> [&Body; 3] {
        [&self.municipality, &self.ciz, &self.uwv]
    }
}

impl Body {
    async fn of(stage: &Stage, oin: &str, name: &'static str) -> Result<Self> {
        let party = stage.party(oin, name).await?;
        Ok(Self { applications: party.receives("aanvragen"), party })
    }

    /// Tells the counter how far it is, until it is told.
    async fn says(&self, application: &str, step: &str, outcome: Option<&str>) -> Result<()> {
        let data = match outcome {
            Some(outcome) => json!({ "stap": step, "uitkomst": outcome }),
            None => json!({ "stap": step }),
        };
        let event = self.party.event(PROGRESS).data_json(&data);
        self.party.publish(&event.extension("correlationid", application).build()?).await?;
        Ok(())
    }
}

impl Provider {
    async fn of(stage: &Stage, oin: &str, name: &'static str) -> Result<Self> {
        let party = stage.party(oin, name).await?;
        Ok(Self { assignments: party.receives("zorg"), party })
    }
}

fn application(counter: &Party, answers: Answers) -> Result<Event> {
    let yes_or_no = |needed: bool| if needed { "ja" } else { "nee" };
    let data = json!({
        "naam": "J. Proef",
        "huishouden": "alleenwonend, kan niet tillen",
        "zorgbehoefte": "dementie, gevorderd",
        "werk": "magazijn, 36 uur",
    });
    let event = counter
        .event(APPLICATION)
        .subject(APPLICANT)
        .data_json(&data)
        .extension("gemeente", "0599")
        .extension("hulpthuis", yes_or_no(answers.at_home))
        .extension("dagennacht", yes_or_no(answers.day_and_night))
        .extension("werktemoeilijk", yes_or_no(answers.work));
    Ok(event.build()?)
}

/// Who got a message, by what its publisher has as proof.
fn came_to(receipt: &Receipt) -> Vec<String> {
    let mut parties: Vec<String> =
        receipt.inboxes.iter().map(|inbox| inbox.owner().to_string()).collect();
    parties.sort();
    parties
}

/// All three bodies are concerned. Gives the id by which they speak of it.
async fn apply_to_all(stage: &mut Stage, cast: &Cast) -> Result<String> {
    let answers = Answers { at_home: true, day_and_night: true, work: true };
    stage.step(&cast.counter, "sends in one application that concerns three laws").await?;
    let event = application(&cast.counter, answers)?;
    let receipt = cast.counter.publish(&event).await?;
    let expected = cast.bodies().map(|body| body.party.oin.to_string());
    stage.check("it goes to municipality, CIZ and UWV", came_to(&receipt) == expected);
    let needs = [("Gemeente", "huishouden"), ("CIZ", "zorgbehoefte"), ("UWV", "werk")];
    for (body, (name, field)) in cast.bodies().into_iter().zip(needs) {
        let came = body.applications.wait_for("the application", &receipt).await?;
        let data = data_of(&came.event);
        let fields: Vec<&String> =
            data.as_object().into_iter().flat_map(|all| all.keys()).collect();
        let mut wanted = ["naam", field];
        wanted.sort_unstable();
        stage.check(&format!("{name} gets no more than {field}, and who it is"), fields == wanted);
    }
    Ok(event.id().to_owned())
}

async fn apply_at_home(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let answers = Answers { at_home: true, day_and_night: false, work: false };
    stage.step(&cast.counter, "sends in one for help at home only").await?;
    let event = application(&cast.counter, answers)?;
    let receipt = cast.counter.publish(&event).await?;
    let municipality = cast.municipality.party.oin.to_string();
    stage.check("it goes to the municipality alone", came_to(&receipt) == [municipality]);
    cast.municipality.applications.wait_for("the application", &receipt).await?;
    let is_it = |one: &Event| one.id() == event.id();
    let nothing =
        cast.ciz.applications.none(is_it).await && cast.uwv.applications.none(is_it).await;
    stage.check("CIZ and UWV hear nothing of it", nothing);
    Ok(())
}

async fn nobody_is_concerned(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let answers = Answers { at_home: false, day_and_night: false, work: false };
    stage.step(&cast.counter, "sends in one in which every answer is no").await?;
    let (counter, event) = (&cast.counter, application(&cast.counter, answers)?);
    let refused = counter.refused(|| counter.client.publish(&event)).await?;
    stage.check(
        "it is refused: AUDIENCE_UNMET, so nobody waits for nothing",
        refused == "AUDIENCE_UNMET",
    );
    Ok(())
}

/// What the bodies have said of an application so far: each body's furthest step.
fn progress(cast: &Cast, application: &str) -> BTreeMap<&'static str, usize> {
    let of_application = |event: &Event| matches!(event.attribute("correlationid"), Some(Value::String(id)) if id == application);
    let mut furthest = BTreeMap::new();
    for Received { publisher, event, .. } in cast.post.all(of_application) {
        let body = cast.bodies().into_iter().find(|body| body.party.oin == publisher);
        let data = data_of(&event);
        let step = data.get("stap").and_then(Json::as_str);
        let step = STEPS.iter().position(|one| Some(*one) == step);
        if let (Some(body), Some(step)) = (body, step) {
            let known: &mut usize = furthest.entry(body.party.name).or_default();
            *known = step.max(*known);
        }
    }
    furthest
}

/// The one status that whoever applied sees: as far as the last of the bodies is.
fn one_status(cast: &Cast, application: &str) -> &'static str {
    let furthest = progress(cast, application);
    if furthest.len() < cast.bodies().len() {
        return "ingediend";
    }
    furthest.values().min().and_then(|step| STEPS.get(*step)).copied().unwrap_or("ingediend")
}

/// Waits until the counter has heard this of a body, and shows the one status.
async fn heard(
    stage: &Stage,
    cast: &Cast,
    application: &str,
    body: &Body,
    step: &str,
) -> Result<()> {
    let publisher = body.party.oin;
    let wanted = |event: &Event| {
        let id = event.attribute("correlationid");
        let about = matches!(id, Some(Value::String(id)) if id == application);
        about
            && event.source().contains(publisher.as_str())
            && data_of(event).get("stap").and_then(Json::as_str) == Some(step)
    };
    cast.post.wait(&format!("that {} says {step}", body.party.name), wanted).await?;
    let shown = one_status(cast, application);
    stage.note(&format!("whoever applied sees: {shown}"));
    Ok(())
}

async fn acknowledge(stage: &mut Stage, cast: &Cast, application: &str) -> Result<()> {
    stage.check(
        "whoever applied sees one status: ingediend",
        one_status(cast, application) == "ingediend",
    );
    for (index, body) in cast.bodies().into_iter().enumerate() {
        stage.step(&body.party, "confirms that it has the application").await?;
        body.says(application, "ontvangen", None).await?;
        heard(stage, cast, application, body, "ontvangen").await?;
        let expected = if index == 2 { "ontvangen" } else { "ingediend" };
        stage
            .check(&format!("the status is {expected}"), one_status(cast, application) == expected);
    }
    stage.step(&cast.municipality.party, "looks into it").await?;
    cast.municipality.says(application, "onderzoek", None).await?;
    heard(stage, cast, application, &cast.municipality, "onderzoek").await?;
    stage.check(
        "the status stays ontvangen while others have yet to begin",
        one_status(cast, application) == "ontvangen",
    );
    Ok(())
}

/// What the municipality hears of an assignment.
async fn told(cast: &Cast, case: Uuid, state: CaseState) -> Result<Received> {
    cast.assigned.wait(state.as_str(), |event| tells(event, case, state)).await
}

/// One provider withdraws, and another takes over.
async fn provide(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let Cast { municipality, north, south, .. } = cast;
    let municipality = &municipality.party;
    stage.step(municipality, "assigns support at home to Thuiszorg Noord").await?;
    let event = municipality
        .event(ASSIGNMENT)
        .subject(APPLICANT)
        .extension("aanbieder", "noord")
        .data_json(&json!({ "product": "huishoudelijke ondersteuning", "uren": 3 }))
        .build()?;
    let receipt = municipality.publish(&event).await?;
    let case = receipt.message_id;
    north.assignments.wait_for("the assignment", &receipt).await?;
    let nothing = south.assignments.none(|one| one.id() == event.id()).await;
    stage.check("the other provider does not know of it", nothing);
    let not_known = south.party.refused(|| south.party.client.get_case(case)).await?;
    stage.check("nor can it look it up: UNKNOWN_CASE", not_known == "UNKNOWN_CASE");

    stage.step(&north.party, "confirms, and begins").await?;
    north.party.says(case, CaseState::Received, ASSIGNMENT_STATUS, &json!({})).await?;
    north.party.says(case, CaseState::InProgress, ASSIGNMENT_STATUS, &json!({})).await?;
    told(cast, case, CaseState::InProgress).await?;

    stage.step(&north.party, "withdraws, as it has nobody left: Thuiszorg Zuid takes over").await?;
    let (from, to) = (&north.party, south.party.oin);
    let forwarded = from.until_done(|| from.client.forward_case(case, to));
    let forwarded = forwarded.await.context("the case is sent on")?;
    stage.check("Thuiszorg Zuid has it", forwarded.holder == to);
    told(cast, case, CaseState::Forwarded).await?;
    let came = south.assignments.wait("the assignment", |one| one.id() == event.id()).await?;
    stage.check(
        "as it was sent, and under the id that it has",
        came.message_id == case && data_of(&came.event) == data_of(&event),
    );
    let again = from.event(ASSIGNMENT_STATUS).data_json(&json!({})).build()?;
    let refused = from.refused(|| from.client.set_status(case, CaseState::Decided, &again)).await?;
    stage.check("Thuiszorg Noord says nothing more of it: NOT_GRANTED", refused == "NOT_GRANTED");

    stage.step(&south.party, "begins, and says so").await?;
    let begun = json!({ "toelichting": "begonnen" });
    south.party.says(case, CaseState::Received, ASSIGNMENT_STATUS, &json!({})).await?;
    let ended = south.party.says(case, CaseState::Decided, ASSIGNMENT_STATUS, &begun).await?;
    let heard = told(cast, case, CaseState::Decided).await?;
    stage.check("the municipality hears it from whoever has it now", heard.publisher == to);
    let expected = ["RECEIVED", "IN_PROGRESS", "FORWARDED", "RECEIVED", "DECIDED"];
    stage.check("the dossier is whole", ended.closed && states(&ended) == expected);
    Ok(())
}

async fn decide(stage: &mut Stage, cast: &Cast, application: &str) -> Result<()> {
    let outcomes = ["ondersteuning toegekend", "geen recht", "uitkering toegekend"];
    for (body, outcome) in cast.bodies().into_iter().zip(outcomes) {
        stage.step(&body.party, &format!("decides: {outcome}")).await?;
        body.says(application, "besloten", Some(outcome)).await?;
        heard(stage, cast, application, body, "besloten").await?;
    }
    stage.check("the one status is besloten", one_status(cast, application) == "besloten");
    Ok(())
}
