//! `wissel inboxes`.

use std::time::{Duration, SystemTime};

use serde_json::json;
use wissel_client::{
    Client, DeliveryState, InboxName, InboxSettings, InboxState, Receiver, UnsettledDelivery,
    WhenFull,
};

use crate::cli::InboxesArguments;
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(arguments: InboxesArguments) -> Result<(), Failure> {
    if let Some(every) = arguments.watch.watch {
        return watch(every, &arguments).await;
    }
    let client = client::connect(&arguments.connection)?;
    if let (Some(name), Some(most)) = (&arguments.name, arguments.messages) {
        return messages(&client, name, most, arguments.json).await;
    }
    let mut settings = InboxSettings::default();
    let changed: Vec<&str> =
        arguments.settings.iter().map(|setting| setting.put(&mut settings)).collect();
    let inboxes = match &arguments.name {
        Some(name) if !changed.is_empty() => {
            vec![client.set_inbox(name, &settings, &changed).await?]
        }
        name => get(&client, name.as_ref()).await?,
    };
    if arguments.json {
        return inboxes.iter().try_for_each(|inbox| output::json(&to_json(inbox)));
    }
    output::line(&text(&inboxes, arguments.name.is_some()));
    Ok(())
}

async fn watch(every: Duration, arguments: &InboxesArguments) -> Result<(), Failure> {
    let client = &client::connect_without_retries(&arguments.connection)?;
    let (name, as_json) = (arguments.name.as_ref(), arguments.json);
    let look = || async move {
        let inboxes = get(client, name).await?;
        if !as_json {
            return Ok(text(&inboxes, name.is_some()));
        }
        let inboxes: Vec<_> = inboxes.iter().map(to_json).collect();
        let now = output::moment(SystemTime::now());
        serde_json::to_string(&json!({ "at": now, "inboxes": inboxes })).map_err(Failure::internal)
    };
    watching::again_and_again(every, as_json, look).await
}

/// What is not settled of an inbox, the first of it.
async fn messages(
    client: &Client,
    name: &InboxName,
    most: u32,
    as_json: bool,
) -> Result<(), Failure> {
    let deliveries = client.list_deliveries(name, most).await?;
    if as_json {
        return deliveries.iter().try_for_each(|one| output::json(&delivery_to_json(one)));
    }
    if deliveries.is_empty() {
        output::note("nothing to show; retries that wait on RabbitMQ are counted, not shown");
        return Ok(());
    }
    let columns =
        ["MESSAGE", "TYPE", "PUBLISHER", "ADMITTED AT", ">ATTEMPT", "STATE", "LAST REASON"];
    let rows = deliveries.into_iter().map(|one| {
        let reason = one.history.last().map(|last| last.reason.clone()).unwrap_or_default();
        vec![
            one.message_id.to_string(),
            one.event_type,
            one.publisher.to_string(),
            output::moment(one.admitted_at),
            one.attempt.to_string(),
            state(one.state),
            reason,
        ]
    });
    output::table(&columns, rows.collect());
    Ok(())
}

/// Who receives, and whether it gets on.
pub(crate) fn receiver_text(receiver: &Receiver, now: SystemTime) -> String {
    let Receiver { party, on_behalf_of, credit, in_hand, .. } = receiver;
    let of = on_behalf_of.map(|of| format!(" for {of}")).unwrap_or_default();
    let ago = |at: SystemTime| output::duration(now.duration_since(at).unwrap_or_default());
    let settled = receiver.settled_at.map_or_else(
        || "has settled nothing".to_owned(),
        |at| format!("settled something {} ago", ago(at)),
    );
    let since = ago(receiver.since);
    format!("received by {party}{of} since {since}: {in_hand} of {credit} in hand, {settled}")
}

/// What a message waits for, in a few words.
pub(crate) fn state(state: DeliveryState) -> String {
    match state {
        DeliveryState::Ready => "ready".to_owned(),
        DeliveryState::InFlight => "in flight".to_owned(),
        DeliveryState::Delayed(due) => format!("retry at {}", output::moment(due)),
    }
}

