//! What a gateway holds for a receiver that does not read.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};
use wissel_client::{Event, InboxName};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request as Asked;
use wissel_proto::wissel::v1::subscribe_response::Response as Said;
use wissel_proto::wissel::v1::subscribing_client::SubscribingClient;
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone};

const PATIENCE: Duration = Duration::from_secs(60);
const COUNT: usize = 320;
const LENGTH: usize = 1_000_000;
/// `limits.delivery_bytes`, unless it is said.
const BOUND: usize = 64 << 20;

fn large(number: usize) -> Event {
    Event::builder(
        format!("large-{number}"),
        format!("urn:nld:oin:{REGISTRY}:systeem:BRP"),
        "nl.brp.geboorte",
    )
    .subject("999990019")
    .data_text("application/json", format!("\"{}\"", "x".repeat(LENGTH)))
    .build()
    .unwrap()
}

/// A stream of which only what is asked for is read.
struct Stream {
    asking: mpsc::Sender<pb::SubscribeRequest>,
    answers: Streaming<pb::SubscribeResponse>,
}

impl Stream {
    async fn open(gateway: &Gateway, inbox: &InboxName, credit: u32) -> Self {
        let (asking, asked) = mpsc::channel(COUNT);
        let open = Asked::Open(pb::Open { inbox: inbox.to_string(), credit, lease: None });
        asking.send(pb::SubscribeRequest { request: Some(open) }).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(asked));
        let token = format!("Bearer dev.{}", inbox.owner().as_str());
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        let client = SubscribingClient::connect(gateway.url()).await.unwrap();
        let mut client = client.max_decoding_message_size(64 << 20);
        let mut answers = client.subscribe(request).await.unwrap().into_inner();
        let opened = answers.message().await.unwrap().unwrap().response;
        assert!(matches!(opened, Some(Said::Opened(opened)) if opened.credit == credit));
        Self { asking, answers }
    }

    async fn next(&mut self) -> pb::Deliveries {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        match answer.expect("a delivery comes").unwrap().unwrap().response {
            Some(Said::Deliveries(deliveries)) => deliveries,
            other => panic!("{other:?}"),
        }
    }

    async fn acknowledge(&self, delivery_ids: Vec<u64>) {
        let acknowledge = Asked::Acknowledge(pb::Acknowledge { delivery_ids });
        self.asking.send(pb::SubscribeRequest { request: Some(acknowledge) }).await.unwrap();
    }
}

async fn a_receiver_that_does_not_read_has_so_many_bytes_and_no_more(bus: &str) {
    let mut gateway = Gateway::start(bus).await;
    let inbox: InboxName = format!("{}.inbox", PARTIES[2]).parse().unwrap();
    let registry = gateway.client(REGISTRY);
    for number in 0..COUNT {
        registry.publish(&large(number)).await.unwrap();
    }
    gateway.terminate().await;
    gateway.start_again().await;
    let mut stream = Stream::open(&gateway, &inbox, 10_000).await;
    let operator = gateway.client(OPERATOR);
    let most = (BOUND / LENGTH + 1) as u64;
    let begun = Instant::now();
    loop {
        let state = operator.get_inbox(&inbox).await.unwrap();
        let (waiting, in_flight) = (state.depth, state.in_flight);
        assert!(in_flight <= most, "{in_flight} messages are in flight, and {waiting} wait");
        if in_flight >= most - 2 && waiting + in_flight == COUNT as u64 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{in_flight} are in flight, and {waiting} wait");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut messages = BTreeSet::new();
    while messages.len() < COUNT {
        let deliveries = stream.next().await.deliveries;
        messages.extend(deliveries.iter().map(|delivery| delivery.message_id.clone()));
        stream.acknowledge(deliveries.iter().map(|delivery| delivery.delivery_id).collect()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_read_embedded() {
    let _alone = alone().await;
    a_receiver_that_does_not_read_has_so_many_bytes_and_no_more("embedded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_read_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    a_receiver_that_does_not_read_has_so_many_bytes_and_no_more(&rabbitmq.url()).await;
}
