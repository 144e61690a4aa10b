//! `wissel inboxes`.

use std::time::Duration;

use serde_json::json;
use wissel_client::{InboxSettings, InboxState, WhenFull};

use crate::cli::InboxesArguments;
use crate::exit::Failure;
use crate::{client, output};

pub(crate) async fn run(arguments: InboxesArguments) -> Result<(), Failure> {
    let client = client::connect(&arguments.connection)?;
    let mut settings = InboxSettings::default();
    let changed: Vec<&str> =
        arguments.settings.iter().map(|setting| setting.put(&mut settings)).collect();
    let inboxes = match &arguments.name {
        Some(name) if changed.is_empty() => vec![client.get_inbox(name).await?],
        Some(name) => vec![client.set_inbox(name, &settings, &changed).await?],
        None => client.list_inboxes().all().await?,
    };
    if arguments.json {
        return inboxes.iter().try_for_each(|inbox| output::json(&to_json(inbox)));
    }
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
    output::table(&columns, rows.collect());
    // The settings of one are told when it is asked for by name.
    if let (Some(_), [inbox]) = (&arguments.name, inboxes.as_slice()) {
        let stated = to_json(inbox)["settings"].clone();
        let stated = stated.as_object().into_iter().flatten();
        let stated = stated.filter(|(_, value)| !value.is_null());
        let stated: Vec<String> = stated.map(|(name, value)| format!("{name} = {value}")).collect();
        if !stated.is_empty() {
            output::line(&format!("settings of its own: {}", stated.join(", ")));
        }
    }
    Ok(())
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

fn to_json(inbox: &InboxState) -> serde_json::Value {
    json!({
        "name": inbox.name,
        "depth": inbox.depth,
        "delayed": inbox.delayed,
        "in_flight": inbox.in_flight,
        "consumers": inbox.consumers,
        "oldest_age_seconds": inbox.oldest_age.map(|age| age.as_secs_f64()),
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
        },
    })
}
