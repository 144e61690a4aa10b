//! How a case may stand, and what may follow on what.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use wissel_broker::{Reason, Refusal};
use wissel_store::CaseFile;

/// How a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It came in (*ontvangen*).
    Received,
    /// It is worked on (*in behandeling*).
    InProgress,
    /// Its term stands still (*opgeschort*, Awb 4:15).
    Suspended,
    /// Its term runs again.
    Resumed,
    /// Its term ends later (*verdaagd*, Awb 4:14).
    Extended,
    /// It was decided (*besloten*).
    Decided,
    /// Whoever has it is not competent, and knows nobody who is.
    NotCompetent,
    /// Its sender took it back (*ingetrokken*).
    Withdrawn,
    /// It was sent on to another party (*doorgezonden*, Awb 2:3).
    Forwarded,
    /// Whoever has it was reminded.
    Reminded,
    /// Its term ended, and nothing was decided.
    Lapsed,
    /// Its term ended, and what was asked for is granted by law.
    Consented,
    /// Of a report: what it doubts is looked into (*in onderzoek*).
    UnderInvestigation,
    /// Of a report: what it doubted was corrected.
    Corrected,
    /// Of a report: what it doubted is right.
    Confirmed,
}

const ALL: [Status; 15] = [
    Status::Received,
    Status::InProgress,
    Status::Suspended,
    Status::Resumed,
    Status::Extended,
    Status::Decided,
    Status::NotCompetent,
    Status::Withdrawn,
    Status::Forwarded,
    Status::Reminded,
    Status::Lapsed,
    Status::Consented,
    Status::UnderInvestigation,
    Status::Corrected,
    Status::Confirmed,
];

impl Status {
    /// The code as it goes over the wire; it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::InProgress => "IN_PROGRESS",
            Self::Suspended => "SUSPENDED",
            Self::Resumed => "RESUMED",
            Self::Extended => "EXTENDED",
            Self::Decided => "DECIDED",
            Self::NotCompetent => "NOT_COMPETENT",
            Self::Withdrawn => "WITHDRAWN",
            Self::Forwarded => "FORWARDED",
            Self::Reminded => "REMINDED",
            Self::Lapsed => "LAPSED",
            Self::Consented => "CONSENTED",
            Self::UnderInvestigation => "UNDER_INVESTIGATION",
            Self::Corrected => "CORRECTED",
            Self::Confirmed => "CONFIRMED",
        }
    }

    /// Whether nothing follows on it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Decided
                | Self::NotCompetent
                | Self::Withdrawn
                | Self::Consented
                | Self::Corrected
                | Self::Confirmed
        )
    }

    /// Whether it is for whoever has the case to say, of a report or of another case.
    fn is_of_holder(self, is_report: bool) -> bool {
        match self {
            Self::Received
            | Self::Suspended
            | Self::Resumed
            | Self::Extended
            | Self::NotCompetent => true,
            Self::InProgress | Self::Decided => !is_report,
            Self::UnderInvestigation | Self::Corrected | Self::Confirmed => is_report,
            Self::Withdrawn | Self::Forwarded | Self::Reminded | Self::Lapsed | Self::Consented => {
                false
            }
        }
    }
}

