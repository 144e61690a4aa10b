use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::installation::{Installation, SCRIPTS};

/// A RabbitMQ node of one's own: loopback only, free ports, directories of its
/// own. It ends, and its directories go, when this is dropped or this process
/// dies, however it dies.
pub struct RabbitMq {
    installation: Installation,
    directory: TempDir,
    amqp_port: u16,
    dist_port: u16,
    epmd_port: u16,
    run: Option<Child>,
}

/// Why a server of the test kit does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestkitError {
    /// RabbitMQ is not installed.
    #[error("RabbitMQ is not installed; `cargo xtask setup` installs it")]
    NotInstalled,
    /// `WISSEL_TEST_RABBITMQ` says something else than `4`.
    #[error("WISSEL_TEST_RABBITMQ is {choice:?}; expected 4, or nothing for that of the machine")]
    UnknownChoice {
        /// What it says.
        choice: String,
    },
    /// There is no RabbitMQ 4.
    #[error(
        "there is no RabbitMQ 4; `cargo xtask setup --rabbitmq-4` puts it in target/rabbitmq-4"
    )]
    NoFolder,
    /// Programs in a folder are run by chroot.
    #[error("RabbitMQ 4 is run in a folder by chroot, for which the tests must run as root")]
    NotRoot,
    /// A file, port or process failed.
    #[error("the test kit: {0}")]
    Io(#[from] std::io::Error),
    /// The node did not answer in time.
    #[error("RabbitMQ did not start in time; its log ends with:\n{log}")]
    NotStarted {
        /// The end of the log.
        log: String,
    },
    /// A command to the node failed.
    #[error("rabbitmqctl {command}: {output}")]
    Control {
        /// The command.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A node did not do what it was readied for.
    #[error("{what} was readied, and the node did not do it")]
    NotDone {
        /// What.
        what: &'static str,
    },
}

const START_PATIENCE: Duration = Duration::from_secs(180);

/// Runs a node until standard input says `keep`, or ends because whoever started
/// it is gone; then the directories go too.
const WATCHDOG: &str = r#"
set -m
enter epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 >"$WISSEL_DIRECTORY/epmd.out" 2>&1 & epmd=$!
enter "$WISSEL_SCRIPTS/rabbitmq-server" >"$WISSEL_DIRECTORY/server.out" 2>&1 & server=$!
read -r word
kill -9 -- "-$server" "-$epmd"
wait
[ "$word" = keep ] || rm -rf "$WISSEL_DIRECTORY"
"#;

/// The URL of a node that all tests of this process share: that of
/// `WISSEL_TEST_AMQP_URL` if it is set, else one that is started now.
///
/// # Errors
/// When it does not start.
pub async fn shared_rabbitmq_url() -> Result<String, TestkitError> {
    static SHARED: OnceCell<RabbitMq> = OnceCell::const_new();
    if let Ok(url) = std::env::var("WISSEL_TEST_AMQP_URL") {
        return Ok(url);
    }
    Ok(SHARED.get_or_try_init(RabbitMq::start).await?.url())
}

/// A port of 127.0.0.1 that was free a moment ago, and that the system gives to nobody
/// who does not ask for it: a server that was killed gets it again.
///
/// # Errors
/// When there is none.
pub fn free_port() -> std::io::Result<u16> {
    // Linux gives out 32768 and above.
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    const ATTEMPTS: u16 = 200;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_process = std::process::id().wrapping_mul(2_654_435_761) >> 16;
    let of_process = u16::try_from(of_process).unwrap_or_default();
    for _ in 0..ATTEMPTS {
        let number = of_process.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + number % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl RabbitMq {
    /// Starts a node and waits until it answers, about 6 s.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not answer in time.
    pub async fn start() -> Result<Self, TestkitError> {
        let installation = Installation::chosen()?;
        let directory = installation.directory()?;
        let (amqp_port, dist_port, epmd_port) = (free_port()?, free_port()?, free_port()?);
        let mut node = Self { installation, directory, amqp_port, dist_port, epmd_port, run: None };
        node.write_configuration()?;
        node.start_again().await?;
        Ok(node)
    }

    /// Starts a node that was stopped or killed, on the same ports and data.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start_again(&mut self) -> Result<(), TestkitError> {
        let mut command = self.installation.command(WATCHDOG);
        command.stdin(Stdio::piped()).process_group(0);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.set_environment(&mut command);
        self.run = Some(command.spawn()?);
        self.wait_until_it_answers().await
    }

    /// The port of 127.0.0.1 on which it speaks AMQP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.amqp_port
    }

    /// `amqp://127.0.0.1:port/%2f`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}/%2f", self.amqp_port)
    }

    /// Makes a user that may read this queue and do nothing else; its URL.
    ///
    /// # Errors
    /// When a command fails.
    pub async fn add_reader(
        &self,
        user: &str,
        password: &str,
        queue: &str,
    ) -> Result<String, TestkitError> {
        // It answers a moment before it takes users.
        self.control(&["await_startup"]).await?;
        self.control(&["add_user", user, password]).await?;
        let queue = format!("^{}$", queue.replace('.', "\\."));
        self.control(&["set_permissions", "--vhost", "/", user, "^$", "^$", &queue]).await?;
        Ok(format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.amqp_port))
    }

    /// Ends the node at once (kill -9); its data stays.
    ///
    /// # Errors
    /// When its watchdog cannot be reached.
    pub async fn kill(&mut self) -> Result<(), TestkitError> {
        let Some(mut run) = self.run.take() else {
            return Ok(());
        };
        if let Some(mut stdin) = run.stdin.take() {
            stdin.write_all(b"keep\n")?;
        }
        let port = self.amqp_port;
        let ending = tokio::task::spawn_blocking(move || {
            let ended = run.wait();
            wait_until_gone(port);
            ended
        });
        ending.await.map_err(std::io::Error::other)??;
        Ok(())
    }

    /// Ends the node in an orderly way; its data stays.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn stop(&mut self) -> Result<(), TestkitError> {
        self.control(&["stop_app"]).await?;
        self.kill().await
    }

    /// Runs `rabbitmqctl` for this node; answers what it printed.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn control(&self, arguments: &[&str]) -> Result<String, TestkitError> {
        let mut command = self.installation.command(r#"enter "$WISSEL_SCRIPTS/rabbitmqctl" "$@""#);
        self.set_environment(&mut command);
        command.args(["--node", &self.node_name()]).args(arguments).stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.map_err(std::io::Error::other)??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let printed = text(&output.stdout) + &text(&output.stderr);
        Err(TestkitError::Control { command: arguments.join(" "), output: printed })
    }

    fn write_configuration(&self) -> std::io::Result<()> {
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\n\
             disk_free_limit.absolute = 50MB\n\
             vm_memory_high_watermark.relative = 0.5\n\
             log.file.level = warning\n",
            self.amqp_port
        );
        std::fs::write(self.path("rabbitmq.conf"), configuration)?;
        std::fs::write(self.path("enabled_plugins"), "[].\n")
    }

    fn set_environment(&self, command: &mut Command) {
        command
            .env("WISSEL_SCRIPTS", SCRIPTS)
            .env("WISSEL_DIRECTORY", self.directory.path())
            .env("HOME", self.inside(""))
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", self.node_name())
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", self.inside("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.inside("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.inside("data"))
            .env("RABBITMQ_LOG_BASE", self.inside("log"))
            .env("RABBITMQ_PID_FILE", self.inside("pid"))
            .env("RABBITMQ_SERVER_START_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", self.inside("none"));
    }

    fn node_name(&self) -> String {
        format!("wissel{}@localhost", self.amqp_port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path in its directory as the node knows it.
    pub(crate) fn inside(&self, name: &str) -> PathBuf {
        self.installation.inside(&self.path(name))
    }

    async fn wait_until_it_answers(&self) -> Result<(), TestkitError> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            let answering = tokio::time::timeout(Duration::from_secs(2), self.answers());
            if let Ok(Ok(true)) = answering.await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.path("server.out")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        Err(TestkitError::NotStarted { log: end })
    }

    /// Leaves the log for the search for personal numbers, which looks at all that a run
    /// of the tests has written.
    fn leave_log(&self) {
        let Some(kept) = std::env::var_os("WISSEL_TEST_LOGS") else { return };
        let Ok(files) = std::fs::read_dir(self.path("log")) else { return };
        for file in files.flatten() {
            let name = format!("rabbitmq-{}-{}", self.amqp_port, file.file_name().display());
            let _ = std::fs::copy(file.path(), Path::new(&kept).join(name));
        }
    }

    /// Whether it greets as AMQP 0-9-1 says: a frame of a method on channel 0.
    async fn answers(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.amqp_port)).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await?;
        Ok(greeting == [1, 0, 0])
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        if let Some(mut run) = self.run.take() {
            // Its end is the watchdog's sign.
            drop(run.stdin.take());
            let _ = run.wait();
            wait_until_gone(self.amqp_port);
            self.leave_log();
        }
    }
}

/// A killed process gives back its port a moment after it was killed.
fn wait_until_gone(port: u16) {
    for _ in 0..500 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
