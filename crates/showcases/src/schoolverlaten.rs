//! Landelijk Digitaal Loket Schoolverlaten: schools report absence and leaving in one place, DUO
//! records it, and the municipality where a pupil lives gets its own pupils only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use wissel_client::{
    Answer, AnswerFailure, CaseState, Event, FailureCode, Outcome, Question, Receipt, Subscription,
    Uuid, in_answer_to,
};
use wissel_message::Timestamp;
use wissel_terms::{Calendar, Term};

use crate::Stage;
use crate::case::{last_day, states, tells};
use crate::party::{Party, data_of};
use crate::seen::{Received, Seen};

const REPORT: &str = "nl.school.melding";
const PASSED_ON: &str = "nl.duo.verzuimmelding";
const STATUS: &str = "nl.duo.afhandeling";
const MOVED: &str = "nl.brp.verhuizing";
const ROTTERDAM: &str = "0599";
const UTRECHT: &str = "0344";
/// Two pupils, and somebody who goes to no school: numbers of the test range.
const PUPIL: &str = "999990342";
const CLASSMATE: &str = "999990019";
const NEIGHBOUR: &str = "999990160";
/// How long a municipality has where the play is to see the end of a term.
const SHORT: Duration = Duration::from_secs(3);

struct Municipality {
    party: Party,
    reports: Seen,
}

struct Cast {
    north: Party,
    south: Party,
    duo: Party,
    reports: Seen,
    moves: Seen,
    rotterdam: Municipality,
    utrecht: Municipality,
    brp: Party,
    /// Where the BRP knows everybody to live.
    residence: Arc<Mutex<BTreeMap<&'static str, &'static str>>>,
}

pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    let cast = Cast::enter(stage).await?;
    let (absent, classmate) = two_are_absent(stage, &cast).await?;
    terms_run(stage, &cast, absent, classmate).await?;
    one_moves(stage, &cast).await?;
    next_report_goes_there(stage, &cast, absent).await?;
    one_leaves(stage, &cast).await?;
    nobody_acts(stage, &cast).await?;
    others_ask(stage, &cast).await
}

impl Cast {
    async fn enter(stage: &Stage) -> Result<Self> {
        let duo = stage.party("00000099000000033000", "DUO").await?;
        follow_pupils(&duo).await?;
        let brp = stage.party("00000099000000036000", "BRP").await?;
        let residence = [(PUPIL, ROTTERDAM), (CLASSMATE, UTRECHT), (NEIGHBOUR, ROTTERDAM)];
        let residence = Arc::new(Mutex::new(BTreeMap::from(residence)));
        answers(&brp, &residence);
        Ok(Self {
            north: stage.party("00000099000000031000", "School Noord").await?,
            south: stage.party("00000099000000032000", "School Zuid").await?,
            reports: duo.receives("meldingen"),
            moves: duo.receives("verhuizingen"),
            duo,
            rotterdam: Municipality::of(stage, "00000099000000034000", "Rotterdam").await?,
            utrecht: Municipality::of(stage, "00000099000000035000", "Utrecht").await?,
            brp,
            residence,
        })
    }

    /// What DUO hears of a case.
    async fn told(&self, case: Uuid, state: CaseState) -> Result<Received> {
        self.reports.wait(state.as_str(), |event| tells(event, case, state)).await
    }
}

impl Municipality {
    async fn of(stage: &Stage, oin: &str, name: &'static str) -> Result<Self> {
        let party = stage.party(oin, name).await?;
        Ok(Self { reports: party.receives("leerplicht"), party })
    }

    /// How many reports of this play it has.
    fn count(&self) -> usize {
        let own = |event: &Event| event.event_type() == PASSED_ON && self.party.is_of_play(event);
        self.reports.count(own)
    }
}

/// DUO hears of the moves of its pupils, and of nobody else's.
async fn follow_pupils(duo: &Party) -> Result<()> {
    let name = format!("{}.verhuizingen", duo.oin).parse()?;
    let wanted = Subscription {
        types: vec![MOVED.to_owned()],
        follows_subjects: true,
        ..Subscription::new(name)
    };
    let client = &duo.client;
    duo.until_done(|| client.create_subscription(&wanted)).await?;
    let pupils = || vec![PUPIL.to_owned(), CLASSMATE.to_owned()];
    duo.until_done(|| client.follow_subjects(&wanted.name, pupils(), Vec::new())).await?;
    Ok(())
}

/// The BRP says where somebody lives.
fn answers(brp: &Party, residence: &Arc<Mutex<BTreeMap<&'static str, &'static str>>>) {
    let residence = Arc::clone(residence);
    brp.answer("vragen", move |party, question| {
        let known = residence.lock().unwrap_or_else(PoisonError::into_inner);
        let known = question.subject().and_then(|subject| known.get(subject)).copied();
        let answer = match known {
            Some(municipality) => {
                let data = json!({ "gemeente": municipality, "adres": "Coolsingel 1" });
                let event = party.event("nl.brp.woonplaats.antwoord").data_json(&data);
                in_answer_to(&question, event)
                    .build()
                    .map_err(|error| AnswerFailure::new(FailureCode::Failed, error.to_string()))
            }
            None => Err(AnswerFailure::new(FailureCode::NotFound, "not known here")),
        };
        async move { answer }
    });
}

