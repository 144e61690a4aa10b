//! `wissel inboxes`.

use serde_json::json;
use wissel_client::InboxState;

use crate::cli::InboxesArguments;
use crate::exit::Failure;
use crate::{client, output};

pub(crate) async fn run(arguments: InboxesArguments) -> Result<(), Failure> {
    let client = client::connect(&arguments.connection)?;
    let inboxes = match (&arguments.name, arguments.set_max_attempts) {
        (Some(name), Some(0)) => vec![client.set_max_attempts(name, None).await?],
        (Some(name), attempts @ Some(_)) => vec![client.set_max_attempts(name, attempts).await?],
        (Some(name), None) => vec![client.get_inbox(name).await?],
        (None, _) => client.list_inboxes().all().await?,
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
    Ok(())
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
        "max_attempts": inbox.max_attempts,
    })
}
