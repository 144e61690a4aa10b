//! `wissel dead-letters`.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use wissel_client::{Client, DeadLetter, Filter, InboxName, Which};

use crate::cli::{
    DeadLetterArguments, DeadLettersCommand, DeadLettersListArguments, LookArguments,
    MeantArguments, PurgeArguments, RedriveArguments,
};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: DeadLettersCommand) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(DeadLettersListArguments { inbox, look }) => {
            watching::show(&look, || list(&inbox, &look)).await
        }
        DeadLettersCommand::Show(DeadLetterArguments { inbox, id, look }) => {
            watching::show(&look, || show(&inbox, &id, &look)).await
        }
        DeadLettersCommand::Redrive(arguments) => redrive(arguments).await,
        DeadLettersCommand::Purge(arguments) => purge(arguments).await,
    }
}

async fn list(inbox: &InboxName, look: &LookArguments) -> Result<(), Failure> {
    let client = client::connect(&look.connection)?;
    let dead_letters = client.list_dead_letters(inbox).all().await?;
    if look.json {
        return dead_letters.iter().try_for_each(|one| output::json(&to_json(one)));
    }
    let columns = ["DEAD LETTER", "TYPE", "PUBLISHER", "DIED AT", ">ATTEMPTS", "REASON"];
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

async fn show(inbox: &InboxName, id: &str, look: &LookArguments) -> Result<(), Failure> {
    let one = client::connect(&look.connection)?.get_dead_letter(inbox, id).await?;
    if look.json {
        return output::json(&to_json(&one));
    }
    let facts = [
        ("dead letter", one.dead_letter_id.clone()),
        ("inbox", one.inbox.to_string()),
        ("message", one.message_id.to_string()),
        ("type", one.event_type.clone()),
        ("source", one.source.clone()),
        ("id", one.id.clone()),
        ("publisher", one.publisher.to_string()),
        ("admitted at", output::moment(one.admitted_at)),
        ("died at", output::moment(one.died_at)),
        ("reason", one.reason.clone()),
    ];
    output::facts(facts);
    let attempts = one.history.iter().map(|one| (one.number, one.at, output::reason(one)));
    let last = (one.attempts > 0).then(|| (one.attempts, one.died_at, one.reason.clone()));
    let rows: Vec<_> = attempts
        .chain(last)
        .map(|(number, at, reason)| vec![number.to_string(), output::moment(at), reason])
        .collect();
    if rows.is_empty() {
        output::line("\nit was never handed out");
        return Ok(());
    }
    output::line("");
    output::table(&[">ATTEMPT", "ENDED AT", "REASON"], rows);
    Ok(())
}

async fn redrive(arguments: RedriveArguments) -> Result<(), Failure> {
    let RedriveArguments { inbox, meant, to, rate, json, connection } = arguments;
    let client = client::connect(&connection)?;
    let which = which(meant)?;
    let named = named(&which);
    let mut redrive = client.redrive(&inbox, which).per_second(rate.unwrap_or(0));
    if let Some(to) = &to {
        redrive = redrive.to(to);
    }
    let progress = output::progress("put back");
    let shown = progress.clone();
    let redriven = redrive.on_progress(move |count| shown.set_position(count)).await;
    progress.finish_and_clear();
    let redriven = redriven?;
    if json {
        output::json(&json!({ "redriven": redriven }))?;
    } else {
        output::note(&format!("{redriven} redriven"));
    }
    all_were_there(named, redriven)
}

async fn purge(arguments: PurgeArguments) -> Result<(), Failure> {
    let PurgeArguments { inbox, meant, yes, json, connection } = arguments;
    let client = client::connect(&connection)?;
    let which = which(meant)?;
    if !yes && !confirmed(&client, &inbox).await? {
        return Err(Failure::usage("nothing was removed"));
    }
    let named = named(&which);
    let purged = client.purge_dead_letters(&inbox, which).await?;
    if json {
        output::json(&json!({ "purged": purged }))?;
    } else {
        output::note(&format!("{purged} removed for good"));
    }
    all_were_there(named, purged)
}

/// Asks the person at the terminal.
async fn confirmed(client: &Client, inbox: &InboxName) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("dead letters are removed for good: give --yes to mean it"));
    }
    let count = client.get_inbox(inbox).await?.dead_letters;
    output::note(&format!(
        "{inbox} has {count} dead letters; those that you name are removed for good.\n\
         Type the name of the inbox to go on:"
    ));
    let mut answer = String::new();
    let mut input = BufReader::new(tokio::io::stdin());
    input.read_line(&mut answer).await.map_err(Failure::internal)?;
    Ok(answer.trim() == inbox.as_str())
}

/// How many are named one by one, each once.
fn named(which: &Which) -> u64 {
    let Which::These(ids) = which else { return 0 };
    ids.iter().collect::<BTreeSet<_>>().len() as u64
}

/// Says so when some of those that were named are not there.
fn all_were_there(named: u64, found: u64) -> Result<(), Failure> {
    if found >= named {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{} of {named} are not among the dead letters of the inbox; expected ids as \
         `wissel dead-letters list` shows them, not those of messages",
        named - found
    )))
}

fn which(meant: MeantArguments) -> Result<Which, Failure> {
    let MeantArguments { ids, all, sql } = meant;
    if all {
        return Ok(Which::All);
    }
    if !ids.is_empty() {
        return Ok(Which::These(ids));
    }
    for text in &sql {
        crate::filter::expression(text)?;
    }
    Ok(Which::Matching(sql.into_iter().map(Filter::Sql).collect()))
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
        "history": output::history(&one.history),
    })
}
