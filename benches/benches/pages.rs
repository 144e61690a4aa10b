//! The pages of the console with 100,000 inboxes and a million dead letters: how long each
//! takes, the first time and after that.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt as _;
use wissel_benches::{Arguments, Report};
use wissel_client::{Event, InboxSettings, PublisherOptions, WhenFull};
use wissel_identifiers::InboxName;
use wissel_testkit::free_port;
use wissel_tests::{Gateway, OPERATOR};

const PUBLISHER: &str = "00000099000000001000";
const FULL: &str = "00000099000000002000";
const PARTIES: u32 = 100;
const INBOXES: u32 = 100_000;
/// Event types, and the parties that receive each.
const TYPES: u32 = 60;
const RECEIVERS: u32 = 10;
const DEAD_LETTERS: u32 = 1_000_000;
/// A survey is older than this after so long, and is taken again.
const OLD: Duration = Duration::from_secs(11);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("pages", &arguments);
    let mut gateway = Gateway::stopped("embedded");
    let port = free_port()?;
    gateway.write_config(&format!("[console]\nlisten = \"127.0.0.1:{port}\"\n"));
    gateway.write_catalogue(&catalogue()?);
    gateway.start_again().await;
    fill(&gateway).await?;
    let http = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}");
    let inbox = format!("/inboxes/{FULL}.vol");
    // The last dead letter, and what happened to its message: the farthest to look.
    let mut letters = gateway.client(OPERATOR).list_dead_letters(&format!("{FULL}.vol").parse()?);
    let first = letters.next().await?.context("there are no dead letters")?.dead_letter_id;
    let last = letters.try_fold(None, |_, one| std::future::ready(Ok(Some(one)))).await?;
    let last = last.context("there is one dead letter")?;
    for (name, path) in [
        ("one dead letter", format!("{inbox}/dead-letters/{}", last.dead_letter_id)),
        ("the second page of dead letters", format!("{inbox}/dead-letters?after={first}")),
        ("what waits in an inbox", format!("{inbox}/messages")),
        ("dossier", format!("/dossier?message={}", last.message_id)),
        ("overview", "/".to_owned()),
        ("inboxes", "/inboxes".to_owned()),
        ("inboxes, by a part of the name", "/inboxes?name=0042".to_owned()),
        ("one inbox", format!("/inboxes/{FULL}.vol")),
        ("dead letters", format!("/inboxes/{FULL}.vol/dead-letters")),
        ("map", "/map".to_owned()),
        ("catalogue", "/catalogue".to_owned()),
        ("parties", "/parties".to_owned()),
        ("a party with a thousand inboxes", format!("/parties/{}", oin_of(0))),
        ("subscriptions", "/subscriptions".to_owned()),
        ("audit trail", "/records".to_owned()),
        ("system", "/system".to_owned()),
        ("metrics", "/metrics".to_owned()),
    ] {
        let mut first = Vec::new();
        let mut again = Vec::new();
        for _ in 0..arguments.rounds {
            tokio::time::sleep(OLD).await;
            first.push(milliseconds(&http, &url, &path).await?);
            for _ in 0..5 {
                again.push(milliseconds(&http, &url, &path).await?);
            }
        }
        report.figure(&format!("{name}, after a while"), "ms", &first);
        report.figure(&format!("{name}, at once again"), "ms", &again);
    }
    report.finish();
    Ok(())
}

async fn milliseconds(http: &reqwest::Client, url: &str, path: &str) -> Result<f64> {
    let begun = Instant::now();
    let response = http.get(format!("{url}{path}")).send().await?;
    ensure!(response.status().is_success(), "{path}: {}", response.status());
    response.bytes().await?;
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}

/// Fills an inbox that has no room: what comes to it is a dead letter at once.
async fn fill(gateway: &Gateway) -> Result<()> {
    let inbox: InboxName = format!("{FULL}.vol").parse()?;
    let settings = InboxSettings {
        draining: true,
        when_full: Some(WhenFull::DeadLetter),
        ..InboxSettings::default()
    };
    let operator = gateway.client(OPERATOR);
    operator.set_inbox(&inbox, &settings, &["draining", "when_full"]).await?;
    let publisher =
        gateway.client(PUBLISHER).publisher_with(PublisherOptions::default().max_in_flight(10_000));
    for number in 0..DEAD_LETTERS {
        let source = format!("urn:nld:oin:{PUBLISHER}:systeem:x");
        let event = Event::builder(format!("d-{number}"), source, "nl.bench.vol")
            .data_text("application/json", format!("\"{}\"", "x".repeat(200)))
            .build()?;
        drop(publisher.send(&event).await?);
    }
    publisher.flush().await?;
    let state = operator.get_inbox(&inbox).await?;
    ensure!(state.dead_letters == u64::from(DEAD_LETTERS), "{} dead letters", state.dead_letters);
    Ok(())
}

/// A hundred parties with a thousand inboxes each, to which nothing comes, and one that is full.
fn catalogue() -> Result<String> {
    let mut text = format!(
        "[[party]]\noin = \"{PUBLISHER}\"\nname = \"Publisher\"\n\
         [[party]]\noin = \"{FULL}\"\nname = \"Full\"\n"
    );
    for (event_type, description) in [("nl.bench.vol", "Too much."), ("nl.bench.leeg", "Nothing.")]
    {
        write!(
            text,
            "[[event_type]]\nname = \"{event_type}\"\nowner = \"{PUBLISHER}\"\n\
             description = \"{description}\"\n"
        )?;
        text += &grant(PUBLISHER, event_type, "publish");
    }
    text += &grant(FULL, "nl.bench.vol", "receive");
    // As many types as the catalogue that is shipped, each for some.
    for number in 0..TYPES {
        let event_type = format!("nl.bench.soort-{number}");
        write!(
            text,
            "[[event_type]]\nname = \"{event_type}\"\nowner = \"{PUBLISHER}\"\n\
             description = \"One of many.\"\n"
        )?;
        text += &grant(PUBLISHER, &event_type, "publish");
        for party in 0..RECEIVERS {
            text += &grant(&oin_of(party), &event_type, "receive");
        }
    }
    write!(text, "[[subscription]]\nname = \"{FULL}.vol\"\n")?;
    for party in 0..PARTIES {
        let oin = oin_of(party);
        write!(text, "[[party]]\noin = \"{oin}\"\nname = \"Party {party}\"\n")?;
        text += &grant(&oin, "nl.bench.leeg", "receive");
        for number in 0..INBOXES / PARTIES {
            write!(text, "[[subscription]]\nname = \"{oin}.leeg-{number:04}\"\n")?;
        }
    }
    Ok(text)
}

fn oin_of(party: u32) -> String {
    format!("000000990001{party:05}000")
}

fn grant(party: &str, event_type: &str, action: &str) -> String {
    format!(
        "[[grant]]\nparty = \"{party}\"\ntype = \"{event_type}\"\naction = \"{action}\"\n\
         purpose = \"To measure\"\nlegal_basis = \"None\"\n"
    )
}
