use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::{Request, Response, Status, Streaming};
use wissel_broker::{
    Broker, Caller, Leased, Reason, Refusal, ReplayOptions, Replayed, Session, SessionEnd,
    SessionEvent, SessionOptions, TraceContext, Verdict,
};
use wissel_identifiers::InboxName;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request as Asked;
use wissel_proto::wissel::v1::subscribe_response::Response as Said;
use wissel_proto::wissel::v1::subscribing_server::Subscribing;

use crate::answers::{AnswerStream, Answers};
use crate::calls::Calls;
use crate::fields::{duration, invalid, moment, name, timestamp, to_duration, unreadable};
use crate::status::to_status;
use crate::subscriptions::read_filters;
use crate::traced;

const CREDIT_DEFAULT: u16 = 100;
const CREDIT_MAX: u16 = 10_000;
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15 * 60);
const RETRIES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 60 * 60);
/// The most delivery ids of one request: twice the greatest credit.
const IDS_MAX: usize = 2 * CREDIT_MAX as usize;
/// How many lost deliveries wait to be told to a receiver that does not read. Then
/// what it says is no longer read, so that ids it makes up cost no memory.
const LOST_WAITING: usize = 10_000;
/// How long what a receiver settled may take when it has left. What takes longer comes
/// again: until the session has ended, what the bus hands to it stays with nobody.
const LAST_SETTLEMENTS_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct SubscribingService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Subscribing for SubscribingService {
    type SubscribeStream = AnswerStream<pb::SubscribeResponse>;
    type ReplayStream = AnswerStream<pb::ReplayResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<pb::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let begun = self.0.begin("Subscribe", &request)?;
        let caller = begun.caller.clone();
        let broker = Arc::clone(&self.0.broker);
        let receiver = traced::context(request.metadata()).filter(|context| context.sampled);
        let requests = request.into_inner();
        Ok(self.0.stream(begun, |answers| serve(broker, caller, receiver, requests, answers)))
    }

    async fn replay(
        &self,
        request: Request<pb::ReplayRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        let begun = self.0.begin("Replay", &request)?;
        let (broker, caller) = (Arc::clone(&self.0.broker), begun.caller.clone());
        let asked = request.into_inner();
        Ok(self.0.stream(begun, |answers| replay(broker, caller, asked, answers)))
    }
}

/// Runs one replay, and tells how far it is. Who does not read misses some of that.
async fn replay(
    broker: Arc<Broker>,
    caller: Caller,
    asked: pb::ReplayRequest,
    answers: Answers<pb::ReplayResponse>,
) -> Result<(), Status> {
    let refuse = |refusal: Refusal| to_status(&refusal);
    let inbox = name("inbox", &asked.inbox).map_err(refuse)?;
    let options = replay_options(asked).map_err(refuse)?;
    let told = answers.clone();
    let progress = move |so_far| {
        let _ = told.try_send(write_replayed(so_far));
    };
    let replayed = tokio::select! {
        replayed = broker.replay(&caller, &inbox, options, progress) => replayed.map_err(refuse)?,
        () = answers.closed() => return Ok(()),
    };
    let _ = answers.send(write_replayed(replayed)).await;
    Ok(())
}

fn replay_options(asked: pb::ReplayRequest) -> Result<ReplayOptions, Refusal> {
    Ok(ReplayOptions {
        from: moment("from", asked.from, SystemTime::UNIX_EPOCH)?,
        until: moment("until", asked.until, SystemTime::now())?,
        types: asked.types,
        filters: read_filters(asked.filters)?,
    })
}

fn write_replayed(so_far: Replayed) -> pb::ReplayResponse {
    let Replayed { examined, replayed, reached } = so_far;
    pb::ReplayResponse { examined, replayed, reached: reached.and_then(timestamp) }
}

type Requests = Streaming<pb::SubscribeRequest>;

/// Runs one stream to its end.
async fn serve(
    broker: Arc<Broker>,
    caller: Caller,
    receiver: Option<TraceContext>,
    mut requests: Requests,
    answers: Answers<pb::SubscribeResponse>,
) -> Result<(), Status> {
    let refuse = |refusal: Refusal| to_status(&refusal);
    let stopping = broker.shutdown_token();
    let first = tokio::select! {
        () = stopping.cancelled() => return Err(refuse(SessionEnd::ShuttingDown.into())),
        first = requests.message() => first.map_err(unreadable)?,
    };
    let Some(Asked::Open(open)) = first.and_then(|first| first.request) else {
        return Err(refuse(invalid("request", "the first request of a stream is `open`")));
    };
    let inbox = name("open.inbox", &open.inbox).map_err(refuse)?;
    let options = session_options(&open).map_err(refuse)?;
    let opened = pb::Opened { credit: options.credit.into(), lease: to_duration(options.lease) };
    let mut session = broker.open_session(&caller, &inbox, options).await.map_err(refuse)?;
    session.received_in(receiver);
    if answers.send(say(Said::Opened(opened))).await.is_err() {
        return Ok(());
    }
    let ended = hand_out(&mut session, &mut requests, &answers).await;
    // Whatever ended it, what was settled before that counts.
    let is_told = ended.is_ok();
    let last = async {
        if is_told {
            tell_lost(&mut session, &answers).await;
        }
        session.settled().await
    };
    when_settled(&inbox, last, ended).await
}

