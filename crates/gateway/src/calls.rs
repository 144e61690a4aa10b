//! What every call has in common: its caller, its span, and how it is cut off.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span};
use wissel_broker::{Broker, Caller, Reason, Refusal};
use wissel_exchange::Exchange;

use crate::answers::{self, AnswerStream, Answers};
use crate::authenticate::Identity;
use crate::budget::Budget;
use crate::status::to_status;
use crate::unproven::Unproven;
use crate::{Authenticate, GatewayOptions};

/// What every service needs.
pub(crate) struct Calls {
    pub(crate) broker: Arc<Broker>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) options: GatewayOptions,
    pub(crate) budget: Budget,
    pub(crate) cut_off: CutOff,
    /// Calls under way that outlive their caller.
    pub(crate) tasks: TaskTracker,
    pub(crate) unproven: Unproven,
    authenticator: Arc<dyn Authenticate>,
}

/// A call that has begun.
pub(crate) struct Begun {
    method: &'static str,
    pub(crate) caller: Caller,
    identity: Identity,
    span: Span,
}

/// Ends calls that are still under way when patience has ended.
#[derive(Clone)]
pub(crate) struct CutOff {
    stopping: CancellationToken,
    now: CancellationToken,
}

impl Calls {
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        authenticator: Arc<dyn Authenticate>,
        options: GatewayOptions,
    ) -> Arc<Self> {
        let broker = Arc::clone(exchange.broker());
        let cut_off = CutOff { stopping: broker.shutdown_token(), now: CancellationToken::new() };
        let (tasks, unproven) = (TaskTracker::new(), Unproven::default());
        let budget = Budget::new(options.in_flight_bytes);
        Arc::new(Self {
            broker,
            exchange,
            options,
            budget,
            cut_off,
            tasks,
            unproven,
            authenticator,
        })
    }

    /// Who calls, and the span of the call.
    pub(crate) fn begin<R>(
        &self,
        method: &'static str,
        request: &Request<R>,
    ) -> Result<Begun, Status> {
        let span = tracing::info_span!(
            "call",
            method,
            party = tracing::field::Empty,
            on_behalf_of = tracing::field::Empty,
            trace_id = tracing::field::Empty,
            span_id = tracing::field::Empty
        );
        let metadata = request.metadata();
        if let Some(context) = crate::traced::context(metadata) {
            span.record(
                "trace_id",
                tracing::field::display(format_args!("{:032x}", context.trace_id)),
            );
            span.record(
                "span_id",
                tracing::field::display(format_args!("{:016x}", context.span_id)),
            );
        }
        let identity = self.authenticator.authenticate(metadata, request.extensions());
        let begun = identity.and_then(|identity| {
            let caller = identity.caller(metadata)?;
            Ok((identity, caller))
        });
        match begun {
            Ok((identity, caller)) => {
                record(&span, &caller);
                Ok(Begun { method, caller, identity, span })
            }
            Err(refusal) => {
                self.unproven.refused(method, &refusal);
                Err(span.in_scope(|| to_status(&refusal)))
            }
        }
    }

    /// Answers a call of one request and one answer.
    pub(crate) async fn answer<R, A, W>(
        &self,
        method: &'static str,
        request: Request<R>,
        work: impl FnOnce(Caller, R) -> W,
    ) -> Result<Response<A>, Status>
    where
        W: Future<Output = Result<A, Refusal>>,
    {
        let Begun { caller, span, .. } = self.begin(method, &request)?;
        let answering = async {
            let answer = self.cut_off.unless_cut_off(work(caller, request.into_inner())).await;
            answer.map(Response::new).map_err(|refusal| to_status(&refusal))
        };
        answering.instrument(span).await
    }

    /// Runs the work of a stream as a task of its own, until what its caller proved
    /// itself with ends. However the work ends, its caller hears how.
    pub(crate) fn stream<A, W>(
        &self,
        begun: Begun,
        work: impl FnOnce(Answers<A>) -> W,
    ) -> Response<AnswerStream<A>>
    where
        A: Send + 'static,
        W: Future<Output = Result<(), Status>> + Send + 'static,
    {
        self.stream_until(begun, None, |answers, _| work(answers))
    }

    /// As [`Calls::stream`]; when the proof ends, the work is told so by the token, and has so
    /// long to finish what it began. None: it ends at once.
    pub(crate) fn stream_until<A, W>(
        &self,
        begun: Begun,
        finishes_within: Option<Duration>,
        work: impl FnOnce(Answers<A>, CancellationToken) -> W,
    ) -> Response<AnswerStream<A>>
    where
        A: Send + 'static,
        W: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (answers, ending, stream) = answers::channel(self.cut_off.clone());
        let unproven = CancellationToken::new();
        let work = work(answers, unproven.clone());
        let cut_off = self.cut_off.clone();
        let Begun { method, caller, identity, span } = begun;
        let broker = Arc::clone(&self.broker);
        let identity_ended = async move {
            let refusal = identity.ended().await;
            broker.keep_disproved(&caller, method, &refusal).await;
            refusal
        };
        let running = async move {
            tokio::pin!(work);
            let ended = tokio::select! {
                biased;
                ended = &mut work => ended,
                () = cut_off.now.cancelled() => Err(cut_off.status()),
                refusal = identity_ended => {
                    unproven.cancel();
                    let finishing = async {
                        // Who may not finish does nothing more, and hands out nothing.
                        if let Some(within) = finishes_within {
                            let _ = tokio::time::timeout(within, &mut work).await;
                        }
                    };
                    tokio::select! {
                        biased;
                        () = finishing => Err(to_status(&refusal)),
                        () = cut_off.now.cancelled() => Err(cut_off.status()),
                    }
                }
            };
            // A caller that went away does not care how it ended.
            let _ = ending.send(ended);
        };
        self.tasks.spawn(running.instrument(span));
        Response::new(stream)
    }
}

fn record(span: &Span, caller: &Caller) {
    use tracing::field::display;
    match caller {
        Caller::Party(party) => {
            span.record("party", display(party));
        }
        Caller::Representative { party, principal } => {
            span.record("party", display(party));
            span.record("on_behalf_of", display(principal));
        }
        Caller::Operator(operator) => {
            span.record("party", display(operator));
        }
    }
}

impl CutOff {
    /// Cuts off every call that is under way, and those to come.
    pub(crate) fn now(&self) {
        self.now.cancel();
    }

    /// The work, unless it is cut off.
    pub(crate) async fn unless_cut_off<A>(
        &self,
        work: impl Future<Output = Result<A, Refusal>>,
    ) -> Result<A, Refusal> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.now.cancelled() => Err(self.refusal()),
        }
    }

    /// What a call gets that was cut off: by the shutdown or, when there is none, by
    /// a fault of ours.
    pub(crate) fn refusal(&self) -> Refusal {
        if self.stopping.is_cancelled() || self.now.is_cancelled() {
            let message = "the shutdown of this gateway cut the call off; what was asked may still \
                           happen: try again elsewhere";
            let retry_after = Some(Duration::from_secs(1));
            return Refusal { retry_after, ..Refusal::new(Reason::ShuttingDown, message) };
        }
        tracing::error!("a call was cut off by a fault");
        Refusal::new(Reason::Internal, "Wissel itself failed; its log says more")
    }

    pub(crate) fn status(&self) -> Status {
        to_status(&self.refusal())
    }
}
