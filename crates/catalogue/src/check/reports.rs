//! Reports: where their data says what is doubted, and what ends them.

use std::sync::Arc;

use toml::Spanned;
use wissel_identifiers::Oin;
use wissel_schema::FieldSet;

use super::{Checker, Place};
use crate::catalogue::TypeRights;
use crate::{Dispatch, Report, Silence, file};

impl<'a> Checker<'a> {
    pub(super) fn report(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &Spanned<file::Report>,
    ) -> Option<Dispatch> {
        let place = place.of(stated);
        let file::Report { status, term, remind, object, field, about, corrections } =
            stated.get_ref();
        let (term, remind) = self.terms(place, of, "report", term.as_ref(), remind)?;
        if term.is_none() && !remind.is_empty() {
            let message = "has no report.term, of which something is said; expected one";
            self.fault(place, format!("{of}: {message}"));
        }
        for (what, pointer) in [("object", object), ("field", field)] {
            let is_place = pointer.get_ref().starts_with('/');
            if !is_place || FieldSet::new([pointer.get_ref().as_str()]).is_err() {
                let expected = "expected a JSON Pointer (RFC 6901) such as /object/id";
                let message = format!("{of}: report.{what} {:?}; {expected}", pointer.get_ref());
                self.fault(place.of(pointer), message);
            }
        }
        let report = Report {
            object: object.get_ref().as_str().into(),
            field: field.get_ref().as_str().into(),
            about: about.as_str().into(),
            corrections: corrections.as_str().into(),
        };
        let silence = Silence::Escalates;
        let status = status.as_str().into();
        Some(Dispatch { status, term, remind, silence, report: Some(report) })
    }

    /// Which reports the messages of a type may end.
    pub(super) fn watch_corrections(&mut self) {
        let reports = self.catalogue.event_types();
        let reports = reports.filter_map(|one| Some((Arc::clone(&one.name), one.report()?)));
        let pairs: Vec<(Arc<str>, Arc<str>)> =
            reports.map(|(name, report)| (name, Arc::clone(&report.corrections))).collect();
        for (report, corrections) in pairs {
            if let Some(rights) = self.catalogue.types.get_mut(&corrections) {
                rights.event_type.corrects.push(report);
            }
        }
    }
}

/// What is doubted must be where it is said to be, and the exchange may see it.
pub(super) fn faults_of_places(
    rights: &TypeRights,
    report: &Report,
    exchange: &Oin,
) -> Vec<String> {
    let mut faults = Vec::new();
    let of_exchange = rights.receivers.get(exchange).and_then(|grant| grant.fields.as_ref());
    for (what, pointer) in [("object", &report.object), ("field", &report.field)] {
        let Ok(place) = FieldSet::new([&**pointer]) else { continue };
        let schema = rights.event_type.schema.as_ref();
        if let Some(Err(error)) = schema.map(|schema| schema.project(&place)) {
            faults.push(format!("report.{what}: {error}"));
        }
        if of_exchange.is_some_and(|fields| !fields.set.allows(pointer)) {
            faults.push(format!(
                "report.{what}: the exchange, party {exchange}, has no grant to receive {pointer}"
            ));
        }
    }
    faults
}
