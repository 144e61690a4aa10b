//! Digitaal klantdossier: a counter for work and income sees what six sources know of a
//! client, within two seconds, and asks nobody for what is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use wissel_client::{Answer, FailureCode, Gathered, Outcome, Question, in_answer_to};

use crate::Stage;
use crate::party::{Party, data_of};

/// The client: a number of the test range.
const CLIENT: &str = "999990342";
/// How long the counter waits.
const WITHIN: Duration = Duration::from_secs(2);
/// The inbox of every source.
const INBOX: &str = "vragen";

/// A source, what it is asked, and how often it was.
struct Source {
    party: Party,
    topic: &'static str,
    asked: Arc<AtomicUsize>,
}

/// The inbox that is answered over HTTP, once there is something that answers.
pub(crate) const HTTP_INBOX: &str = "00000099000000006000.vragen";

pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    let counter = stage.party("00000099000000002000", "Loket").await?;
    let slow = Arc::new(AtomicUsize::new(3_000));
    let brp = source(stage, "00000099000000001000", "BRP", "nl.brp.persoonsgegevens").await?;
    let uwv = source(stage, "00000099000000003000", "UWV", "nl.uwv.dienstverbanden").await?;
    let svb = source(stage, "00000099000000004000", "SVB", "nl.svb.kinderbijslag").await?;
    let gemeente =
        source(stage, "00000099000000005000", "Gemeente", "nl.gemeente.bijstand").await?;
    let rdw = source(stage, "00000099000000006000", "RDW", "nl.rdw.voertuigbezit").await?;
    let duo = source(stage, "00000099000000007000", "DUO", "nl.duo.opleiding").await?;

    let at_once = Arc::new(AtomicUsize::new(0));
    let brp_knows = json!({ "naam": "J. Proef", "adres": "Coolsingel 1", "partner": false, "godsdienst": "geheim" });
    answers(&brp, brp_knows, &at_once);
    answers(&uwv, json!({ "werkgever": "Haven B.V.", "uren": 32, "ziekmeldingen": 4 }), &at_once);
    answers(&svb, json!({ "kinderen": 2, "bedrag": 52_000 }), &slow);
    answers(&gemeente, json!({ "bijstand": false, "schulden": 12_000 }), &at_once);
    answers(&duo, json!({ "diploma": "mbo-4", "cijfers": [6, 7, 8] }), &at_once);
    let sources = [brp, uwv, svb, gemeente, rdw, duo];

    stage.step(&counter, "gathers from six sources what is known, within 2 s").await?;
    let mut dossier = BTreeMap::new();
    let begun = Instant::now();
    let gathered = gather(&counter, &sources, &dossier).await?;
    let took = begun.elapsed();
    tell(stage, &sources, &gathered, &mut dossier);
    stage.check("what became of each of the six is told", gathered.len() == 6);
    let of = |topic: &str| outcome_of(&sources, &gathered, topic);
    stage.check(
        "SVB, which is slow, is marked late",
        matches!(of("nl.svb.kinderbijslag"), Some(Outcome::Late)),
    );
    stage.check(
        "RDW, which is down, is marked unavailable",
        is_unavailable(of("nl.rdw.voertuigbezit")),
    );
    stage.check("the other four are there", dossier.len() == 4);
    stage.note(&format!("after {} ms, gateway restarts counted in", took.as_millis()));
    let name = dossier.get("nl.brp.persoonsgegevens");
    let expected = json!({ "naam": "J. Proef", "adres": "Coolsingel 1", "partner": false });
    stage.check("of the BRP no more than its grant allows: no religion", name == Some(&expected));
    let work = dossier.get("nl.uwv.dienstverbanden");
    let expected = json!({ "werkgever": "Haven B.V.", "uren": 32 });
    stage.check("of UWV no reports of illness", work == Some(&expected));

    let before = asked(&sources);
    stage.step(&sources[4].party, "is there again, and SVB is quick again").await?;
    let port = stage.http_port().context("the play has a source that answers over HTTP")?;
    serve_over_http(port, json!({ "voertuigen": 1, "dagwaarde": 3_400, "kenteken": "XX-99-XX" }));
    slow.store(0, Ordering::Relaxed);

    stage.step(&counter, "gathers what is missing, and nothing else").await?;
    let begun = Instant::now();
    while dossier.len() < sources.len() {
        // The circuit of RDW closes by itself.
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "the dossier stays incomplete");
        let gathered = gather(&counter, &sources, &dossier).await?;
        tell(stage, &sources, &gathered, &mut dossier);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let again = asked(&sources);
    let known = [0, 1, 3, 5];
    stage.check(
        "who had answered was not asked again",
        known.iter().all(|&one| before[one] == again[one]),
    );
    let vehicles = dossier.get("nl.rdw.voertuigbezit");
    let expected = json!({ "voertuigen": 1, "dagwaarde": 3_400 });
    stage.check("of RDW no registration number", vehicles == Some(&expected));
    stage.check(
        "of SVB the children and not the amount",
        dossier.get("nl.svb.kinderbijslag") == Some(&json!({ "kinderen": 2 })),
    );

    stage.step(&sources[1].party, "tries to ask the BRP itself, for which it has no grant").await?;
    let event = sources[1].party.event("nl.brp.persoonsgegevens.vraag").subject(CLIENT).build()?;
    let uwv = &sources[1].party;
    let refused = uwv.refused(|| uwv.client.ask(&event)).await?;
    stage.check("it is refused: NOT_GRANTED", refused == "NOT_GRANTED");
    Ok(())
}

