use std::time::SystemTime;

use wissel_identifiers::InboxName;
use wissel_proto::wissel::v1 as pb;

use crate::{Client, Listing};

/// Which records of processing are looked at. By default all but those that every message
/// leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this operation, such as `dead-letters-redriven` or `admission`.
    pub operation: Option<String>,
    /// Only what was refused, messages too.
    pub refused: bool,
    /// At this inbox.
    pub inbox: Option<InboxName>,
    /// From this moment on.
    pub since: Option<SystemTime>,
}

/// A line of the record of processing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessingRecord {
    /// Its number.
    pub sequence: u64,
    /// When (RFC 3339).
    pub time: String,
    /// What was done.
    pub operation: String,
    /// `ok` or `refused`.
    pub status: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Who did it.
    pub actor: String,
    /// Which of the operators, by name.
    pub operator: Option<String>,
    /// For whom.
    pub on_behalf_of: Option<String>,
    /// The event type.
    pub event_type: Option<String>,
    /// Wissel's id of the message.
    pub message_id: Option<String>,
    /// At which inbox.
    pub inbox: Option<String>,
    /// More.
    pub detail: Option<String>,
}

impl Client {
    /// Who did what, the latest first, of the record that the gateway keeps; for operators.
    pub fn list_records(&self, query: RecordQuery) -> Listing<ProcessingRecord> {
        let client = self.clone();
        Listing::new(move |page_token| {
            let (client, query) = (client.clone(), query.clone());
            async move {
                let body = pb::ListRecordsRequest {
                    operation: query.operation.unwrap_or_default(),
                    refused: query.refused,
                    inbox: query.inbox.map(|inbox| inbox.to_string()).unwrap_or_default(),
                    since: query.since.map(Into::into),
                    page_token,
                    ..pb::ListRecordsRequest::default()
                };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.operations(channel);
                        async move { service.list_records(request).await }
                    })
                    .await?;
                let records = response.records.into_iter().map(Into::into).collect();
                Ok((records, response.next_page_token))
            }
        })
    }
}

impl From<pb::Record> for ProcessingRecord {
    fn from(record: pb::Record) -> Self {
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            sequence: record.sequence,
            time: record.time,
            operation: record.operation,
            status: record.status,
            reason: said(record.reason),
            actor: record.actor,
            operator: said(record.operator),
            on_behalf_of: said(record.on_behalf_of),
            event_type: said(record.event_type),
            message_id: said(record.message_id),
            inbox: said(record.inbox),
            detail: said(record.detail),
        }
    }
}
