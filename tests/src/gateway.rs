use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use wissel_client::{Client, ClientBuilder, RetryPolicy};
use wissel_identifiers::Oin;
use wissel_identity::{DevAuthority, DevTokenIssuer, Validity};

/// The party that publishes.
pub const REGISTRY: &str = "00000099000000001000";
/// The parties that receive: each the messages of its municipality, and the last
/// one all.
pub const PARTIES: [&str; 3] =
    ["00000099000000002000", "00000099000000003000", "00000099000000004000"];
/// Whoever watches queues.
pub const OPERATOR: &str = "operator";
/// The OIN of the operator of a gateway that asks for proof.
pub const OPERATOR_OIN: &str = "00000004194049711000";

/// The catalogue of a gateway that has no other.
pub const CATALOGUE: &str = r#"
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
    /// Variables with settings.
    settings: Vec<(&'static str, &'static str)>,
    /// Knows callers by certificates and tokens of this authority; none: believes them.
    authority: Option<DevAuthority>,
    child: Option<Child>,
}

/// The binary: that of `WISSEL_BIN`, else one that is built now, once.
pub fn wissel_binary() -> PathBuf {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("WISSEL_BIN") {
        Some(binary) => binary.into(),
        None => build_wissel(),
    });
    BINARY.clone()
}

