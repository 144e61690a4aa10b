//! Fourth room: every rule that the message breaks, at once.

use std::sync::Arc;
use std::time::SystemTime;

use wissel_bus::MessageId;
use wissel_catalogue::{Audience, EventType, Grant, SubjectKind};
use wissel_identifiers::Oin;
use wissel_message::{
    EventView, Level, Limits, Rule, Timestamp, Violation, Violations, check_profile, expiry_time,
};

use super::authorise::Authorised;
use crate::direction::Destination;
use crate::followed::Followed;
use crate::{Caller, Refusal, clock, reports};

/// A message that Wissel takes: it has an id of ours and a moment.
#[derive(Debug)]
pub struct Admitted {
    pub(crate) event: EventView,
    pub(crate) caller: Caller,
    pub(crate) publisher: Oin,
    /// By which it was published.
    pub(crate) grant: Arc<Grant>,
    pub(crate) audience: Audience,
    /// What its subject is.
    pub(crate) subject: SubjectKind,
    pub(crate) message_id: MessageId,
    pub(crate) admitted_at: SystemTime,
    /// Until when it is kept for replay.
    pub(crate) archive_until: Option<SystemTime>,
    pub(crate) warnings: Vec<Violation>,
    pub(crate) destination: Destination,
    /// The reports that it says it ends, for the exchange alone: the event has them no more.
    pub(crate) reports: Option<String>,
    pub(crate) followed: Followed,
}

/// A message that is worth nothing any more is not taken: nobody would get it.
fn expired(event: &EventView, now: SystemTime) -> Option<Violation> {
    let expires_at = expiry_time(event).ok()??;
    let past = expires_at <= Timestamp::from(now);
    past.then(|| {
        let expected = "a moment that is still to come";
        Violation::new(Rule::ExpiryTime, "expirytime", "in the past", expected)
    })
}

fn without_reports(event: &EventView) -> Result<EventView, Refusal> {
    let frame = event.without_attribute(reports::REPORTS);
    EventView::decode(frame).map_err(|error| Refusal::internal(&error))
}

/// What the rules say of a message.
pub(super) struct Checked {
    pub(super) broken: Vec<Violation>,
    warnings: Vec<Violation>,
    /// The reports that it says it ends.
    reports: Option<String>,
}

/// Holds a message against every rule, those of its event type as well.
pub(super) fn check(
    event: &EventView,
    event_type: &EventType,
    grant: &Grant,
    limits: &Limits,
    now: SystemTime,
) -> Checked {
    let mut broken: Vec<Violation> = match wissel_message::validate(event, limits) {
        Ok(()) => Vec::new(),
        Err(violations) => violations.into_iter().collect(),
    };
    let mut warnings = Vec::new();
    for violation in check_profile(event) {
        if grant.strict || violation.rule.level() == Level::Must {
            broken.push(violation);
        } else {
            warnings.push(violation);
        }
    }
    broken.extend(event_type.check(event));
    broken.extend(expired(event, now));
    let reports = reports::named(event, event_type).unwrap_or_else(|violation| {
        broken.push(violation);
        None
    });
    Checked { broken, warnings, reports }
}

/// Checks the rules of CloudEvents 1.0, of the NL GOV profile and of the event type, and
/// the limits. What a message should be and is not is a warning, unless its publisher is
/// to be strict.
pub fn validate(authorised: Authorised<'_>, limits: &Limits) -> Result<Admitted, Refusal> {
    let Authorised { event, caller, publisher, grant, rights, destination } = authorised;
    let event_type = &rights.event_type;
    let admitted_at = clock::wall();
    let Checked { broken, warnings, reports } =
        check(&event, event_type, &grant, limits, admitted_at);
    Violations::none_of(broken)?;
    let event = if reports.is_some() { without_reports(&event)? } else { event };
    Ok(Admitted {
        archive_until: event_type.archive_until(admitted_at),
        audience: event_type.audience,
        subject: event_type.subject,
        event,
        caller,
        publisher,
        grant,
        message_id: MessageId::now(),
        admitted_at,
        warnings,
        destination,
        reports,
        followed: Followed::default(),
    })
}
