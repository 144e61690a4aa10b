//! `wissel audit`.

use std::path::Path;

use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::AuditCommand;
use crate::exit::Failure;
use crate::output;

pub(crate) fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify { directory, json } => verify(directory, *json),
    }
}

/// Reads every record, and says where the chain is broken.
fn verify(directory: &Path, as_json: bool) -> Result<(), Failure> {
    let progress = ProgressBar::new_spinner();
    let verified = wissel_audit::verify(directory, |records| {
        progress.set_message(format!("{records} records"));
        progress.tick();
    });
    progress.finish_and_clear();
    match verified {
        Ok(verified) if as_json => output::json(&verified),
        Ok(verified) => {
            let since = verified.first.as_deref().unwrap_or("never");
            let until = verified.last.as_deref().unwrap_or("never");
            output::line(&format!(
                "whole: {} records in {} files, {since} to {until}",
                verified.records, verified.files
            ));
            output::line(&format!("head {}", verified.head));
            Ok(())
        }
        Err(error) => {
            if as_json {
                output::json(&json!({
                    "file": error.file, "line": error.line, "fault": error.fault,
                }))?;
            }
            Err(Failure::refused(format!("the chain is broken: {error}")))
        }
    }
}
