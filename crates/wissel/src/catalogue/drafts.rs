//! How drafts are shown: what is planned, and what it lacks to be in force.

use serde_json::{Value, json};
use wissel_catalogue::{Catalogue, DraftGrant, DraftType, Lack};

use super::named;
use crate::output;

/// The event types that are planned, below those in force.
pub(super) fn list(catalogue: &Catalogue) {
    let all = catalogue.drafts().types();
    if all.is_empty() {
        return;
    }
    output::line("\ndrafts, which are not in force");
    let rows =
        all.iter().map(|one| vec![one.name.to_string(), owner(catalogue, one), lacks(&one.lacks)]);
    output::table(&["EVENT TYPE", "OWNER", "LACKS"], rows.collect());
}

/// One event type that is planned, with the grants on it.
pub(super) fn show(catalogue: &Catalogue, draft: &DraftType) {
    output::facts([
        ("event type", draft.name.to_string()),
        ("what", draft.description.clone().unwrap_or_else(|| "-".to_owned())),
        ("owner", owner(catalogue, draft)),
        ("state", format!("a draft, not in force; lacks {}", lacks(&draft.lacks))),
    ]);
    grants(catalogue, catalogue.drafts().grants_on(&draft.name));
}

/// Grants that are planned, when there are any.
pub(crate) fn grants<'a>(catalogue: &Catalogue, grants: impl IntoIterator<Item = &'a DraftGrant>) {
    let text = |text: &Option<_>| text.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let rows = grants.into_iter().map(|one: &DraftGrant| {
        vec![
            named(catalogue, &one.party),
            one.action.to_string(),
            one.event_type.to_string(),
            text(&one.purpose),
            text(&one.legal_basis),
            lacks(&one.lacks),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    output::line("\ndrafts, which give no right");
    output::table(&["PARTY", "MAY", "EVENT TYPE", "PURPOSE", "LEGAL BASIS", "LACKS"], rows);
}

/// For scripts.
pub(super) fn type_to_json(catalogue: &Catalogue, draft: &DraftType) -> Value {
    let grants = catalogue.drafts().grants_on(&draft.name).iter();
    json!({
        "event_type": draft.name,
        "draft": true,
        "owner": draft.owner,
        "description": draft.description,
        "lacks": lacking(&draft.lacks),
        "drafts": grants.map(grant_to_json).collect::<Vec<_>>(),
    })
}

/// The same of a grant.
pub(crate) fn grant_to_json(grant: &DraftGrant) -> Value {
    json!({
        "party": grant.party,
        "event_type": grant.event_type,
        "action": grant.action.to_string(),
        "purpose": grant.purpose,
        "legal_basis": grant.legal_basis,
        "filters": grant.filters,
        "fields": grant.fields,
        "lacks": lacking(&grant.lacks),
    })
}

fn owner(catalogue: &Catalogue, draft: &DraftType) -> String {
    draft.owner.map_or_else(|| "-".to_owned(), |owner| named(catalogue, &owner))
}

fn lacking(lacks: &[Lack]) -> Vec<String> {
    lacks.iter().map(ToString::to_string).collect()
}

fn lacks(lacks: &[Lack]) -> String {
    if lacks.is_empty() { "nothing".to_owned() } else { lacking(lacks).join(", ") }
}