/// A school reports; DUO has it.
async fn report(cast: &Cast, school: &Party, pupil: &str, data: &Json) -> Result<Received> {
    let event = school.event(REPORT).subject(pupil).data_json(data).build()?;
    let receipt = school.publish(&event).await?;
    cast.reports.wait_for("the report", &receipt).await
}

/// Whether a message of this play is about this pupil.
fn of_play(cast: &Cast, event: &Event, pupil: &str) -> bool {
    event.subject() == Some(pupil) && cast.duo.is_of_play(event)
}

/// DUO asks where the pupil lives, and passes the report on: the case has the message id of
/// the receipt.
async fn pass_on(cast: &Cast, report: &Received, within: Option<Duration>) -> Result<Receipt> {
    let (duo, pupil) = (&cast.duo, report.event.subject().unwrap_or_default());
    let municipality = residence(cast, pupil).await?;
    let reported = data_of(&report.event);
    let mut data = json!({ "soort": reported["soort"], "school": report.publisher.as_str() });
    if let Some(hours) = reported.get("uren") {
        data["uren"] = hours.clone();
    }
    let event = duo.event(PASSED_ON).subject(pupil).data_json(&data);
    let event =
        event.extension("gemeente", municipality).extension("correlationid", report.event.id());
    let event = match within {
        Some(within) => event.extension("deadline", Timestamp::from(SystemTime::now() + within)),
        None => event,
    };
    duo.publish(&event.build()?).await
}

async fn residence(cast: &Cast, pupil: &str) -> Result<String> {
    let questions = |duo: &Party| {
        let question = duo.event("nl.brp.woonplaats.vraag").subject(pupil).build()?;
        Ok(vec![Question::new(&question)])
    };
    for _ in 0..20 {
        let gathered = cast.duo.gather(questions, Duration::from_secs(5)).await?;
        if let Some(Outcome::Answered(Answer { result: Ok(event), .. })) =
            gathered.first().map(|one| &one.outcome)
        {
            let data = data_of(event);
            ensure!(data.get("adres").is_none(), "DUO gets no address");
            let municipality = data["gemeente"].as_str().context("an answer without gemeente")?;
            return Ok(municipality.to_owned());
        }
    }
    anyhow::bail!("the BRP does not answer")
}

async fn two_are_absent(stage: &mut Stage, cast: &Cast) -> Result<(Uuid, Uuid)> {
    stage
        .step(&cast.north, "reports two pupils who were absent for 16 hours in four weeks")
        .await?;
    let absence = json!({ "soort": "verzuim", "uren": 16, "opmerking": "vader belde" });
    let pupil = report(cast, &cast.north, PUPIL, &absence).await?;
    let classmate = report(cast, &cast.north, CLASSMATE, &absence).await?;

    stage.step(&cast.duo, "asks the BRP where they live, and passes the reports on").await?;
    let of_pupil = pass_on(cast, &pupil, None).await?.message_id;
    let of_classmate = pass_on(cast, &classmate, None).await?.message_id;
    let at_rotterdam =
        cast.rotterdam.reports.wait("a report", |one| of_play(cast, one, PUPIL)).await?;
    cast.utrecht.reports.wait("a report", |one| of_play(cast, one, CLASSMATE)).await?;
    let other = cast.rotterdam.reports.none(|one| of_play(cast, one, CLASSMATE)).await
        && cast.utrecht.reports.none(|one| of_play(cast, one, PUPIL)).await;
    stage.check("Rotterdam has its own pupil, and Utrecht has its own", other);
    let data = data_of(&at_rotterdam.event);
    stage.check(
        "with the hours and the school, and not what the school remarked",
        data["uren"] == 16 && data.get("opmerking").is_none(),
    );
    Ok((of_pupil, of_classmate))
}

async fn terms_run(stage: &mut Stage, cast: &Cast, absent: Uuid, classmate: Uuid) -> Result<()> {
    let Cast { rotterdam, utrecht, .. } = cast;
    stage.step(&utrecht.party, "confirms the report, and talks to the pupil").await?;
    let case = utrecht.party.says(classmate, CaseState::Received, STATUS, &json!({})).await?;
    let end = case.ends_at.context("the case has a term")?;
    let term: Term = "3 school days".parse()?;
    let by_law = term.ends(jiff::Timestamp::try_from(case.opened_at)?, &Calendar::new());
    stage.note(&format!("it has to act by {}", last_day(end)?));
    stage.check("that is three school days", jiff::Timestamp::try_from(end)? == by_law);
    let done = json!({ "actie": "gesprek gevoerd" });
    utrecht.party.says(classmate, CaseState::Decided, STATUS, &done).await?;
    let told = cast.told(classmate, CaseState::Decided).await?;
    stage.check("DUO knows what was done", data_of(&told.event) == done);
    stage.step(&rotterdam.party, "confirms the other").await?;
    rotterdam.party.says(absent, CaseState::Received, STATUS, &json!({})).await?;
    cast.told(absent, CaseState::Received).await?;
    let not_known = utrecht.party.refused(|| utrecht.party.client.get_case(absent)).await?;
    stage.check("Utrecht cannot look it up: UNKNOWN_CASE", not_known == "UNKNOWN_CASE");
    Ok(())
}

