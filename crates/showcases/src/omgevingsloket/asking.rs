//! Who is asked: base registries where a work is, advisers what they think of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use wissel_client::{
    Answer, AnswerFailure, Event, FailureCode, Oin, Outcome, Question, in_answer_to,
};

use super::Cast;
use crate::Stage;
use crate::party::{PATIENCE, PAUSE, Party, data_of};

const POSTCODE: &str = "9999ZX";
/// How long registries and advisers have to answer.
const WITHIN: Duration = Duration::from_secs(5);

/// What the base registries know: a municipality, an object and a parcel, by house number.
const PLACES: [(&str, &str, &str); 5] = [
    ("0344", "0344019900000001", "VBD00 A 1"),
    ("0355", "0355019900000002", "VBD00 A 2"),
    ("0344", "0344019900000003", "VBD00 A 3"),
    ("0355", "0355019900000004", "VBD00 A 4"),
    ("1999", "1999019900000005", "VBD00 A 5"),
];

/// Where a work is, by the base registries.
pub(super) struct Place {
    pub(super) municipality: String,
    pub(super) object: String,
    pub(super) parcel: String,
}

/// Lets the base registries answer what they know.
pub(super) fn registries_answer(bag: &Party, brk: &Party) {
    answers(bag, |asked| {
        let (municipality, object, _) = place_of(asked)?;
        let known =
            json!({ "verblijfsobject": object, "gemeente": municipality, "bouwjaar": 1931 });
        Some(("nl.bag.adres.antwoord", known))
    });
    answers(brk, |asked| {
        let (.., parcel) = place_of(asked)?;
        Some(("nl.brk.perceel.antwoord", json!({ "perceel": parcel, "eigenaar": "J. Proef" })))
    });
}

/// Lets advisers answer, and says whether one got to know who applies.
pub(super) fn advisers_answer(advisers: &[Party]) -> Arc<AtomicBool> {
    let applicant_known = Arc::new(AtomicBool::new(false));
    for adviser in advisers {
        let tells = Arc::clone(&applicant_known);
        answers(adviser, move |asked| {
            if asked.get("aanvrager").is_some() {
                tells.store(true, Ordering::Relaxed);
            }
            let advice = json!({ "advies": "geen bezwaar", "over": asked.get("werk")? });
            Some(("nl.omgevingsloket.advies.antwoord", advice))
        });
    }
    applicant_known
}

/// Answers with what is known, in a message of the type that goes with it.
fn answers(
    party: &Party,
    known: impl Fn(&Json) -> Option<(&'static str, Json)> + Clone + Send + Sync + 'static,
) {
    party.answer("vragen", move |party, question| {
        let answer = known(&data_of(&question))
            .ok_or_else(|| AnswerFailure::new(FailureCode::NotFound, "not known here"))
            .and_then(|(event_type, data)| {
                let event = in_answer_to(&question, party.event(event_type).data_json(&data));
                event
                    .build()
                    .map_err(|error| AnswerFailure::new(FailureCode::Failed, error.to_string()))
            });
        async move { answer }
    });
}

fn place_of(asked: &Json) -> Option<(&'static str, &'static str, &'static str)> {
    let number = usize::try_from(asked.get("huisnummer")?.as_u64()?).ok()?;
    PLACES.get(number.checked_sub(1)?).copied()
}

/// Asks until everybody has answered: what each said, in the order of the questions.
async fn ask_all(
    party: &Party,
    questions: impl Fn(&Party) -> Result<Vec<Question>>,
) -> Result<Vec<Json>> {
    let begun = Instant::now();
    loop {
        let mut gathered = party.gather(&questions, WITHIN).await?;
        gathered.sort_by_key(|one| one.index);
        let answers = gathered.iter().filter_map(|one| match &one.outcome {
            Outcome::Answered(Answer { result: Ok(event), .. }) => Some(data_of(event)),
            _ => None,
        });
        let answers: Vec<Json> = answers.collect();
        if answers.len() == gathered.len() {
            return Ok(answers);
        }
        ensure!(begun.elapsed() < PATIENCE, "{} is not answered by all", party.name);
        tokio::time::sleep(PAUSE).await;
    }
}

pub(super) async fn find_places(stage: &mut Stage, cast: &Cast) -> Result<[Place; PLACES.len()]> {
    stage.step(&cast.counter, "asks BAG and BRK where five works are").await?;
    let types = ["nl.bag.adres.vraag", "nl.brk.perceel.vraag"];
    let [bag, brk] = cast.registries.each_ref().map(|party| party.oin);
    let questions = |counter: &Party| {
        let question = |(number, event_type, to): (usize, &str, Oin)| {
            let asked = json!({ "postcode": POSTCODE, "huisnummer": number });
            Ok(Question::new(&counter.event(event_type).data_json(&asked).build()?).to(to))
        };
        let of_place = |number| [(number, types[0], bag), (number, types[1], brk)];
        (1..=PLACES.len()).flat_map(of_place).map(question).collect()
    };
    let answers = ask_all(&cast.counter, questions).await?;
    let text = |answer: &Json, name: &str| {
        let found = answer.get(name).and_then(Json::as_str).map(str::to_owned);
        found.with_context(|| format!("an answer without {name}"))
    };
    let places = answers.chunks_exact(2).map(|of_place| {
        Ok(Place {
            municipality: text(&of_place[0], "gemeente")?,
            object: text(&of_place[0], "verblijfsobject")?,
            parcel: text(&of_place[1], "perceel")?,
        })
    });
    let places: Vec<Place> = places.collect::<Result<_>>()?;
    for Place { municipality, parcel, .. } in &places {
        stage.note(&format!("parcel {parcel} in municipality {municipality}"));
    }
    let has = |name: &str| answers.iter().any(|answer| answer.get(name).is_some());
    stage.check(
        "of the parcels no owner comes, of the buildings no year",
        has("perceel") && has("gemeente") && !has("eigenaar") && !has("bouwjaar"),
    );
    let found = places.len();
    places.try_into().ok().with_context(|| format!("{found} places were found"))
}

/// Asks advisers, with all that the authority knows of the application.
pub(super) async fn advise(
    authority: &Party,
    application: &Event,
    advisers: &[Party],
) -> Result<Vec<Json>> {
    ask_all(authority, |authority| {
        let question = |adviser: &Party| {
            let event = authority.event("nl.omgevingsloket.advies.vraag");
            let event = event.subject(application.subject().unwrap_or_default());
            Ok(Question::new(&event.data_json(&data_of(application)).build()?).to(adviser.oin))
        };
        advisers.iter().map(question).collect()
    })
    .await
}

pub(super) fn advice_on(work: &str) -> Json {
    json!({ "advies": "geen bezwaar", "over": work })
}
