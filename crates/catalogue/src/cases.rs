//! What makes the messages of an event type cases.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wissel_terms::{Calendar, Term};

use crate::Report;

/// What makes the messages of an event type cases, each for the one party that is competent,
/// which says how it stands until it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The event type of the messages that say how a case stands.
    pub status: Arc<str>,
    /// How long there is to decide; none: as long as it takes.
    pub term: Option<CaseTerm>,
    /// How long before the end whoever has the case is reminded.
    pub remind: Vec<CaseTerm>,
    /// What it means that nothing was decided when the term ends.
    pub silence: Silence,
    /// What makes these cases reports of doubt about data; none: they are not.
    pub report: Option<Report>,
}

/// What it means that nothing was decided in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// The sender is told, and may act.
    Escalates,
    /// What was asked for is granted by law (*positieve fictieve beschikking*, Awb 4.1.3.3):
    /// the decision is issued by the exchange.
    Consents {
        /// The event type of the decision.
        decision: Arc<str>,
    },
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseTerm {
    /// By the calendar of legal terms.
    Legal(Term),
    /// So long, to the second.
    Exact(Duration),
}

impl CaseTerm {
    /// When it is over, when it begins then.
    #[must_use]
    pub fn ends(self, start: SystemTime) -> SystemTime {
        match self {
            Self::Exact(duration) => start + duration,
            Self::Legal(term) => match jiff::Timestamp::try_from(start) {
                Ok(start) => system_time(term.ends(start, &Calendar::new())),
                Err(_) => start,
            },
        }
    }

    /// So long before this moment.
    #[must_use]
    pub fn before(self, end: SystemTime) -> SystemTime {
        match self {
            Self::Exact(duration) => end - duration,
            Self::Legal(term) => match jiff::Timestamp::try_from(end) {
                Ok(end) => system_time(term.reminder(end, &Calendar::new())),
                Err(_) => end,
            },
        }
    }
}

fn system_time(moment: jiff::Timestamp) -> SystemTime {
    let since_1970 = u64::try_from(moment.as_millisecond()).unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(since_1970)
}
