//! A stand-in for a gateway, which goes away at one moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use wissel_message::Event;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_response::Response as Said;
use wissel_proto::wissel::v1::subscribing_server::{Subscribing, SubscribingServer};

/// Hands out one delivery on each stream. When the receiver has settled it, it is gone, and
/// nobody can know whether it heard of that.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    streams: Arc<AtomicUsize>,
    _server: AbortOnDropHandle<()>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::<AtomicUsize>::default();
        let service = SubscribingServer::new(Service(Arc::clone(&streams)));
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, streams, _server: AbortOnDropHandle::new(server) }
    }

    /// How many streams were opened.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

struct Service(Arc<AtomicUsize>);

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Subscribing for Service {
    type SubscribeStream = Answers<pb::SubscribeResponse>;
    type ReplayStream = Answers<pb::ReplayResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<pb::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut requests = request.into_inner();
        let (answers, stream) = mpsc::channel(4);
        tokio::spawn(async move {
            let _open = requests.message().await;
            let deliveries = pb::Deliveries { deliveries: vec![delivery()] };
            for said in [Said::Opened(pb::Opened::default()), Said::Deliveries(deliveries)] {
                let _ = answers.send(Ok(pb::SubscribeResponse { response: Some(said) })).await;
            }
            let _settled = requests.message().await;
            let _ = answers.send(Err(Status::unavailable("gone"))).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn replay(
        &self,
        _: Request<pb::ReplayRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

fn delivery() -> pb::Delivery {
    let event = Event::builder("stand-in-1", "urn:nld:oin:00000099000000001000", "nl.brp.geboorte");
    pb::Delivery { delivery_id: 1, event: event.build().unwrap().encode(), ..Default::default() }
}
