//! How a grant is shown.

use serde_json::{Value, json};
use wissel_catalogue::{Grant, Sensitivity};

/// Purpose, legal basis, row limits and fields, for a table.
pub(crate) fn cells(grant: &Grant) -> Vec<String> {
    let rows: Vec<String> =
        grant.filters.iter().filter_map(|filter| serde_json::to_string(filter).ok()).collect();
    let fields = grant.fields.as_ref().map(|fields| fields.set.pointers().join(" "));
    vec![
        grant.purpose.to_string(),
        grant.legal_basis.to_string(),
        if rows.is_empty() { "all".to_owned() } else { rows.join(" and ") },
        fields.unwrap_or_else(|| "all".to_owned()),
    ]
}

/// The same for scripts; `fields` is null where all are allowed.
pub(crate) fn to_json(grant: &Grant) -> Value {
    json!({
        "event_type": grant.event_type,
        "action": grant.action.to_string(),
        "purpose": grant.purpose,
        "legal_basis": grant.legal_basis,
        "filters": grant.filters,
        "fields": grant.fields.as_ref().map(|fields| fields.set.pointers()),
    })
}

/// As the files say it.
pub(crate) fn sensitivity(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Public => "public",
        Sensitivity::Internal => "internal",
        Sensitivity::Personal => "personal",
        Sensitivity::Special => "special",
    }
}
