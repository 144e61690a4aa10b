use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use wissel_client::Client;

/// The party that publishes.
pub const REGISTRY: &str = "00000099000000001000";
/// The parties that receive: each the messages of its municipality, and the last
/// one all.
pub const PARTIES: [&str; 3] =
    ["00000099000000002000", "00000099000000003000", "00000099000000004000"];
/// Whoever watches queues.
pub const OPERATOR: &str = "operator";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Utrecht" },
    { oin = "00000099000000003000", name = "Zwolle" },
    { oin = "00000099000000004000", name = "Agency" },
]

[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."

[[event_type]]
name = "nl.brp.overlijden"
owner = "00000099000000001000"
description = "A death was registered; nobody receives it."

[[grant]]
party = "00000099000000001000"
type = ["nl.brp.geboorte", "nl.brp.overlijden"]
action = "publish"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000003000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "test"
legal_basis = "test"

[[grant]]
party = "00000099000000004000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "test"
legal_basis = "test"

[[subscription]]
name = "00000099000000002000.inbox"
filters = [{ exact = { gemeente = "0344" } }]

[[subscription]]
name = "00000099000000003000.inbox"
filters = [{ exact = { gemeente = "0193" } }]

[[subscription]]
name = "00000099000000004000.inbox"
filters = [{ prefix = { type = "nl.brp." } }]
"#;

/// A gateway as a process of its own. It is killed when this is dropped.
pub struct Gateway {
    directory: TempDir,
    port: u16,
    bus: String,
    child: Option<Child>,
}

/// The binary: that of `WISSEL_BIN`, else one that is built now.
pub fn wissel_binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("WISSEL_BIN") {
        return binary.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut build = std::process::Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "wissel"]).current_dir(&root);
    assert!(build.status().unwrap().success(), "the binary cannot be built");
    root.join("target/debug/wissel")
}

impl Gateway {
    /// Starts a gateway on this bus (`embedded`, or a URL) and waits until it takes
    /// messages.
    pub async fn start(bus: &str) -> Self {
        let mut gateway = Self::stopped(bus);
        gateway.start_again().await;
        gateway
    }

    /// A gateway that is to be started.
    pub fn stopped(bus: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("catalogue.toml"), CATALOGUE).unwrap();
        let port = wissel_testkit::free_port().unwrap();
        Self { directory, port, bus: bus.to_owned(), child: None }
    }

    /// Starts it with the state that it had, and waits until it takes messages.
    pub async fn start_again(&mut self) {
        self.spawn();
        self.wait_until_ready().await;
    }

    /// Starts it with the state that it had, and does not wait.
    pub fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log"));
        let mut command = Command::new(wissel_binary());
        command
            .args(["serve", "--insecure-dev", "--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--bus", &self.bus])
            .arg("--data-dir")
            .arg(self.path("data"))
            .arg("--catalogue")
            .arg(self.path("catalogue.toml"))
            .env("WISSEL_LOG__FILTER", "debug,h2=info,hyper=info,tower=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .kill_on_drop(true);
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits until it takes messages.
    pub async fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        let client = self.client(OPERATOR);
        while !client.status().await.is_ok_and(|status| status.bus_ready) {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            let patient = begun.elapsed() < Duration::from_secs(60) && ended.is_none();
            assert!(patient, "the gateway does not get ready ({ended:?}): {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().await.unwrap();
    }

    /// SIGTERM; how it ended, and how long that took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        let id = child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
        (ended.expect("the gateway did not end").unwrap(), begun.elapsed())
    }

    /// A client that calls as this party, or as [`OPERATOR`].
    pub fn client(&self, caller: &str) -> Client {
        Client::builder(self.url()).token(format!("dev.{caller}")).connect().unwrap()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How much memory it has in use, in bytes.
    pub fn memory(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
