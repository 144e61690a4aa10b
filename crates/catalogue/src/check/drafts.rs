//! Drafts: what they state is checked as of all else, and what they lack is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toml::Spanned;
use wissel_schema::DataSchema;

use super::event_types::Content;
use super::grants::known_fields;
use super::{Checker, Place};
use crate::{Action, DraftGrant, DraftType, Lack, file};

/// The drafts that were found, with where they stand.
#[derive(Default)]
pub(super) struct Found<'a> {
    types: BTreeMap<Arc<str>, PlannedType<'a>>,
    grants: Vec<PlannedGrants<'a>>,
}

struct PlannedType<'a> {
    place: Place<'a>,
    draft: DraftType,
    /// By which fields of draft grants are known.
    schema: Option<DataSchema>,
    /// The event types that it names, and as what.
    refers: Vec<(&'static str, Arc<str>)>,
}

/// What one entry of a file plans, which may be for several parties and event types.
struct PlannedGrants<'a> {
    place: Place<'a>,
    /// Whose it is, for people.
    of: String,
    drafts: Vec<DraftGrant>,
}

impl Found<'_> {
    fn all_grants(&self) -> impl Iterator<Item = &DraftGrant> {
        self.grants.iter().flat_map(|one| &one.drafts)
    }
}

impl<'a> Checker<'a> {
    pub(super) fn draft_type(&mut self, place: Place<'a>, draft: DraftType, content: Content) {
        let name = Arc::clone(&draft.name);
        let refers = content.refers();
        let planned = PlannedType { place, draft, schema: content.schema, refers };
        if self.drafts.types.insert(Arc::clone(&name), planned).is_some() {
            self.fault(place, format!("the draft of event type {name} is there twice"));
        }
    }

