//! The record of processing: who did what with which message, for whom, for which
//! purpose and by which law.
//!
//! Follows the idea of the *Logboek dataverwerkingen* (Logius): one record for each
//! processing of data, with the trace that it belongs to, the activity of which it is
//! part, and the person whom it is about, never by a number that says who that is.
//!
//! A record is a line of JSON in a file `records-NNNNNN.jsonl`:
//!
//! ```json
//! {"seq":7,"prev":"9f…","time":"2026-11-24T10:00:00.123Z","trace_id":"0197…",
//!  "operation":"delivery","status":"ok","actor":"00000001002220647000",
//!  "event_type":"nl.brp.geboorte","message_id":"0197…",
//!  "inbox":"00000001002220647000.inwoners","purpose":"…","legal_basis":"Wet BRP, artikel 3.9",
//!  "data_subject_id":"5c0a…","data_subject_id_type":"bsn","hash":"c1…"}
//! ```
//!
//! | here | in the Logboek (OpenTelemetry) |
//! |---|---|
//! | `trace_id` | trace id: that of the message's `traceparent`, else its message id |
//! | `operation`, `time`, `status` | name, start and end time, and status of the span |
//! | `actor`, `on_behalf_of` | resource and attributes: who processes, for whom |
//! | `event_type`, `purpose`, `legal_basis` | `dpl.core.processing_activity_id`: the grant that it rests on |
//! | `data_subject_id` | `dpl.core.data_subject_id`: HMAC-SHA-256 of the subject under the [`SubjectKey`] |
//! | `data_subject_id_type` | `dpl.core.data_subject_id_type` |
//!
//! # What is protected
//!
//! `hash` is the SHA-256 of the line without it (`,"hash":"…"` taken out), and `prev` is
//! the hash of the line before: 64 zeros at the very beginning. So no line can be changed,
//! taken out, put in or moved without [`verify`] finding it, in whichever file. The file
//! `head.json` holds the last line's number and hash as they were when the files were last
//! synced, so that it shows when the end is cut off.
//!
//! Who can write all these files can make a chain of his own. Against that, the head that
//! [`verify`] tells is to be kept elsewhere from time to time: a chain that once had that
//! head has no other past. The chain needs no key, so that an auditor can verify it
//! without being able to find persons in it.

mod error;
mod line;
mod log;
mod record;
mod subject;
mod verify;
mod writer;

pub use error::{AuditError, VerifyError};
pub use log::{RecordLog, RecordOptions};
pub use record::{Actor, Operation, Outcome, Record};
pub use subject::{SubjectHash, SubjectKey};
pub use verify::{Verified, verify};
