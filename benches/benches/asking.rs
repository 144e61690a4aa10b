//! Questions and answers: the round trip at 1,000 questions a second, from the moment at
//! which one was to be asked; and what gathering from ten sources costs beyond asking the
//! slowest of them. The peer of a round trip is the same three calls over bare gRPC, with
//! nothing in between: what this machine can do.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};
use wissel_benches::{Arguments, BareAsking, Report};
use wissel_client::{Client, Delivery, Event, Outcome, Question, in_answer_to};
use wissel_testkit::RabbitMq;
use wissel_tests::Gateway;

const ASKER: &str = "00000099000000001000";
const EXCHANGE: &str = "00000099000000009000";
const SOURCES: u32 = 10;
const QUESTIONS: u32 = 5_000;
const PERIOD: Duration = Duration::from_millis(1);
/// How long a source takes for an answer, times its number.
const SLOWER_BY: Duration = Duration::from_millis(10);
/// How many questions are asked one after another.
const LONE: u32 = 500;
/// How often ten sources are gathered from.
const GATHERINGS: u32 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("asking", &arguments);
    let rabbitmq = RabbitMq::start().await?;
    for (bus, name) in [("embedded".to_owned(), "embedded"), (rabbitmq.url(), "RabbitMQ")] {
        let mut gateway = Gateway::stopped(&bus);
        gateway.write_catalogue(&catalogue()?);
        gateway.start_again().await;
        let asker = gateway.client(ASKER);
        for number in 0..=SOURCES {
            tokio::spawn(answer(gateway.client(&source(number)), number));
        }
        let bare = BareAsking::start().await?;
        let mut figures: [Vec<f64>; 8] = Default::default();
        for round in 0..arguments.rounds {
            let run = format!("{name}-{round}");
            let asking = async |id: String| {
                let answer = asker.ask(&question(&id, 0)?).await?;
                answer.result.map(drop).map_err(|failure| anyhow!("{failure}"))
            };
            let barely = async |id: String| bare.ask(question(&id, 0)?.encode()).await;
            let lone = one_by_one(&asking, &run).await?;
            let bare_lone = one_by_one(&barely, &run).await?;
            let (median, tail) = round_trips(&asking, &run).await?;
            let (bare_median, bare_tail) = round_trips(&barely, &run).await?;
            let (gathered, slowest) = gatherings(&asker, &run).await?;
            let all = [lone, bare_lone, median, bare_median, tail, bare_tail, gathered, slowest];
            figures.iter_mut().zip(all).for_each(|(figure, value)| figure.push(value));
        }
        let [lone, bare_lone, medians, bare_medians, tails, bare_tails, gathered, slowest] =
            &figures;
        let peer = "bare gRPC";
        report.ratio(&format!("{name}: ask, one by one"), "ms", lone, peer, bare_lone);
        let at_a_rate = format!("{name}: ask at 1,000/s");
        report.ratio(&format!("{at_a_rate}, median"), "ms", medians, peer, bare_medians);
        report.ratio(&format!("{at_a_rate}, p99"), "ms", tails, peer, bare_tails);
        let what = format!("{name}: gather from 10");
        report.ratio(&what, "ms", gathered, "ask the slowest", slowest);
    }
    report.finish();
    Ok(())
}

