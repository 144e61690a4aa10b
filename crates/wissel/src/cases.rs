//! `wissel cases`.

use serde_json::{Value, json};
use wissel_client::Case;

use crate::cli::{CaseArguments, CasesCommand, CasesListArguments, ForwardArguments};
use crate::exit::Failure;
use crate::{client, output};

pub(crate) async fn run(command: CasesCommand) -> Result<(), Failure> {
    match command {
        CasesCommand::List(arguments) => list(arguments).await,
        CasesCommand::Get(CaseArguments { id, json, connection }) => {
            show(&client::connect(&connection)?.get_case(id).await?, json)
        }
        CasesCommand::Withdraw(CaseArguments { id, json, connection }) => {
            show(&client::connect(&connection)?.withdraw_case(id).await?, json)
        }
        CasesCommand::Forward(ForwardArguments { to, case }) => {
            let CaseArguments { id, json, connection } = case;
            show(&client::connect(&connection)?.forward_case(id, to).await?, json)
        }
    }
}

async fn list(arguments: CasesListArguments) -> Result<(), Failure> {
    let CasesListArguments { open, json, connection } = arguments;
    let cases = client::connect(&connection)?.list_cases(open).all().await?;
    if json {
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
    let sent = vec![output::moment(case.opened_at), "SENT".to_owned(), case.sender.to_string()];
    let history = case
        .history
        .iter()
        .map(|one| vec![output::moment(one.at), one.state.to_string(), one.party.to_string()]);
    output::table(&["AT", "STATUS", "BY"], [sent].into_iter().chain(history).collect());
    Ok(())
}

pub(crate) fn to_json(case: &Case) -> Value {
    let history = case.history.iter().map(|one| {
        json!({ "state": one.state.as_str(), "party": one.party, "at": output::moment(one.at) })
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