    pub(super) fn draft_grant(&mut self, place: Place<'a>, of: &str, stated: &file::Grant) {
        let said = |text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.trim().is_empty());
            text.map(Arc::<str>::from)
        };
        let fields = stated.fields.as_ref().map(|fields| {
            fields.iter().map(|pointer| pointer.get_ref().clone()).collect::<Vec<_>>()
        });
        let mut drafts = Vec::new();
        for event_type in stated.event_type.as_slice() {
            if !self.is_known(event_type) {
                self.dangling(place, format!("{of}: no event type {event_type:?}"));
                continue;
            }
            if let Some(pointers) = &stated.fields {
                self.draft_fields(place, of, event_type, pointers);
            }
            drafts.extend(stated.party.as_slice().iter().map(|party| DraftGrant {
                party: *party,
                event_type: event_type.as_str().into(),
                action: stated.action,
                purpose: said(&stated.purpose),
                legal_basis: said(&stated.legal_basis),
                filters: stated.filters.clone(),
                fields: fields.clone(),
                lacks: Vec::new(),
            }));
        }
        self.drafts.grants.push(PlannedGrants { place, of: of.to_owned(), drafts });
    }

    /// A draft without a schema may have one before it is in force.
    fn draft_fields(
        &mut self,
        place: Place<'a>,
        of: &str,
        event_type: &str,
        pointers: &[Spanned<String>],
    ) {
        if self.catalogue.types.contains_key(event_type) {
            self.fields(place, of, &event_type.into(), pointers, &[]);
            return;
        }
        let schema = self.drafts.types.get(event_type).and_then(|one| one.schema.as_ref());
        let errors = schema.and_then(|schema| known_fields(schema, place, pointers).err());
        for (place, error) in errors.into_iter().flatten() {
            self.fault(place, format!("{of} on {event_type}: fields: {error}"));
        }
    }

    /// Whether there is such an event type, in force or planned.
    fn is_known(&self, event_type: &str) -> bool {
        self.catalogue.types.contains_key(event_type) || self.is_draft(event_type)
    }

    pub(super) fn is_draft(&self, event_type: &str) -> bool {
        self.drafts.types.contains_key(event_type)
    }

    /// Holds drafts against what is in force and against each other.
    pub(super) fn finish_drafts(&mut self) {
        let found = std::mem::take(&mut self.drafts);
        self.faults_of_planned_types(&found);
        self.faults_of_planned(&found);
        let types = self.planned_types(&found);
        let grants = self.planned_grants(&found);
        (self.catalogue.drafts.types, self.catalogue.drafts.grants) = (types, grants);
    }

    /// Each draft of an event type, with what it lacks, which is told.
    fn planned_types(&mut self, found: &Found<'a>) -> Vec<DraftType> {
        let granted: BTreeSet<(&str, Action)> = found.all_grants().map(on_what).collect();
        let mut types = Vec::new();
        for (name, PlannedType { place, draft, refers, .. }) in &found.types {
            let refers_to_draft = refers.iter().any(|(_, other)| found.types.contains_key(other));
            let lacks = those([
                (Lack::Owner, draft.owner.is_none()),
                (Lack::Description, draft.description.is_none()),
                (Lack::Publisher, !granted.contains(&(&**name, Action::Publish))),
                (Lack::Receiver, !granted.contains(&(&**name, Action::Receive))),
                (Lack::EventType, refers_to_draft),
            ]);
            self.tell_draft(*place, &format!("event type {name}"), &lacks);
            types.push(DraftType { lacks, ..draft.clone() });
        }
        types
    }

    /// Each draft of a grant, with what it lacks, which is told once for what one entry plans.
    fn planned_grants(&mut self, found: &Found<'a>) -> Vec<DraftGrant> {
        let mut grants = Vec::new();
        for PlannedGrants { place, of, drafts } in &found.grants {
            let mut all_lacks = BTreeSet::new();
            for draft in drafts {
                let lacks = those([
                    (Lack::Purpose, draft.purpose.is_none()),
                    (Lack::LegalBasis, draft.legal_basis.is_none()),
                    (Lack::EventType, found.types.contains_key(&draft.event_type)),
                ]);
                all_lacks.extend(lacks.iter().copied());
                grants.push(DraftGrant { lacks, ..draft.clone() });
            }
            self.tell_draft(*place, of, &all_lacks.into_iter().collect::<Vec<_>>());
        }
        let of_type = |one: &DraftGrant| (Arc::clone(&one.event_type), one.action, one.party);
        grants.sort_by_cached_key(of_type);
        grants
    }

    /// An event type is planned while it is not in force, and those that it names are known.
    fn faults_of_planned_types(&mut self, found: &Found<'a>) {
        for (name, PlannedType { place, refers, .. }) in &found.types {
            if self.catalogue.types.contains_key(name) {
                let message = format!("event type {name} is in force, and cannot be a draft too");
                self.fault(*place, message);
            }
            for (what, other) in refers {
                if !self.catalogue.types.contains_key(other) && !found.types.contains_key(other) {
                    let message = format!("event type {name}: {what} is no event type: {other:?}");
                    self.dangling(*place, message);
                }
            }
        }
    }

    /// A right is planned once, and not when it is in force already.
    fn faults_of_planned(&mut self, found: &Found<'a>) {
        let mut seen = BTreeSet::new();
        for PlannedGrants { place, drafts, .. } in &found.grants {
            for DraftGrant { party, event_type, action, .. } in drafts {
                if self.catalogue.grant(party, *action, event_type).is_some() {
                    let message = format!(
                        "party {party} has a grant to {action} {event_type} in force, and cannot \
                         have a draft of it too"
                    );
                    self.fault(*place, message);
                }
                if !seen.insert((event_type, action, party)) {
                    let message = format!(
                        "party {party} has a draft of a grant to {action} {event_type} twice"
                    );
                    self.fault(*place, message);
                }
            }
        }
    }

    /// Unless it is unknown what is there.
    fn tell_draft(&mut self, place: Place<'a>, of: &str, lacks: &[Lack]) {
        if !self.is_complete() {
            return;
        }
        let message = if lacks.is_empty() {
            format!("{of} is a draft that lacks nothing; remove `draft` to put it in force")
        } else {
            let lacks: Vec<String> = lacks.iter().map(ToString::to_string).collect();
            format!("{of} is a draft; lacks {}", lacks.join(", "))
        };
        self.catalogue.drafts.warnings.push(place.error(message));
    }
}

fn on_what(draft: &DraftGrant) -> (&str, Action) {
    (&draft.event_type, draft.action)
}

/// The lacks that there are.
fn those(lacks: impl IntoIterator<Item = (Lack, bool)>) -> Vec<Lack> {
    lacks.into_iter().filter(|(_, is_so)| *is_so).map(|(lack, _)| lack).collect()
}
