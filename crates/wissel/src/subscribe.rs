//! `wissel subscribe`.

use std::time::Duration;

use serde_json::json;
use wissel_client::{ClientError, Delivery};

use crate::cli::{Settle, SubscribeArguments};
use crate::exit::Failure;
use crate::serve::stop_signal;
use crate::{client, output};

pub(crate) async fn run(arguments: SubscribeArguments) -> Result<(), Failure> {
    check(&arguments)?;
    let stop = stop_signal()?;
    let client = client::connect(&arguments.connection)?;
    let left = arguments.count.unwrap_or(u64::MAX);
    // No more is taken than is wanted, so that nothing has to be given back.
    let credit = u64::from(arguments.credit).min(left);
    let mut inbox = client
        .subscribe(arguments.inbox.as_str())
        .credit(u32::try_from(credit).unwrap_or(1))
        .open()
        .await?;
    let mut received = 0;
    let mut why = "";
    while received < left {
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = inbox.next() => next?,
            () = idle(arguments.idle) => {
                if !inbox.is_connected() {
                    return Err(Failure::unavailable(format!(
                        "{received} received; the connection to the gateway was lost, and there \
                         is no other yet"
                    )));
                }
                why = "; nothing more came";
                break;
            }
        };
        let Some(delivery) = next else { break };
        show(&delivery, arguments.json)?;
        settle(delivery, &arguments).await?;
        received += 1;
    }
    inbox.close().await?;
    if !arguments.json {
        output::note(&format!("{received} received{why}"));
    }
    Ok(())
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

/// Ends after so long; without end when that is not said.
async fn idle(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
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
