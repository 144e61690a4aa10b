use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use wissel_broker::{Broker, Caller};
use wissel_proto::wissel::v1::operations_server::OperationsServer;
use wissel_proto::wissel::v1::publishing_server::PublishingServer;
use wissel_proto::wissel::v1::subscribing_server::SubscribingServer;
use wissel_proto::wissel::v1::subscriptions_server::SubscriptionsServer;

use crate::Authenticate;
use crate::operations::OperationsService;
use crate::publishing::PublishingService;
use crate::status::to_status;
use crate::subscribing::SubscribingService;
use crate::subscriptions::SubscriptionsService;

/// The gRPC server.
pub struct Gateway {
    shared: Arc<Shared>,
}

/// How a gateway behaves.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// The most bytes of one gRPC request; more is refused with `OUT_OF_RANGE`.
    pub max_request_bytes: usize,
    /// How many messages of one publishing stream may be without an outcome. Then
    /// the stream is not read on.
    pub in_flight_per_stream: usize,
    /// How long calls under way have at shutdown.
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

/// What every service needs.
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) options: GatewayOptions,
    /// Calls under way.
    pub(crate) tasks: TaskTracker,
    authenticator: Arc<dyn Authenticate>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            max_request_bytes: 4 << 20,
            in_flight_per_stream: 1_000,
            patience: Duration::from_secs(30),
        }
    }
}

impl Gateway {
    /// A gateway before a broker.
    #[must_use]
    pub fn new(
        broker: Arc<Broker>,
        authenticator: Arc<dyn Authenticate>,
        options: GatewayOptions,
    ) -> Self {
        let tasks = TaskTracker::new();
        Self {
            shared: Arc::new(Shared {
                broker,
                options,
                tasks,
                authenticator,
            }),
        }
    }

    /// Serves until the broker's shutdown token is cancelled, and calls under way
    /// have ended or patience has.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, listener: TcpListener) -> Result<(), GatewayError> {
        let Self { shared } = self;
        let stopping = shared.broker.shutdown_token();
        let (reporter, health) = tonic_health::server::health_reporter();
        let watching = tokio::spawn(report_health(reporter, Arc::clone(&shared.broker)));
        let reflection = |version: &str| {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(wissel_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            tracing::debug!(version, "server reflection");
            builder
        };

        let max = shared.options.max_request_bytes;
        let serving = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .max_concurrent_streams(1_024)
            .add_service(health)
            .add_service(reflection("v1").build_v1()?)
            .add_service(reflection("v1alpha").build_v1alpha()?)
            .add_service(
                PublishingServer::new(PublishingService(Arc::clone(&shared)))
                    .max_decoding_message_size(max),
            )
            .add_service(
                SubscribingServer::new(SubscribingService(Arc::clone(&shared)))
                    .max_decoding_message_size(max),
            )
            .add_service(
                SubscriptionsServer::new(SubscriptionsService(Arc::clone(&shared)))
                    .max_decoding_message_size(max),
            )
            .add_service(
                OperationsServer::new(OperationsService(Arc::clone(&shared)))
                    .max_decoding_message_size(max),
            )
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                stopping.clone().cancelled_owned(),
            );

        let patience = shared.options.patience;
        let out_of_patience = async {
            stopping.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        tokio::select! {
            served = serving => served?,
            () = out_of_patience => {
                tracing::warn!(?patience, "calls were still under way when patience ended");
            }
        }
        watching.abort();
        shared.tasks.close();
        if tokio::time::timeout(patience, shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("messages were still under way when patience ended");
        }
        Ok(())
    }
}

impl Shared {
    pub(crate) fn caller<R>(&self, request: &Request<R>) -> Result<Caller, Status> {
        let caller = self.authenticator.authenticate(request.metadata());
        caller.map_err(|refusal| to_status(&refusal))
    }
}

/// Keeps the standard health service true.
async fn report_health(reporter: HealthReporter, broker: Arc<Broker>) {
    const PAUSE: Duration = Duration::from_millis(250);
    const SERVICES: [&str; 5] = [
        "",
        "wissel.v1.Publishing",
        "wissel.v1.Subscribing",
        "wissel.v1.Subscriptions",
        "wissel.v1.Operations",
    ];
    let mut told = None;
    loop {
        let ready = broker.status().ready;
        if told != Some(ready) {
            let status = if ready {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for service in SERVICES {
                reporter.set_service_status(service, status).await;
            }
            tracing::info!(
                ready,
                detail = broker.status().health.detail,
                "health changed"
            );
            told = Some(ready);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
