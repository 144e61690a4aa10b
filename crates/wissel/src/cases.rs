//! `wissel cases`.

use std::path::Path;
use std::time::SystemTime;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use wissel_client::{Case, CaseState, Uuid};
use wissel_message::{Event, Timestamp};

use crate::cli::{
    CaseArguments, CaseShowArguments, CasesCommand, CasesListArguments, ForwardArguments,
    LookArguments, StatusArguments,
};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: CasesCommand) -> Result<(), Failure> {
    match command {
        CasesCommand::List(CasesListArguments { open, look }) => {
            watching::show(&look, || list(open, &look)).await
        }
        CasesCommand::Show(CaseShowArguments { id, look }) => {
            let get = || async {
                show(&client::connect(&look.connection)?.get_case(id).await?, look.json)
            };
            watching::show(&look, get).await
        }
        CasesCommand::Withdraw(CaseArguments { id, json, connection }) => {
            show(&client::connect(&connection)?.withdraw_case(id).await?, json)
        }
        CasesCommand::Forward(ForwardArguments { to, case }) => {
            let CaseArguments { id, json, connection } = case;
            show(&client::connect(&connection)?.forward_case(id, to).await?, json)
        }
        CasesCommand::Status(arguments) => status(arguments).await,
    }
}

async fn list(open: bool, look: &LookArguments) -> Result<(), Failure> {
    let cases = client::connect(&look.connection)?.list_cases(open).all().await?;
    if look.json {
        return cases.iter().try_for_each(|case| output::json(&to_json(case)));
    }
    let rows = cases.iter().map(|case| {
        vec![
            case.id.to_string(),
            case.event_type.clone(),
            case.sender.to_string(),
            case.holder.to_string(),
            case.state().map_or_else(|| "SENT".to_owned(), |state| state.to_string()),
            case.ends_at.map(output::moment).unwrap_or_default(),
        ]
    });
    output::table(&["CASE", "TYPE", "SENDER", "HOLDER", "STATUS", "TERM ENDS"], rows.collect());
    Ok(())
}

/// Its message is of the type that the catalogue names, from the party that has the case.
async fn status(arguments: StatusArguments) -> Result<(), Failure> {
    let StatusArguments { id, state, data, until, json, connection } = arguments;
    let state = match (state, until) {
        (CaseState::Extended(_), until @ Some(_)) => CaseState::Extended(until),
        (CaseState::Extended(_), None) | (_, Some(_)) => {
            return Err(Failure::usage("--until goes with EXTENDED: expected both or neither"));
        }
        (state, None) => state,
    };
    let data = match data {
        Some(file) => Some(read(&file).await?),
        None => None,
    };
    let client = client::connect(&connection)?;
    let case = client.get_case(id).await?;
    let Some(event_type) = &case.status_type else {
        let message = format!("{} is no type of cases any more", case.event_type);
        return Err(Failure::refused(message));
    };
    let source = format!("urn:nld:oin:{}:systeem:wissel", case.holder);
    let mut event = Event::builder(Uuid::now_v7().to_string(), source, event_type.as_str())
        .time(Timestamp::from(SystemTime::now()));
    if let Some(data) = data {
        event = event.data_text("application/json", data);
    }
    let event = event.build().map_err(|violations| Failure::usage(violations.to_string()))?;
    show(&client.set_status(id, state, &event).await?, json)
}

/// A file with JSON.
async fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == "-" {
        tokio::io::stdin().read_to_string(&mut text).await.map(drop)
    } else {
        tokio::fs::read_to_string(file).await.map(|read| text = read)
    };
    let wrong = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    read.map_err(|error| wrong(error.to_string()))?;
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            Err(wrong(format!("not JSON at {place}; expected the data of the message")))
        }
    }
}

fn show(case: &Case, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&to_json(case));
    }
    let facts = [
        ("case", case.id.to_string()),
        ("type", case.event_type.clone()),
        ("sender", case.sender.to_string()),
        ("holder", case.holder.to_string()),
        ("term ends", case.ends_at.map_or_else(|| "never".to_owned(), output::moment)),
        ("closed", if case.closed { "yes" } else { "no" }.to_owned()),
    ];
    for (name, value) in facts {
        output::line(&format!("{name:<10} {value}"));
    }
    let (opened, sender) = (output::moment(case.opened_at), case.sender.to_string());
    let sent = vec![opened, "SENT".to_owned(), sender, String::new()];
    let history = case.history.iter().map(|one| {
        let correction = one.correction.map(|id| id.to_string()).unwrap_or_default();
        let (at, state) = (output::moment(one.at), one.state.to_string());
        vec![at, state, one.party.to_string(), correction]
    });
    output::table(
        &["AT", "STATUS", "BY", "CORRECTION"],
        [sent].into_iter().chain(history).collect(),
    );
    Ok(())
}

pub(crate) fn to_json(case: &Case) -> Value {
    let history = case.history.iter().map(|one| {
        json!({
            "state": one.state.as_str(),
            "party": one.party,
            "at": output::moment(one.at),
            "correction": one.correction.map(|id| id.to_string()),
        })
    });
    json!({
        "case_id": case.id.to_string(),
        "type": case.event_type,
        "sender": case.sender,
        "holder": case.holder,
        "opened_at": output::moment(case.opened_at),
        "ends_at": case.ends_at.map(output::moment),
        "suspended_at": case.suspended_at.map(output::moment),
        "closed": case.closed,
        "history": history.collect::<Vec<_>>(),
    })
}
