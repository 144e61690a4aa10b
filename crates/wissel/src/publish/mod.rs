//! `wissel publish`.

mod outcomes;

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use wissel_client::{ClientError, Publisher, PublisherOptions, Receipt, Warning};
use wissel_message::Event;

use self::outcomes::{Became, Outcomes};
use crate::cli::PublishArguments;
use crate::events::{Events, Place};
use crate::exit::Failure;
use crate::{client, output};

/// How many messages are under way at a time.
const UNDER_WAY_MAX: usize = 1_000;
/// How long a gateway may have no answer for any message, when that is not said.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a message, and where it stood.
type Outcome = (Place, Result<Receipt, ClientError>);
type UnderWay = FuturesUnordered<futures::future::BoxFuture<'static, Outcome>>;

pub(crate) async fn run(arguments: PublishArguments) -> Result<(), Failure> {
    let patience = arguments.connection.timeout().unwrap_or(PATIENCE);
    let options = PublisherOptions::default().give_up_after(patience);
    let client = client::connect_in(arguments.traceparent, &arguments.connection)?;
    let publisher = client.publisher_with(options);
    let mut publishing = Publishing {
        publisher: Some(publisher),
        patience,
        answered: Instant::now(),
        under_way: FuturesUnordered::new(),
        json: arguments.json,
        progress: progress(),
        outcomes: Outcomes::default(),
    };
    let read = publishing.publish_all(&arguments).await;
    // What is under way is told, also when there is a file that cannot be read.
    let finished = publishing.finish().await;
    read.and(finished)
}

struct Publishing {
    /// None when it took too long, and was given up.
    publisher: Option<Publisher>,
    /// How long there may be no answer while messages are under way.
    patience: Duration,
    /// When there was one, or the first of those that are under way was sent.
    answered: Instant,
    under_way: UnderWay,
    json: bool,
    progress: ProgressBar,
    outcomes: Outcomes,
}

impl Publishing {
    async fn publish_all(&mut self, arguments: &PublishArguments) -> Result<(), Failure> {
        for file in &arguments.files {
            let mut events = Events::open(file, arguments.json_lines).await?;
            while let Some((place, event)) = events.next().await? {
                if !self.publish(place, event).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// False when it was given up, and nothing more is to be sent.
    async fn publish(
        &mut self,
        place: Place,
        event: Result<Event, wissel_message::JsonFaults>,
    ) -> Result<bool, Failure> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.outcomes.unreadable();
                self.tell_failed(&place, &error.to_string(), None, Became::Refused);
                return Ok(true);
            }
        };
        while self.under_way.len() >= UNDER_WAY_MAX {
            self.take_one().await?;
        }
        if self.under_way.is_empty() {
            self.answered = Instant::now();
        }
        let Some(publisher) = &self.publisher else {
            self.outcomes.stopped_before(place);
            return Ok(false);
        };
        let Ok(sent) = timeout_at(self.answered + self.patience, publisher.send(&event)).await
        else {
            self.give_up().await?;
            self.outcomes.stopped_before(place);
            return Ok(false);
        };
        match sent {
            Ok(pending) => self.under_way.push(Box::pin(async move { (place, pending.await) })),
            // It is too large, as the others may not be.
            Err(error) => self.show((place, Err(error))),
        }
        // Outcomes that are there are shown at once.
        while let Some(Some(outcome)) = futures::FutureExt::now_or_never(self.under_way.next()) {
            self.show(outcome);
        }
        Ok(true)
    }

    async fn take_one(&mut self) -> Result<(), Failure> {
        if self.publisher.is_none() {
            // Each has its outcome.
            if let Some(outcome) = self.under_way.next().await {
                self.show(outcome);
            }
            return Ok(());
        }
        match timeout_at(self.answered + self.patience, self.under_way.next()).await {
            Ok(Some(outcome)) => self.show(outcome),
            Ok(None) => {}
            Err(_) => self.give_up().await?,
        }
        Ok(())
    }

    /// What is under way gets no answer any more.
    async fn give_up(&mut self) -> Result<(), Failure> {
        match self.publisher.take() {
            Some(publisher) => Ok(publisher.give_up(self.patience).await?),
            None => Ok(()),
        }
    }

    fn show(&mut self, (place, outcome): Outcome) {
        self.progress.inc(1);
        match outcome {
            Ok(receipt) => {
                self.answered = Instant::now();
                self.outcomes.published(receipt.repeated);
                if self.json {
                    let inboxes: Vec<String> =
                        receipt.inboxes.iter().map(ToString::to_string).collect();
                    self.print(&json!({
                        "place": place.to_string(),
                        "published": true,
                        "message_id": receipt.message_id.to_string(),
                        "source": receipt.source,
                        "id": receipt.id,
                        "admitted_at": output::moment(receipt.admitted_at),
                        "inboxes": inboxes,
                        "repeated": receipt.repeated,
                        "warnings": receipt.warnings.iter().map(warning).collect::<Vec<_>>(),
                    }));
                }
            }
            Err(error) => {
                let reason = error.refusal().map(|refusal| refusal.reason.clone());
                let failure = Failure::from(error.clone());
                let became = self.outcomes.failed(place.clone(), &error, &failure);
                if became == Became::Refused {
                    self.answered = Instant::now();
                }
                self.tell_failed(&place, failure.message(), reason.as_deref(), became);
            }
        }
    }

    /// A refused message by itself; the others are told at the end.
    fn tell_failed(&self, place: &Place, error: &str, reason: Option<&str>, became: Became) {
        if self.json {
            let published = (became == Became::Unknown).then_some(serde_json::Value::Null);
            self.print(&json!({
                "place": place.to_string(),
                "error": error,
                "reason": reason,
                "published": published.unwrap_or_else(|| false.into()),
            }));
        } else if became == Became::Refused {
            self.progress.suspend(|| output::note(&format!("{place}: {error}")));
        }
    }

    fn print(&self, value: &serde_json::Value) {
        self.progress.suspend(|| output::line(&value.to_string()));
    }

    async fn finish(mut self) -> Result<(), Failure> {
        while !self.under_way.is_empty() {
            self.take_one().await?;
        }
        self.progress.finish_and_clear();
        let Self { publisher, outcomes, json, .. } = self;
        if let Some(publisher) = publisher {
            publisher.close().await?;
        }
        if !json && !outcomes.is_empty() {
            outcomes.tell();
        }
        outcomes.verdict()
    }
}

fn warning(warning: &Warning) -> serde_json::Value {
    json!({
        "field": warning.field,
        "rule": warning.rule,
        "description": warning.description,
    })
}

/// Shown on a terminal only.
fn progress() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} messages, {per_sec}, {elapsed}");
    let bar = ProgressBar::new_spinner();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
