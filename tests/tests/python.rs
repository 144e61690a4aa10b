//! The API from Python: stubs of the protos, and the example that uses them.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "python/stand_in.rs"]
mod stand_in;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, Command};
use wissel_identifiers::InboxName;
use wissel_identity::{DevTokenIssuer, Validity};
use wissel_message::Event;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone};

use self::stand_in::StandIn;

const PATIENCE: Duration = Duration::from_secs(60);

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
]

[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
subject = "bsn"

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

/// A folder with stubs of all protos, and whatever else a test puts there.
struct Stubs(TempDir);

impl Stubs {
    /// As docs/grpc.md says it.
    async fn make() -> Self {
        let stubs = Self(tempfile::tempdir().unwrap());
        let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        let make = "mkdir stubs && protoc --proto_path=\"$0\" \
                    --python_out=stubs --grpc_python_out=stubs \
                    --plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin \
                    $(find \"$0\" -name '*.proto')";
        let mut shell = Command::new("sh");
        shell.args(["-c", make]).arg(&protos).current_dir(stubs.0.path());
        succeeded(&run(shell).await);
        // As the SDK of CloudEvents: a package that no folder of the same name adds to.
        std::fs::create_dir_all(stubs.path("packages/cloudevents")).unwrap();
        std::fs::write(stubs.path("packages/cloudevents/__init__.py"), "").unwrap();
        stubs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Python that finds them.
    fn python(&self) -> Command {
        let path = [self.path("stubs"), self.path("packages")];
        let mut command = Command::new("/usr/bin/python3");
        command
            .env_clear()
            .env("PYTHONPATH", std::env::join_paths(path).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn example(&self, arguments: &[&str]) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/grpc_client.py");
        let mut command = self.python();
        command.arg(script).args(arguments);
        command
    }
}

/// A gateway that asks for proof, and what a Python client of it has.
struct Place {
    gateway: Gateway,
    stubs: Stubs,
}

impl Place {
    async fn new() -> Self {
        let stubs = Stubs::make().await;
        Self { gateway: Gateway::secure(CATALOGUE).await, stubs }
    }

    /// The example, as a party runs it that proves itself by a certificate.
    fn by_certificate(&self, party: &str, arguments: &[&str]) -> Command {
        let certificate = self.gateway.authority_directory().join(format!("{party}.pem"));
        if !certificate.exists() {
            let oin = party.parse().unwrap();
            self.gateway.authority().issue_party(&oin, party, Validity::default()).unwrap();
        }
        let mut command = self.example(arguments);
        command.env("WISSEL_KEY", certificate.with_extension("key"));
        command.env("WISSEL_CERT", certificate);
        command
    }

    /// The example, as a party runs it that proves itself by a token.
    fn by_token(&self, party: &str, arguments: &[&str]) -> Command {
        let file = self.write_token(party, &self.gateway.authority_directory());
        let mut command = self.example(arguments);
        command.env("WISSEL_TOKEN_FILE", file);
        command
    }

    /// The file with the party's token, of the issuer in this directory.
    fn write_token(&self, party: &str, issuer: &Path) -> PathBuf {
        let issuer = DevTokenIssuer::open_or_create(issuer).unwrap();
        let hour = Duration::from_secs(3600);
        let token = issuer.issue(&party.parse().unwrap(), "wissel", hour).unwrap();
        let file = self.stubs.path("token");
        std::fs::write(&file, format!("{token}\n")).unwrap();
        file
    }

    fn example(&self, arguments: &[&str]) -> Command {
        let mut command = self.stubs.example(arguments);
        command
            .env("WISSEL_SERVER", self.gateway.url())
            .env("WISSEL_CA", self.gateway.authority_directory().join("ca.pem"));
        command
    }

    fn publishing(&self, event: &Value) -> Command {
        let file = self.stubs.path("event.json");
        std::fs::write(&file, event.to_string()).unwrap();
        self.by_certificate(REGISTRY, &["publish", file.to_str().unwrap()])
    }

    async fn publish(&self, event: &Value) -> Output {
        run(self.publishing(event)).await
    }

    /// Until nothing is in the inbox, be it handed out, and nothing died.
    async fn until_settled(&self) {
        let operator = self.gateway.client(OPERATOR);
        let begun = Instant::now();
        loop {
            let inbox = operator.get_inbox(&name()).await.unwrap();
            assert_eq!(inbox.dead_letters, 0);
            if inbox.depth + inbox.in_flight == 0 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{} left", inbox.depth);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn run(mut command: Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

async fn ended(child: Child) -> Output {
    tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap()
}

/// The next line, which must come.
async fn next_line(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> String {
    tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("a line")
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn name() -> InboxName {
    format!("{}.inbox", PARTIES[0]).parse().unwrap()
}

fn birth(id: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("urn:nld:oin:{REGISTRY}:systeem:BRP"),
        "type": "nl.brp.geboorte",
        "subject": "999990019",
        "time": "2026-11-24T10:00:00.125Z",
        "gemeente": "0344",
        "spoed": true,
        "volgnummer": -7,
        "datacontenttype": "application/json",
        "data": { "plaats": "’s-Gravenhage", "gewicht": 3450 },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_publishes_receives_and_acknowledges() {
    let _alone = alone().await;
    let mut place = Place::new().await;
    let published = place.publish(&birth("python-1")).await;
    succeeded(&published);
    let receipt: Value = serde_json::from_slice(&published.stdout).unwrap();
    assert_eq!(receipt["id"], "python-1");
    assert_eq!(receipt["inboxes"], json!([name().as_str()]));
    assert_eq!(receipt["repeated"], false);
    let again = place.publish(&birth("python-1")).await;
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["repeated"], true);
    assert_eq!(again["message_id"], receipt["message_id"]);

    let inbox = name();
    let mut example = place.by_token(PARTIES[0], &["receive", inbox.as_str(), "--count", "2"]);
    let mut example = example.spawn().unwrap();
    let mut printed = BufReader::new(example.stdout.take().unwrap()).lines();
    let first = next_line(&mut printed).await;
    // What it prints is not shown: it holds numbers of persons.
    assert!(serde_json::from_str::<Value>(&first).unwrap() == birth("python-1"));
    place.until_settled().await;

    // It opens the inbox again when the gateway is there again, and nothing comes twice.
    place.gateway.terminate().await;
    place.gateway.start_again().await;
    succeeded(&place.publish(&birth("python-2")).await);
    let second = next_line(&mut printed).await;
    assert!(serde_json::from_str::<Value>(&second).unwrap() == birth("python-2"));
    let ended = ended(example).await;
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && told.contains("; again in "), "{told}");
    place.until_settled().await;
    let records = place.gateway.records();
    assert_eq!(records.matches(r#""operation":"delivery""#).count(), 2, "{records}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_tells_what_is_at_fault() {
    let _alone = alone().await;
    let place = Place::new().await;
    let mut event = birth("python-3");
    event["subject"] = "999990018".into();
    let refused = place.publish(&event).await;
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: INVALID_MESSAGE:\n"), "{told}");
    assert!(told.lines().any(|line| line.starts_with("  subject: ")), "{told}");
    assert!(refused.stdout.is_empty() && !told.contains("999990018"), "{told}");

    event["volgnummer"] = json!([999_990_019]);
    let unreadable = place.publish(&event).await;
    let told = String::from_utf8(unreadable.stderr).unwrap();
    assert_eq!(
        (unreadable.status.code(), &*told),
        (Some(2), "error: volgnummer: expected a text\n")
    );

    let elsewhere = run(place.by_certificate(REGISTRY, &["receive", name().as_str()])).await;
    let told = String::from_utf8(elsewhere.stderr).unwrap();
    assert!(elsewhere.status.code() == Some(1) && told.contains("UNKNOWN_INBOX"), "{told}");
    for wrong in ["0", "-1", "many"] {
        let refused = run(place.by_token(PARTIES[0], &["receive", "inbox", "--count", wrong]));
        let refused = refused.await;
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains("--count: expected a number from 1"), "{told}");
    }
}

/// Without a schema the gateway does not look into data.
#[tokio::test(flavor = "multi_thread")]
async fn what_python_cannot_read_is_rejected_and_stops_the_example_not() {
    let _alone = alone().await;
    let place = Place::new().await;
    let no_end = "[".repeat(100_000);
    let too_long = "9".repeat(5_000);
    let broken = ["{", r#""\ud800""#, &too_long, &no_end, "NaN"];
    let publisher = place.gateway.client(REGISTRY);
    let source = format!("urn:nld:oin:{REGISTRY}:s");
    for (number, data) in broken.iter().enumerate() {
        let event = Event::builder(format!("python-{number}"), &source, "nl.brp.geboorte")
            .subject("999990019")
            .data_text("application/json", *data);
        publisher.publish(&event.build().unwrap()).await.unwrap();
    }
    succeeded(&place.publish(&birth("python-good")).await);
    let inbox = name();
    let received = run(place.by_token(PARTIES[0], &["receive", inbox.as_str(), "--count", "6"]));
    let received = received.await;
    succeeded(&received);
    let printed: Value = serde_json::from_slice(&received.stdout).unwrap();
    assert!(printed == birth("python-good"));
    let dead = place.gateway.client(OPERATOR).list_dead_letters(&inbox).all().await.unwrap();
    let reasons: Vec<&str> = dead.iter().map(|letter| &*letter.reason).collect();
    assert!(
        reasons.len() == 5 && reasons.iter().all(|one| one.contains("not JSON")),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_goes_on_with_the_next_token() {
    let _alone = alone().await;
    let place = Place::new().await;
    succeeded(&place.publish(&birth("python-1")).await);
    let inbox = name();
    let mut example = place.by_token(PARTIES[0], &["receive", inbox.as_str(), "--count", "2"]);
    let mut example = example.spawn().unwrap();
    let mut printed = BufReader::new(example.stdout.take().unwrap()).lines();
    next_line(&mut printed).await;
    place.until_settled().await;

    // Its token ends with the key of the issuer; the next is there by then.
    let other = tempfile::tempdir().unwrap();
    place.write_token(PARTIES[0], other.path());
    let keys = place.gateway.authority_directory().join("jwks.json");
    std::fs::copy(other.path().join("jwks.json"), keys).unwrap();
    let mut told = BufReader::new(example.stderr.take().unwrap()).lines();
    let lost = next_line(&mut told).await;
    assert!(lost.starts_with("UNAUTHENTICATED: ") && lost.contains("; again in "), "{lost}");
    succeeded(&place.publish(&birth("python-2")).await);
    let second = next_line(&mut printed).await;
    assert!(serde_json::from_str::<Value>(&second).unwrap() == birth("python-2"));
    succeeded(&ended(example).await);

    // A token that never was any good is no reason to try again.
    let refused = run(place.by_token(PARTIES[0], &["receive", inbox.as_str()])).await;
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: UNAUTHENTICATED: "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_publishes_when_the_gateway_is_there_again() {
    let _alone = alone().await;
    let mut place = Place::new().await;
    place.gateway.terminate().await;
    let mut example = place.publishing(&birth("python-1")).spawn().unwrap();
    let mut told = BufReader::new(example.stderr.take().unwrap()).lines();
    // Longer than a few seconds: as long as it takes to start a gateway.
    while !next_line(&mut told).await.ends_with("; again in 4 s") {}
    place.gateway.start_again().await;
    let published = ended(example).await;
    let mut rest = String::new();
    told.get_mut().read_to_string(&mut rest).await.unwrap();
    assert!(published.status.success(), "{rest}");
    let receipt: Value = serde_json::from_slice(&published.stdout).unwrap();
    assert_eq!((&receipt["id"], &receipt["repeated"]), (&json!("python-1"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_says_when_it_is_not_known_what_was_settled() {
    let stubs = Stubs::make().await;
    let gateway = StandIn::start().await;
    let mut example = stubs.example(&["receive", name().as_str(), "--count", "1"]);
    example.env("WISSEL_SERVER", format!("http://{}", gateway.address));
    let received = run(example).await;
    let told = String::from_utf8(received.stderr).unwrap();
    assert_eq!(received.status.code(), Some(3), "{told}");
    assert!(
        told.contains("may come again") && told.contains("\nerror: UNAVAILABLE: gone"),
        "{told}"
    );
    let printed: Value = serde_json::from_slice(&received.stdout).unwrap();
    assert_eq!((&printed["id"], gateway.streams()), (&json!("stand-in-1"), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stub_can_be_imported_beside_the_sdk_of_cloudevents() {
    const IMPORT: &str = "
import cloudevents, importlib, pathlib, sys
stubs = pathlib.Path(sys.argv[1])
for one in sorted(stubs.rglob('*.py')):
    importlib.import_module('.'.join(one.relative_to(stubs).with_suffix('').parts))
    print(one.stem)
# As complete as Google's own: it hides those of whoever has them installed.
print(*sys.modules['google.rpc.error_details_pb2'].DESCRIPTOR.message_types_by_name)
";
    let stubs = Stubs::make().await;
    let mut python = stubs.python();
    python.args(["-c", IMPORT]).arg(stubs.path("stubs"));
    let imported = run(python).await;
    succeeded(&imported);
    let names = String::from_utf8(imported.stdout).unwrap();
    assert!(
        names.contains("cloudevents_pb2\n") && names.contains("dossiers_pb2_grpc\n"),
        "{names}"
    );
    let mut details: Vec<&str> = names.lines().next_back().unwrap().split(' ').collect();
    details.sort_unstable();
    assert_eq!(
        details,
        [
            "BadRequest",
            "DebugInfo",
            "ErrorInfo",
            "Help",
            "LocalizedMessage",
            "PreconditionFailure",
            "QuotaFailure",
            "RequestInfo",
            "ResourceInfo",
            "RetryInfo",
        ]
    );
}
