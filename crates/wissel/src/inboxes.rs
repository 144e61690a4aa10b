//! `wissel inboxes`.

use std::time::{Duration, SystemTime};

use serde_json::json;
use wissel_client::{
    DeliveryState, InboxName, InboxSettings, InboxState, Receiver, UnsettledDelivery, WhenFull,
};

use crate::cli::{
    InboxArguments, InboxMessagesArguments, InboxSetArguments, InboxesCommand, LookArguments,
};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: InboxesCommand) -> Result<(), Failure> {
    match command {
        InboxesCommand::List(look) => watching::show(&look, || list(&look)).await,
        InboxesCommand::Show(InboxArguments { name, look }) => {
            watching::show(&look, || show(&name, &look)).await
        }
        InboxesCommand::Messages(InboxMessagesArguments { name, limit, look }) => {
            watching::show(&look, || messages(&name, limit, &look)).await
        }
        InboxesCommand::Set(arguments) => set(arguments).await,
    }
}

async fn list(look: &LookArguments) -> Result<(), Failure> {
    let inboxes = client::connect(&look.connection)?.list_inboxes().all().await?;
    if look.json {
        return inboxes.iter().try_for_each(|inbox| output::json(&to_json(inbox)));
    }
    table(&inboxes);
    Ok(())
}

async fn show(name: &InboxName, look: &LookArguments) -> Result<(), Failure> {
    let inbox = client::connect(&look.connection)?.get_inbox(name).await?;
    print(&inbox, look.json)
}

async fn set(arguments: InboxSetArguments) -> Result<(), Failure> {
    let InboxSetArguments { name, settings: wanted, json, connection } = arguments;
    let mut settings = InboxSettings::default();
    let changed: Vec<&str> = wanted.iter().map(|setting| setting.put(&mut settings)).collect();
    let inbox = client::connect(&connection)?.set_inbox(&name, &settings, &changed).await?;
    print(&inbox, json)
}

