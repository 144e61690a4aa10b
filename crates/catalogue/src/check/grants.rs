use std::sync::Arc;

use toml::Spanned;
use wissel_filter::Condition;
use wissel_identifiers::Oin;
use wissel_schema::FieldSet;

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
        self.said(place, purpose, &of, "purpose");
        self.said(place, legal_basis, &of, "legal basis");
        let mut limits = Vec::new();
        for filter in filters {
            match filter.compile() {
                Ok(condition) => limits.push(condition),
                Err(error) => self.fault(place, format!("{of}: {error}")),
            }
        }
        let limits = Condition::all(limits);
        if let (Action::Publish, Some(_)) = (action, &grant.fields) {
            let message = "limits fields; expected that of grants to receive only";
            self.fault(place, format!("{of} to publish {message}"));
        }
        let (purpose, legal_basis): (Arc<str>, Arc<str>) =
            (purpose.as_str().into(), legal_basis.as_str().into());
        for event_type in grant.event_type.as_slice() {
            let Some((name, _)) = self.catalogue.types.get_key_value(event_type.as_str()) else {
                self.dangling(place, format!("{of}: no event type {event_type:?}"));
                continue;
            };
            let name = Arc::clone(name);
            let fields = grant.fields.as_ref();
            let fields = fields.and_then(|fields| self.fields(place, &of, &name, fields));
            for party in party.as_slice() {
                let known = self.catalogue.parties.get(party);
                let strict = known.is_some_and(|party| party.strict);
                self.add_grant(
                    place,
                    Grant {
                        party: *party,
                        event_type: Arc::clone(&name),
                        action: *action,
                        purpose: Arc::clone(&purpose),
                        legal_basis: Arc::clone(&legal_basis),
                        filters: filters.clone(),
                        limits: limits.clone(),
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

    /// The fields, shared by all grants on the event type that allow the same. None when
    /// they allow everything, or are at fault.
    fn fields(
        &mut self,
        place: Place<'a>,
        of: &str,
        event_type: &Arc<str>,
        pointers: &[Spanned<String>],
    ) -> Option<Arc<Fields>> {
        let place_of_first = pointers.first().map_or(place, |first| place.of(first));
        let schema = self.catalogue.types.get(event_type)?.event_type.schema.as_ref();
        let Some(schema) = schema else {
            let message = format!("{of}: fields of {event_type}, which has no schema to know them");
            self.fault(place_of_first, message);
            return None;
        };
        let mut errors = Vec::new();
        for pointer in pointers {
            let known =
                FieldSet::new([pointer.get_ref().as_str()]).and_then(|one| schema.project(&one));
            if let Err(error) = known {
                errors.push((place.of(pointer), format!("{of} on {event_type}: fields: {error}")));
            }
        }
        let all = FieldSet::new(pointers.iter().map(|pointer| pointer.get_ref().as_str()));
        let fields = all.and_then(|set| Ok(Fields { projection: schema.project(&set)?, set }));
        let faultless = errors.is_empty();
        for (place, message) in errors {
            self.fault(place, message);
        }
        match fields {
            Ok(fields) if faultless => {
                let key = (Arc::clone(event_type), fields.set.clone());
                Some(Arc::clone(self.fields.entry(key).or_insert_with(|| Arc::new(fields))))
            }
            Ok(_) => None,
            Err(error) => {
                if faultless {
                    self.fault(place_of_first, format!("{of} on {event_type}: fields: {error}"));
                }
                None
            }
        }
    }
}
