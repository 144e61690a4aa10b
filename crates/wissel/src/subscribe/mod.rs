//! `wissel subscribe`.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use wissel_client::{Client, ClientError, Delivery, InboxName, OpenInbox};

use self::waiting::{Next, Source};
use crate::cli::{Settle, SubscribeArguments};
use crate::exit::Failure;
use crate::serve::stop_signal;
use crate::{client, output};

mod waiting;

pub(crate) async fn run(arguments: SubscribeArguments) -> Result<(), Failure> {
    check(&arguments)?;
    let stop = stop_signal()?;
    let client = client::connect(&arguments.connection)?;
    // No more is in hand at a time than is wanted. What comes as the last ones are settled is
    // given back at the end.
    let credit = u64::from(arguments.credit).min(arguments.count.unwrap_or(u64::MAX));
    let inbox = client
        .subscribe(arguments.inbox.as_str())
        .credit(u32::try_from(credit).unwrap_or(1))
        .open()
        .await?;
    let mut source = Receiving { client, name: arguments.inbox.clone(), inbox };
    let mut received = 0;
    let ended = receive(&mut source, &arguments, &stop, &mut received).await;
    let in_doubt = source.inbox.close().await?;
    let told = told(received, in_doubt);
    match ended {
        Ok(_) if in_doubt > 0 => Err(Failure::unavailable(told)),
        Ok(why) => {
            if !arguments.json {
                output::note(&format!("{told}{why}"));
            }
            Ok(())
        }
        Err(failure) => {
            output::note(&told);
            Err(failure)
        }
    }
}

/// How many were received, and of how many of them it is not known whether that was heard.
fn told(received: u64, in_doubt: u64) -> String {
    if in_doubt == 0 {
        return format!("{received} received");
    }
    format!(
        "{received} received; of {in_doubt} it is not known whether the gateway took how they were \
         settled: what it did not take comes again"
    )
}

/// Receives until there is enough, and says what ended it otherwise.
async fn receive(
    source: &mut Receiving,
    arguments: &SubscribeArguments,
    stop: &CancellationToken,
    received: &mut u64,
) -> Result<&'static str, Failure> {
    let idle = arguments.idle.map(Duration::from_secs);
    while *received < arguments.count.unwrap_or(u64::MAX) {
        let next = tokio::select! {
            () = stop.cancelled() => return Ok(""),
            next = waiting::next(source, idle) => next?,
        };
        let delivery = match next {
            Next::One(delivery) => delivery,
            Next::Nothing => return Ok("; nothing more came"),
            Next::Ended => return Ok(""),
        };
        show(&delivery, arguments.json)?;
        let id = delivery.event().id().to_owned();
        match settle(delivery, arguments).await {
            Ok(()) => *received += 1,
            Err(ClientError::LeaseLost { .. }) => output::note(&format!(
                "{id}: not settled, as its lease or the connection had ended; it comes again"
            )),
            Err(error) => return Err(error.into()),
        }
    }
    Ok("")
}

/// An inbox, and whom to ask whether the gateway is there.
struct Receiving {
    client: Client,
    name: InboxName,
    inbox: OpenInbox,
}

impl Source for Receiving {
    type Item = Delivery;

    async fn next(&mut self) -> Result<Option<Delivery>, ClientError> {
        self.inbox.next().await
    }

    fn is_connected(&self) -> bool {
        self.inbox.is_connected()
    }

    fn reconnects(&self) -> u64 {
        self.inbox.reconnects()
    }

    async fn ask(&self) -> Result<(), ClientError> {
        match self.client.get_inbox(&self.name).await {
            // Whoever refuses is there.
            Err(ClientError::Refused(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn check(arguments: &SubscribeArguments) -> Result<(), Failure> {
    const REASON_CHARACTERS_MAX: usize = 500;
    const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
    let SubscribeArguments { settle, reason, after, .. } = arguments;
    let reason = reason.as_deref();
    if *settle == Settle::Acknowledge && reason.is_some() {
        return Err(Failure::usage("--reason goes with --settle retry or --settle reject"));
    }
    if *settle != Settle::Retry && after.is_some() {
        return Err(Failure::usage("--after goes with --settle retry"));
    }
    if after.is_some_and(|after| after > RETRY_AFTER_MAX) {
        return Err(Failure::usage("--after: expected at most 24 h"));
    }
    if *settle == Settle::Reject && reason.is_some_and(|reason| reason.trim().is_empty()) {
        return Err(Failure::usage("--reason: expected why, in words"));
    }
    if reason.is_some_and(|reason| reason.chars().count() > REASON_CHARACTERS_MAX) {
        let most = REASON_CHARACTERS_MAX;
        return Err(Failure::usage(format!("--reason: expected at most {most} characters")));
    }
    Ok(())
}

async fn settle(delivery: Delivery, arguments: &SubscribeArguments) -> Result<(), ClientError> {
    let reason = arguments.reason.clone().unwrap_or_default();
    match (arguments.settle, arguments.after) {
        (Settle::Acknowledge, _) => delivery.acknowledge().await,
        (Settle::Retry, Some(after)) => delivery.retry(after, reason).await,
        (Settle::Retry, None) => delivery.retry_later(reason).await,
        (Settle::Reject, _) => delivery.reject(reason).await,
    }
}

fn show(delivery: &Delivery, whole: bool) -> Result<(), Failure> {
    let event = delivery.event();
    if whole {
        let json = event.to_json();
        let event: Box<serde_json::value::RawValue> =
            serde_json::value::RawValue::from_string(json).map_err(Failure::internal)?;
        return output::json(&json!({
            "message_id": delivery.message_id().to_string(),
            "publisher": delivery.publisher(),
            "admitted_at": output::moment(delivery.admitted_at()),
            "attempt": delivery.attempt(),
            "deadline": delivery.deadline().map(output::moment),
            "replayed": delivery.is_replayed(),
            "event": event,
        }));
    }
    output::line(&format!(
        "{}  {}  {}  attempt {}{}",
        output::moment(delivery.admitted_at()),
        event.event_type(),
        event.id(),
        delivery.attempt(),
        if delivery.is_replayed() { "  replayed" } else { "" },
    ));
    Ok(())
}
