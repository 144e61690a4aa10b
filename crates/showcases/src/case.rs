//! Cases in a play: how they stand, as those say who have them.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use jiff::civil::Date;
use serde_json::Value as Json;
use wissel_client::{Case, CaseState, Event, Uuid};
use wissel_message::{Timestamp, Value};

use crate::party::Party;

impl Party {
    /// Says how a case stands that this party has, in a message of this type with this data.
    pub(crate) async fn says(
        &self,
        case: Uuid,
        state: CaseState,
        event_type: &str,
        data: &Json,
    ) -> Result<Case> {
        // The same message each time: said again, it is not said twice.
        let event = self.event(event_type).data_json(data).build()?;
        self.until_done(|| self.client.set_status(case, state, &event))
            .await
            .with_context(|| format!("{} says {state}", self.name))
    }

    /// A case that this party sent, has or had.
    pub(crate) async fn case(&self, id: Uuid) -> Result<Case> {
        self.until_done(|| self.client.get_case(id))
            .await
            .with_context(|| format!("{} looks at a case", self.name))
    }
}

/// Whether a message tells that a case stands so.
pub(crate) fn tells(event: &Event, case: Uuid, state: CaseState) -> bool {
    let is = |name: &str, wanted: &str| matches!(event.attribute(name), Some(Value::String(text)) if text == wanted);
    is("wisselcase", &case.to_string()) && is("wisselstatus", state.as_str())
}

/// How a case stood, one after the other.
pub(crate) fn states(case: &Case) -> Vec<&'static str> {
    case.history.iter().map(|one| one.state.as_str()).collect()
}

/// When a case came to stand so.
pub(crate) fn since(case: &Case, state: CaseState) -> Option<SystemTime> {
    case.history.iter().find(|one| one.state == state).map(|one| one.at)
}

/// The last day of a term that ends at this moment, as people count days.
pub(crate) fn last_day(end: SystemTime) -> Result<Date> {
    let last_moment = jiff::Timestamp::try_from(end - Duration::from_secs(1))?;
    Ok(last_moment.in_tz("Europe/Amsterdam")?.date())
}

/// A moment as it stands in data.
pub(crate) fn written(moment: SystemTime) -> String {
    Timestamp::from(moment).to_string()
}
