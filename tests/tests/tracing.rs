//! Traces: spans that a real gateway exports to a collector.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use wissel_client::{Event, TraceContext};
use wissel_message::Value;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publishing_client::PublishingClient;
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, REGISTRY, alone, wissel_binary};

const INBOX: &str = "00000099000000004000.inbox";
const PARTY: &str = "00000099000000004000";
const SUBJECT: &str = "999990019";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector of OTLP over gRPC.
#[derive(Clone, Default)]
struct Collector(Arc<std::sync::Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let all = request.into_inner().resource_spans.into_iter();
        let all = all.flat_map(|one| one.scope_spans).flat_map(|one| one.spans);
        self.0.lock().unwrap().extend(all);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        (collector, url)
    }

    fn named(&self, name: &str) -> Vec<Span> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|span| span.name == name).cloned().collect()
    }

    async fn wait_for(&self, name: &str, count: usize) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let found = self.named(name);
            if found.len() >= count {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{} of {name}", found.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn event(id: &str, parent: Option<&str>) -> Event {
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let mut event = Event::builder(id, source, "nl.brp.geboorte")
        .subject(SUBJECT)
        .data_text("application/json", format!(r#"{{"bsn":"{SUBJECT}"}}"#));
    if let Some(parent) = parent {
        event = event.extension("traceparent", parent);
    }
    event.build().unwrap()
}

async fn traced(bus: &str, endpoint: &str, sample: &str) -> Gateway {
    let mut gateway = Gateway::stopped(bus);
    gateway.write_config(&format!(
        "[tracing]\nendpoint = \"{endpoint}\"\nsample = {sample}\n[log]\nformat = \"json\"\n"
    ));
    gateway.start_again().await;
    gateway
}

async fn one_trace_from_publisher_to_subscriber(bus: &str) {
    let (collector, endpoint) = Collector::start().await;
    let mut gateway = traced(bus, &endpoint, "0").await;
    let client = gateway.client(REGISTRY);
    client.publish(&event("not-followed", None)).await.unwrap();
    client.publish(&event("followed", Some(PARENT))).await.unwrap();

    let mut inbox = gateway.client(PARTY).subscribe(INBOX).open().await.unwrap();
    let first = inbox.next().await.unwrap().unwrap();
    assert_eq!((first.event().id(), first.trace_context()), ("not-followed", None));
    first.acknowledge().await.unwrap();
    let again = inbox.next().await.unwrap().unwrap();
    again.retry(Duration::ZERO, "once more").await.unwrap();
    let last = inbox.next().await.unwrap().unwrap();
    let (parent, told) = (PARENT.parse::<TraceContext>().unwrap(), last.trace_context().unwrap());
    assert_eq!((last.attempt(), told.trace_id), (2, parent.trace_id));
    last.reject("wrong").await.unwrap();

    collector.wait_for("dead-letter", 1).await;
    let publish = collector.wait_for("publish", 1).await;
    assert_eq!(publish[0].parent_span_id, parent.span_id.to_be_bytes());
    for stage in [
        "decode",
        "identify",
        "authorise",
        "validate",
        "deduplicate",
        "route",
        "minimise",
        "enqueue",
    ] {
        let spans = collector.named(stage);
        assert_eq!(spans.len(), 1, "{stage}");
        assert_eq!(spans[0].parent_span_id, publish[0].span_id, "{stage}");
    }
    let deliveries = collector.wait_for("deliver", 2).await;
    assert_eq!(deliveries[1].span_id, told.span_id.to_be_bytes());
    let retry = &collector.wait_for("retry", 1).await[0];
    assert_eq!(retry.parent_span_id, deliveries[0].span_id);

    let (ended, _) = gateway.terminate().await;
    assert!(ended.success());
    let all = collector.0.lock().unwrap().clone();
    for span in &all {
        assert_eq!(span.trace_id, parent.trace_id.to_be_bytes(), "{}", span.name);
    }
    assert!(!format!("{all:?}").contains(SUBJECT));
    let trace_id = format!("\"trace_id\":\"{:032x}\"", parent.trace_id);
    assert!(gateway.log().contains(&trace_id), "no {trace_id} in the log");
}

#[tokio::test]
async fn a_message_and_its_deliveries_are_one_trace_on_the_embedded_bus() {
    let _alone = alone().await;
    one_trace_from_publisher_to_subscriber("embedded").await;
}

#[tokio::test]
async fn a_message_and_its_deliveries_are_one_trace_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    one_trace_from_publisher_to_subscriber(&rabbitmq.url()).await;
}

#[tokio::test]
async fn a_message_stands_where_its_call_does() {
    let _alone = alone().await;
    let (collector, endpoint) = Collector::start().await;
    let gateway = traced("embedded", &endpoint, "1").await;
    let mut publishing = PublishingClient::connect(gateway.url()).await.unwrap();
    let silent = PARENT.replace("-01", "-00");
    for (id, parent) in [("call-followed", PARENT), ("call-not-followed", &silent)] {
        let mut request = Request::new(pb::PublishRequest { event: event(id, None).encode() });
        let token = format!("Bearer dev.{REGISTRY}");
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        request.metadata_mut().insert("tracestate", "vendor=1".parse().unwrap());
        publishing.publish(request).await.unwrap();
    }
    let mut inbox = gateway.client(PARTY).subscribe(INBOX).open().await.unwrap();
    let followed = inbox.next().await.unwrap().unwrap();
    let parent = PARENT.parse::<TraceContext>().unwrap();
    assert_eq!(followed.trace_context().unwrap().trace_id, parent.trace_id);
    followed.acknowledge().await.unwrap();
    // Though one in one is followed of those that say nothing.
    let not_followed = inbox.next().await.unwrap().unwrap();
    assert_eq!(not_followed.trace_context(), Some(silent.parse().unwrap()));
    for (name, value) in [("traceparent", silent.as_str()), ("tracestate", "vendor=1")] {
        let found = not_followed.event().attribute(name);
        assert!(matches!(found, Some(Value::String(text)) if text == value), "{name}");
    }
    not_followed.acknowledge().await.unwrap();
    let publish = collector.wait_for("publish", 1).await;
    collector.wait_for("deliver", 1).await;
    assert_eq!(publish[0].parent_span_id, parent.span_id.to_be_bytes());
    assert_eq!(collector.named("publish").len(), 1);
}

#[tokio::test]
async fn a_command_and_a_client_tell_where_they_stand() {
    let _alone = alone().await;
    let (collector, endpoint) = Collector::start().await;
    let mut gateway = traced("embedded", &endpoint, "0").await;
    let file = gateway.data_directory().join("event.json");
    std::fs::write(&file, event("command", None).to_json()).unwrap();
    let mut command = std::process::Command::new(wissel_binary());
    command.arg("publish").arg(&file).args(["--as", REGISTRY, "--server", &gateway.url()]);
    let published = command.args(["--traceparent", PARENT]).output().unwrap();
    assert!(published.status.success(), "{published:?}");
    let parent = PARENT.parse::<TraceContext>().unwrap();
    let client = gateway.client(REGISTRY).in_trace(parent);
    client.publish(&event("call", None)).await.unwrap();
    client.publisher().send(&event("stream", None)).await.unwrap().await.unwrap();
    let mut inbox = gateway.client(PARTY).subscribe(INBOX).open().await.unwrap();
    for id in ["command", "call", "stream"] {
        let delivery = inbox.next().await.unwrap().unwrap();
        let trace = delivery.trace_context().unwrap();
        assert_eq!((delivery.event().id(), trace.trace_id), (id, parent.trace_id));
        delivery.acknowledge().await.unwrap();
    }
    let publish = collector.wait_for("publish", 3).await;
    assert!(publish.iter().all(|one| one.parent_span_id == parent.span_id.to_be_bytes()));
    // The log is text here, and has the same id.
    gateway.write_config("[log]\nformat = \"text\"\n");
    gateway.terminate().await;
    gateway.start_again().await;
    gateway.client(REGISTRY).in_trace(parent).publish(&event("again", None)).await.unwrap();
    gateway.terminate().await;
    let trace_id = format!("{:032x}", parent.trace_id);
    let log = gateway.log();
    let is_told = |line: &str| line.contains(&trace_id) && !line.starts_with('{');
    assert!(log.lines().any(is_told), "no {trace_id} as text in {log}");
}

#[tokio::test]
async fn an_absent_collector_disturbs_nothing() {
    let _alone = alone().await;
    let port = wissel_testkit::free_port().unwrap();
    let mut gateway = traced("embedded", &format!("http://127.0.0.1:{port}"), "1").await;
    let client = gateway.client(REGISTRY);
    for number in 0..20 {
        client.publish(&event(&format!("absent-{number}"), None)).await.unwrap();
    }
    let mut inbox = gateway.client(PARTY).subscribe(INBOX).open().await.unwrap();
    for _ in 0..20 {
        let delivery = inbox.next().await.unwrap().unwrap();
        assert!(delivery.trace_context().is_some());
        delivery.acknowledge().await.unwrap();
    }
    drop(inbox);
    let (ended, took) = gateway.terminate().await;
    assert!(ended.success() && took < Duration::from_secs(10), "{ended:?} {took:?}");
}
