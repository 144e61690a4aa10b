//! `wissel audit`.

use std::path::Path;

use indicatif::ProgressBar;
use serde_json::json;
use wissel_audit::{Line, Look, Verification, Verified, VerifyError};
use wissel_client::{ProcessingRecord, RecordQuery};

use crate::amounts::amount;
use crate::cli::{AuditCommand, AuditListArguments};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::List(arguments) => watching::show(&arguments.look, || list(arguments)).await,
        AuditCommand::Verify { directory, heads, from_first, json } => {
            let mut verification =
                heads.iter().cloned().fold(Verification::default(), Verification::head);
            if *from_first {
                verification = verification.from_first();
            }
            verify(&verification, directory, *json)
        }
    }
}

async fn list(arguments: &AuditListArguments) -> Result<(), Failure> {
    let lines = match &arguments.records {
        Some(directory) => read(directory, arguments)?,
        None => asked(arguments).await?,
    };
    if arguments.look.json {
        return lines.iter().try_for_each(output::json);
    }
    output::line(&table(lines));
    Ok(())
}

/// Of files.
fn read(directory: &Path, arguments: &AuditListArguments) -> Result<Vec<Line>, Failure> {
    let AuditListArguments { operation, refused, inbox, since, limit, .. } = arguments;
    let look = Look {
        operation: *operation,
        refused: *refused,
        inbox: inbox.as_ref().map(ToString::to_string),
        since: *since,
        limit: *limit,
        ..Look::default()
    };
    is_directory(directory)?;
    Ok(look.run(directory).map_err(Failure::usage)?.lines)
}

/// Of a gateway.
async fn asked(arguments: &AuditListArguments) -> Result<Vec<Line>, Failure> {
    let AuditListArguments { operation, refused, inbox, since, limit, look, .. } = arguments;
    let query = RecordQuery {
        operation: operation.map(|operation| operation.to_string()),
        refused: *refused,
        inbox: inbox.clone(),
        since: *since,
    };
    let mut found = client::connect(&look.connection)?.list_records(query);
    let mut lines = Vec::new();
    while lines.len() < *limit
        && let Some(record) = found.next().await?
    {
        lines.push(line(record));
    }
    Ok(lines)
}

fn line(record: ProcessingRecord) -> Line {
    Line {
        seq: record.sequence,
        time: record.time,
        operation: record.operation,
        status: record.status,
        reason: record.reason,
        actor: record.actor,
        operator: record.operator,
        on_behalf_of: record.on_behalf_of,
        event_type: record.event_type,
        message_id: record.message_id,
        inbox: record.inbox,
        detail: record.detail,
    }
}

fn is_directory(directory: &Path) -> Result<(), Failure> {
    if directory.is_dir() {
        return Ok(());
    }
    let directory = directory.display();
    Err(Failure::usage(format!("{directory}: no such directory; expected that of the records")))
}

fn table(lines: Vec<Line>) -> String {
    let columns = ["TIME", "WHO", "WHAT", "OUTCOME", "TYPE", "INBOX", "DETAIL"];
    let rows = lines.into_iter().map(|one| {
        let who = one.operator.unwrap_or(one.actor);
        let who = one.on_behalf_of.map_or(who.clone(), |of| format!("{who} for {of}"));
        vec![
            one.time,
            who,
            one.operation,
            one.reason.unwrap_or(one.status),
            one.event_type.unwrap_or_default(),
            one.inbox.unwrap_or_default(),
            one.detail.unwrap_or_default(),
        ]
    });
    output::table_text(&columns, rows.collect())
}

/// Reads every record, and says where the chain is broken.
fn verify(verification: &Verification, directory: &Path, as_json: bool) -> Result<(), Failure> {
    is_directory(directory)?;
    let progress = ProgressBar::new_spinner();
    let verified = verification.run(directory, |records| {
        progress.set_message(format!("{records} records"));
        progress.tick();
    });
    progress.finish_and_clear();
    match verified {
        Ok(verified) if as_json => output::json(&verified),
        Ok(verified) => {
            tell(&verified);
            Ok(())
        }
        Err(error) => {
            if as_json {
                output::json(&to_json(&error))?;
            }
            match error {
                VerifyError::Broken { .. } => {
                    Err(Failure::refused(format!("the chain is broken: {error}")))
                }
                _ => Err(Failure::usage(error)),
            }
        }
    }
}

fn tell(verified: &Verified) {
    let Verified { files, records, head, head_record, .. } = verified;
    let since = verified.first.as_deref().unwrap_or("never");
    let until = verified.last.as_deref().unwrap_or("never");
    let (told, files) = (amount(*records, "record", "records"), amount(*files, "file", "files"));
    output::line(&format!("whole: {told} in {files}, {since} to {until}"));
    output::line(&format!("head {head} (record {head_record})"));
    // Without the beginning, what was before counts too.
    let last = verified.after.as_ref().map_or(0, |after| after.record) + records;
    match last.saturating_sub(*head_record) {
        0 => {}
        1 => output::note("the record behind the head is not sealed yet"),
        behind => output::note(&format!("the {behind} records behind the head are not sealed yet")),
    }
    if let Some(after) = &verified.after {
        output::note(&format!(
            "begins behind record {}, which is not here; its hash was {}",
            after.record, after.hash
        ));
    }
}

fn to_json(error: &VerifyError) -> serde_json::Value {
    match error {
        VerifyError::Broken { file, line, fault } => {
            json!({ "file": file, "line": line, "fault": fault })
        }
        VerifyError::Unreadable { path, fault } => json!({ "file": path, "error": fault }),
        other => json!({ "error": other.to_string() }),
    }
}
