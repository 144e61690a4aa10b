use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request as Asked;
use wissel_proto::wissel::v1::subscribe_response::Response as Said;
use wissel_proto::wissel::v1::subscribing_server::Subscribing;

use super::queue::{Settled, Waiting};
use super::{INBOX, Service, State, refusal};

/// How a subscribe stream fails.
pub(crate) enum SessionFault {
    /// It ends before it is open.
    Refuse(Status),
    /// It ends with this after so many deliveries.
    EndAfter(usize, Status),
    /// It hands out more than the credit.
    IgnoreCredit,
}

type Answers = mpsc::Sender<Result<pb::SubscribeResponse, Status>>;

#[tonic::async_trait]
impl Subscribing for Service {
    type SubscribeStream = ReceiverStream<Result<pb::SubscribeResponse, Status>>;
    type ReplayStream = tokio_stream::Iter<std::vec::IntoIter<Result<pb::ReplayResponse, Status>>>;

    async fn replay(
        &self,
        request: Request<pb::ReplayRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        self.begin(&request)?;
        let asked = request.into_inner();
        assert_eq!(asked.inbox, INBOX);
        let answer =
            |examined, replayed| Ok(pb::ReplayResponse { examined, replayed, reached: asked.from });
        Ok(Response::new(tokio_stream::iter(vec![answer(5, 1), answer(9, 2)])))
    }

    async fn subscribe(
        &self,
        request: Request<Streaming<pb::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.authenticate(&request)?;
        let state = Arc::clone(&self.0);
        let (answers, responses) = mpsc::channel(16);
        tokio::spawn(async move {
            state.sessions.fetch_add(1, Ordering::SeqCst);
            let outcome = serve(&state, request.into_inner(), &answers).await;
            state.sessions.fetch_sub(1, Ordering::SeqCst);
            if let Err(status) = outcome {
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

async fn serve(
    state: &State,
    mut requests: Streaming<pb::SubscribeRequest>,
    answers: &Answers,
) -> Result<(), Status> {
    let fault = state.session_faults.lock().unwrap().pop_front();
    if let Some(SessionFault::Refuse(status)) = fault {
        return Err(status);
    }
    let first = requests.message().await?.and_then(|first| first.request);
    let Some(Asked::Open(open)) = first else {
        return Err(Status::invalid_argument("expected `open`"));
    };
    if open.inbox != INBOX {
        return Err(refusal(Code::NotFound, "UNKNOWN_INBOX", "there is no such inbox"));
    }
    let opened = pb::Opened { credit: open.credit, lease: open.lease };
    say(answers, Said::Opened(opened)).await;

    let mut session = Session {
        state,
        lease: Duration::try_from(open.lease.unwrap()).unwrap(),
        credit: usize::try_from(open.credit).unwrap(),
        held: BTreeMap::new(),
        next_id: 1,
        lost: Vec::new(),
        fault,
    };
    loop {
        let changed = state.queue_changed.notified();
        if let Some(end) = session.hand_out(answers).await {
            return Err(end);
        }
        tokio::select! {
            request = requests.message() => match request {
                Ok(Some(request)) => session.obey(request.request.unwrap()),
                Ok(None) | Err(_) => return Ok(()),
            },
            () = changed => {}
            () = tokio::time::sleep(Duration::from_millis(5)) => session.end_leases(),
            () = answers.closed() => return Ok(()),
        }
    }
}

async fn say(answers: &Answers, said: Said) {
    let response = pb::SubscribeResponse { response: Some(said) };
    let _ = answers.send(Ok(response)).await;
}

/// Gives back what it holds when it ends.
struct Session<'a> {
    state: &'a State,
    lease: Duration,
    credit: usize,
    held: BTreeMap<u64, (Waiting, Instant)>,
    next_id: u64,
    lost: Vec<u64>,
    fault: Option<SessionFault>,
}

impl Session<'_> {
    /// Tells of what was lost and delivers what the credit allows; the status to
    /// end with, when it is time to.
    async fn hand_out(&mut self, answers: &Answers) -> Option<Status> {
        if !self.lost.is_empty() {
            let delivery_ids = std::mem::take(&mut self.lost);
            say(answers, Said::LeaseLost(pb::LeaseLost { delivery_ids })).await;
        }
        let (most, end) = match &self.fault {
            Some(SessionFault::EndAfter(most, status)) => (*most, Some(status.clone())),
            _ => (usize::MAX, None),
        };
        let handed_out = || usize::try_from(self.next_id - 1).unwrap();
        let may_exceed = matches!(self.fault, Some(SessionFault::IgnoreCredit));

        let mut deliveries = Vec::new();
        let mut is_over = handed_out() >= most;
        while !is_over && (may_exceed || self.held.len() < self.credit) {
            let Some(waiting) = self.state.queue.lock().unwrap().take() else {
                break;
            };
            let id = self.next_id;
            self.next_id += 1;
            deliveries.push(waiting.to_proto(id, self.lease));
            self.held.insert(id, (waiting, Instant::now() + self.lease));
            is_over = usize::try_from(id).unwrap() >= most;
        }
        if !deliveries.is_empty() {
            self.state.queue.lock().unwrap().see_in_flight(self.held.len());
            say(answers, Said::Deliveries(pb::Deliveries { deliveries })).await;
        }
        end.filter(|_| is_over)
    }

    fn obey(&mut self, asked: Asked) {
        self.state.settle_requests.fetch_add(1, Ordering::SeqCst);
        match asked {
            Asked::Open(_) => panic!("opened twice"),
            Asked::Acknowledge(asked) => {
                self.settle(&asked.delivery_ids, &Settled::Acknowledged);
            }
            Asked::Retry(asked) => {
                let settled = Settled::Retried {
                    after: Duration::try_from(asked.after.unwrap_or_default()).unwrap(),
                    reason: asked.reason,
                };
                self.settle(&asked.delivery_ids, &settled);
            }
            Asked::Reject(asked) => {
                let reason = asked.reason;
                self.settle(&asked.delivery_ids, &Settled::Rejected { reason });
            }
            Asked::ExtendLease(asked) => {
                let lease = Duration::try_from(asked.lease.unwrap()).unwrap();
                for id in asked.delivery_ids {
                    if let Some((_, end)) = self.held.get_mut(&id) {
                        *end = Instant::now() + lease;
                        self.state.extended.fetch_add(1, Ordering::SeqCst);
                    } else {
                        self.lost.push(id);
                    }
                }
            }
        }
    }

    fn settle(&mut self, ids: &[u64], settled: &Settled) {
        let mut queue = self.state.queue.lock().unwrap();
        for id in ids {
            match self.held.remove(id) {
                Some((waiting, _)) => queue.settle(waiting, settled.clone()),
                None => self.lost.push(*id),
            }
        }
    }

    fn end_leases(&mut self) {
        let now = Instant::now();
        let ended = self.held.extract_if(.., |_, (_, end)| *end <= now);
        let mut queue = self.state.queue.lock().unwrap();
        for (id, (waiting, _)) in ended {
            let reason = "the lease ended".to_owned();
            let after = Duration::ZERO;
            queue.settle(waiting, Settled::Retried { after, reason });
            self.lost.push(id);
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut queue = self.state.queue.lock().unwrap();
        while let Some((_, (waiting, _))) = self.held.pop_last() {
            queue.give_back(waiting);
        }
    }
}
