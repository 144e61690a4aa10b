//! The record of processing, on the wire.

use std::time::SystemTime;

use wissel_broker::{Broker, Caller, Refusal, audit};
use wissel_identifiers::InboxName;
use wissel_proto::wissel::v1 as pb;

use crate::fields::{TOKEN_EXPECTED, invalid, moment, name, page_size};

/// A page of it, the latest first.
pub(crate) async fn list(
    broker: &Broker,
    caller: Caller,
    asked: pb::ListRecordsRequest,
) -> Result<pb::ListRecordsResponse, Refusal> {
    let looked = broker.look_at_records(&caller, read(asked)?).await?;
    let next_page_token = looked.further.map(|before| before.to_string()).unwrap_or_default();
    let records = looked.lines.into_iter().map(write).collect();
    Ok(pb::ListRecordsResponse { records, next_page_token })
}

fn read(asked: pb::ListRecordsRequest) -> Result<audit::Look, Refusal> {
    let pb::ListRecordsRequest { operation, refused, inbox, since, page_size: size, page_token } =
        asked;
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let operation = said(operation).map(|text| text.parse::<audit::Operation>()).transpose();
    let inbox = said(inbox).map(|text| name::<InboxName>("inbox", &text)).transpose()?;
    let before = said(page_token).map(|text| text.parse()).transpose();
    Ok(audit::Look {
        before: before.map_err(|_| invalid("page_token", TOKEN_EXPECTED))?,
        operation: operation.map_err(|error| invalid("operation", error.to_string()))?,
        refused,
        inbox: inbox.map(|inbox| inbox.to_string()),
        since: since
            .map(|since| moment("since", Some(since), SystemTime::UNIX_EPOCH))
            .transpose()?,
        limit: page_size(size)?,
        bytes: None,
    })
}

fn write(line: audit::Line) -> pb::Record {
    let or_empty = Option::unwrap_or_default;
    pb::Record {
        sequence: line.seq,
        time: line.time,
        operation: line.operation,
        status: line.status,
        reason: or_empty(line.reason),
        actor: line.actor,
        operator: or_empty(line.operator),
        on_behalf_of: or_empty(line.on_behalf_of),
        event_type: or_empty(line.event_type),
        message_id: or_empty(line.message_id),
        inbox: or_empty(line.inbox),
        detail: or_empty(line.detail),
    }
}
