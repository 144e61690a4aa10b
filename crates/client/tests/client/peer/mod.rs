//! A gateway of a few hundred lines: honest about deduplication, credit, leases
//! and order, and scripted to fail.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wissel_client::{Client, ClientBuilder, Event, RetryPolicy};
use wissel_proto::wissel::v1::operations_server::OperationsServer;
use wissel_proto::wissel::v1::publishing_server::PublishingServer;
use wissel_proto::wissel::v1::subscribing_server::SubscribingServer;
use wissel_proto::wissel::v1::subscriptions_server::SubscriptionsServer;

mod managing;
mod publishing;
mod queue;
mod subscribing;
mod wire;

pub(crate) use publishing::StreamFault;
pub(crate) use queue::Settled;
pub(crate) use subscribing::SessionFault;
use wire::Wire;

pub(crate) const PARTY: &str = "00000001002220647000";
pub(crate) const INBOX: &str = "00000001002220647000.verhuizingen";
pub(crate) const SOURCE: &str = "urn:nld:oin:00000001002220647000:systeem:BRP";
pub(crate) const TOKEN: &str = "dev.00000001002220647000";

pub(crate) struct Peer {
    pub(crate) state: Arc<State>,
    _server: AbortOnDropHandle<()>,
}

/// What the peer knows, and how it is to fail.
pub(crate) struct State {
    /// Between clients and the peer.
    pub(crate) wire: Wire,
    /// The token that is asked for.
    pub(crate) token: Mutex<String>,
    /// The next single calls fail with these.
    pub(crate) failures: Mutex<VecDeque<Status>>,
    /// How many single calls came.
    pub(crate) calls: AtomicUsize,
    pub(crate) log: Mutex<publishing::Log>,
    /// How the next publish streams fail.
    pub(crate) stream_faults: Mutex<VecDeque<StreamFault>>,
    /// Publish streams give an outcome for each permit here.
    pub(crate) outcomes_allowed: Semaphore,
    /// Publish streams that are open.
    pub(crate) streams: AtomicUsize,
    pub(crate) queue: Mutex<queue::Queue>,
    pub(crate) queue_changed: Notify,
    /// How the next subscribe streams fail.
    pub(crate) session_faults: Mutex<VecDeque<SessionFault>>,
    /// Subscribe streams that are open.
    pub(crate) sessions: AtomicUsize,
    /// Settle requests that came.
    pub(crate) settle_requests: AtomicUsize,
    pub(crate) extended: AtomicU32,
    pub(crate) managed: Mutex<managing::Managed>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            wire: Wire::start(address).await,
            token: Mutex::new(TOKEN.to_owned()),
            failures: Mutex::default(),
            calls: AtomicUsize::new(0),
            log: Mutex::default(),
            stream_faults: Mutex::default(),
            outcomes_allowed: Semaphore::new(Semaphore::MAX_PERMITS),
            streams: AtomicUsize::new(0),
            queue: Mutex::default(),
            queue_changed: Notify::new(),
            session_faults: Mutex::default(),
            sessions: AtomicUsize::new(0),
            settle_requests: AtomicUsize::new(0),
            extended: AtomicU32::new(0),
            managed: Mutex::default(),
        });
        let service = Service(Arc::clone(&state));
        let server = Server::builder()
            .add_service(PublishingServer::new(service.clone()))
            .add_service(SubscribingServer::new(service.clone()))
            .add_service(SubscriptionsServer::new(service.clone()))
            .add_service(OperationsServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { server.await.unwrap() });
        Self { state, _server: AbortOnDropHandle::new(server) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.state.wire.address
    }

    /// A client that is quick to try again.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(format!("http://{}", self.address())).token(TOKEN).retry(quick())
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().connect().unwrap()
    }
}

pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy::new(Duration::from_millis(5), Duration::from_millis(40))
}

#[derive(Clone)]
struct Service(Arc<State>);

impl Service {
    /// What every single call begins with: who calls, and the script.
    fn begin<T>(&self, request: &Request<T>) -> Result<(), Status> {
        use std::sync::atomic::Ordering;
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        self.authenticate(request)?;
        match self.0.failures.lock().unwrap().pop_front() {
            Some(status) => Err(status),
            None => Ok(()),
        }
    }

    fn authenticate<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let expected = format!("Bearer {}", self.0.token.lock().unwrap());
        let found = request.metadata().get("authorization");
        if found.is_some_and(|found| found == expected.as_str()) {
            Ok(())
        } else {
            Err(refusal(Code::Unauthenticated, "UNAUTHENTICATED", "who calls is not known"))
        }
    }
}

pub(crate) fn refusal(code: Code, reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "wissel", []);
    Status::with_error_details(code, message, details)
}

pub(crate) fn bus_unavailable() -> Status {
    refusal(Code::Unavailable, "BUS_UNAVAILABLE", "not durable now")
}

/// A message that the peer takes.
pub(crate) fn event(id: usize) -> Event {
    typed_event(id, "nl.brp.verhuizing")
}

pub(crate) fn typed_event(id: usize, event_type: &str) -> Event {
    Event::builder(id.to_string(), SOURCE, event_type)
        .data_text("application/json", r#"{"gemeente":"0344"}"#)
        .build()
        .unwrap()
}

/// Waits until something is so, and fails when it takes too long.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
    assert!(waited.is_ok(), "{what}");
}

/// Fails when it takes too long.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it should not take this long")
}