fn delivery_to_json(one: &UnsettledDelivery) -> serde_json::Value {
    let (state, due_at) = match one.state {
        DeliveryState::Ready => ("ready", None),
        DeliveryState::InFlight => ("in-flight", None),
        DeliveryState::Delayed(due) => ("delayed", Some(output::moment(due))),
    };
    json!({
        "message_id": one.message_id.to_string(),
        "source": one.source,
        "id": one.id,
        "type": one.event_type,
        "publisher": one.publisher,
        "admitted_at": output::moment(one.admitted_at),
        "attempt": one.attempt,
        "state": state,
        "due_at": due_at,
        "size": one.size,
        "history": output::history(&one.history),
    })
}

/// One inbox, or all.
async fn get(client: &Client, name: Option<&InboxName>) -> Result<Vec<InboxState>, Failure> {
    Ok(match name {
        Some(name) => vec![client.get_inbox(name).await?],
        None => client.list_inboxes().all().await?,
    })
}

/// For people; the settings of one are told when it is asked for by name.
fn text(inboxes: &[InboxState], is_named: bool) -> String {
    let columns =
        ["INBOX", ">DEPTH", ">DELAYED", ">IN FLIGHT", ">CONSUMERS", ">OLDEST", ">DEAD LETTERS"];
    let rows = inboxes.iter().map(|inbox| {
        vec![
            inbox.name.to_string(),
            inbox.depth.to_string(),
            inbox.delayed.to_string(),
            inbox.in_flight.to_string(),
            inbox.consumers.to_string(),
            inbox.oldest_age.map_or_else(|| "-".to_owned(), output::duration),
            inbox.dead_letters.to_string(),
        ]
    });
    let mut text = output::table_text(&columns, rows.collect());
    if let (true, [inbox]) = (is_named, inboxes) {
        let stated = settings(inbox);
        if !stated.is_empty() {
            text.push_str(&format!("\nsettings of its own: {}", stated.join(", ")));
        }
        for receiver in &inbox.receivers {
            text.push_str(&format!("\n{}", receiver_text(receiver, SystemTime::now())));
        }
    }
    text
}

/// The settings of its own that an inbox has, each as `name = value`.
pub(crate) fn settings(inbox: &InboxState) -> Vec<String> {
    let stated = to_json(inbox)["settings"].clone();
    let stated = stated.as_object().into_iter().flatten();
    let stated = stated.filter(|(_, value)| !value.is_null());
    stated.map(|(name, value)| format!("{name} = {value}")).collect()
}

pub(crate) fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

fn to_json(inbox: &InboxState) -> serde_json::Value {
    json!({
        "name": inbox.name,
        "depth": inbox.depth,
        "delayed": inbox.delayed,
        "in_flight": inbox.in_flight,
        "consumers": inbox.consumers,
        "oldest_age_seconds": seconds(inbox.oldest_age),
        "dead_letters": inbox.dead_letters,
        "settings": {
            "max_attempts": inbox.settings.max_attempts,
            "retry_initial_seconds": seconds(inbox.settings.retry_initial),
            "retry_max_seconds": seconds(inbox.settings.retry_max),
            "max_age_seconds": seconds(inbox.settings.max_age),
            "max_deliveries": inbox.settings.max_deliveries,
            "max_bytes": inbox.settings.max_bytes,
            "when_full": inbox.settings.when_full.map(|what| match what {
                WhenFull::DeadLetter => "dead-letter",
                _ => "refuse",
            }),
            "direct_amqp": inbox.settings.direct_amqp.then_some(true),
            "paused": inbox.settings.paused.then_some(true),
            "draining": inbox.settings.draining.then_some(true),
        },
        "receivers": inbox.receivers.iter().map(receiver_to_json).collect::<Vec<_>>(),
    })
}

fn receiver_to_json(receiver: &Receiver) -> serde_json::Value {
    json!({
        "party": receiver.party,
        "on_behalf_of": receiver.on_behalf_of,
        "since": output::moment(receiver.since),
        "credit": receiver.credit,
        "in_hand": receiver.in_hand,
        "settled_at": receiver.settled_at.map(output::moment),
    })
}
