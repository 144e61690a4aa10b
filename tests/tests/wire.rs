//! Bad input, and the standard services, over the wire.
#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::Request;
use tonic_types::StatusExt as _;
use wissel_client::{ClientError, Filter, Subscription};
use wissel_proto::io::cloudevents::v1::CloudEvent;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publish_outcome::Result as Outcome;
use wissel_proto::wissel::v1::publishing_client::PublishingClient;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, event, wissel_binary};

fn as_registry<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = format!("Bearer dev.{REGISTRY}");
    request.metadata_mut().insert("authorization", token.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_message_is_refused_and_the_rest_of_its_batch_goes_on() {
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let mut client = PublishingClient::connect(gateway.url()).await.unwrap();
    let broken = Bytes::from_static(&[0x0a, 0xff, 0xff]);
    let invalid = CloudEvent {
        source: "a b".into(),
        spec_version: "0.3".into(),
        r#type: "nl.brp.geboorte".into(),
        ..CloudEvent::default()
    };
    let large = CloudEvent { id: "x".repeat(2 << 20), ..invalid.clone() };
    let events = vec![
        event("wire", 0).encode(),
        broken,
        invalid.encode_to_vec().into(),
        large.encode_to_vec().into(),
        event("wire", 0).encode(),
        event("wire", 1).encode(),
    ];
    let request = as_registry(pb::PublishBatchRequest { events });
    let outcomes = client.publish_batch(request).await.unwrap().into_inner().outcomes;
    let positions: Vec<u64> = outcomes.iter().map(|outcome| outcome.position).collect();
    assert_eq!(positions, [0, 1, 2, 3, 4, 5]);
    let told: Vec<String> = outcomes
        .iter()
        .map(|outcome| match outcome.result.as_ref().unwrap() {
            Outcome::Receipt(receipt) if receipt.repeated => "repeated".to_owned(),
            Outcome::Receipt(receipt) => format!("{} inboxes", receipt.inboxes.len()),
            Outcome::Refusal(status) => {
                let details = tonic_types::RpcStatusExt::get_error_details(status);
                let fields = details.bad_request().map(|bad| bad.field_violations.clone());
                let fields = fields.unwrap_or_default();
                let fields: Vec<String> = fields.into_iter().map(|one| one.field).collect();
                format!("{} {}", details.error_info().unwrap().reason, fields.join(" "))
            }
        })
        .collect();
    assert_eq!(
        told,
        [
            "2 inboxes",
            "MALFORMED_MESSAGE ",
            "INVALID_MESSAGE id source specversion",
            "MESSAGE_TOO_LARGE ",
            "repeated",
            "2 inboxes",
        ]
    );

    // A frame that is larger than any request may be ends the call, nothing else.
    let events = vec![Bytes::from(vec![0; 6 << 20])];
    let too_large = client.publish_batch(as_registry(pb::PublishBatchRequest { events })).await;
    assert!(too_large.is_err());
    let again = pb::PublishRequest { event: event("wire", 2).encode() };
    assert!(client.publish(as_registry(again)).await.is_ok());

    // Nobody is believed without a token.
    let anonymous = pb::PublishRequest { event: event("wire", 3).encode() };
    let status = client.publish(anonymous).await.unwrap_err();
    assert_eq!(status.get_details_error_info().unwrap().reason, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_allowed_is_said() {
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let party = gateway.client(PARTIES[0]);
    let reason = |error: ClientError| error.refusal().unwrap().reason.clone();

    // Another's inbox, and one that does not exist, answer alike.
    for inbox in [format!("{}.none", PARTIES[0]), format!("{}.inbox", PARTIES[1])] {
        let mut open = match party.subscribe(inbox.as_str()).open().await {
            Ok(open) => open,
            Err(error) => {
                assert_eq!(reason(error), "UNKNOWN_INBOX");
                continue;
            }
        };
        assert_eq!(reason(open.next().await.unwrap_err()), "UNKNOWN_INBOX");
    }

    let mut subscription = Subscription::new(format!("{}.bad", PARTIES[0]).parse().unwrap());
    subscription.types = vec!["nl.brp.overlijden".to_owned()];
    subscription.filters = vec![
        Filter::Exact([("A_B".to_owned(), String::new())].into()),
        Filter::Any(vec![
            Filter::Sql("gemeente = '0344'".to_owned()),
            Filter::Sql("subject = '999990019' '".to_owned()),
        ]),
    ];
    let error = party.create_subscription(&subscription).await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.reason, "INVALID_SUBSCRIPTION");
    let fields: Vec<&str> = refusal.violations.iter().map(|one| one.field.as_str()).collect();
    let places = ["types[0]", "filters[0].exact", "filters[1].any[1].sql"];
    assert_eq!(fields, places.map(|place| format!("subscription.{place}")));
    let expected = "column 23: found a string without an end; expected a closing `'`";
    assert_eq!(refusal.violations[2].description, expected);

    // A good one routes from the moment of its answer, and may be said twice.
    let mut good = Subscription::new(format!("{}.good", PARTIES[0]).parse().unwrap());
    good.types = vec!["nl.brp.geboorte".to_owned()];
    party.create_subscription(&good).await.unwrap();
    party.create_subscription(&good).await.unwrap();
    let receipt = gateway.client(REGISTRY).publish(&event("good", 1)).await.unwrap();
    assert_eq!(receipt.inboxes.len(), 3, "{:?}", receipt.inboxes);
    let other = gateway.client(PARTIES[1]);
    assert!(other.get_subscription(&good.name).await.is_err());
    party.delete_subscription(&good.name).await.unwrap();
    let receipt = gateway.client(REGISTRY).publish(&event("good", 3)).await.unwrap();
    assert_eq!(receipt.inboxes.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let channel = tonic::transport::Endpoint::from_shared(gateway.url()).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    // The health service follows the gateway with a quarter of a second's delay.
    let serving = tonic_health::pb::health_check_response::ServingStatus::Serving;
    let begun = std::time::Instant::now();
    loop {
        let service = "wissel.v1.Publishing".to_owned();
        let asked = tonic_health::pb::HealthCheckRequest { service };
        if health.check(asked).await.unwrap().into_inner().status() == serving {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "never serving");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let mut reflection = ServerReflectionClient::new(channel);
    let asked = |message_request| ServerReflectionRequest {
        message_request: Some(message_request),
        ..ServerReflectionRequest::default()
    };
    // An event, and what a refusal holds.
    let symbols = ["io.cloudevents.v1.CloudEvent", "google.rpc.BadRequest"];
    let symbols = symbols.map(|name| MessageRequest::FileContainingSymbol(name.to_owned()));
    let mut requests = vec![asked(MessageRequest::ListServices(String::new()))];
    requests.extend(symbols.map(asked));
    let answers = reflection.server_reflection_info(tokio_stream::iter(requests)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect::<Result<Vec<_>, _>>().await.unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = &answers[0].message_response else {
        panic!("{:?}", answers[0]);
    };
    let names: Vec<&str> = services.service.iter().map(|one| one.name.as_str()).collect();
    assert!(names.contains(&"wissel.v1.Subscribing"), "{names:?}");
    assert_eq!(answers.len(), 3);
    for answer in &answers[1..] {
        let file = &answer.message_response;
        assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_the_main_job() {
    let _alone = alone().await;
    let gateway = Gateway::start("embedded").await;
    let run = |arguments: Vec<String>| {
        let mut command = std::process::Command::new(wissel_binary());
        command.args(arguments).env("WISSEL_SERVER", gateway.url());
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event.json");
    std::fs::write(&file, event("cli", 0).to_json()).unwrap();
    let file = file.display();

    let (code, receipt) = run(words(&format!("publish --as {REGISTRY} --json {file}")));
    assert_eq!(code, 0, "{receipt}");
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["inboxes"].as_array().unwrap().len(), 2);
    // Not granted, bad input, and nobody there.
    assert_eq!(run(words(&format!("publish --as {} {file}", PARTIES[0]))).0, 1);
    assert_eq!(run(words(&format!("publish --as {REGISTRY} nothing.json"))).0, 2);
    let away = format!("http://127.0.0.1:{}", wissel_testkit::free_port().unwrap());
    let (code, _) = run(words(&format!("inboxes list --as {OPERATOR} --server {away}")));
    assert_eq!(code, 3);

    let inbox = format!("{}.inbox", PARTIES[2]);
    let (code, inboxes) = run(words(&format!("inboxes show --as {OPERATOR} --json {inbox}")));
    let state: serde_json::Value = serde_json::from_str(&inboxes).unwrap();
    assert_eq!((code, &state["depth"]), (0, &serde_json::json!(1)));
    let (own, in_effect) = (&state["settings"], &state["in_effect"]);
    assert!(own["max_attempts"].is_null() && in_effect["max_attempts"] == 20, "{state}");
    assert!(in_effect["when_full"] == "refuse" && in_effect["max_age_seconds"].is_null());
    for switch in ["direct_amqp", "paused", "draining"] {
        assert!(own[switch].is_null() && in_effect[switch] == false, "{switch} in {state}");
    }
    let subscribe = format!("subscribe --as {} --json --count 1 {inbox}", PARTIES[2]);
    let (code, delivery) = run(words(&subscribe));
    let delivery: serde_json::Value = serde_json::from_str(&delivery).unwrap();
    assert_eq!((code, &delivery["event"]["data"]["number"]), (0, &serde_json::json!(0)));

    // Settled otherwise, and no waiting for what does not come.
    let other = format!("{}.inbox", PARTIES[0]);
    let subscribe = format!("subscribe --as {} {other}", PARTIES[0]);
    assert_eq!(run(words(&format!("{subscribe} --count 1 --settle reject"))).0, 2);
    let settle = |how: &str| run(words(&format!("{subscribe} --count 1 --settle {how}")));
    let (code, first) = settle("retry --after 1ms --reason busy");
    assert!(code == 0 && first.trim_end().ends_with("attempt 1"), "{first}");
    let (code, second) = settle("reject --reason mislaid");
    assert!(code == 0 && second.trim_end().ends_with("attempt 2"), "{second}");
    let (_, letters) = run(words(&format!("dead-letters list --as {OPERATOR} {other} --json")));
    let letter: serde_json::Value = serde_json::from_str(&letters).unwrap();
    let reasons = (&letter["reason"], &letter["history"][0]["reason"]);
    assert_eq!(reasons, (&"mislaid".into(), &"busy".into()), "{letter}");
    assert_eq!(run(words(&format!("{subscribe} --count 1 --idle 1"))), (0, String::new()));
}
