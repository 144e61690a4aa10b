//! What settles a message, and the gateway that does not hear it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use wissel_client::{Event, InboxName};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request as Asked;
use wissel_proto::wissel::v1::subscribe_response::Response as Said;
use wissel_proto::wissel::v1::subscribing_client::SubscribingClient;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, wissel_binary};

const PATIENCE: Duration = Duration::from_secs(60);

fn inbox() -> InboxName {
    format!("{}.inbox", PARTIES[2]).parse().unwrap()
}

/// Longer than a pipe holds.
fn large() -> Event {
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let event = Event::builder("large", source, "nl.brp.geboorte").subject("999990019");
    let data = format!("\"{}\"", "x".repeat(1_000_000));
    event.data_text("application/json", data).build().unwrap()
}

/// `wissel subscribe`, which waits in the middle of printing what it received: it settles it when
/// the rest is read.
struct Printing {
    child: Child,
    out: ChildStdout,
}

impl Printing {
    async fn start(gateway: &Gateway, arguments: &[&str]) -> Self {
        gateway.client(REGISTRY).publish(&large()).await.unwrap();
        let mut command = Command::new(wissel_binary());
        command.args(["subscribe", inbox().as_str(), "--json", "--as", PARTIES[2]]);
        command.args(["--server", &gateway.url()]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        Self { child, out }
    }

    /// Its exit code, how many lines it printed, and what it said on standard error.
    fn read_on(mut self) -> (i32, usize, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code().unwrap(), out.lines().count(), err)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_may_not_have_heard_is_told() {
    let _alone = alone().await;
    for (arguments, said) in [
        (&["--count", "1", "--settle", "reject", "--reason", "mislaid"][..], "error: 1 received"),
        // It is there no more, and has not said so.
        (&["--idle", "1", "--timeout", "5"], "error: no answer within"),
    ] {
        let gateway = Gateway::start("embedded").await;
        let printing = Printing::start(&gateway, arguments).await;
        gateway.signal("STOP").await;
        let (code, lines, err) = printing.read_on();
        gateway.signal("CONT").await;
        assert_eq!((code, lines), (3, 1), "{err}");
        assert!(err.contains("1 received; of 1 it is not known whether"), "{err}");
        assert!(err.contains(said), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_too_late_is_received_again() {
    let _alone = alone().await;
    let mut gateway = Gateway::start("embedded").await;
    let printing = Printing::start(&gateway, &["--count", "1"]).await;
    gateway.kill().await;
    gateway.start_again().await;
    let operator = gateway.client(OPERATOR);
    let begun = Instant::now();
    while operator.get_inbox(&inbox()).await.unwrap().receivers.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "it did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (code, lines, err) = printing.read_on();
    assert_eq!((code, lines), (0, 2), "{err}");
    assert!(err.contains("large: not settled"), "{err}");
    let left = operator.get_inbox(&inbox()).await.unwrap();
    assert_eq!((left.depth, left.in_flight, left.dead_letters), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_hears_what_it_settled_and_no_longer_held() {
    const NEVER_HELD: u64 = 999;
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let mut client = SubscribingClient::connect(gateway.url()).await.unwrap();
    // Several times, as it could be told by chance.
    for _ in 0..20 {
        let (asking, asked) = mpsc::channel(2);
        let open = pb::Open { inbox: inbox().to_string(), credit: 1, lease: None };
        let late = pb::Acknowledge { delivery_ids: vec![NEVER_HELD] };
        for request in [Asked::Open(open), Asked::Acknowledge(late)] {
            asking.send(pb::SubscribeRequest { request: Some(request) }).await.unwrap();
        }
        drop(asking);
        let mut request = Request::new(ReceiverStream::new(asked));
        let token = format!("Bearer dev.{}", PARTIES[2]);
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        let mut answers = client.subscribe(request).await.unwrap().into_inner();
        let mut lost = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            if let Some(Said::LeaseLost(told)) = answer.response {
                lost.extend(told.delivery_ids);
            }
        }
        assert_eq!(lost, [NEVER_HELD]);
    }
}
