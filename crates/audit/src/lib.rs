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
//! | `actor`, `operator`, `on_behalf_of` | resource and attributes: who processes, which operator, for whom |
//! | `event_type`, `purpose`, `legal_basis` | `dpl.core.processing_activity_id`: the grant that it rests on |
//! | `data_subject_id` | `dpl.core.data_subject_id`: HMAC-SHA-256 of the subject under the [`SubjectKey`] |
//! | `data_subject_id_type` | `dpl.core.data_subject_id_type` |
//!
//! A line of an admission names the first inboxes that the message goes to (`inboxes`), and one of
//! a message with the attribute `correlationid` has its hash (`correlation`), by which [`Search`]
//! finds what belongs together.
//!
//! # What the chain proves
//!
//! `hash` is the SHA-256 of the line without it (`,"hash":"…"` taken out), and `prev` is
//! the hash of the line before: 64 zeros at the very beginning. The file `head.json` holds
//! the last line's number and hash as they were when the files were last synced.
//!
//! - Who changes, takes out, puts in or moves a line breaks the chain there.
//! - Who makes the chain anew from there, or cuts off its end, has another line than the
//!   one of `head.json`, or none; a `head.json` that is missing is a fault.
//! - Who writes `head.json` anew as well is found by a head that was noted elsewhere, and by
//!   nothing else: the chain needs no key, so that an auditor can verify it without being
//!   able to find persons in it. [`verify`] tells the head; note it from time to time where
//!   those who can write these files cannot, and ask for it with [`Verification::head`]. A
//!   chain that has that head has the past that it had then. What came behind the last head
//!   that was noted, and the line at which `head.json` stands, is as good as those files.
//!
//! That what was done is on record at all, and that the record is true, no chain can prove.
//!
//! # What may be removed
//!
//! The oldest files, when their time is over, as long as the last two stay. What is left is
//! verified by [`Verification::from_first`]; the hash of the last record that was removed is
//! in the first that is left, so a head that was noted of it still counts.

mod acts;
mod error;
mod line;
mod log;
mod look;
mod record;
mod search;
mod subject;
mod syncer;
mod text;
mod verify;
mod writer;

pub use error::{AuditError, VerifyError};
pub use line::{RecordHash, RecordHashError};
pub use log::{RecordLog, RecordOptions};
pub use look::{Line, Look, Looked};
pub use record::{Actor, Operation, Outcome, Record};
pub use search::{Entry, Found, Search};
pub use subject::{SubjectHash, SubjectKey};
pub use verify::{After, Verification, Verified, verify};