/// What is not settled of an inbox, the first of it.
async fn messages(name: &InboxName, most: u32, look: &LookArguments) -> Result<(), Failure> {
    let deliveries = client::connect(&look.connection)?.list_deliveries(name, most).await?;
    if look.json {
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
        "event_id": one.id,
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

/// One inbox, with its settings and who receives.
fn print(inbox: &InboxState, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return output::json(&to_json(inbox));
    }
    table(std::slice::from_ref(inbox));
    let stated = settings(inbox);
    if stated.is_empty() {
        output::line("settings: as the gateway is set");
    } else {
        output::line(&format!("settings of its own: {}", stated.join(" ")));
    }
    if let Some(in_effect) = &inbox.in_effect {
        output::line(&format!("in effect: {}", effect_text(in_effect)));
    }
    if inbox.receivers.is_empty() {
        output::line("nobody receives at this gateway");
    }
    for receiver in &inbox.receivers {
        output::line(&receiver_text(receiver, SystemTime::now()));
    }
    Ok(())
}

fn table(inboxes: &[InboxState]) {
    let columns =
        ["INBOX", ">DEPTH", ">DELAYED", ">IN FLIGHT", ">CONSUMERS", ">OLDEST", ">DEAD LETTERS"];
    let rows = inboxes.iter().map(|inbox| {
        vec![
            inbox.name.to_string(),
            depth(inbox),
            inbox.delayed.to_string(),
            inbox.in_flight.to_string(),
            inbox.consumers.to_string(),
            inbox.oldest_age.map_or_else(|| "-".to_owned(), output::duration),
            inbox.dead_letters.to_string(),
        ]
    });
    output::table(&columns, rows.collect());
    if inboxes.iter().any(|inbox| inbox.depth_is_least) {
        output::note(
            "+: at least so many; what others sent together counts as one until this gateway meets it",
        );
    }
}

/// How many wait in an inbox, with a mark when there may be more.
pub(crate) fn depth(inbox: &InboxState) -> String {
    format!("{}{}", inbox.depth, if inbox.depth_is_least { "+" } else { "" })
}

/// The settings of its own that an inbox has, each as `inboxes set` takes it.
pub(crate) fn settings(inbox: &InboxState) -> Vec<String> {
    stated(&inbox.settings)
}

/// All that is in effect, and which limits there are not.
fn effect_text(in_effect: &InboxSettings) -> String {
    let InboxSettings { max_age, max_deliveries, max_bytes, .. } = in_effect;
    let limits = [
        ("max_age", max_age.is_some()),
        ("max_deliveries", max_deliveries.is_some()),
        ("max_bytes", max_bytes.is_some()),
    ];
    let none: Vec<&str> =
        limits.into_iter().filter(|(_, is_set)| !is_set).map(|(name, _)| name).collect();
    let stated = stated(in_effect).join(" ");
    if none.is_empty() { stated } else { format!("{stated}; no limit by {}", none.join(", ")) }
}

/// The settings that are not none, each as `inboxes set` takes it.
fn stated(settings: &InboxSettings) -> Vec<String> {
    let InboxSettings {
        max_attempts,
        retry_initial,
        retry_max,
        max_age,
        max_deliveries,
        max_bytes,
        when_full,
        direct_amqp,
        paused,
        draining,
        ..
    } = settings;
    let when_full = when_full.map(when_full_text);
    let switch = |on: &bool| on.then(|| "true".to_owned());
    let stated = [
        ("max_attempts", max_attempts.map(|count| count.to_string())),
        ("retry_initial", retry_initial.map(output::exact_duration)),
        ("retry_max", retry_max.map(output::exact_duration)),
        ("max_age", max_age.map(output::exact_duration)),
        ("max_deliveries", max_deliveries.map(|count| count.to_string())),
        ("max_bytes", max_bytes.map(|count| count.to_string())),
        ("when_full", when_full.map(str::to_owned)),
        ("direct_amqp", switch(direct_amqp)),
        ("paused", switch(paused)),
        ("draining", switch(draining)),
    ];
    let stated = stated.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    stated.collect()
}

fn when_full_text(what: WhenFull) -> &'static str {
    match what {
        WhenFull::DeadLetter => "dead-letter",
        _ => "refuse",
    }
}

pub(crate) fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

fn to_json(inbox: &InboxState) -> serde_json::Value {
    json!({
        "name": inbox.name,
        "depth": inbox.depth,
        "depth_is_least": inbox.depth_is_least,
        "delayed": inbox.delayed,
        "in_flight": inbox.in_flight,
        "consumers": inbox.consumers,
        "oldest_age_seconds": seconds(inbox.oldest_age),
        "dead_letters": inbox.dead_letters,
        "settings": settings_to_json(&inbox.settings),
        "in_effect": inbox.in_effect.as_ref().map(in_effect_to_json),
        "receivers": inbox.receivers.iter().map(receiver_to_json).collect::<Vec<_>>(),
    })
}

fn settings_to_json(settings: &InboxSettings) -> serde_json::Value {
    json!({
        "max_attempts": settings.max_attempts,
        "retry_initial_seconds": seconds(settings.retry_initial),
        "retry_max_seconds": seconds(settings.retry_max),
        "max_age_seconds": seconds(settings.max_age),
        "max_deliveries": settings.max_deliveries,
        "max_bytes": settings.max_bytes,
        "when_full": settings.when_full.map(when_full_text),
        "direct_amqp": settings.direct_amqp.then_some(true),
        "paused": settings.paused.then_some(true),
        "draining": settings.draining.then_some(true),
    })
}

/// What is in effect is known of every switch: one that is not on is off.
fn in_effect_to_json(in_effect: &InboxSettings) -> serde_json::Value {
    let InboxSettings { direct_amqp, paused, draining, .. } = in_effect;
    let mut settings = settings_to_json(in_effect);
    for (name, on) in [("direct_amqp", direct_amqp), ("paused", paused), ("draining", draining)] {
        settings[name] = (*on).into();
    }
    settings
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