async fn source(
    stage: &Stage,
    oin: &str,
    name: &'static str,
    topic: &'static str,
) -> Result<Source> {
    Ok(Source { party: stage.party(oin, name).await?, topic, asked: Arc::default() })
}

/// Answers what it is asked, after so many milliseconds.
fn answers(source: &Source, knows: Json, after: &Arc<AtomicUsize>) {
    let (topic, asked, after) = (source.topic, Arc::clone(&source.asked), Arc::clone(after));
    source.party.answer(INBOX, move |party, question| {
        asked.fetch_add(1, Ordering::Relaxed);
        let after = Duration::from_millis(after.load(Ordering::Relaxed) as u64);
        let event = party.event(&format!("{topic}.antwoord")).data_json(&knows);
        let answer = in_answer_to(&question, event).build();
        async move {
            tokio::time::sleep(after).await;
            answer.map_err(|error| {
                wissel_client::AnswerFailure::new(FailureCode::Failed, error.to_string())
            })
        }
    });
}

/// Asks the sources of which nothing is known yet.
async fn gather(
    counter: &Party,
    sources: &[Source],
    dossier: &BTreeMap<&'static str, Json>,
) -> Result<Vec<Gathered>> {
    let missing = sources.iter().filter(|source| !dossier.contains_key(source.topic));
    let missing: Vec<&Source> = missing.collect();
    let questions = |counter: &Party| {
        let question = |source: &&Source| {
            let event =
                counter.event(&format!("{}.vraag", source.topic)).subject(CLIENT).build()?;
            Ok(Question::new(&event).to(source.party.oin))
        };
        missing.iter().map(question).collect()
    };
    let mut gathered = counter.gather(questions, WITHIN).await?;
    // By their place among all.
    for one in &mut gathered {
        let topic = missing.get(one.index).map(|source| source.topic);
        one.index =
            sources.iter().position(|source| Some(source.topic) == topic).unwrap_or(usize::MAX);
    }
    Ok(gathered)
}

/// Shows what came, and keeps it.
fn tell(
    stage: &Stage,
    sources: &[Source],
    gathered: &[Gathered],
    dossier: &mut BTreeMap<&'static str, Json>,
) {
    for one in gathered {
        let Some(source) = sources.get(one.index) else { continue };
        let name = source.party.name;
        match &one.outcome {
            Outcome::Answered(Answer { result: Ok(event), .. }) => {
                stage.note(&format!("{name} answers: {}", data_of(event)));
                dossier.insert(source.topic, data_of(event));
            }
            Outcome::Answered(Answer { result: Err(failure), .. }) => {
                stage.note(&format!("{name}: {failure}"));
            }
            Outcome::Late => stage.note(&format!("{name}: late")),
            Outcome::Refused(refusal) => stage.note(&format!("{name}: refused, {refusal}")),
        }
    }
}

fn outcome_of<'a>(
    sources: &[Source],
    gathered: &'a [Gathered],
    topic: &str,
) -> Option<&'a Outcome> {
    let index = sources.iter().position(|source| source.topic == topic)?;
    gathered.iter().find(|one| one.index == index).map(|one| &one.outcome)
}

fn is_unavailable(outcome: Option<&Outcome>) -> bool {
    matches!(
        outcome,
        Some(Outcome::Answered(Answer { result: Err(failure), .. })) if failure.code == FailureCode::Unavailable
    )
}

fn asked(sources: &[Source]) -> Vec<usize> {
    sources.iter().map(|source| source.asked.load(Ordering::Relaxed)).collect()
}

/// A registry with a REST interface: whatever it is asked, it answers this.
fn serve_over_http(port: u16, knows: Json) {
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(crate::rest::answer(stream, knows.to_string()));
        }
        #[allow(unreachable_code, reason = "it serves until the play ends")]
        std::io::Result::Ok(())
    });
}
