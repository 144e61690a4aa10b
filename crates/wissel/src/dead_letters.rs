//! `wissel dead-letters`.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use wissel_client::{Attempt, Client, DeadLetter, Filter, InboxName, Which};

use crate::amounts::amount;
use crate::cli::{
    DeadLetterArguments, DeadLettersCommand, DeadLettersListArguments, LookArguments,
    MeantArguments, PurgeArguments, RedriveArguments,
};
use crate::exit::Failure;
use crate::{client, output, watching};

const EXPECTED_ID: &str =
    "expected an id as `wissel dead-letters list` shows it, not that of a message";

pub(crate) async fn run(command: DeadLettersCommand) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(DeadLettersListArguments { inbox, limit, look }) => {
            watching::show(&look, || list(&inbox, limit, &look)).await
        }
        DeadLettersCommand::Show(DeadLetterArguments { inbox, id, look }) => {
            watching::show(&look, || show(&inbox, &id, &look)).await
        }
        DeadLettersCommand::Redrive(arguments) => redrive(arguments).await,
        DeadLettersCommand::Purge(arguments) => purge(arguments).await,
    }
}

/// The most that one call gives; more come page by page.
const PAGE_MAX: u32 = 1_000;

async fn list(inbox: &InboxName, limit: u32, look: &LookArguments) -> Result<(), Failure> {
    let client = client::connect(&look.connection)?;
    let page_size = if limit == 0 { PAGE_MAX } else { limit.min(PAGE_MAX) };
    let mut found = client.list_dead_letters_by(page_size, inbox);
    let (page_size, most) = (page_size as usize, if limit == 0 { u64::MAX } else { limit.into() });
    let mut listed = 0;
    loop {
        let mut page = Vec::new();
        while page.len() < page_size && listed < most {
            let Some(one) = found.next().await? else { break };
            page.push(one);
            listed += 1;
        }
        let is_last = page.len() < page_size || listed == most;
        // Where there are none, the names of the columns say so.
        if look.json {
            page.iter().try_for_each(|one| output::json(&to_json(one)))?;
        } else if !page.is_empty() || listed == 0 {
            print(page);
        }
        if is_last {
            break;
        }
    }
    // Counting them takes no look at each.
    if listed == most
        && let Ok(state) = client.get_inbox(inbox).await
        && state.dead_letters > listed
    {
        let all = state.dead_letters;
        output::note(&format!("the oldest {listed} of {all}; --limit 0 lists all"));
    }
    Ok(())
}

fn print(dead_letters: Vec<DeadLetter>) {
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
}

async fn show(inbox: &InboxName, id: &str, look: &LookArguments) -> Result<(), Failure> {
    let found = client::connect(&look.connection)?.get_dead_letter(inbox, id).await;
    let one = found.map_err(|error| match error.refusal() {
        Some(refusal) if refusal.reason == "UNKNOWN_MESSAGE" => Failure::refused(format!(
            "{id:?} is not among the dead letters of {inbox}; {EXPECTED_ID}"
        )),
        _ => error.into(),
    })?;
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
    let attempts = one.every_attempt();
    let row =
        |one: &Attempt| vec![one.number.to_string(), output::moment(one.at), output::reason(one)];
    let rows: Vec<_> = attempts.iter().map(row).collect();
    if rows.is_empty() {
        output::line("\nno attempt of it came to an end: it went to nobody, or was given back");
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
    if !yes && !confirmed(&client, &inbox, &which).await? {
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
async fn confirmed(client: &Client, inbox: &InboxName, which: &Which) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("dead letters are removed for good: give --yes to mean it"));
    }
    let count = client.get_inbox(inbox).await?.dead_letters;
    output::note(&format!(
        "{inbox}: {} removed for good.\nType the name of the inbox to go on:",
        meant(which, count)
    ));
    let mut answer = String::new();
    let mut input = BufReader::new(tokio::io::stdin());
    input.read_line(&mut answer).await.map_err(Failure::internal)?;
    Ok(answer.trim() == inbox.as_str())
}

/// What is to be removed of so many dead letters.
fn meant(which: &Which, count: u64) -> String {
    let all = amount(count, "dead letter", "dead letters");
    match which {
        Which::All if count == 1 => format!("its {all} is"),
        Which::All => format!("all its {all} are"),
        Which::These(_) => format!("of its {all} the {} that you name are", named(which)),
        // What was asked for may hold the number of a person, and is on the screen already.
        Which::Matching(_) => format!("those of its {all} whose message meets --sql are"),
    }
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
        "{} of {named} are not among the dead letters of the inbox; {EXPECTED_ID}",
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
        "event_id": one.id,
        "type": one.event_type,
        "publisher": one.publisher,
        "admitted_at": output::moment(one.admitted_at),
        "died_at": output::moment(one.died_at),
        "attempts": one.attempts,
        "reason": one.reason,
        "history": output::history(&one.every_attempt()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_removed_is_told_as_it_was_meant() {
        let sql = Which::Matching(vec![Filter::Sql("gemeente = '0193'".to_owned())]);
        let told = meant(&sql, 40);
        assert_eq!(told, "those of its 40 dead letters whose message meets --sql are");
        assert_eq!(meant(&Which::All, 40), "all its 40 dead letters are");
        let these = Which::These(vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]);
        assert_eq!(meant(&these, 40), "of its 40 dead letters the 2 that you name are");
    }
}