fn build_wissel() -> PathBuf {
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
        std::fs::create_dir(directory.path().join("catalogue")).unwrap();
        let port = wissel_testkit::free_port().unwrap();
        let (bus, settings) = (bus.to_owned(), Vec::new());
        let gateway = Self { directory, port, bus, settings, authority: None, child: None };
        gateway.write_catalogue(CATALOGUE);
        gateway
    }

    /// A gateway on the embedded bus with this catalogue, waited for.
    pub async fn with_catalogue(catalogue: &str) -> Self {
        let mut gateway = Self::stopped("embedded");
        gateway.write_catalogue(catalogue);
        gateway.start_again().await;
        gateway
    }

    /// As [`Gateway::with_catalogue`], over TLS: callers prove themselves by certificates
    /// or tokens of its authority. [`OPERATOR_OIN`] is the operator.
    pub async fn secure(catalogue: &str) -> Self {
        Self::operated(catalogue, &format!("operators = [\"{OPERATOR_OIN}\"]")).await
    }

    /// As [`Gateway::secure`], with these settings of operators.
    pub async fn operated(catalogue: &str, operators: &str) -> Self {
        let mut gateway = Self::stopped("embedded");
        gateway.write_catalogue(catalogue);
        let authority = DevAuthority::create(&gateway.path("ca")).unwrap();
        let hosts = ["127.0.0.1".to_owned()];
        authority.issue_server(&hosts, "gateway", Validity::default()).unwrap();
        DevTokenIssuer::open_or_create(&gateway.path("ca")).unwrap();
        gateway.authority = Some(authority);
        let ca = gateway.path("ca");
        let ca = ca.display();
        let config = format!(
            r#"
{operators}
[tls]
certificate = "{ca}/gateway.pem"
key = "{ca}/gateway.key"
client_authorities = ["{ca}/ca.pem"]
revocation_lists = ["{ca}/crl.pem"]
[tokens]
issuer = "wissel-development-only"
jwks_file = "{ca}/jwks.json"
leeway_seconds = 0
"#
        );
        gateway.write_config(&config);
        gateway.start_again().await;
        gateway
    }

    /// Gives it a setting, such as `WISSEL_AMQP__PACKING_MESSAGES`, for its next start.
    pub fn set(&mut self, variable: &'static str, value: &'static str) {
        self.settings.push((variable, value));
    }

    /// Gives it a configuration file, for its next start.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.path("wissel.toml"), text).unwrap();
    }

    /// Puts another catalogue in its place; a gateway that runs reads it.
    pub fn write_catalogue(&self, text: &str) {
        std::fs::write(self.path("catalogue/catalogue.toml"), text).unwrap();
    }

    /// The authority of a secure gateway.
    pub fn authority(&self) -> &DevAuthority {
        self.authority.as_ref().unwrap()
    }

    /// The directory of the authority, with what it made.
    pub fn authority_directory(&self) -> PathBuf {
        self.path("ca")
    }

    /// Waits until the log says this, which is to be soon.
    pub async fn logs(&self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            assert!(begun.elapsed() < Duration::from_secs(20), "no {text:?} in {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)]);
        if self.path("wissel.toml").exists() {
            command.arg("--config").arg(self.path("wissel.toml"));
        }
        if self.authority.is_none() {
            command.arg("--insecure-dev");
        }
        command
            .args(["--bus", &self.bus])
            .arg("--data-dir")
            .arg(self.path("data"))
            .arg("--catalogue")
            .arg(self.path("catalogue"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            // They begin as its settings do, and a gateway refuses what it does not know.
            .env_remove("WISSEL_ROUNDS")
            .env_remove("WISSEL_ROUNDS_SEED")
            .envs(self.settings.iter().copied())
            .kill_on_drop(true);
        // Benches say `info`: a line for each message would be what they measure.
        if std::env::var_os("WISSEL_LOG__FILTER").is_none() {
            command.env("WISSEL_LOG__FILTER", "debug,h2=info,hyper=info,tower=info");
        }
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits until it takes messages, however little disk is left.
    pub async fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        let soon = RetryPolicy::new(Duration::from_millis(20), Duration::from_millis(100));
        let client = self.as_caller(OPERATOR).retry(soon).connect().unwrap();
        while !client.status().await.is_ok_and(|status| status.is_up()) {
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

    /// SIGHUP: read everything again.
    pub async fn hang_up(&self) {
        self.signal("HUP").await;
    }

    /// Sends it a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().unwrap().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// SIGTERM; how it ended, and how long that took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.signal("TERM").await;
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
        (ended.expect("the gateway did not end").unwrap(), begun.elapsed())
    }

    /// A client that calls as this party, or as [`OPERATOR`].
    pub fn client(&self, caller: &str) -> Client {
        self.as_caller(caller).connect().unwrap()
    }

    /// As [`Gateway::client`], to be set further.
    pub fn as_caller(&self, caller: &str) -> ClientBuilder {
        if self.authority.is_none() {
            return self.builder().token(format!("dev.{caller}"));
        }
        let oin = if caller == OPERATOR { OPERATOR_OIN } else { caller };
        let path = self.path(&format!("ca/{oin}.pem"));
        if !path.exists() {
            let oin: Oin = oin.parse().unwrap();
            self.authority().issue_party(&oin, oin.as_str(), Validity::default()).unwrap();
        }
        self.with_certificate(&path)
    }

    /// A client that has yet to say who it is.
    pub fn builder(&self) -> ClientBuilder {
        let builder = Client::builder(self.url());
        match self.authority {
            Some(_) => builder.authorities(std::fs::read(self.path("ca/ca.pem")).unwrap()),
            None => builder,
        }
    }

    /// A client with this certificate; its key lies beside it.
    pub fn with_certificate(&self, path: &Path) -> ClientBuilder {
        let key = std::fs::read(path.with_extension("key")).unwrap();
        self.builder().certificate(std::fs::read(path).unwrap(), key)
    }

    /// The port of 127.0.0.1 on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Its record of processing, as it is now.
    pub fn records(&self) -> String {
        let directory = self.records_directory();
        let Ok(entries) = std::fs::read_dir(directory) else { return String::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let is_records = |path: &&PathBuf| path.extension().is_some_and(|one| one == "jsonl");
        files.iter().filter(is_records).map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Where its state is.
    pub fn data_directory(&self) -> PathBuf {
        self.path("data")
    }

    /// Where its record of processing is.
    pub fn records_directory(&self) -> PathBuf {
        self.path("data/records")
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

    /// How long it has kept processors busy, all of its threads together.
    pub fn processor_time(&self) -> Duration {
        let id = self.child.as_ref().unwrap().id().unwrap();
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let nanoseconds = threads.filter_map(|thread| {
            // A thread may have ended meanwhile.
            let of_thread = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            of_thread.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Gateway {
    /// Leaves what it wrote for the search for personal numbers, which looks at all that a
    /// run of the tests has written.
    fn drop(&mut self) {
        let Some(kept) = std::env::var_os("WISSEL_TEST_LOGS") else { return };
        let name = format!("{}-{}", std::process::id(), self.port);
        for (kind, text) in [("log", self.log()), ("records", self.records())] {
            let path = Path::new(&kept).join(format!("{name}.{kind}"));
            let mut options = std::fs::OpenOptions::new();
            let file = options.create(true).append(true).open(path);
            let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
        }
    }
}
