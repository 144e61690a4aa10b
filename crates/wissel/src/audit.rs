//! `wissel audit`.

use std::path::Path;

use indicatif::ProgressBar;
use serde_json::json;
use wissel_audit::{Verification, Verified, VerifyError};

use crate::cli::AuditCommand;
use crate::exit::Failure;
use crate::output;

pub(crate) fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
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
