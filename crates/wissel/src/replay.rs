//! `wissel replay`.

use serde_json::json;
use wissel_client::Filter;

use crate::cli::ReplayArguments;
use crate::exit::Failure;
use crate::{client, output};

pub(crate) async fn run(arguments: ReplayArguments) -> Result<(), Failure> {
    let ReplayArguments { inbox, from, until, types, sql, json, connection } = arguments;
    let client = client::connect(&connection)?;
    let mut replay = client.replay(&inbox).types(types.clone());
    if let Some(from) = from {
        replay = replay.from(from);
    }
    if let Some(until) = until {
        replay = replay.until(until);
    }
    for text in sql {
        crate::filter::expression(&text)?;
        replay = replay.filter(Filter::Sql(text));
    }
    let progress = output::progress("looked at");
    let shown = progress.clone();
    let replayed = replay.on_progress(move |so_far| shown.set_position(so_far.examined)).await;
    progress.finish_and_clear();
    let replayed = replayed?;
    if replayed.replayed == 0 && !types.is_empty() {
        output::note(
            "a message is only there when the catalogue keeps its type (`archive` of the event \
             type); `wissel archive list` tells an operator what is kept",
        );
    }
    if json {
        let reached = replayed.reached.map(output::moment);
        let (examined, replayed) = (replayed.examined, replayed.replayed);
        return output::json(
            &json!({ "examined": examined, "replayed": replayed, "reached": reached }),
        );
    }
    output::note(&format!(
        "{} replayed into {inbox}, of {} that were looked at",
        replayed.replayed, replayed.examined
    ));
    Ok(())
}
