//! Registries that answer over HTTP: Wissel takes the questions of their inbox and calls them.
//!
//! To everybody else such a registry is a party like others: its questions come to its inbox,
//! and its answers go the road of every answer, by its own grants.

mod breaker;
mod http;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use wissel_broker::{
    Caller, Leased, Reason, Refusal, ReplyTo, Session, SessionEvent, SessionOptions, Verdict,
};
use wissel_bus::Said;
use wissel_catalogue::Ask;
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use self::http::Http;
pub use self::http::ServiceError;
use crate::exchange::PAUSE;
use crate::{Exchange, Failure, FailureCode};

/// A registry that answers the questions of an inbox over HTTP.
#[derive(Debug, Clone)]
pub struct HttpService {
    /// The inbox whose questions it answers. Its owner is the party that answers.
    pub inbox: InboxName,
    /// Where questions are sent by POST: `https://`, or `http://` on a loopback address.
    pub url: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// The most calls at a time, from 1.
    pub concurrency: u16,
    /// A file with the bearer token to call with, read again at each call.
    pub token_file: Option<PathBuf>,
    /// A PEM file with the authorities by which the service is trusted; none: the system's.
    pub authorities: Option<PathBuf>,
}

impl HttpService {
    /// Whether it can be called as it is set; nothing is called.
    ///
    /// # Errors
    /// When its URL or a file cannot be used.
    pub fn check(&self) -> Result<(), ServiceError> {
        Http::new(self).map(drop)
    }
}

/// How long a question is leased to a service, beyond the time of its call.
const LEASE_BEYOND: Duration = Duration::from_secs(10);

/// When an inbox that cannot be opened is tried again: each time is on record.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What is made of a question.
enum Done {
    /// It was answered, or nobody waits for it any more.
    Settled,
    /// It is none.
    NoQuestion,
    /// The answer did not get on its way.
    Failed(Refusal),
}

impl Exchange {
    /// Answers the questions of a service's inbox until the broker stops.
    ///
    /// # Errors
    /// When its settings make no sense.
    pub fn serve_over_http(self: &Arc<Self>, service: HttpService) -> Result<(), ServiceError> {
        let http = Arc::new(Http::new(&service)?);
        let exchange = Arc::clone(self);
        self.broker.spawn(async move {
            let stopping = exchange.broker.shutdown_token();
            let serving = async {
                exchange.broker.prepared().await;
                loop {
                    if let Err(refusal) = exchange.serve(&service, &http).await {
                        tracing::warn!(inbox = %service.inbox, %refusal, "an HTTP service is not served; trying again");
                    }
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            };
            stopping.run_until_cancelled(serving).await;
        });
        Ok(())
    }

    async fn serve(&self, service: &HttpService, http: &Arc<Http>) -> Result<(), Refusal> {
        let caller = Caller::Party(service.inbox.owner());
        let credit = service.concurrency.max(1);
        let options = SessionOptions { credit, lease: service.timeout + LEASE_BEYOND };
        let mut session = self.broker.open_session(&caller, &service.inbox, options).await?;
        let mut calls = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some((id, done)) = calls.next() => settle(&mut session, id, done),
                event = session.next() => match event {
                    SessionEvent::Deliveries(deliveries) => {
                        let call = |leased| self.call(&caller, leased, http);
                        calls.extend(deliveries.into_iter().map(call));
                    }
                    SessionEvent::LeaseLost(_) => {}
                    SessionEvent::Ended(end) => return Err(end.into()),
                },
            }
        }
    }

    async fn call(&self, caller: &Caller, leased: Leased, http: &Http) -> (u64, Done) {
        (leased.id, self.answer_over_http(caller, &leased, http).await)
    }

    async fn answer_over_http(&self, caller: &Caller, leased: &Leased, http: &Http) -> Done {
        let Ok(question) = EventView::decode(leased.envelope.event.clone()) else {
            return Done::NoQuestion;
        };
        let Some((ask, reply_to)) = self.ask_of(&question).zip(ReplyTo::of(&question)) else {
            return Done::NoQuestion;
        };
        let answer = http.ask(&question, &ask, leased.deadline, leased.trace).await;
        let reply_to = reply_to.to_string();
        let mut answered = self.answer(caller, &reply_to, answer).await;
        if let Err(refusal) = &answered
            && !is_over(refusal)
            && refusal.retry_after.is_none()
        {
            tracing::warn!(%refusal, "an answer of an HTTP service is refused");
            let message = format!("its answer was refused: {}", refusal.reason);
            let failure = Failure { code: FailureCode::Failed, message };
            answered = self.answer(caller, &reply_to, Err(failure)).await;
        }
        match answered {
            Err(refusal) if !is_over(&refusal) => Done::Failed(refusal),
            _ => Done::Settled,
        }
    }

    fn ask_of(&self, question: &EventView) -> Option<Ask> {
        let catalogue = self.broker.catalogue();
        catalogue.event_type(question.event_type())?.ask.clone()
    }
}

/// Whether nobody waits for the answer any more.
fn is_over(refusal: &Refusal) -> bool {
    refusal.reason == Reason::NotWaiting
}

fn settle(session: &mut Session, id: u64, done: Done) {
    let verdict = match done {
        Done::Settled => Verdict::Acknowledge,
        Done::NoQuestion => Verdict::Reject { reason: Said::NoQuestion.to_string() },
        Done::Failed(refusal) => Verdict::Retry { after: Some(PAUSE), reason: refusal.as_said() },
    };
    session.settle(&[id], &verdict);
}