/// The case as it is when its holder says that it stands so from now on.
///
/// # Errors
/// [`Reason::WrongState`] when it cannot; [`Reason::InvalidRequest`] for a status that is not
/// the holder's to say, or an end that does not go with it.
pub(super) fn follow(
    case: &CaseFile,
    is_report: bool,
    status: Status,
    new_end: Option<SystemTime>,
    now: SystemTime,
) -> Result<CaseFile, Refusal> {
    check_open(case)?;
    if !status.is_of_holder(is_report) {
        let kind = if is_report { "a report" } else { "a case that is no report" };
        let message = format!("{status} is not for whoever has {kind} to say");
        return Err(Refusal::of_field(Reason::InvalidRequest, "status", message));
    }
    if new_end.is_some() != (status == Status::Extended) {
        let message = "goes with EXTENDED, and with nothing else";
        return Err(Refusal::of_field(Reason::InvalidRequest, "ends_at", message));
    }
    let wrong = |message: &str| Err(Refusal::of_field(Reason::WrongState, "status", message));
    let mut next = case.clone();
    match (status, case.suspended_at) {
        (Status::Suspended | Status::Extended, _) if case.ends_at.is_none() => {
            return wrong("the case has no term");
        }
        (Status::Suspended, Some(_)) => return wrong("the term stands still already"),
        (Status::Suspended, None) => next.suspended_at = Some(now),
        (Status::Resumed, None) => return wrong("the term does not stand still"),
        (Status::Resumed, Some(since)) => {
            let stood_still = now.duration_since(since).unwrap_or_default();
            next.suspended_at = None;
            next.ends_at = case.ends_at.map(|end| end + stood_still);
        }
        (Status::Extended, _) => {
            if new_end <= case.ends_at {
                let message = "not after the end of now; expected a later moment";
                return Err(Refusal::of_field(Reason::InvalidRequest, "ends_at", message));
            }
            next.ends_at = new_end;
        }
        _ => {}
    }
    next.closed = status.is_final();
    Ok(next)
}

/// Refuses a case on which nothing follows.
pub(super) fn check_open(case: &CaseFile) -> Result<(), Refusal> {
    if !case.closed {
        return Ok(());
    }
    let last = case.statuses.last().map_or("closed", |last| &*last.status);
    Err(Refusal::new(Reason::WrongState, format!("the case is closed: {last}")))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        ALL.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use uuid::Uuid;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn case() -> CaseFile {
        CaseFile {
            id: Uuid::nil(),
            event_type: "nl.t.zaak".to_owned(),
            sender: "00000099000000001000".parse().unwrap(),
            holder: "00000099000000002000".parse().unwrap(),
            opened_at: at(0),
            ends_at: Some(at(1_000)),
            suspended_at: None,
            closed: false,
            statuses: Vec::new(),
        }
    }

    #[test]
    fn a_term_that_stood_still_ends_as_much_later() {
        let suspended = follow(&case(), false, Status::Suspended, None, at(100)).unwrap();
        assert_eq!(suspended.suspended_at, Some(at(100)));
        assert!(follow(&suspended, false, Status::Suspended, None, at(150)).is_err());
        let resumed = follow(&suspended, false, Status::Resumed, None, at(300)).unwrap();
        assert_eq!((resumed.ends_at, resumed.suspended_at), (Some(at(1_200)), None));
        assert!(follow(&resumed, false, Status::Resumed, None, at(400)).is_err());
    }

    #[test]
    fn nothing_follows_on_what_is_final() {
        for last in ALL {
            for is_report in [false, true] {
                if !last.is_of_holder(is_report) {
                    let refusal = follow(&case(), is_report, last, None, at(1)).unwrap_err();
                    assert_eq!(refusal.reason, Reason::InvalidRequest, "{last}");
                }
            }
            assert_eq!(last.as_str().parse(), Ok(last));
        }
        let decided = follow(&case(), false, Status::Decided, None, at(1)).unwrap();
        assert!(decided.closed);
        let refusal = follow(&decided, false, Status::InProgress, None, at(2)).unwrap_err();
        assert_eq!(refusal.reason, Reason::WrongState);
        for (last, closed) in [
            (Status::UnderInvestigation, false),
            (Status::Corrected, true),
            (Status::Confirmed, true),
        ] {
            assert_eq!(follow(&case(), true, last, None, at(1)).unwrap().closed, closed, "{last}");
        }
    }

    #[test]
    fn an_extension_is_to_a_later_moment() {
        let extended = follow(&case(), false, Status::Extended, Some(at(2_000)), at(1)).unwrap();
        assert_eq!(extended.ends_at, Some(at(2_000)));
        for end in [None, Some(at(1_000)), Some(at(999))] {
            assert!(follow(&case(), false, Status::Extended, end, at(1)).is_err());
        }
        let without = CaseFile { ends_at: None, ..case() };
        assert!(follow(&without, false, Status::Extended, Some(at(1)), at(1)).is_err());
        assert!(follow(&case(), false, Status::Decided, Some(at(2_000)), at(1)).is_err());
    }
}
