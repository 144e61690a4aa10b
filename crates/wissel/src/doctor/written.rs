//! What is written: the catalogue, and the record of processing.

use wissel_audit::{Verification, VerifyError};
use wissel_catalogue::Catalogue;

use super::finding::Findings;
use crate::amounts::amount;
use crate::config::Config;

/// The most findings of the catalogue that are told one by one.
const SHOWN_MAX: usize = 10;

/// As `wissel catalogue check` finds it.
pub(super) fn catalogue(config: &Config) -> Findings {
    let mut found = Findings::of("catalogue");
    let path = config.catalogue.display();
    let command = format!("wissel catalogue check {path}");
    let (faults, warnings) = match Catalogue::load(&config.catalogue) {
        Ok(catalogue) => {
            let parties = amount(catalogue.parties().count(), "party", "parties");
            let types = amount(catalogue.event_types().count(), "event type", "event types");
            found.ok(format!("{path}: {parties}, {types}"));
            (Vec::new(), [catalogue.warnings(), catalogue.drafts().warnings()].concat())
        }
        Err(errors) => (errors.faults, errors.warnings),
    };
    for fault in faults.iter().take(SHOWN_MAX) {
        let advice =
            "mend it; a gateway does not start with it, and one that runs keeps what it had";
        found.error(fault.to_string(), advice, &command);
    }
    for warning in warnings.iter().take(SHOWN_MAX) {
        found.warning(warning.to_string(), "see whether that is meant", &command);
    }
    let left = faults.len().saturating_sub(SHOWN_MAX) + warnings.len().saturating_sub(SHOWN_MAX);
    if left > 0 {
        found.note(format!("{left} more, which `{command}` tells"));
    }
    found
}

/// Whether the chain is whole and ends at its head.
pub(super) fn records(config: &Config) -> Findings {
    let mut found = Findings::of("records");
    let directory =
        config.audit.directory.clone().unwrap_or_else(|| config.data_dir.join("records"));
    let shown = directory.display();
    if !directory.join("head.json").exists() && !directory.join("records-000001.jsonl").exists() {
        found.note(format!("{shown}: there are none yet"));
        return found;
    }
    match Verification::default().from_first().run(&directory, |_| {}) {
        Ok(verified) => found.ok(format!(
            "{shown}: whole, {} up to {}",
            amount(verified.records, "record", "records"),
            verified.last.as_deref().unwrap_or("none")
        )),
        Err(error) => {
            let advice = match error {
                VerifyError::Broken { .. } => {
                    "keep the files as they are, and find out who changed them"
                }
                _ => "see who may read them",
            };
            found.error(error.to_string(), advice, format!("wissel audit verify {shown}"));
        }
    }
    found
}
