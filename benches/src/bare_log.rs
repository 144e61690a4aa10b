//! A log with group commit behind bare gRPC as a peer: the same publishing stream, and one file
//! that is synced before anything in it is answered. Nothing is checked, routed, kept apart by
//! inbox, remembered or recorded: what the transport and the disk allow together.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::SystemTime;

use anyhow::Result;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publishing_server::{Publishing, PublishingServer};

/// So many requests wait while as many are written: of 50 messages, together as many as a gateway
/// lets one stream have under way.
const GROUP: usize = 40;

/// A server on a free port of 127.0.0.1, on threads of its own that end with the process.
pub struct BareLog {
    url: String,
    _directory: TempDir,
}

type Answers = mpsc::UnboundedSender<Result<pb::PublishStreamResponse, Status>>;

/// A request, and where its answer goes.
type Waiting = (pb::PublishStreamRequest, Answers);

impl BareLog {
    /// Starts it, with a new file.
    ///
    /// # Errors
    /// When there is no port or no file for it.
    pub fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = File::create(directory.path().join("log"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let (log, waiting) = mpsc::channel(GROUP);
        thread::spawn(move || write(file, waiting));
        thread::spawn(move || serve(listener, Bare { log }));
        Ok(Self { url, _directory: directory })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[tokio::main(worker_threads = 2)]
async fn serve(listener: TcpListener, bare: Bare) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let listener = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(PublishingServer::new(bare))
        .serve_with_incoming(listener)
        .await?;
    Ok(())
}

/// Everything that waits is one group.
fn write(mut file: File, mut waiting: mpsc::Receiver<Waiting>) -> Result<()> {
    let mut group = Vec::with_capacity(GROUP);
    let mut bytes = Vec::new();
    let outcome = outcome();
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        bytes.clear();
        let events = group.iter().flat_map(|(request, _)| &request.events);
        events.for_each(|event| bytes.extend_from_slice(event));
        file.write_all(&bytes)?;
        file.sync_data()?;
        for (request, answers) in group.drain(..) {
            let outcomes = vec![outcome.clone(); request.events.len()];
            // Who does not listen any more needs no answer.
            let _ = answers.send(Ok(pb::PublishStreamResponse { outcomes }));
        }
    }
    Ok(())
}

/// With a receipt as long as ours.
fn outcome() -> pb::PublishOutcome {
    let receipt = pb::Receipt {
        message_id: "019ad2f0-0000-7000-8000-000000000000".to_owned(),
        source: "urn:nld:oin:00000099000000001000:systeem:BRP".to_owned(),
        id: "e0-12345".to_owned(),
        admitted_at: Some(SystemTime::UNIX_EPOCH.into()),
        inboxes: vec!["00000099000000500000.inbox".to_owned()],
        ..Default::default()
    };
    let result = Some(pb::publish_outcome::Result::Receipt(receipt));
    pb::PublishOutcome { position: 12_345, result }
}

struct Bare {
    log: mpsc::Sender<Waiting>,
}

#[tonic::async_trait]
impl Publishing for Bare {
    type PublishStreamStream = BoxStream<'static, Result<pb::PublishStreamResponse, Status>>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<pb::PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let mut requests = request.into_inner();
        let (answers, answered) = mpsc::unbounded_channel();
        let log = self.log.clone();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                if log.send((request, answers.clone())).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(UnboundedReceiverStream::new(answered).boxed()))
    }

    async fn publish(
        &self,
        _: Request<pb::PublishRequest>,
    ) -> Result<Response<pb::PublishResponse>, Status> {
        Err(Status::unimplemented("a peer of publish_stream alone"))
    }

    async fn publish_batch(
        &self,
        _: Request<pb::PublishBatchRequest>,
    ) -> Result<Response<pb::PublishBatchResponse>, Status> {
        Err(Status::unimplemented("a peer of publish_stream alone"))
    }
}
