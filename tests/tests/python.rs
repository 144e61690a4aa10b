//! The API from Python: stubs of the protos, and the example that uses them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use wissel_identifiers::InboxName;
use wissel_identity::{DevTokenIssuer, Validity};
use wissel_message::Event;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone};

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
        let authority = self.gateway.authority_directory();
        let issuer = DevTokenIssuer::open_or_create(&authority).unwrap();
        let hour = Duration::from_secs(3600);
        let token = issuer.issue(&party.parse().unwrap(), "wissel", hour).unwrap();
        let file = self.stubs.path("token");
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let mut command = self.example(arguments);
        command.env("WISSEL_TOKEN_FILE", file);
        command
    }

    fn example(&self, arguments: &[&str]) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/grpc_client.py");
        let mut command = self.stubs.python();
        command
            .arg(script)
            .args(arguments)
            .env("WISSEL_SERVER", self.gateway.url())
            .env("WISSEL_CA", self.gateway.authority_directory().join("ca.pem"));
        command
    }

    async fn publish(&self, event: &Value) -> Output {
        let file = self.stubs.path("event.json");
        std::fs::write(&file, event.to_string()).unwrap();
        run(self.by_certificate(REGISTRY, &["publish", file.to_str().unwrap()])).await
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
    let first = tokio::time::timeout(PATIENCE, printed.next_line()).await.unwrap().unwrap();
    // What it prints is not shown: it holds numbers of persons.
    assert!(serde_json::from_str::<Value>(&first.unwrap()).unwrap() == birth("python-1"));
    place.until_settled().await;

    // It opens the inbox again when the gateway is there again, and nothing comes twice.
    place.gateway.terminate().await;
    place.gateway.start_again().await;
    succeeded(&place.publish(&birth("python-2")).await);
    let second = tokio::time::timeout(PATIENCE, printed.next_line()).await.unwrap().unwrap();
    assert!(serde_json::from_str::<Value>(&second.unwrap()).unwrap() == birth("python-2"));
    let ended = tokio::time::timeout(PATIENCE, example.wait_with_output()).await.unwrap().unwrap();
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

    // No inbox of the publisher, and data that cannot be what it says it is.
    let elsewhere = run(place.by_certificate(REGISTRY, &["receive", name().as_str()])).await;
    let told = String::from_utf8(elsewhere.stderr).unwrap();
    assert!(elsewhere.status.code() == Some(1) && told.contains("UNKNOWN_INBOX"), "{told}");
    let broken = Event::builder("python-4", format!("urn:nld:oin:{REGISTRY}:s"), "nl.brp.geboorte")
        .subject("999990019")
        .data_text("application/json", "{");
    place.gateway.client(REGISTRY).publish(&broken.build().unwrap()).await.unwrap();
    let inbox = name();
    let received =
        run(place.by_token(PARTIES[0], &["receive", inbox.as_str(), "--count", "1"])).await;
    assert!(received.status.success() && received.stdout.is_empty());
    let dead = place.gateway.client(OPERATOR).list_dead_letters(&inbox).all().await.unwrap();
    assert!(dead.len() == 1 && dead[0].reason.contains("not JSON"), "{}", dead[0].reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stub_can_be_imported_beside_the_sdk_of_cloudevents() {
    const IMPORT: &str = "
import cloudevents, importlib, pathlib, sys
stubs = pathlib.Path(sys.argv[1])
for one in sorted(stubs.rglob('*.py')):
    importlib.import_module('.'.join(one.relative_to(stubs).with_suffix('').parts))
    print(one.stem)
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
}
