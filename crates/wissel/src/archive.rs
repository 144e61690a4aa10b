//! `wissel archive`: what is kept for replay.

use indicatif::HumanBytes;
use serde_json::json;

use crate::cli::{ArchiveCommand, ArchiveListArguments};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: ArchiveCommand) -> Result<(), Failure> {
    let ArchiveCommand::List(arguments) = command;
    watching::show(&arguments.look, || list(&arguments)).await
}

async fn list(arguments: &ArchiveListArguments) -> Result<(), Failure> {
    let ArchiveListArguments { from, until, types, look } = arguments;
    let client = client::connect(&look.connection)?;
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
    if look.json {
        return kept.iter().try_for_each(|one| {
            output::json(&json!({
                "type": one.event_type,
                "messages": one.messages,
                "bytes": one.bytes,
                "first_at": output::moment(one.first_at),
                "last_at": output::moment(one.last_at),
            }))
        });
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
