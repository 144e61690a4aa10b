use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wissel_broker::{Caller, Leased, Refusal, Session, SessionEvent, SessionOptions, Verdict};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request as Asked;
use wissel_proto::wissel::v1::subscribe_response::Response as Said;
use wissel_proto::wissel::v1::subscribing_server::Subscribing;

use crate::fields::{duration, invalid, name, timestamp, to_duration};
use crate::gateway::Shared;
use crate::status::to_status;

const CREDIT_DEFAULT: u16 = 100;
const CREDIT_MAX: u16 = 10_000;
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15 * 60);
const RETRIES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 60 * 60);
const REASON_MAX: usize = 500;
/// How many answers wait for a receiver that does not read. Then it gets no more
/// deliveries; its leases still end.
const ANSWERS_WAITING: usize = 16;

type Answers = mpsc::Sender<Result<pb::SubscribeResponse, Status>>;

pub(crate) struct SubscribingService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Subscribing for SubscribingService {
    type SubscribeStream = ReceiverStream<Result<pb::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<pb::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = self.0.caller(&request)?;
        let shared = Arc::clone(&self.0);
        let requests = request.into_inner();
        let (answers, receiver) = mpsc::channel(ANSWERS_WAITING);
        self.0.tasks.spawn(async move {
            if let Err(refusal) = serve(&shared, caller, requests, &answers).await {
                let _ = answers.send(Err(to_status(&refusal))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Runs one stream to its end. A receiver that went away is no error.
async fn serve(
    shared: &Shared,
    caller: Caller,
    mut requests: Streaming<pb::SubscribeRequest>,
    answers: &Answers,
) -> Result<(), Refusal> {
    let stopping = shared.broker.shutdown_token();
    let first = tokio::select! {
        () = stopping.cancelled() => return Err(wissel_broker::SessionEnd::ShuttingDown.into()),
        first = requests.message() => first,
    };
    let Ok(Some(first)) = first else {
        return Ok(());
    };
    let Some(Asked::Open(open)) = first.request else {
        return Err(invalid(
            "request",
            "the first request of a stream is `open`",
        ));
    };
    let inbox = name("open.inbox", &open.inbox)?;
    let options = session_options(&open)?;
    let opened = pb::Opened {
        credit: options.credit.into(),
        lease: to_duration(options.lease),
    };
    let mut session = shared.broker.open_session(caller, &inbox, options).await?;
    if answers.send(Ok(say(Said::Opened(opened)))).await.is_err() {
        return Ok(());
    }

    let mut place = None;
    loop {
        tokio::select! {
            biased;
            request = requests.message() => match request {
                Ok(Some(request)) => obey(&mut session, request)?,
                Ok(None) => {
                    session.settled().await;
                    return Ok(());
                }
                Err(_) => return Ok(()),
            },
            reserved = answers.reserve(), if place.is_none() => match reserved {
                Ok(reserved) => place = Some(reserved),
                Err(_) => return Ok(()),
            },
            event = next_event(&mut session, place.is_some()) => {
                let said = match event {
                    SessionEvent::Deliveries(deliveries) => Said::Deliveries(to_deliveries(deliveries)),
                    SessionEvent::LeaseLost(delivery_ids) => {
                        Said::LeaseLost(pb::LeaseLost { delivery_ids })
                    }
                    SessionEvent::Ended(end) => return Err(end.into()),
                };
                if let Some(place) = place.take() {
                    place.send(Ok(say(said)));
                }
            }
        }
    }
}

/// The next event; without a place to put it, the session is only tended.
async fn next_event(session: &mut Session, place: bool) -> SessionEvent {
    if !place {
        session.tend().await;
    }
    session.next().await
}

fn session_options(open: &pb::Open) -> Result<SessionOptions, Refusal> {
    let credit = match u16::try_from(open.credit) {
        Ok(0) => CREDIT_DEFAULT,
        Ok(credit) if credit <= CREDIT_MAX => credit,
        _ => {
            let description = format!("{}; expected at most {CREDIT_MAX}", open.credit);
            return Err(invalid("open.credit", description));
        }
    };
    let lease = duration("open.lease", open.lease, LEASE_DEFAULT, LEASES)?;
    Ok(SessionOptions { credit, lease })
}

/// Does what the receiver says.
fn obey(session: &mut Session, request: pb::SubscribeRequest) -> Result<(), Refusal> {
    match request.request {
        Some(Asked::Acknowledge(asked)) => {
            session.settle(&asked.delivery_ids, &Verdict::Acknowledge);
        }
        Some(Asked::Retry(asked)) => {
            let after = duration("retry.after", asked.after, Duration::ZERO, RETRIES)?;
            let verdict = Verdict::Retry {
                after,
                reason: cut(&asked.reason),
            };
            session.settle(&asked.delivery_ids, &verdict);
        }
        Some(Asked::Reject(asked)) => {
            if asked.reason.trim().is_empty() {
                return Err(invalid("reject.reason", "absent or empty; expected why"));
            }
            session.settle(
                &asked.delivery_ids,
                &Verdict::Reject {
                    reason: cut(&asked.reason),
                },
            );
        }
        Some(Asked::ExtendLease(asked)) => {
            let lease = duration("extend_lease.lease", asked.lease, session.lease(), LEASES)?;
            session.extend(&asked.delivery_ids, lease);
        }
        Some(Asked::Open(_)) => {
            return Err(invalid(
                "open",
                "the stream is open already; expected a settlement",
            ));
        }
        None => return Err(invalid("request", "empty; expected one of its members")),
    }
    Ok(())
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_MAX).collect()
}

fn say(said: Said) -> pb::SubscribeResponse {
    pb::SubscribeResponse {
        response: Some(said),
    }
}

fn to_deliveries(deliveries: Vec<Leased>) -> pb::Deliveries {
    let deliveries = deliveries.into_iter().map(|leased| pb::Delivery {
        delivery_id: leased.id,
        event: leased.envelope.event,
        message_id: leased.envelope.message_id.to_string(),
        publisher: leased.envelope.publisher.to_string(),
        admitted_at: timestamp(leased.envelope.admitted_at),
        attempt: leased.attempt,
        lease_ends_at: timestamp(leased.lease_ends_at),
    });
    pb::Deliveries {
        deliveries: deliveries.collect(),
    }
}