async fn one_moves(stage: &mut Stage, cast: &Cast) -> Result<()> {
    stage
        .step(&cast.brp, "tells that the pupil moved to Utrecht, and that a neighbour did")
        .await?;
    for person in [NEIGHBOUR, PUPIL] {
        cast.residence.lock().unwrap_or_else(PoisonError::into_inner).insert(person, UTRECHT);
        let data = json!({ "gemeente": UTRECHT, "adres": "Domplein 1" });
        let event = cast.brp.event(MOVED).subject(person).data_json(&data).build()?;
        cast.brp.publish(&event).await?;
    }
    let came = cast.moves.wait("the move", |event| of_play(cast, event, PUPIL)).await?;
    stage.check(
        "DUO hears of the pupil, and no address",
        data_of(&came.event) == json!({ "gemeente": UTRECHT }),
    );
    let neighbour = cast.moves.none(|event| of_play(cast, event, NEIGHBOUR)).await;
    stage.check("of the neighbour, who is no pupil, it hears nothing", neighbour);
    Ok(())
}

async fn next_report_goes_there(stage: &mut Stage, cast: &Cast, absent: Uuid) -> Result<()> {
    let Cast { rotterdam, utrecht, duo, .. } = cast;
    let (before, at_utrecht) = (rotterdam.count(), utrecht.count());
    stage
        .step(&rotterdam.party, "gives back the report of a pupil who lives there no longer")
        .await?;
    let moved = json!({ "actie": "verhuisd" });
    rotterdam.party.says(absent, CaseState::NotCompetent, STATUS, &moved).await?;
    cast.told(absent, CaseState::NotCompetent).await?;

    stage.step(duo, "passes it on again, by where the BRP says that the pupil lives now").await?;
    let report = cast.reports.wait("the report", |one| of_play(cast, one, PUPIL)).await?;
    let again = pass_on(cast, &report, None).await?;
    let came = utrecht.reports.wait_for("the report", &again).await?;
    stage.check("Utrecht has it", of_play(cast, &came.event, PUPIL));

    stage.step(&cast.south, "reports the same pupil, at another school by now").await?;
    let absence = json!({ "soort": "verzuim", "uren": 20 });
    let next = self::report(cast, &cast.south, PUPIL, &absence).await?;
    let next = pass_on(cast, &next, None).await?;
    utrecht.reports.wait_for("the report", &next).await?;
    stage.check("it goes to Utrecht", utrecht.count() == at_utrecht + 2);
    stage.check("Rotterdam gets nothing of either", rotterdam.count() == before);
    Ok(())
}

async fn one_leaves(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let utrecht = &cast.utrecht.party;
    stage.step(&cast.north, "reports that the classmate left without a diploma").await?;
    let left = report(cast, &cast.north, CLASSMATE, &json!({ "soort": "uitval" })).await?;
    let case = pass_on(cast, &left, None).await?.message_id;
    stage.step(utrecht, "finds a place to learn on the job").await?;
    utrecht.says(case, CaseState::InProgress, STATUS, &json!({})).await?;
    let placed = json!({ "actie": "leerwerkplek" });
    let ended = utrecht.says(case, CaseState::Decided, STATUS, &placed).await?;
    let told = cast.told(case, CaseState::Decided).await?;
    stage.check(
        "DUO records it",
        data_of(&told.event) == placed && states(&ended) == ["IN_PROGRESS", "DECIDED"],
    );
    Ok(())
}

async fn nobody_acts(stage: &mut Stage, cast: &Cast) -> Result<()> {
    stage.step(&cast.south, "reports the pupil once more, and Utrecht lies still").await?;
    stage.note("(the term of this one is cut short to 3 s, by the message itself)");
    let report =
        report(cast, &cast.south, PUPIL, &json!({ "soort": "verzuim", "uren": 24 })).await?;
    let case = pass_on(cast, &report, Some(SHORT)).await?.message_id;
    let told = cast.told(case, CaseState::Lapsed).await;
    stage.check("DUO is told that nothing was done in time", told.is_ok());
    let lapsed = cast.duo.case(case).await?;
    stage.check("the case stays open, for whoever acts late", !lapsed.closed);
    Ok(())
}

async fn others_ask(stage: &mut Stage, cast: &Cast) -> Result<()> {
    stage.step(&cast.north, "asks the BRP itself where a pupil lives").await?;
    let school = &cast.north;
    let question = school.event("nl.brp.woonplaats.vraag").subject(PUPIL).build()?;
    let refused = school.refused(|| school.client.ask(&question)).await?;
    stage.check("it is refused: NOT_GRANTED", refused == "NOT_GRANTED");
    Ok(())
}