/// The median in milliseconds, with one question at a time and an answer at once.
async fn one_by_one(ask: &impl AsyncFn(String) -> Result<()>, run: &str) -> Result<f64> {
    let mut took = Vec::new();
    for number in 0..LONE {
        let begun = Instant::now();
        ask(format!("{run}-l{number}")).await?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(wissel_benches::median(&took))
}

/// Median and p99, in milliseconds, with an answer at once.
async fn round_trips(ask: &impl AsyncFn(String) -> Result<()>, run: &str) -> Result<(f64, f64)> {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3)?;
    let begun = Instant::now() + Duration::from_millis(100);
    let mut asking = FuturesUnordered::new();
    let mut next = 0;
    while next < QUESTIONS || !asking.is_empty() {
        tokio::select! {
            () = sleep_until(begun + PERIOD * next), if next < QUESTIONS => {
                let (id, due) = (format!("{run}-{next}"), begun + PERIOD * next);
                asking.push(async move { (due, ask(id).await) });
                next += 1;
            }
            Some((due, answer)) = asking.next() => {
                answer?;
                let took = due.elapsed().as_micros();
                latencies.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits count")]
    let milliseconds = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok((milliseconds(0.5), milliseconds(0.99)))
}

/// Medians of gathering from ten sources, and of asking the slowest, in milliseconds.
async fn gatherings(asker: &Client, run: &str) -> Result<(f64, f64)> {
    let (mut gathered, mut slowest) = (Vec::new(), Vec::new());
    for turn in 0..GATHERINGS {
        let questions = (1..=SOURCES).map(|number| {
            Ok(Question::new(&question(&format!("{run}-g{turn}-{number}"), number)?))
        });
        let questions: Vec<Question> = questions.collect::<Result<_>>()?;
        let begun = Instant::now();
        let mut gathering = asker.gather(&questions, None).await?;
        while let Some(one) = gathering.next().await? {
            anyhow::ensure!(matches!(one.outcome, Outcome::Answered(_)), "no answer");
        }
        gathered.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let begun = Instant::now();
        let event = question(&format!("{run}-s{turn}"), SOURCES)?;
        asker.ask(&event).await?.result.map_err(|failure| anyhow!("{failure}"))?;
        slowest.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok((wissel_benches::median(&gathered), wissel_benches::median(&slowest)))
}

/// Answers what comes, each after the time of its source.
async fn answer(client: Client, number: u32) -> Result<()> {
    let oin = source(number);
    let inbox = client.subscribe(format!("{oin}.vragen")).credit(5_000);
    let answer = |question: &Delivery| {
        let question = question.event();
        let id = format!("a-{}", question.id());
        let event = Event::builder(id, format!("urn:nld:oin:{oin}:systeem:x"), answer_type(number));
        let event = in_answer_to(question, event).data_text("application/json", "{}").build();
        async move {
            // Even a sleep of no time waits for the next tick of the timer, a millisecond.
            if number > 0 {
                tokio::time::sleep(SLOWER_BY * number).await;
            }
            Ok(event.expect("what is built here is right"))
        }
    };
    client.answer_all(inbox, answer).await.context("answering")
}

fn question(id: &str, number: u32) -> Result<Event> {
    let source = format!("urn:nld:oin:{ASKER}:systeem:x");
    Ok(Event::builder(id, source, question_type(number))
        .data_text("application/json", format!("\"{}\"", "x".repeat(1_000)))
        .build()?)
}

fn source(number: u32) -> String {
    format!("000000990000001{number:02}000")
}

fn question_type(number: u32) -> String {
    format!("nl.bench.vraag{number}")
}

fn answer_type(number: u32) -> String {
    format!("nl.bench.antwoord{number}")
}

/// Each source has types of its own.
fn catalogue() -> Result<String> {
    let mut text = format!(
        "[[party]]\noin = \"{EXCHANGE}\"\nname = \"Wissel\"\nexchange = true\n\
         [[party]]\noin = \"{ASKER}\"\nname = \"Asker\"\n"
    );
    for number in 0..=SOURCES {
        let (oin, question, answer) = (source(number), question_type(number), answer_type(number));
        write!(
            text,
            "[[party]]\noin = \"{oin}\"\nname = \"Source {number}\"\n\
             [[event_type]]\nname = \"{question}\"\nowner = \"{oin}\"\ndescription = \"A question.\"\n\
             [event_type.ask]\nanswer = \"{answer}\"\nwithin = \"10 seconds\"\n\
             [[event_type]]\nname = \"{answer}\"\nowner = \"{oin}\"\ndescription = \"An answer.\"\n\
             [[subscription]]\nname = \"{oin}.vragen\"\n"
        )?;
        for (party, event_type, action) in [
            (ASKER, &question, "publish"),
            (ASKER, &answer, "receive"),
            (&oin, &question, "receive"),
            (&oin, &answer, "publish"),
        ] {
            write!(
                text,
                "[[grant]]\nparty = \"{party}\"\ntype = \"{event_type}\"\naction = \"{action}\"\n\
                 purpose = \"To measure\"\nlegal_basis = \"None\"\n"
            )?;
        }
    }
    Ok(text)
}
