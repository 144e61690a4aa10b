//! Questions and answers over bare gRPC as a peer: the same three calls, and nothing in
//! between that checks, routes, keeps or records anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::answering_client::AnsweringClient;
use wissel_proto::wissel::v1::answering_server::{Answering, AnsweringServer};
use wissel_proto::wissel::v1::asking_client::AskingClient;
use wissel_proto::wissel::v1::asking_server::{Asking, AskingServer};
use wissel_proto::wissel::v1::subscribing_client::SubscribingClient;
use wissel_proto::wissel::v1::subscribing_server::{Subscribing, SubscribingServer};

/// A server that hands each question to whoever listens, and each answer to its asker; a
/// listener that answers at once; and an asker.
#[derive(Clone)]
pub struct BareAsking {
    asker: AskingClient<Channel>,
}

impl BareAsking {
    /// Starts the server, on threads of its own that end with the process, and the listener.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = format!("http://{}", listener.local_addr()?);
        thread::spawn(move || serve(listener));
        let channel = || Channel::from_shared(address.clone()).map(|place| place.connect_lazy());
        tokio::spawn(answer_all(channel()?));
        Ok(Self { asker: AskingClient::new(channel()?) })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ask(&self, event: Bytes) -> Result<()> {
        let question = pb::AskRequest { event, ..Default::default() };
        let answer = self.asker.clone().ask(question).await?.into_inner();
        answer.result.map(drop).context("an answer without a result")
    }
}

async fn answer_all(channel: Channel) -> Result<()> {
    let listening = SubscribingClient::new(channel.clone()).subscribe(stream::pending()).await?;
    let deliveries = listening.into_inner().map_err(anyhow::Error::from);
    deliveries
        .try_for_each_concurrent(None, |response| {
            let mut answering = AnsweringClient::new(channel.clone());
            async move {
                let Some(pb::subscribe_response::Response::Deliveries(pack)) = response.response
                else {
                    return Err(anyhow!("no deliveries"));
                };
                for question in pack.deliveries {
                    let result = Some(pb::answer_request::Result::Event(question.event));
                    let reply_to = question.message_id;
                    answering.answer(pb::AnswerRequest { reply_to, result }).await?;
                }
                Ok(())
            }
        })
        .await
}

#[derive(Default)]
struct Bare {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    askers: HashMap<String, oneshot::Sender<pb::AskResponse>>,
    listener: Option<mpsc::UnboundedSender<Result<pb::SubscribeResponse, Status>>>,
}

#[tokio::main(worker_threads = 2)]
async fn serve(listener: std::net::TcpListener) -> Result<()> {
    let bare = Arc::new(Bare::default());
    let listener = TcpIncoming::from(TcpListener::from_std(listener)?).with_nodelay(Some(true));
    Server::builder()
        .add_service(AskingServer::from_arc(Arc::clone(&bare)))
        .add_service(AnsweringServer::from_arc(Arc::clone(&bare)))
        .add_service(SubscribingServer::from_arc(bare))
        .serve_with_incoming(listener)
        .await?;
    Ok(())
}

impl Bare {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl Asking for Bare {
    type GatherStream = BoxStream<'static, Result<pb::GatherResponse, Status>>;

    async fn ask(
        &self,
        request: Request<pb::AskRequest>,
    ) -> Result<Response<pb::AskResponse>, Status> {
        let (tell, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            waiting.next += 1;
            let id = waiting.next.to_string();
            let delivery = pb::Delivery {
                message_id: id.clone(),
                event: request.into_inner().event,
                ..Default::default()
            };
            let pack = pb::Deliveries { deliveries: vec![delivery] };
            let response = Some(pb::subscribe_response::Response::Deliveries(pack));
            waiting.askers.insert(id, tell);
            let listener = waiting.listener.as_ref().ok_or(Status::unavailable("no listener"))?;
            let gone = |_| Status::unavailable("the listener is gone");
            listener.send(Ok(pb::SubscribeResponse { response })).map_err(gone)?;
        }
        answer.await.map(Response::new).map_err(|_| Status::aborted("no answer"))
    }

    async fn gather(
        &self,
        _: Request<pb::GatherRequest>,
    ) -> Result<Response<Self::GatherStream>, Status> {
        Err(Status::unimplemented("a peer of ask alone"))
    }
}

#[tonic::async_trait]
impl Answering for Bare {
    async fn answer(
        &self,
        request: Request<pb::AnswerRequest>,
    ) -> Result<Response<pb::AnswerResponse>, Status> {
        let pb::AnswerRequest { reply_to, result } = request.into_inner();
        let asker = self.waiting().askers.remove(&reply_to);
        let asker = asker.ok_or(Status::not_found("nobody asked"))?;
        let Some(pb::answer_request::Result::Event(event)) = result else {
            return Err(Status::invalid_argument("no event"));
        };
        let result = Some(pb::ask_response::Result::Event(event));
        let answer = pb::AskResponse { message_id: reply_to, result, ..Default::default() };
        asker.send(answer).map_err(|_| Status::not_found("the asker is gone"))?;
        Ok(Response::new(pb::AnswerResponse {}))
    }
}

#[tonic::async_trait]
impl Subscribing for Bare {
    type SubscribeStream = BoxStream<'static, Result<pb::SubscribeResponse, Status>>;
    type ReplayStream = BoxStream<'static, Result<pb::ReplayResponse, Status>>;

    async fn subscribe(
        &self,
        _: Request<Streaming<pb::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (listener, deliveries) = mpsc::unbounded_channel();
        self.waiting().listener = Some(listener);
        Ok(Response::new(UnboundedReceiverStream::new(deliveries).boxed()))
    }

    async fn replay(
        &self,
        _: Request<pb::ReplayRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        Err(Status::unimplemented("a peer of ask alone"))
    }
}
