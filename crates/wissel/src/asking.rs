//! `wissel ask`, `wissel gather` and `wissel answer`.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt as _;
use wissel_client::{Answer, AnswerFailure, Delivery, FailureCode, Outcome, Question};
use wissel_identifiers::Oin;
use wissel_message::Event;

use crate::cli::{AnswerArguments, AskArguments, GatherArguments};
use crate::events::Events;
use crate::exit::Failure;
use crate::serve::stop_signal;
use crate::{client, output};

pub(crate) async fn ask(arguments: AskArguments) -> Result<(), Failure> {
    let AskArguments { file, to, within, traceparent, json, connection } = arguments;
    let client = client::connect_in(traceparent, &connection)?;
    let mut questions = read(&file).await?;
    let (Some((_, question)), true) = (questions.pop(), questions.is_empty()) else {
        let message = format!("{}: expected one question", file.display());
        return Err(Failure::usage(message));
    };
    let mut ask = client.ask(&question);
    if let Some(to) = to {
        ask = ask.to(to);
    }
    if let Some(within) = within {
        ask = ask.within(within);
    }
    let begun = Instant::now();
    let answer = ask.await?;
    let took = begun.elapsed();
    if json {
        output::json(&to_json(&answer)?)?;
    }
    match &answer.result {
        Ok(event) if !json => {
            output::line(&event.to_json());
            output::note(&format!("answered by {} in {}", answer.by, output::duration(took)));
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(failure) => Err(Failure::refused(format!("party {}: {failure}", answer.by))),
    }
}

pub(crate) async fn gather(arguments: GatherArguments) -> Result<(), Failure> {
    let GatherArguments { files, to, within, traceparent, json, connection } = arguments;
    let client = client::connect_in(traceparent, &connection)?;
    let (mut names, mut questions) = (Vec::new(), Vec::new());
    for file in &files {
        for (place, event) in read(file).await? {
            for (name, question) in questions_of(&place, &event, &to) {
                names.push(name);
                questions.push(question);
            }
        }
    }
    let begun = Instant::now();
    let mut gathering = client.gather(&questions, within).await?;
    let (mut rows, mut without) = (Vec::new(), 0);
    while let Some(gathered) = gathering.next().await? {
        let name = names.get(gathered.index).cloned().unwrap_or_default();
        let (outcome, detail) = told(&gathered.outcome);
        without += usize::from(outcome != "answered");
        let took = begun.elapsed();
        if json {
            let answer = match &gathered.outcome {
                Outcome::Answered(answer) => Some(to_json(answer)?),
                _ => None,
            };
            output::json(&json!({
                "question": name, "outcome": outcome, "detail": detail, "answer": answer,
                "after_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            }))?;
        }
        rows.push(vec![name, outcome.to_owned(), output::duration(took), detail]);
    }
    if !json {
        output::table(&["QUESTION", "OUTCOME", ">AFTER", "ANSWER"], rows);
    }
    match without {
        0 => Ok(()),
        some => Err(Failure::refused(format!("{some} of {} without an answer", names.len()))),
    }
}

pub(crate) async fn answer(arguments: AnswerArguments) -> Result<(), Failure> {
    let AnswerArguments { inbox, exec, credit, connection } = arguments;
    let stop = stop_signal()?;
    let client = client::connect(&connection)?;
    let inbox = client.subscribe(inbox.as_str()).credit(credit.into());
    let answering = client.answer_all(inbox, |question: &Delivery| {
        let (question, exec) = (question.event().to_json(), exec.clone());
        async move { run(&exec, &question).await }
    });
    match stop.run_until_cancelled(answering).await {
        None => Ok(()),
        Some(ended) => Ok(ended?),
    }
}

/// The answer of a command to one question.
async fn run(command: &Path, question: &str) -> Result<Event, AnswerFailure> {
    let failed = |what: String| {
        output::note(&format!("{}: {what}", command.display()));
        AnswerFailure::new(FailureCode::Failed, "what answers failed")
    };
    let mut child = tokio::process::Command::new(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it may know the answer nevertheless.
        let _ = input.write_all(question.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    Event::from_json(&output.stdout).map_err(|error| failed(error.to_string()))
}

async fn read(file: &Path) -> Result<Vec<(String, Event)>, Failure> {
    let mut events = Events::open(file, false).await?;
    let mut all = Vec::new();
    while let Some((place, event)) = events.next().await? {
        let event = event.map_err(|error| Failure::usage(format!("{place}: {error}")))?;
        all.push((place.to_string(), event));
    }
    Ok(all)
}

/// The question to each of these parties, with an id of its own for each; or to the only one
/// that can answer it.
fn questions_of(place: &str, event: &Event, to: &[Oin]) -> Vec<(String, Question)> {
    if to.is_empty() {
        return vec![(place.to_owned(), Question::new(event))];
    }
    let question = |party: &Oin| {
        let event = event.clone().with_id(format!("{}-{party}", event.id()));
        (party.to_string(), Question::new(&event).to(*party))
    };
    to.iter().map(question).collect()
}

fn told(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Answered(Answer { result: Ok(event), .. }) => ("answered", event.to_json()),
        Outcome::Answered(Answer { result: Err(failure), .. }) => ("failed", failure.to_string()),
        Outcome::Late => ("late", String::new()),
        Outcome::Refused(refusal) => ("refused", refusal.to_string()),
    }
}

fn to_json(answer: &Answer) -> Result<serde_json::Value, Failure> {
    let (event, failure) = match &answer.result {
        Ok(event) => {
            let raw = RawValue::from_string(event.to_json()).map_err(Failure::internal)?;
            (Some(serde_json::to_value(raw).map_err(Failure::internal)?), None)
        }
        Err(failure) => {
            (None, Some(json!({ "code": failure.code.as_str(), "message": failure.message })))
        }
    };
    Ok(json!({
        "answered_by": answer.by,
        "message_id": answer.message_id.to_string(),
        "event": event,
        "failure": failure,
    }))
}
