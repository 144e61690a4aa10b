use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::pb::health_server::{Health, HealthServer};
use wissel_exchange::Exchange;
use wissel_identity::ServerTls;
use wissel_proto::wissel::v1::answering_server::AnsweringServer;
use wissel_proto::wissel::v1::asking_server::AskingServer;
use wissel_proto::wissel::v1::cases_server::CasesServer;
use wissel_proto::wissel::v1::dossiers_server::DossiersServer;
use wissel_proto::wissel::v1::matching_server::MatchingServer;
use wissel_proto::wissel::v1::operations_server::OperationsServer;
use wissel_proto::wissel::v1::publishing_server::PublishingServer;
use wissel_proto::wissel::v1::subscribing_server::SubscribingServer;
use wissel_proto::wissel::v1::subscriptions_server::SubscriptionsServer;

use crate::asking::{AnsweringService, AskingService};
use crate::calls::Calls;
use crate::cases::CasesService;
use crate::dossiers::DossiersService;
use crate::matching::MatchingService;
use crate::operations::OperationsService;
use crate::publishing::PublishingService;
use crate::subscribing::SubscribingService;
use crate::subscriptions::SubscriptionsService;
use crate::{Authenticate, connection, health};

/// The gRPC server.
pub struct Gateway {
    calls: Arc<Calls>,
    tls: Option<Arc<ServerTls>>,
}

/// How a gateway behaves.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// The most bytes of one gRPC request; more is refused with `OUT_OF_RANGE`.
    pub max_request_bytes: usize,
    /// How many messages of one publishing stream may be without an outcome. Then
    /// the stream is not read on.
    pub in_flight_per_stream: usize,
    /// How many bytes of messages may be without an outcome, over all calls together. Then
    /// no call is read on.
    pub in_flight_bytes: usize,
    /// How long [`Gateway::serve`] takes at most from the shutdown on; calls that are
    /// still under way near its end are cut off.
    pub patience: Duration,
}

/// Why a gateway does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors for server reflection cannot be read.
    #[error("the descriptors for server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            max_request_bytes: 4 << 20,
            in_flight_per_stream: 4_000,
            in_flight_bytes: 64 << 20,
            patience: Duration::from_secs(30),
        }
    }
}

impl Gateway {
    /// A gateway before a broker and its exchange.
    #[must_use]
    pub fn new(
        exchange: Arc<Exchange>,
        authenticator: Arc<dyn Authenticate>,
        options: GatewayOptions,
    ) -> Self {
        Self { calls: Calls::new(exchange, authenticator, options), tls: None }
    }

    /// The same, over TLS.
    #[must_use]
    pub fn with_tls(self, tls: Arc<ServerTls>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Serves until the broker's shutdown token is cancelled, and calls under way have
    /// ended or patience has. What is under way then is cut off.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, listener: TcpListener) -> Result<(), GatewayError> {
        let Self { calls, tls } = self;
        let stopping = calls.broker.shutdown_token();
        let connections = CancellationToken::new();
        let _broken_however_this_ends = connections.clone().drop_guard();
        let (reporter, health_server) = tonic_health::server::health_reporter();
        health::tell(&reporter, false).await;
        let watching = tokio::spawn(health::report(reporter, Arc::clone(&calls.broker)));
        let _watching = AbortOnDropHandle::new(watching);
        let no_more_calls = CancellationToken::new();
        let reporting = AbortOnDropHandle::new(tokio::spawn({
            let (calls, no_more_calls) = (Arc::clone(&calls), no_more_calls.clone());
            async move { calls.unproven.report(&calls.broker, no_more_calls).await }
        }));

        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let incoming =
            connection::connections(incoming, tls, Arc::clone(&calls), connections.clone());
        let serving = router(&calls, health_server)?
            .serve_with_incoming_shutdown(incoming, stopping.clone().cancelled_owned());

        let served_and_finished = async {
            let served = serving.await;
            if served.is_err() {
                calls.cut_off.now();
            }
            calls.tasks.close();
            calls.tasks.wait().await;
            served
        };
        let served = tokio::select! {
            served = served_and_finished => served,
            () = run_out_of_patience(&calls, &stopping, &connections) => {
                tracing::warn!("calls were still under way when patience ended");
                Ok(())
            }
        };
        no_more_calls.cancel();
        // What was counted last is on record before the records are closed.
        let _ = reporting.await;
        Ok(served?)
    }
}

/// Ends when patience has, counted from the shutdown. In its last tenth, calls are cut
/// off, then connections are broken, so that callers who listen hear of it.
async fn run_out_of_patience(
    calls: &Calls,
    stopping: &CancellationToken,
    connections: &CancellationToken,
) {
    stopping.cancelled().await;
    let patience = calls.options.patience;
    let last_words = patience / 20;
    tokio::time::sleep(patience.saturating_sub(2 * last_words)).await;
    tracing::warn!(?patience, "patience ends; cutting off the calls that are under way");
    calls.cut_off.now();
    tokio::time::sleep(last_words).await;
    connections.cancel();
    tokio::time::sleep(last_words).await;
}

/// Every service of the server.
fn router<H>(calls: &Arc<Calls>, health_server: HealthServer<H>) -> Result<Router, GatewayError>
where
    H: Health,
{
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wissel_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let publishing = PublishingServer::new(PublishingService(Arc::clone(calls)));
    let subscribing = SubscribingServer::new(SubscribingService(Arc::clone(calls)));
    let subscriptions = SubscriptionsServer::new(SubscriptionsService(Arc::clone(calls)));
    let operations = OperationsServer::new(OperationsService(Arc::clone(calls)));
    let asking = AskingServer::new(AskingService(Arc::clone(calls)));
    let cases = CasesServer::new(CasesService(Arc::clone(calls)));
    let dossiers = DossiersServer::new(DossiersService(Arc::clone(calls)));
    let answering = AnsweringServer::new(AnsweringService(Arc::clone(calls)));
    let matching = MatchingServer::new(MatchingService(Arc::clone(calls)));
    let max = calls.options.max_request_bytes;
    Ok(Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_concurrent_streams(1_024)
        .add_service(health_server)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(publishing.max_decoding_message_size(max))
        .add_service(subscribing.max_decoding_message_size(max))
        .add_service(subscriptions.max_decoding_message_size(max))
        .add_service(asking.max_decoding_message_size(max))
        .add_service(cases.max_decoding_message_size(max))
        .add_service(dossiers.max_decoding_message_size(max))
        .add_service(answering.max_decoding_message_size(max))
        .add_service(matching.max_decoding_message_size(max))
        .add_service(operations.max_decoding_message_size(max)))
}
