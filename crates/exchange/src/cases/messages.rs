//! What the exchange itself says of cases.

use std::time::SystemTime;

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;
use wissel_broker::Refusal;
use wissel_identifiers::Oin;
use wissel_message::{Event, EventView, Timestamp};
use wissel_store::CaseFile;

use super::Status;

/// The attribute that names the case.
const CASE: &str = "wisselcase";
/// The attribute with how it stands.
const STATUS: &str = "wisselstatus";
const CORRELATION: &str = "correlationid";
/// The attribute with the message id of the correction that ended a report.
const CORRECTION: &str = "wisselcorrection";

/// Names a status that the exchange tells of.
pub(super) fn event_id(case: &CaseFile, status: Status) -> String {
    format!("{}-{}-{status}", case.id, case.statuses.len())
}

/// A message of the exchange: always the same for the same case, status and number.
pub(super) fn write(
    exchange: Oin,
    event_type: &str,
    case: &CaseFile,
    status: Status,
    correction: Option<Uuid>,
    at: SystemTime,
    to: Oin,
) -> Result<Vec<u8>, Refusal> {
    let CaseFile { id, ends_at, .. } = case;
    let event_id = event_id(case, status);
    let mut data = json!({
        "zaak": id.to_string(),
        "status": status.as_str(),
        "eindigt": ends_at.map(|end| Timestamp::from(end).to_string()),
        "behandelaar": case.holder.as_str(),
    });
    // A type of messages may go to two parties, and each is one of its own.
    let source = format!("urn:nld:oin:{exchange}:systeem:zaken");
    let mut event = Event::builder(format!("{event_id}-{to}"), source, event_type)
        .time(Timestamp::from(at))
        .extension(CASE, id.to_string())
        .extension(STATUS, status.as_str())
        .extension(CORRELATION, id.to_string());
    if let Some(correction) = correction {
        data["correctie"] = correction.to_string().into();
        event = event.extension(CORRECTION, correction.to_string());
    }
    let event = event
        .data_text("application/json", data.to_string())
        .build()
        .map_err(|violations| Refusal::internal(&violations))?;
    Ok(event.encode().to_vec())
}

/// A message of whoever has the case, with the case that it is about.
pub(super) fn stamp(event: &EventView, case: Uuid, status: Status) -> Result<Bytes, Refusal> {
    let again = |frame| EventView::decode(frame).map_err(|error| Refusal::internal(&error));
    let has_correlation = event.attribute(CORRELATION).is_some();
    let with_case = again(event.with_attribute(CASE, &case.to_string()))?;
    let frame = with_case.with_attribute(STATUS, status.as_str());
    if has_correlation {
        return Ok(frame);
    }
    Ok(again(frame)?.with_attribute(CORRELATION, &case.to_string()))
}
