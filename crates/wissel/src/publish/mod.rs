//! `wissel publish`.

mod outcomes;

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use wissel_client::{ClientError, Publisher, PublisherOptions, Receipt, Warning};
use wissel_message::Event;

use self::outcomes::Outcomes;
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
        publisher,
        patience,
        answered: Instant::now(),
        given_up: CancellationToken::new(),
        under_way: FuturesUnordered::new(),
        json: arguments.json,
        progress: progress(),
        outcomes: Outcomes::default(),
    };
    'reading: for file in &arguments.files {
        let mut events = Events::open(file, arguments.json_lines).await?;
        while let Some((place, event)) = events.next().await? {
            if !publishing.publish(place, event).await? {
                break 'reading;
            }
        }
    }
    publishing.finish().await
}

struct Publishing {
    publisher: Publisher,
    /// How long there may be no answer while messages are under way.
    patience: Duration,
    /// When there was one, or the first of those that are under way was sent.
    answered: Instant,
    /// Cancelled when it took too long: what is under way then has no answer.
    given_up: CancellationToken,
    under_way: UnderWay,
    json: bool,
    progress: ProgressBar,
    outcomes: Outcomes,
}

impl Publishing {
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
                self.tell_failed(&place, &error.to_string(), None, true);
                return Ok(true);
            }
        };
        while self.under_way.len() >= UNDER_WAY_MAX {
            self.take_one().await;
        }
        if self.under_way.is_empty() {
            self.answered = Instant::now();
        }
        if self.given_up.is_cancelled() {
            self.outcomes.stopped_before(place);
            return Ok(false);
        }
        let sending = timeout_at(self.answered + self.patience, self.publisher.send(&event));
        let pending = match sending.await {
            Ok(sent) if !self.given_up.is_cancelled() => sent?,
            _ => {
                self.given_up.cancel();
                self.outcomes.stopped_before(place);
                return Ok(false);
            }
        };
        let (given_up, after) = (self.given_up.clone(), self.patience);
        self.under_way.push(Box::pin(async move {
            let outcome = tokio::select! {
                outcome = pending => outcome,
                () = given_up.cancelled() => Err(ClientError::DeadlineExceeded { after, before: None }),
            };
            (place, outcome)
        }));
        // Outcomes that are there are shown at once.
        while let Some(Some(outcome)) = futures::FutureExt::now_or_never(self.under_way.next()) {
            self.show(outcome);
        }
        Ok(true)
    }

    async fn take_one(&mut self) {
        match timeout_at(self.answered + self.patience, self.under_way.next()).await {
            Ok(Some(outcome)) => self.show(outcome),
            Ok(None) => {}
            Err(_) => self.given_up.cancel(),
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
                let is_refused = self.outcomes.failed(place.clone(), &error, &failure);
                if is_refused {
                    self.answered = Instant::now();
                }
                self.tell_failed(&place, failure.message(), reason.as_deref(), is_refused);
            }
        }
    }

    /// A refused message by itself; those without an answer are told at the end.
    fn tell_failed(&self, place: &Place, error: &str, reason: Option<&str>, is_refused: bool) {
        if self.json {
            let place = place.to_string();
            self.print(&json!({ "place": place, "error": error, "reason": reason }));
        } else if is_refused {
            self.progress.suspend(|| output::note(&format!("{place}: {error}")));
        }
    }

    fn print(&self, value: &serde_json::Value) {
        self.progress.suspend(|| output::line(&value.to_string()));
    }

    async fn finish(mut self) -> Result<(), Failure> {
        while !self.under_way.is_empty() {
            self.take_one().await;
        }
        self.progress.finish_and_clear();
        let Self { publisher, given_up, outcomes, json, .. } = self;
        if !given_up.is_cancelled() {
            publisher.close().await?;
        }
        if !json {
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
