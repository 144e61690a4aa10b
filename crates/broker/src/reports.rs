//! Reports of doubt about registered data: who may doubt what, and which reports a correction
//! says that it ends.

use uuid::Uuid;
use wissel_catalogue::{Action, Catalogue, EventType, TypeRights};
use wissel_identifiers::Oin;
use wissel_message::{EventView, Rule, Value, Violation};

use crate::{Reason, Refusal};

/// The attribute of a correction with the ids of reports that it ends, separated by commas.
/// Of the copies of the message only the exchange's has it: nobody else is to learn that
/// there are reports.
pub const REPORTS: &str = "reports";
/// The most reports that a correction names.
const REPORTS_MAX: usize = 100;

/// Refuses a report about a field that its reporter may not receive. One that does not say
/// which field that is, is refused later, with all else that is wrong with it.
pub(crate) fn check_right(
    event: &EventView,
    reporter: &Oin,
    rights: &TypeRights,
    catalogue: &Catalogue,
) -> Result<(), Refusal> {
    let Some(report) = rights.event_type.report() else { return Ok(()) };
    let Ok(datum) = report.datum(event) else { return Ok(()) };
    let about = &report.about;
    let refuse = |message: String| {
        let field = format!("data{}", report.field);
        Err(Refusal::of_field(Reason::NotGranted, field, message))
    };
    let Some(grant) = catalogue.grant(reporter, Action::Receive, about) else {
        return refuse(format!("party {reporter} has no grant to receive {about}"));
    };
    match &grant.fields {
        Some(fields) if !fields.set.allows(&datum.field) => refuse(format!(
            "not a field that party {reporter} may receive of {about}; expected one of {}",
            fields.set.pointers().join(", ")
        )),
        _ => Ok(()),
    }
}

/// The reports that a message says it ends; none when its type ends none.
pub(crate) fn named(
    event: &EventView,
    event_type: &EventType,
) -> Result<Option<String>, Violation> {
    let is_there =
        !event_type.corrects.is_empty() && event.attribute_names().any(|one| one == REPORTS);
    if !is_there {
        return Ok(None);
    }
    match event.attribute(REPORTS) {
        Some(Value::String(text)) if ids(text).is_some() => Ok(Some(text.to_owned())),
        _ => {
            let expected = format!("the ids of 1 to {REPORTS_MAX} reports, separated by commas");
            Err(Violation::new(Rule::AttributeType, REPORTS, "not a list of ids", expected))
        }
    }
}

/// The reports that the exchange's copy of a correction names.
#[must_use]
pub fn reports_of(event: &EventView) -> Vec<Uuid> {
    match event.attribute(REPORTS) {
        Some(Value::String(text)) => ids(text).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn ids(text: &str) -> Option<Vec<Uuid>> {
    let ids: Option<Vec<Uuid>> = text.split(',').map(|id| id.trim().parse().ok()).collect();
    ids.filter(|ids| ids.len() <= REPORTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_between_commas() {
        let id = "019ac3f2-6d1e-7c3a-9b54-2f1d7e8a9c10";
        assert_eq!(ids(&format!("{id}, {id}")).map(|ids| ids.len()), Some(2));
        for bad in ["", ",", "x", &format!("{id},"), &format!("{id} {id}")] {
            assert_eq!(ids(bad), None, "{bad}");
        }
        assert_eq!(ids(&vec![id; REPORTS_MAX + 1].join(",")), None);
    }
}
