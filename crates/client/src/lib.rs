//! The SDK: publish and subscribe in ten lines.
//!
//! ```no_run
//! use wissel_client::{Client, Event};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://127.0.0.1:7400")
//!     .token("dev.00000001002220647000")
//!     .connect()?;
//!
//! let event = Event::builder("1", "urn:nld:oin:00000001002220647000:systeem:BRP", "nl.brp.verhuizing")
//!     .data_text("application/json", r#"{"gemeente":"0344"}"#)
//!     .build()?;
//! let receipt = client.publish(&event).await?;
//! println!("{} went to {:?}", receipt.message_id, receipt.inboxes);
//!
//! let mut inbox = client.subscribe("00000001002220647000.verhuizingen").credit(100).open().await?;
//! while let Some(delivery) = inbox.next().await? {
//!     println!("{}", delivery.event().event_type());
//!     delivery.acknowledge().await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What to use when:
//!
//! | | |
//! |---|---|
//! | [`Client::publish`] | one message now and then; the answer is its receipt |
//! | [`Client::publish_batch`] | up to 1,000 messages that are at hand |
//! | [`Client::publisher`] | many messages: one stream, many in flight, sent again after a broken connection |
//! | [`Client::subscribe`] | deliveries of an inbox: a stream that comes back by itself |
//! | [`Client::ask`], [`Client::gather`] | a question to a registry, or several at once |
//! | [`Client::answer_all`] | answer questions |
//! | [`Client::set_status`], [`Client::get_case`] and on | cases, and how they stand |
//! | [`Client::dossier`] | all that happened to a message, or in a correlation |
//! | [`Client::create_subscription`] and on | which messages go to which inbox |
//! | [`Client::replay`] | messages that are kept, once more |
//! | [`Client::file_signal`] and on | signals that match with those of others |
//! | [`Client::overview`], [`Client::list_inboxes`] and on | watch and mend queues |
//!
//! # At least once
//!
//! Everything here is safe to repeat, and is repeated: the gateway knows a message
//! that came before by its `source` and `id`, and answers with the first receipt
//! again. A receiver may see a message twice, and recognises it by
//! [`Delivery::message_id`].
//!
//! # Tasks
//!
//! A [`Publisher`] and an [`OpenInbox`] each run one background task. It ends when
//! its handle is dropped; `close` ends it in good order.

mod answering;
mod archive;
mod asking;
mod builder;
mod cases;
mod catalogue;
mod certificates;
mod client;
mod convert;
mod dead_letters;
mod deliveries;
mod dossier;
mod error;
mod inbox;
mod listing;
mod operations;
mod overview;
mod publisher;
mod publishing;
mod records;
mod refusal;
mod replay;
mod retry;
mod settings;
mod signals;
mod subscriptions;
mod token;

pub use answering::in_answer_to;
pub use archive::{ArchiveSurvey, ArchivedType};
pub use asking::{Answer, AnswerFailure, Ask, FailureCode, Gathered, Gathering, Outcome, Question};
pub use builder::ClientBuilder;
pub use cases::{Case, CaseState, CaseStatus};
pub use catalogue::CatalogueFile;
pub use client::Client;
pub use dead_letters::{Attempt, DeadLetter, Redrive, Which};
pub use deliveries::{DeliveryState, UnsettledDelivery};
pub use dossier::{Dossier, DossierEntry, DossierEntryKind, DossierMessage};
pub use error::ClientError;
pub use inbox::{Delivery, OpenInbox, OpenInboxBuilder};
pub use listing::Listing;
pub use operations::{Check, GatewayStatus, InboxState, Receiver};
pub use overview::{InboxActivity, InboxOrder, InboxTotals, Latency, Overview, Traffic};
pub use publisher::{PendingReceipt, Publisher, PublisherOptions};
pub use publishing::{MAX_BATCH, Receipt, Warning};
pub use records::{ProcessingRecord, RecordQuery};
pub use refusal::{Refusal, Violation};
pub use replay::{Replay, Replayed};
pub use retry::RetryPolicy;
pub use settings::{InboxSettings, WhenFull};
pub use signals::{FiledSignal, NewSignal, Signal, SignalMatch};
pub use subscriptions::{Filter, Followed, Subscription};
pub use token::{Token, TokenError, TokenProvider};

pub use tonic::Code;
pub use uuid::Uuid;
pub use wissel_identifiers::{InboxName, Oin, SubscriptionName};
pub use wissel_message::{Event, EventBuilder, TraceContext, TraceContextError};