/// How the stream ends when it ended like this: well only if all that was settled is carried out.
async fn when_settled(
    inbox: &InboxName,
    settled: impl Future<Output = bool>,
    ended: Result<(), Status>,
) -> Result<(), Status> {
    let message = match tokio::time::timeout(LAST_SETTLEMENTS_WITHIN, settled).await {
        Ok(true) => return ended,
        Ok(false) => "some of what was settled last could not be carried out: it comes again",
        Err(_) => "the last settlements take too long: what is not carried out comes again",
    };
    tracing::warn!(%inbox, "{message}");
    ended.and(Err(to_status(&Refusal::new(Reason::BusUnavailable, message))))
}

/// Tells a receiver that is going what it settled and no longer held.
async fn tell_lost(session: &mut Session, answers: &Answers<pb::SubscribeResponse>) {
    if session.lost() > 0
        && let SessionEvent::LeaseLost(delivery_ids) = session.next().await
    {
        let _ = answers.send(say(Said::LeaseLost(pb::LeaseLost { delivery_ids }))).await;
    }
}

/// Hands out deliveries and takes settlements. A receiver that went away is no error.
async fn hand_out(
    session: &mut Session,
    requests: &mut Requests,
    answers: &Answers<pb::SubscribeResponse>,
) -> Result<(), Status> {
    let mut place = None;
    loop {
        let all_told = session.lost() < LOST_WAITING;
        tokio::select! {
            request = requests.message(), if all_told => match request.map_err(unreadable)? {
                Some(request) => {
                    obey(session, request).map_err(|refusal| to_status(&refusal))?;
                }
                None => return Ok(()),
            },
            reserved = answers.reserve(), if place.is_none() => match reserved {
                Ok(reserved) => place = Some(reserved),
                Err(_) => return Ok(()),
            },
            event = next_event(session, place.is_some()) => {
                let said = match event {
                    SessionEvent::Deliveries(deliveries) => Said::Deliveries(to_deliveries(deliveries)),
                    SessionEvent::LeaseLost(delivery_ids) => {
                        Said::LeaseLost(pb::LeaseLost { delivery_ids })
                    }
                    SessionEvent::Ended(end) => return Err(to_status(&end.into())),
                };
                if let Some(place) = place.take() {
                    place.send(say(said));
                }
            }
        }
    }
}

/// The next event; without a place to put it, the session is only tended.
async fn next_event(session: &mut Session, place: bool) -> SessionEvent {
    if place { session.next().await } else { SessionEvent::Ended(session.tend().await) }
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
    check_count(&request)?;
    match request.request {
        Some(Asked::Acknowledge(asked)) => {
            session.settle(&asked.delivery_ids, &Verdict::Acknowledge);
        }
        Some(Asked::Retry(asked)) => {
            let after = match asked.after {
                Some(_) => Some(duration("retry.after", asked.after, Duration::ZERO, RETRIES)?),
                None => None,
            };
            let verdict = Verdict::Retry { after, reason: asked.reason };
            session.settle(&asked.delivery_ids, &verdict);
        }
        Some(Asked::Reject(asked)) => {
            if asked.reason.trim().is_empty() {
                return Err(invalid("reject.reason", "absent or empty; expected why"));
            }
            session.settle(&asked.delivery_ids, &Verdict::Reject { reason: asked.reason });
        }
        Some(Asked::ExtendLease(asked)) => {
            let lease = duration("extend_lease.lease", asked.lease, session.lease(), LEASES)?;
            session.extend(&asked.delivery_ids, lease);
        }
        Some(Asked::Open(_)) => {
            return Err(invalid("open", "the stream is open already; expected a settlement"));
        }
        None => return Err(invalid("request", "empty; expected one of its members")),
    }
    Ok(())
}

fn check_count(request: &pb::SubscribeRequest) -> Result<(), Refusal> {
    let (field, ids) = match &request.request {
        Some(Asked::Acknowledge(asked)) => ("acknowledge.delivery_ids", &asked.delivery_ids),
        Some(Asked::Retry(asked)) => ("retry.delivery_ids", &asked.delivery_ids),
        Some(Asked::Reject(asked)) => ("reject.delivery_ids", &asked.delivery_ids),
        Some(Asked::ExtendLease(asked)) => ("extend_lease.delivery_ids", &asked.delivery_ids),
        Some(Asked::Open(_)) | None => return Ok(()),
    };
    if ids.len() <= IDS_MAX {
        return Ok(());
    }
    Err(invalid(field, format!("{} ids; expected at most {IDS_MAX}", ids.len())))
}

fn say(said: Said) -> pb::SubscribeResponse {
    pb::SubscribeResponse { response: Some(said) }
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
        deadline: leased.deadline.and_then(timestamp),
        replayed: leased.envelope.replayed,
        traceparent: leased.trace.map(|trace| trace.to_string()).unwrap_or_default(),
    });
    pb::Deliveries { deliveries: deliveries.collect() }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_well_only_when_what_was_settled_is_carried_out() {
        let inbox = "00000099000000002000.inbox".parse().unwrap();
        assert!(when_settled(&inbox, ready(true), Ok(())).await.is_ok());
        let refused = when_settled(&inbox, ready(false), Ok(())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let late = when_settled(&inbox, pending(), Ok(())).await.unwrap_err();
        assert_eq!(late.code(), Code::Unavailable);
        // Why it ended otherwise is told in any case.
        for settled in [true, false] {
            let ended = when_settled(&inbox, ready(settled), Err(Status::not_found("removed")));
            assert_eq!(ended.await.unwrap_err().code(), Code::NotFound);
        }
    }
}
