use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::Spanned;

use super::{Checker, Place};
use crate::{Mandate, file};

/// Which side of a day a date stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Beginning,
    End,
}

impl<'a> Checker<'a> {
    pub(super) fn mandate(&mut self, place: Place<'a>, mandate: &file::Mandate) {
        let file::Mandate { party, principal, basis, .. } = mandate;
        let of = format!("the mandate of party {party} for {principal}");
        self.known_party(place, *party, "the party of a mandate");
        self.known_party(place, *principal, "who a mandate is for");
        if party == principal {
            self.fault(place, format!("{of}: a party needs no mandate for itself"));
        }
        self.said(place, basis, &of, "basis");
        if mandate.action.as_slice().is_empty() {
            self.fault(place, format!("{of} allows nothing; expected publish, receive or both"));
        }
        let types = mandate.event_type.as_ref().map(file::OneOrMore::as_slice);
        self.mandated_types(place, mandate, &of, types.unwrap_or_default());
        let from = mandate.from.as_ref().and_then(|from| self.moment(place, from, Side::Beginning));
        let Some(until) = self.moment(place, &mandate.until, Side::End) else { return };
        if from.is_some_and(|from| from >= until) {
            self.fault(place.of(&mandate.until), format!("{of} ends before it begins"));
        } else if until <= self.now {
            self.warn(place.of(&mandate.until), format!("{of} has ended"));
        }
        let mandate = Mandate {
            party: *party,
            principal: *principal,
            actions: mandate.action.as_slice().to_vec(),
            types: types.map(<[String]>::to_vec),
            basis: basis.as_str().into(),
            from,
            until,
        };
        let of_both = self.catalogue.mandates.entry((*party, *principal)).or_default();
        of_both.push(Arc::new(mandate));
    }

    fn mandated_types(
        &mut self,
        place: Place<'a>,
        mandate: &file::Mandate,
        of: &str,
        types: &[String],
    ) {
        for event_type in types {
            let Some(rights) = self.catalogue.types.get(event_type.as_str()) else {
                self.not_in_force(place, of, event_type);
                continue;
            };
            let actions = mandate.action.as_slice();
            let granted =
                actions.iter().any(|action| rights.of(*action).contains_key(&mandate.principal));
            if !granted && self.is_complete() {
                let message = format!("{of}: the principal has no grant on {event_type}");
                self.warn(place, message);
            }
        }
    }

    /// A date (in UTC) or a moment (RFC 3339).
    fn moment(
        &mut self,
        place: Place<'a>,
        stated: &Spanned<String>,
        side: Side,
    ) -> Option<SystemTime> {
        let text = stated.get_ref();
        let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let date: Date = text.parse().ok()?;
            let date = if side == Side::End { date.tomorrow().ok()? } else { date };
            Some(date.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
        });
        let moment = moment.and_then(|moment| {
            let seconds = u64::try_from(moment.as_second()).ok()?;
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        });
        if moment.is_none() {
            let expected = "expected a date such as 2028-12-31, or a moment (RFC 3339)";
            self.fault(place.of(stated), format!("{text:?}: {expected}"));
        }
        moment
    }
}
