//! A record as a line, and the chain that lines make.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Operation, Outcome, Record};

/// What a chain is at one point: the last line's number and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

/// The hash of a record: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordHash(String);

/// The text is not the hash of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the hash of a record, which has 64 hexadecimal digits")]
pub struct RecordHashError;

/// What every line has.
#[derive(Deserialize)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) prev: String,
    pub(crate) time: String,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    prev: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    operation: Operation,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inboxes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_basis: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_subject_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_subject_id_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl RecordHash {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RecordHash {
    type Err = RecordHashError;

    fn from_str(text: &str) -> Result<Self, RecordHashError> {
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { Ok(Self(text.to_ascii_lowercase())) } else { Err(RecordHashError) }
    }
}

impl Head {
    /// That of a chain without a line.
    pub(crate) fn beginning() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }

    /// Appends a record to `out` as a line, and moves the head to it.
    pub(crate) fn append(&mut self, record: &Record, out: &mut Vec<u8>) {
        let start = out.len();
        let line = self.line(record);
        serde_json::to_writer(&mut *out, &line).expect("a line has nothing that JSON has not");
        let hash = hash(&out[start..]);
        // The closing brace makes room for the hash.
        out.pop();
        out.extend_from_slice(HASH_START.as_bytes());
        out.extend_from_slice(hash.as_bytes());
        out.extend_from_slice(b"\"}\n");
        self.seq += 1;
        self.hash = hash;
    }

    fn line<'a>(&'a self, record: &'a Record) -> Line<'a> {
        let (status, reason) = match record.outcome {
            Outcome::Done => ("ok", None),
            Outcome::Refused(reason) => ("refused", Some(reason)),
        };
        Line {
            seq: self.seq + 1,
            prev: &self.hash,
            time: jiff::Timestamp::try_from(record.at)
                .map_or_else(|_| String::new(), |moment| format!("{moment:.3}")),
            trace_id: record.trace_id.map(hex::encode),
            operation: record.operation,
            status,
            reason,
            actor: record.actor.text(),
            operator: record.operator.as_deref(),
            on_behalf_of: record.on_behalf_of.as_ref().map(|oin| oin.as_str()),
            event_type: record.event_type.as_deref(),
            message_id: record.message_id.map(|id| id.to_string()),
            correlation: record.correlation.map(|correlation| correlation.to_string()),
            inboxes: record.inboxes.iter().map(|inbox| inbox.as_str()).collect(),
            inbox: record.inbox.as_ref().map(|inbox| inbox.as_str()),
            purpose: record.purpose.as_deref(),
            legal_basis: record.legal_basis.as_deref(),
            data_subject_id: record.subject.map(|subject| subject.to_string()),
            data_subject_id_type: record.subject.and(record.subject_kind),
            detail: record.detail.as_deref(),
        }
    }
}

/// Holds a line, without its end, against its own hash. Gives what it says of the chain.
pub(crate) fn check(line: &[u8]) -> Result<(Link, String), String> {
    let end = HASH_START.len() + 64 + 2;
    let split = line.len().checked_sub(end).ok_or("not a record")?;
    let (body, tail) = line.split_at(split);
    let stated = tail
        .strip_prefix(HASH_START.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\"}"))
        .and_then(|hash| std::str::from_utf8(hash).ok())
        .ok_or("not a record: it does not end in its hash")?;
    let mut whole = Vec::with_capacity(body.len() + 1);
    whole.extend_from_slice(body);
    whole.push(b'}');
    if hash(&whole) != stated {
        return Err("the record was changed: its hash is another".to_owned());
    }
    let link = serde_json::from_slice(&whole).map_err(|_| "not a record".to_owned())?;
    Ok((link, stated.to_owned()))
}

const HASH_START: &str = ",\"hash\":\"";

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
