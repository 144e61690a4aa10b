use std::sync::Arc;

use toml::Spanned;
use wissel_filter::{Condition, Filter};
use wissel_identifiers::Oin;
use wissel_schema::{DataSchema, FieldSet, Projection};

use super::{Checker, Place};
use crate::catalogue::TypeRights;
use crate::{Action, Fields, Grant, file};

impl<'a> Checker<'a> {
    pub(super) fn grant(&mut self, place: Place<'a>, grant: &file::Grant) {
        let file::Grant { party, action, purpose, legal_basis, filters, .. } = grant;
        let of = match party.as_slice() {
            [] => {
                return self
                    .fault(place, "a grant names no party; expected one or more".to_owned());
            }
            [one] => format!("a grant of party {one}"),
            [first, ..] => format!("a grant of party {first} and others"),
        };
        for party in party.as_slice() {
            self.known_party(place, *party, "the party of a grant");
        }
        if grant.event_type.as_slice().is_empty() {
            self.fault(place, format!("{of} names no event type; expected one or more"));
        }
        if let (Action::Publish, Some(_)) = (action, &grant.fields) {
            let message = "limits fields; expected that of grants to receive only";
            self.fault(place, format!("{of} to publish {message}"));
        }
        let limits = self.limits(place, &of, filters);
        match (grant.draft, purpose, legal_basis) {
            (false, Some(purpose), Some(legal_basis)) => {
                self.said(place, purpose, &of, "purpose");
                self.said(place, legal_basis, &of, "legal basis");
                let (purpose, legal_basis) = (purpose.as_str().into(), legal_basis.as_str().into());
                self.grants_in_force(place, &of, grant, &Grounds { purpose, legal_basis, limits });
            }
            _ => self.draft_grant(place, &of, grant),
        }
    }

    fn limits(&mut self, place: Place<'a>, of: &str, filters: &[Filter]) -> Condition {
        let mut limits = Vec::new();
        for filter in filters {
            match filter.check().and_then(|()| filter.compile()) {
                Ok(condition) => limits.push(condition),
                Err(error) => self.fault(place, format!("{of}: {error}")),
            }
        }
        Condition::all(limits)
    }

    /// A right for each party and event type that an entry names.
    fn grants_in_force(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &file::Grant,
        grounds: &Grounds,
    ) {
        for event_type in stated.event_type.as_slice() {
            let Some((name, _)) = self.catalogue.types.get_key_value(event_type.as_str()) else {
                self.not_in_force(place, of, event_type);
                continue;
            };
            let name = Arc::clone(name);
            let fields = stated.fields.as_ref();
            let fields =
                fields.and_then(|fields| self.fields(place, of, &name, fields, &stated.filters));
            for party in stated.party.as_slice() {
                let known = self.catalogue.parties.get(party);
                let strict = known.is_some_and(|party| party.strict);
                self.add_grant(
                    place,
                    Grant {
                        party: *party,
                        event_type: Arc::clone(&name),
                        action: stated.action,
                        purpose: Arc::clone(&grounds.purpose),
                        legal_basis: Arc::clone(&grounds.legal_basis),
                        filters: stated.filters.clone(),
                        limits: grounds.limits.clone(),
                        fields: fields.clone(),
                        strict,
                    },
                );
            }
        }
    }

    fn add_grant(&mut self, place: Place<'a>, grant: Grant) {
        let (party, action): (Oin, Action) = (grant.party, grant.action);
        let name = Arc::clone(&grant.event_type);
        let Some(rights) = self.catalogue.types.get_mut(&name) else { return };
        let TypeRights { publishers, receivers, .. } = rights;
        let index = match action {
            Action::Publish => publishers,
            Action::Receive => receivers,
        };
        if index.insert(party, Arc::new(grant)).is_some() {
            // One purpose and one legal basis, so that it is clear which one counts.
            let message = format!("party {party} has a grant to {action} {name} twice");
            self.fault(place, message);
        }
    }

    /// The fields of a grant with these row limits, shared by all on the event type that allow
    /// the same. None when they allow everything, or are at fault.
    pub(super) fn fields(
        &mut self,
        place: Place<'a>,
        of: &str,
        event_type: &Arc<str>,
        pointers: &[Spanned<String>],
        filters: &[Filter],
    ) -> Option<Arc<Fields>> {
        let schema = self.catalogue.types.get(event_type)?.event_type.schema.as_ref();
        let Some(schema) = schema else {
            let place = pointers.first().map_or(place, |first| place.of(first));
            let message = format!("{of}: fields of {event_type}, which has no schema to know them");
            self.fault(place, message);
            return None;
        };
        match known_fields(schema, place, pointers) {
            Ok((set, projection)) => {
                let fields = Fields::new(set, projection, filters);
                let key = (Arc::clone(event_type), fields.set.clone(), fields.key);
                Some(Arc::clone(self.fields.entry(key).or_insert_with(|| Arc::new(fields))))
            }
            Err(errors) => {
                for (place, error) in errors {
                    self.fault(place, format!("{of} on {event_type}: fields: {error}"));
                }
                None
            }
        }
    }
}

/// Why there is a right, and for which messages.
struct Grounds {
    purpose: Arc<str>,
    legal_basis: Arc<str>,
    limits: Condition,
}

/// The fields, when a schema knows them all.
///
/// # Errors
/// Each that it does not know, or what is wrong with all of them together.
pub(super) fn known_fields<'a>(
    schema: &DataSchema,
    place: Place<'a>,
    pointers: &[Spanned<String>],
) -> Result<(FieldSet, Projection), Vec<(Place<'a>, String)>> {
    let mut errors = Vec::new();
    for pointer in pointers {
        let known =
            FieldSet::new([pointer.get_ref().as_str()]).and_then(|one| schema.project(&one));
        if let Err(error) = known {
            errors.push((place.of(pointer), error.to_string()));
        }
    }
    let all = FieldSet::new(pointers.iter().map(|pointer| pointer.get_ref().as_str()));
    let fields = all.and_then(|set| Ok((schema.project(&set)?, set)));
    match fields {
        Ok((projection, set)) if errors.is_empty() => Ok((set, projection)),
        Err(error) if errors.is_empty() => {
            let place = pointers.first().map_or(place, |first| place.of(first));
            Err(vec![(place, error.to_string())])
        }
        _ => Err(errors),
    }
}
