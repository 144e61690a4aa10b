//! `wissel subscribe`.

use serde_json::json;
use wissel_client::Delivery;

use crate::cli::SubscribeArguments;
use crate::exit::Failure;
use crate::serve::stop_signal;
use crate::{client, output};

pub(crate) async fn run(arguments: SubscribeArguments) -> Result<(), Failure> {
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
    while received < left {
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = inbox.next() => next?,
        };
        let Some(delivery) = next else { break };
        show(&delivery, arguments.json)?;
        delivery.acknowledge().await?;
        received += 1;
    }
    inbox.close().await?;
    if !arguments.json {
        output::note(&format!("{received} received"));
    }
    Ok(())
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
