//! `wissel archive`: what is kept for replay.

use indicatif::HumanBytes;
use serde_json::json;

use crate::cli::ArchiveArguments;
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(arguments: ArchiveArguments) -> Result<(), Failure> {
    watching::show(&arguments.watch, arguments.json, || show(&arguments)).await
}

async fn show(arguments: &ArchiveArguments) -> Result<(), Failure> {
    let ArchiveArguments { from, until, types, json, connection, .. } = arguments;
    let client = client::connect(connection)?;
    let mut survey = client.survey_archive().types(types.clone());
    if let Some(from) = from {
        survey = survey.from(*from);
    }
    if let Some(until) = until {
        survey = survey.until(*until);
    }
    let progress = output::progress("looked at");
    let shown = progress.clone();
    let kept = survey.on_progress(move |examined| shown.set_position(examined)).await;
    progress.finish_and_clear();
    let kept = kept?;
    if *json {
        let types = kept.iter().map(|one| {
            json!({
                "type": one.event_type,
                "messages": one.messages,
                "bytes": one.bytes,
                "first_at": output::moment(one.first_at),
                "last_at": output::moment(one.last_at),
            })
        });
        return output::json(&json!({ "types": types.collect::<Vec<_>>() }));
    }
    if kept.is_empty() {
        output::note("nothing is kept: see `archive` of an event type in the catalogue");
        return Ok(());
    }
    let rows = kept.into_iter().map(|one| {
        vec![
            one.event_type,
            one.messages.to_string(),
            HumanBytes(one.bytes).to_string(),
            output::moment(one.first_at),
            output::moment(one.last_at),
        ]
    });
    output::table(&["TYPE", ">MESSAGES", ">SIZE", "FIRST", "LAST"], rows.collect());
    Ok(())
}
