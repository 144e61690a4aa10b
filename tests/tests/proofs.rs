//! What callers prove themselves with, over the wire: when it ends, and when there is none.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use wissel_client::{Client, ClientError, OpenInbox, Token, TokenError, TokenProvider};
use wissel_identity::DevTokenIssuer;
use wissel_message::Event;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, wissel_binary};

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
]

[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."

[[grant]]
party = "00000099000000001000"
type = "nl.brp.geboorte"
action = "publish"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "test"
legal_basis = "test"

[[subscription]]
name = "00000099000000002000.inbox"
"#;
const UTRECHT: &str = PARTIES[0];

async fn publish(gateway: &Gateway, id: &str) {
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:999993318");
    let event = Event::builder(id, source, "nl.brp.geboorte").build().unwrap();
    gateway.client(REGISTRY).publish(&event).await.unwrap();
}

async fn open(client: &Client) -> Result<OpenInbox, ClientError> {
    client.subscribe(format!("{UTRECHT}.inbox")).open().await
}

/// How a stream ends, which is to be soon.
async fn end(inbox: &mut OpenInbox) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap();
    ended.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proofs_must_both_hold_and_a_token_goes_with_its_key() {
    let _alone = alone().await;
    let gateway = Gateway::secure(CATALOGUE).await;
    drop(gateway.client(UTRECHT));
    let directory = gateway.authority_directory();
    let certificate = directory.join(format!("{UTRECHT}.pem"));
    let issuer = DevTokenIssuer::open_or_create(&directory).unwrap();
    let token = issuer.issue(&UTRECHT.parse().unwrap(), "wissel", Duration::from_secs(3_600));
    let token = token.unwrap();
    let both = gateway.with_certificate(&certificate).token(token.clone()).connect().unwrap();
    let mut by_both = open(&both).await.unwrap();
    let by_token = gateway.builder().token(token.clone()).connect().unwrap();
    let mut open_by_token = open(&by_token).await.unwrap();

    gateway.authority().revoke(&certificate).unwrap();
    let ended = end(&mut by_both).await;
    assert!(ended.contains("revoked"), "{ended}");
    by_token.get_inbox(&format!("{UTRECHT}.inbox").parse().unwrap()).await.unwrap();

    // The issuer withdraws its key.
    let other = tempfile::tempdir().unwrap();
    DevTokenIssuer::open_or_create(other.path()).unwrap();
    std::fs::copy(other.path().join("jwks.json"), directory.join("jwks.json")).unwrap();
    gateway.logs("keys of the issuer of tokens read again").await;
    let ended = end(&mut open_by_token).await;
    assert!(ended.contains("UNAUTHENTICATED"), "{ended}");
    let refused = open(&by_token).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("UNAUTHENTICATED"), "{refused}");
    let records = gateway.records();
    let of_utrecht = |line: &&str| {
        line.contains(r#""operation":"authentication","status":"refused""#)
            && line.contains(&format!(r#""actor":"{UTRECHT}""#))
    };
    assert_eq!(records.lines().filter(of_utrecht).count(), 2, "{records}");
    assert!(!records.contains(&token));
}

/// A token that is over soon, and another one whenever it is asked.
struct OfSomeSeconds(DevTokenIssuer);

#[async_trait::async_trait]
impl TokenProvider for OfSomeSeconds {
    async fn token(&self) -> Result<Token, TokenError> {
        let party = REGISTRY.parse().unwrap();
        Ok(self.0.issue(&party, "wissel", Duration::from_secs(3)).unwrap().into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_goes_on_when_a_token_ends_and_nothing_is_published_twice() {
    let _alone = alone().await;
    let gateway = Gateway::secure(CATALOGUE).await;
    let mut inbox = open(&gateway.client(UTRECHT)).await.unwrap();
    let issuer = DevTokenIssuer::open_or_create(&gateway.authority_directory()).unwrap();
    let client = gateway.builder().token_provider(OfSomeSeconds(issuer)).connect().unwrap();
    let publisher = client.publisher();
    let begun = Instant::now();
    let mut receipts = Vec::new();
    // All the time there is something under way, for longer than three tokens hold.
    while begun.elapsed() < Duration::from_secs(10) {
        for _ in 0..20 {
            let id = receipts.len().to_string();
            let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
            let event = Event::builder(id, source, "nl.brp.geboorte").build().unwrap();
            receipts.push(publisher.send(&event).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let count = receipts.len();
    let mut message_ids = HashSet::new();
    for receipt in receipts {
        message_ids.insert(receipt.await.unwrap().message_id);
    }
    assert_eq!(message_ids.len(), count);
    let records = gateway.records();
    let ended = |line: &&str| {
        line.contains(r#""operation":"authentication","status":"refused""#)
            && line.contains(&format!(r#""actor":"{REGISTRY}""#))
    };
    assert!(records.lines().filter(ended).count() >= 2, "the tokens ended: {records}");
    for _ in 0..count {
        let delivery = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap();
        let delivery = delivery.unwrap().unwrap();
        assert!(message_ids.remove(&delivery.message_id()), "twice: {}", delivery.event().id());
        delivery.acknowledge().await.unwrap();
    }
    publisher.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_nothing_leaves_a_trace() {
    let _alone = alone().await;
    let gateway = Gateway::secure(CATALOGUE).await;
    for number in 0..4 {
        let client = gateway.builder().token(format!("secret{number}")).connect().unwrap();
        client.status().await.unwrap_err();
    }
    gateway.logs("callers did not prove who they are").await;
    let begun = Instant::now();
    loop {
        let records = gateway.records();
        let of_unknown = records.lines().filter(|line| line.contains(r#""actor":"unknown""#));
        let attempts = of_unknown.filter_map(|line| {
            let counted = line.split("attempts ").nth(1)?;
            counted.split(':').next()?.parse::<u64>().ok()
        });
        if attempts.sum::<u64>() == 4 {
            assert!(!records.contains("secret") && records.contains("not a signed JWT"));
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{records}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wissel_audit::verify(&gateway.records_directory(), |_| {}).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_one_address_keep_nobody_out() {
    let _alone = alone().await;
    let gateway = Gateway::secure(CATALOGUE).await;
    let address = gateway.url().replace("https://", "").parse().unwrap();
    let mut idle = Vec::new();
    for _ in 0..700 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        idle.push(socket.connect(address).await.unwrap());
    }
    let mut shortest = Duration::MAX;
    // One of them meets nothing else that keeps the machine busy.
    for _ in 0..3 {
        let begun = Instant::now();
        gateway.client(OPERATOR).status().await.unwrap();
        shortest = shortest.min(begun.elapsed());
    }
    assert!(shortest < Duration::from_secs(2), "{shortest:?}");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_no_numbers_of_persons_in_dead_letters() {
    let _alone = alone().await;
    let gateway = Gateway::with_catalogue(CATALOGUE).await;
    publish(&gateway, "aangifte-999993318").await;
    let mut inbox = open(&gateway.client(UTRECHT)).await.unwrap();
    let delivery = inbox.next().await.unwrap().unwrap();
    delivery.reject("burger 999993318 onbekend").await.unwrap();
    let name = format!("{UTRECHT}.inbox").parse().unwrap();
    let begun = Instant::now();
    let dead = loop {
        let mut all = gateway.client(OPERATOR).list_dead_letters(&name).all().await.unwrap();
        if let Some(dead) = all.pop() {
            break dead;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(dead.reason, "burger [number] onbekend");
    assert_eq!(dead.source, format!("urn:nld:oin:{REGISTRY}:systeem:[number]"));
    assert_eq!(dead.id, "aangifte-[number]");
    // Its owner has the message, and finds it by its id; the reason was not kept.
    let own = gateway.client(UTRECHT).list_dead_letters(&name).all().await.unwrap().remove(0);
    assert_eq!(own.id, "aangifte-999993318");
    assert_eq!(own.reason, dead.reason);
    assert!(!gateway.log().contains("999993318"));
}

#[test]
fn a_gateway_that_is_not_there_is_told_at_once_and_given_up_on_in_time() {
    let here = tempfile::tempdir().unwrap();
    let event = r#"{"specversion":"1.0","id":"1","source":"urn:nld:oin:00000099000000001000:systeem:x","type":"nl.brp.geboorte"}"#;
    std::fs::write(here.path().join("event.json"), event).unwrap();
    let port = wissel_testkit::free_port().unwrap();
    let server = format!("http://127.0.0.1:{port}");
    let inbox = format!("{UTRECHT}.inbox");
    for command in [&["inboxes", "list"][..], &["publish", "event.json"], &["subscribe", &inbox]] {
        let took = || {
            let begun = Instant::now();
            let mut wissel = std::process::Command::new(wissel_binary());
            wissel.args(command).args(["--server", &server, "--as", UTRECHT, "--timeout", "2"]);
            let output = wissel.current_dir(here.path()).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "{command:?}: {told}");
            assert_eq!(told.matches("does not answer yet").count(), 1, "{command:?}: {told}");
            begun.elapsed()
        };
        // One of them meets nothing else that keeps the machine busy.
        let is_in_time = (0..3).any(|_| took() < Duration::from_secs(6));
        assert!(is_in_time, "{command:?}");
    }
}

#[test]
fn a_gateway_that_would_ignore_its_proofs_does_not_start() {
    let here = tempfile::tempdir().unwrap();
    for section in [
        "[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n",
        "[tokens]\nissuer = \"x\"\njwks_file = \"jwks.json\"\n",
    ] {
        std::fs::write(here.path().join("wissel.toml"), section).unwrap();
        let mut wissel = std::process::Command::new(wissel_binary());
        wissel.args(["serve", "--insecure-dev", "--config", "wissel.toml"]);
        let output = wissel.current_dir(here.path()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        let name = section.lines().next().unwrap();
        assert!(told.contains(name) && told.contains("--insecure-dev"), "{told}");
    }
}
