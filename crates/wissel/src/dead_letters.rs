//! `wissel dead-letters`.

use serde_json::json;
use wissel_client::{DeadLetter, Redrive};

use crate::cli::{DeadLettersCommand, DeadLettersListArguments, RedriveArguments};
use crate::exit::Failure;
use crate::{client, output};

pub(crate) async fn run(command: DeadLettersCommand) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(arguments) => list(arguments).await,
        DeadLettersCommand::Redrive(arguments) => redrive(arguments).await,
    }
}

async fn list(arguments: DeadLettersListArguments) -> Result<(), Failure> {
    let client = client::connect(&arguments.connection)?;
    let dead_letters = client.list_dead_letters(&arguments.inbox).all().await?;
    if arguments.json {
        return dead_letters.iter().try_for_each(|one| output::json(&to_json(one)));
    }
    let columns = ["ID", "TYPE", "PUBLISHER", "DIED AT", ">ATTEMPTS", "REASON"];
    let rows = dead_letters.into_iter().map(|one| {
        vec![
            one.dead_letter_id,
            one.event_type,
            one.publisher.to_string(),
            output::moment(one.died_at),
            one.attempts.to_string(),
            one.reason,
        ]
    });
    output::table(&columns, rows.collect());
    Ok(())
}

async fn redrive(arguments: RedriveArguments) -> Result<(), Failure> {
    let client = client::connect(&arguments.connection)?;
    let which = if arguments.all { Redrive::All } else { Redrive::These(arguments.ids) };
    let redriven = client.redrive(&arguments.inbox, which).await?;
    if arguments.json {
        return output::json(&json!({ "redriven": redriven }));
    }
    output::note(&format!("{redriven} redriven"));
    Ok(())
}

fn to_json(one: &DeadLetter) -> serde_json::Value {
    json!({
        "dead_letter_id": one.dead_letter_id,
        "inbox": one.inbox,
        "message_id": one.message_id.to_string(),
        "source": one.source,
        "id": one.id,
        "type": one.event_type,
        "publisher": one.publisher,
        "admitted_at": output::moment(one.admitted_at),
        "died_at": output::moment(one.died_at),
        "attempts": one.attempts,
        "reason": one.reason,
    })
}
