//! `wissel dossier`.

use serde_json::{Value, json};
use wissel_client::{Dossier, DossierEntry, DossierEntryKind, DossierMessage, Uuid};

use crate::amounts::amount;
use crate::cli::{DossierArguments, DossierCommand};
use crate::exit::Failure;
use crate::{cases, client, output, watching};

pub(crate) async fn run(command: DossierCommand) -> Result<(), Failure> {
    let DossierCommand::Show(arguments) = command;
    watching::show(&arguments.look, || show(&arguments)).await
}

async fn show(arguments: &DossierArguments) -> Result<(), Failure> {
    let DossierArguments { message, correlation, since, look } = arguments;
    let client = client::connect(&look.connection)?;
    let dossier = match (message, correlation) {
        (Some(message), _) => client.dossier(*message).await?,
        (None, Some(correlation)) => {
            client.dossier_of_correlation(correlation.clone(), *since).await?
        }
        (None, None) => return Err(Failure::usage("expected a MESSAGE-ID or --correlation")),
    };
    if look.json {
        return output::json(&to_json(&dossier));
    }
    for (number, message) in (1..).zip(&dossier.messages) {
        output::line(&headline(number, message));
    }
    for case in &dossier.cases {
        let stands = case.state().map_or_else(|| "SENT".to_owned(), |state| state.to_string());
        let number = number_of(&dossier, case.id);
        output::line(&format!("{number:>3}  is a case of {}: {stands}", case.holder));
    }
    output::line("");
    let rows = dossier.entries.iter().map(|entry| row(&dossier, entry));
    let columns = [">#", "AT", "WHAT", "PARTY", "INBOX", ">ATTEMPT", "WHY"];
    output::table(&columns, rows.collect());
    if dossier.truncated {
        output::note("there may be more: this is the beginning");
    }
    Ok(())
}

fn headline(number: usize, message: &DossierMessage) -> String {
    let event_type = message.event_type.as_deref().unwrap_or("of a type not known any more");
    let by = message.publisher.map(|party| format!(", published by {party}")).unwrap_or_default();
    let to = match message.inboxes {
        None => String::new(),
        Some(count) => format!(", to {}", amount(count, "inbox", "inboxes")),
    };
    format!("{number:>3}  {}  {event_type}{by}{to}", message.message_id)
}

/// The number by which the timeline names a message.
fn number_of(dossier: &Dossier, message: Uuid) -> String {
    let position = dossier.messages.iter().position(|one| one.message_id == message);
    position.map_or_else(String::new, |position| (position + 1).to_string())
}

fn row(dossier: &Dossier, entry: &DossierEntry) -> Vec<String> {
    let what = match entry.kind {
        DossierEntryKind::CaseStatus(state) => state.to_string(),
        kind => kind.to_string(),
    };
    let party = match (entry.party, entry.acted_by) {
        (Some(party), Some(by)) => format!("{party} by {by}"),
        (party, _) => party.map(|party| party.to_string()).unwrap_or_default(),
    };
    // The owner is in the column before, unless it is another.
    let inbox = entry.inbox.as_ref().map(|inbox| {
        if entry.party == Some(inbox.owner()) {
            inbox.local().to_owned()
        } else {
            inbox.to_string()
        }
    });
    vec![
        number_of(dossier, entry.message_id),
        output::moment(entry.at),
        what,
        party,
        inbox.unwrap_or_default(),
        entry.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        entry.reason.clone().unwrap_or_default(),
    ]
}

fn to_json(dossier: &Dossier) -> Value {
    let messages = dossier.messages.iter().map(|message| {
        json!({
            "message_id": message.message_id.to_string(),
            "type": message.event_type,
            "publisher": message.publisher,
            "admitted_at": message.admitted_at.map(output::moment),
            "inboxes": message.inboxes,
        })
    });
    let entries = dossier.entries.iter().map(|entry| {
        let state = match entry.kind {
            DossierEntryKind::CaseStatus(state) => Some(state.as_str()),
            _ => None,
        };
        json!({
            "at": output::moment(entry.at),
            "kind": entry.kind.as_str(),
            "message_id": entry.message_id.to_string(),
            "party": entry.party,
            "acted_by": entry.acted_by,
            "inbox": entry.inbox,
            "attempt": entry.attempt,
            "reason": entry.reason,
            "case_state": state,
        })
    });
    json!({
        "messages": messages.collect::<Vec<_>>(),
        "entries": entries.collect::<Vec<_>>(),
        "cases": dossier.cases.iter().map(cases::to_json).collect::<Vec<_>>(),
        "truncated": dossier.truncated,
    })
}
