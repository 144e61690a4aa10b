//! `wissel audit`.

use std::path::Path;

use indicatif::ProgressBar;
use serde_json::json;
use wissel_audit::{Line, Look, Verification, Verified, VerifyError};

use crate::cli::{AuditCommand, AuditListArguments};
use crate::exit::Failure;
use crate::{output, watching};

pub(crate) async fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::List(arguments) => {
            let AuditListArguments { watch, json, .. } = arguments;
            watching::show_every(watch, *json, || async { list(arguments) }).await
        }
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

fn list(arguments: &AuditListArguments) -> Result<(), Failure> {
    let lines = look(arguments)?;
    if arguments.json {
        return lines.iter().try_for_each(output::json);
    }
    output::line(&table(lines));
    Ok(())
}

fn look(arguments: &AuditListArguments) -> Result<Vec<Line>, Failure> {
    let AuditListArguments { directory, operation, refused, inbox, since, limit, .. } = arguments;
    let look = Look {
        operation: *operation,
        refused: *refused,
        inbox: inbox.as_ref().map(ToString::to_string),
        since: *since,
        limit: *limit,
        ..Look::default()
    };
    if !directory.is_dir() {
        let message = format!("{}: expected the directory of the records", directory.display());
        return Err(Failure::usage(message));
    }
    Ok(look.run(directory).map_err(Failure::usage)?.lines)
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
    output::line(&format!("whole: {records} records in {files} files, {since} to {until}"));
    output::line(&format!("head {head} (record {head_record})"));
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
