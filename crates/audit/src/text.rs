//! A record as JSON, written by hand: there is a line for each message, and a general
//! serialiser took more of a processor than the hash of the line.

use std::time::{Duration, SystemTime};

use crate::line::Head;
use crate::{Actor, Outcome, Record};

/// Writes moments: as whole seconds come again and again, each is put in words once.
#[derive(Default)]
pub(crate) struct Moments {
    /// Since 1970.
    second: u64,
    /// That second, such as `2026-11-29T12:00:00`. Empty before the first.
    text: String,
}

/// Appends the line that follows the head, without its own hash.
pub(crate) fn write_record(record: &Record, head: &Head, moments: &mut Moments, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"seq\":");
    number(head.seq + 1, out);
    plain("prev", &head.hash, out);
    key("time", out);
    out.push(b'"');
    moments.write(record.at, out);
    out.push(b'"');
    if let Some(trace_id) = &record.trace_id {
        digits("trace_id", trace_id, out);
    }
    key("operation", out);
    serde_json::to_writer(&mut *out, &record.operation).expect("a name can be written");
    match record.outcome {
        Outcome::Done => plain("status", "ok", out),
        Outcome::Refused(reason) => {
            plain("status", "refused", out);
            text("reason", Some(reason), out);
        }
    }
    match &record.actor {
        Actor::Party(party) => plain("actor", party.as_str(), out),
        other => plain("actor", &other.text(), out),
    }
    text("operator", record.operator.as_deref(), out);
    if let Some(principal) = &record.on_behalf_of {
        plain("on_behalf_of", principal.as_str(), out);
    }
    text("event_type", record.event_type.as_deref(), out);
    if let Some(id) = &record.message_id {
        let mut buffer = uuid::Uuid::encode_buffer();
        plain("message_id", id.hyphenated().encode_lower(&mut buffer), out);
    }
    if let Some(correlation) = &record.correlation {
        digits("correlation", correlation.as_bytes(), out);
    }
    if let Some(inbox) = &record.inbox {
        plain("inbox", inbox.as_str(), out);
    }
    let inboxes = record.inboxes.as_deref().unwrap_or_default();
    for (position, inbox) in inboxes.iter().take(Record::INBOXES).enumerate() {
        if position == 0 {
            key("inboxes", out);
        }
        out.extend_from_slice(if position == 0 { b"[\"" } else { b",\"" });
        out.extend_from_slice(inbox.as_str().as_bytes());
        out.push(b'"');
    }
    if !inboxes.is_empty() {
        out.push(b']');
    }
    text("purpose", record.purpose.as_deref(), out);
    text("legal_basis", record.legal_basis.as_deref(), out);
    if let Some(subject) = &record.subject {
        digits("data_subject_id", subject.as_bytes(), out);
        text("data_subject_id_type", record.subject_kind, out);
    }
    match (&record.detail, &record.inboxes) {
        (None, Some(inboxes)) => {
            key("detail", out);
            out.extend_from_slice(b"\"inboxes ");
            number(inboxes.len() as u64, out);
            out.push(b'"');
        }
        (detail, _) => text("detail", detail.as_deref(), out),
    }
    out.push(b'}');
}

