//! The gateway of a play, as a process of its own that can be killed and started again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};
use wissel_client::{Client, ClientBuilder, RetryPolicy};
use wissel_identifiers::Oin;
use wissel_identity::{DevAuthority, Validity};

use crate::{Options, Showcase};

pub(crate) struct Gateway {
    directory: PathBuf,
    port: u16,
    /// Where the source that is asked over HTTP is to answer.
    pub(crate) http_port: Option<u16>,
    options: Options,
    authority: DevAuthority,
    child: Option<Child>,
}

/// The operator's OIN, which is that of no party.
const OPERATOR: &str = "00000099000000099000";
/// How long a call is tried, so that it outlasts a gateway that is killed.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a gateway may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

impl Gateway {
    /// Makes an authority, a configuration and a catalogue, and starts a gateway with them.
    pub(crate) async fn start(
        directory: &Path,
        showcase: &Showcase,
        options: &Options,
    ) -> Result<Self> {
        let path = |name: &str| directory.join(name);
        std::fs::create_dir(path("catalogue"))?;
        std::fs::write(path("catalogue/catalogue.toml"), showcase.catalogue)?;
        let authority = DevAuthority::create(&path("ca"))?;
        let hosts = ["127.0.0.1".to_owned()];
        authority.issue_server(&hosts, "gateway", Validity::default())?;
        let ca = path("ca");
        let ca = ca.display();
        let mut config = format!(
            "operators = [\"{OPERATOR}\"]\n\
             [tls]\n\
             certificate = \"{ca}/gateway.pem\"\n\
             key = \"{ca}/gateway.key\"\n\
             client_authorities = [\"{ca}/ca.pem\"]\n"
        );
        let http_port = showcase.http_inbox.map(|_| free_port()).transpose()?;
        if let (Some(inbox), Some(port)) = (showcase.http_inbox, http_port) {
            config += &format!(
                "[[exchange.http]]\ninbox = \"{inbox}\"\nurl = \"http://127.0.0.1:{port}/vragen\"\n"
            );
        }
        std::fs::write(path("wissel.toml"), config)?;
        let port = free_port()?;
        let (directory, options) = (directory.to_owned(), options.clone());
        let mut gateway = Self { directory, port, http_port, options, authority, child: None };
        gateway.run().await?;
        Ok(gateway)
    }

    /// kill -9, and a new process with the same state.
    pub(crate) async fn kill_and_start(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        self.run().await
    }

    /// SIGTERM; it is to end well.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let id = child.id().context("the gateway has ended by itself")?.to_string();
        Command::new("kill").args(["-TERM", &id]).status().await?;
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await??;
        if ended.success() { Ok(()) } else { bail!("the gateway ended with {ended}") }
    }

    /// A client with a certificate of this party.
    pub(crate) fn client(&self, oin: &str, name: &str) -> Result<Client> {
        if !self.directory.join("ca").join(format!("{name}.key")).exists() {
            let party: Oin = oin.parse()?;
            self.authority.issue_party(&party, name, Validity::default())?;
        }
        let read = |file: String| std::fs::read(self.directory.join("ca").join(file));
        let (certificate, key) = (read(format!("{name}.pem"))?, read(format!("{name}.key"))?);
        Ok(self.builder()?.certificate(certificate, key).connect()?)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn builder(&self) -> Result<ClientBuilder> {
        let soon = RetryPolicy::new(Duration::from_millis(20), Duration::from_millis(200));
        let authorities = std::fs::read(self.directory.join("ca/ca.pem"))?;
        let builder = Client::builder(format!("https://127.0.0.1:{}", self.port));
        Ok(builder.authorities(authorities).retry(soon).call_timeout(CALL_TIMEOUT))
    }

    async fn run(&mut self) -> Result<()> {
        let path = |name: &str| self.directory.join(name);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path("log"))?;
        let mut command = Command::new(&self.options.wissel);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--config")
            .arg(path("wissel.toml"))
            .arg("--data-dir")
            .arg(path("data"))
            .arg("--catalogue")
            .arg(path("catalogue"))
            // Not an argument: it may hold a password.
            .env("WISSEL_BUS", &self.options.bus)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        self.child = Some(command.spawn().context("the gateway cannot be started")?);
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let operator = self.client(OPERATOR, "operator")?;
        let begun = Instant::now();
        while !operator.status().await.is_ok_and(|status| status.is_up()) {
            let child = self.child.as_mut().context("the gateway was not started")?;
            if let Some(ended) = child.try_wait()? {
                bail!("the gateway ended with {ended}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("the gateway does not get ready");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
