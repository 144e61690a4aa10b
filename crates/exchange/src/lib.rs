//! The exchange patterns: what public bodies do with messages besides telling.
//!
//! | pattern | what it does |
//! |---|---|
//! | ask | a question to the one party that can answer it, and its answer by a deadline |
//! | dispatch | a case to the one competent party, its term, and how it stands |
//! | gather | several questions at once; answers as they come, and what became of the rest |
//! | report | a case of doubt about registered data, told to all who doubt the same, ended by its correction |
//! | match | signals of two parties about one pseudonymised subject meet; both are told |
//!
//! There is no second way for messages here. A question is a message in the inbox of whoever
//! is to answer it, and an answer one in the inbox of the gateway where its asker waits: both
//! go the road of every message, by the grants of the catalogue. The exchange itself is a
//! party of the catalogue (`exchange = true`).

mod asking;
mod cases;
mod dossier;
mod exchange;
mod matching;
mod outbox;
mod services;

pub use asking::{Answer, Failure, FailureCode, Gathered, Outcome, Question};
pub use cases::{Status, StatusChange};
pub use dossier::DossierOfCases;
pub use exchange::{Exchange, ExchangeOptions};
pub use matching::{FiledSignal, Filing, KeyError, rotate_key};
pub use services::{HttpService, ServiceError};
pub use wissel_store::{CaseFile, CaseStatus};
pub use wissel_store::{Signal, SignalMatch};