impl Moments {
    /// To the millisecond, cut off, as RFC 3339 has it; nothing for what no calendar has.
    fn write(&mut self, at: SystemTime, out: &mut Vec<u8>) {
        let Ok(since_1970) = at.duration_since(SystemTime::UNIX_EPOCH) else {
            let moment = jiff::Timestamp::try_from(at);
            let moment = moment.map_or_else(|_| String::new(), |moment| format!("{moment:.3}"));
            return out.extend_from_slice(moment.as_bytes());
        };
        if self.text.is_empty() || self.second != since_1970.as_secs() {
            self.second = since_1970.as_secs();
            let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(self.second);
            self.text = match jiff::Timestamp::try_from(whole) {
                Ok(second) => second.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                Err(_) => return self.text.clear(),
            };
        }
        out.extend_from_slice(self.text.as_bytes());
        let milliseconds = since_1970.subsec_millis();
        let digit = |of: u32| b'0' + (milliseconds / of % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(number: u64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &number).expect("a number can be written");
}

/// A text that has nothing to be escaped.
fn plain(name: &str, value: &str, out: &mut Vec<u8>) {
    debug_assert!(!needs_escaping(value), "{name}");
    key(name, out);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn digits(name: &str, bytes: &[u8], out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'"');
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    hex::encode_to_slice(bytes, &mut out[start..]).expect("there is room for two digits a byte");
    out.push(b'"');
}

/// A text that may hold anything, if there is one.
fn text(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    match value {
        None => {}
        Some(value) if needs_escaping(value) => {
            key(name, out);
            serde_json::to_writer(out, value).expect("a text can be written");
        }
        Some(value) => plain(name, value, out),
    }
}

fn needs_escaping(value: &str) -> bool {
    value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde::Serialize;
    use uuid::Uuid;
    use wissel_identifiers::InboxName;

    use super::*;
    use crate::{Operation, SubjectHash};

    /// A line as a serialiser writes it.
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
        detail: Option<String>,
    }

    fn line<'a>(head: &'a Head, record: &'a Record) -> Line<'a> {
        let (status, reason) = match record.outcome {
            Outcome::Done => ("ok", None),
            Outcome::Refused(reason) => ("refused", Some(reason)),
        };
        Line {
            seq: head.seq + 1,
            prev: &head.hash,
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
            inboxes: record
                .inboxes
                .iter()
                .flat_map(|all| all.iter().take(20))
                .map(InboxName::as_str)
                .collect(),
            inbox: record.inbox.as_ref().map(|inbox| inbox.as_str()),
            purpose: record.purpose.as_deref(),
            legal_basis: record.legal_basis.as_deref(),
            data_subject_id: record.subject.map(|subject| subject.to_string()),
            data_subject_id_type: record.subject.and(record.subject_kind),
            detail: record.detail.clone().or_else(|| {
                record.inboxes.as_ref().map(|inboxes| format!("inboxes {}", inboxes.len()))
            }),
        }
    }

    fn moment() -> impl Strategy<Value = SystemTime> {
        let nanoseconds = prop_oneof![
            -2_000_000_000_i64..2_000_000_000,
            1_790_000_000_000_000_000_i64..1_790_000_003_000_000_000,
            any::<i64>(),
        ];
        nanoseconds.prop_map(|from_1970| {
            let distance = Duration::from_nanos(from_1970.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            if from_1970 < 0 { epoch - distance } else { epoch + distance }
        })
    }

    fn record() -> impl Strategy<Value = Record> {
        let party = "00000099000000001000".parse().unwrap();
        let actors = [
            Actor::Party(party),
            Actor::Operator(Some(party)),
            Actor::Operator(None),
            Actor::Wissel,
            Actor::Unknown,
        ];
        let texts = prop::collection::vec(prop::option::of(any::<String>()), 5);
        let ids = (any::<u128>(), prop::option::of(any::<[u8; 16]>()), 0_usize..24, 0_usize..4);
        let acts = (prop::sample::select(actors.to_vec()), any::<bool>(), any::<bool>());
        (moment(), texts, ids, acts).prop_map(move |(at, texts, ids, (actor, refused, other))| {
            let (id, hash, inboxes, which) = ids;
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten().map(|text| Arc::<str>::from(text.as_str()));
            let inbox = |number| format!("{party}.inbox-{number}").parse().unwrap();
            let subject = hash.map(SubjectHash::of_bytes);
            Record {
                outcome: if refused { Outcome::Refused("NOT \"GRANTED\"") } else { Outcome::Done },
                operator: text(),
                on_behalf_of: other.then_some(party),
                event_type: text(),
                message_id: other.then_some(Uuid::from_u128(id)),
                correlation: subject.filter(|_| other),
                inbox: (which == 0).then(|| inbox(0)),
                inboxes: (inboxes > 0).then(|| (1..inboxes).map(inbox).collect()),
                purpose: text(),
                legal_basis: text(),
                trace_id: hash,
                subject,
                subject_kind: (which < 2).then_some("bsn"),
                detail: text().map(|text| text.to_string()),
                at,
                ..Record::new(Operation::DeadLettersRedriven, actor)
            }
        })
    }

    proptest! {
        #[test]
        fn a_line_is_what_a_serialiser_writes(records in prop::collection::vec(record(), 1..5)) {
            let (mut moments, head) = (Moments::default(), Head::beginning());
            for record in records {
                let mut written = Vec::new();
                write_record(&record, &head, &mut moments, &mut written);
                let expected = serde_json::to_string(&line(&head, &record)).unwrap();
                prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
            }
        }
    }
}
