//! `wissel publish`.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use wissel_client::{ClientError, Publisher, PublisherOptions, Receipt, Warning};
use wissel_message::Event;

use crate::amounts::amount;
use crate::cli::PublishArguments;
use crate::events::Events;
use crate::exit::Failure;
use crate::{client, output};

/// How many messages are under way at a time.
const UNDER_WAY_MAX: usize = 1_000;

/// What became of a message, and where it stood.
type Outcome = (String, Result<Receipt, ClientError>);
type UnderWay = FuturesUnordered<futures::future::BoxFuture<'static, Outcome>>;

pub(crate) async fn run(arguments: PublishArguments) -> Result<(), Failure> {
    let mut options = PublisherOptions::default();
    if let Some(timeout) = arguments.connection.timeout() {
        options = options.give_up_after(timeout);
    }
    let client = client::connect_in(arguments.traceparent, &arguments.connection)?;
    let publisher = client.publisher_with(options);
    let mut publishing = Publishing {
        publisher,
        under_way: FuturesUnordered::new(),
        json: arguments.json,
        progress: progress(),
        receipts: 0,
        failures: Vec::new(),
    };
    for file in &arguments.files {
        let mut events = Events::open(file, arguments.json_lines).await?;
        while let Some((place, event)) = events.next().await? {
            publishing.publish(place, event).await?;
        }
    }
    publishing.finish().await
}

struct Publishing {
    publisher: Publisher,
    under_way: UnderWay,
    json: bool,
    progress: ProgressBar,
    receipts: u64,
    /// One for each message that was not published: whether to try again makes sense.
    failures: Vec<bool>,
}

impl Publishing {
    async fn publish(
        &mut self,
        place: String,
        event: Result<Event, wissel_message::JsonError>,
    ) -> Result<(), Failure> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.failed(&place, &error.to_string(), None, false);
                return Ok(());
            }
        };
        while self.under_way.len() >= UNDER_WAY_MAX {
            self.take_one().await;
        }
        let pending = self.publisher.send(&event).await?;
        self.under_way.push(Box::pin(async move { (place, pending.await) }));
        // Outcomes that are there are shown at once.
        while let Some(Some(outcome)) = futures::FutureExt::now_or_never(self.under_way.next()) {
            self.show(outcome);
        }
        Ok(())
    }

    async fn take_one(&mut self) {
        if let Some(outcome) = self.under_way.next().await {
            self.show(outcome);
        }
    }

    fn show(&mut self, (place, outcome): Outcome) {
        self.progress.inc(1);
        match outcome {
            Ok(receipt) => {
                self.receipts += 1;
                if self.json {
                    let inboxes: Vec<String> =
                        receipt.inboxes.iter().map(ToString::to_string).collect();
                    self.print(&json!({
                        "place": place,
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
                let failure = Failure::from(error);
                self.failed(&place, failure.message(), reason.as_deref(), failure.is_for_now());
            }
        }
    }

    fn failed(&mut self, place: &str, error: &str, reason: Option<&str>, retryable: bool) {
        self.failures.push(retryable);
        if self.json {
            self.print(&json!({ "place": place, "error": error, "reason": reason }));
        } else {
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
        let Self { publisher, receipts, failures, json, .. } = self;
        publisher.close().await?;
        if !json {
            output::note(&format!("{receipts} published, {} not", failures.len()));
        }
        if failures.is_empty() {
            if receipts == 0 {
                return Err(Failure::usage("no message in the files; expected at least one"));
            }
            return Ok(());
        }
        let messages = amount(failures.len(), "message was", "messages were");
        let message = format!("{messages} not published");
        if failures.iter().all(|retryable| *retryable) {
            Err(Failure::unavailable(message))
        } else {
            Err(Failure::refused(message))
        }
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
