//! What every script needs: a gateway, parties, a transcript.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::gateway::Gateway;
use crate::party::Party;
use crate::transcript::Transcript;
use crate::{Options, Showcase};

/// Where a project is played.
pub struct Stage {
    directory: TempDir,
    gateway: Arc<Mutex<Gateway>>,
    transcript: Transcript,
    http_port: Option<u16>,
    kill_every: Option<u32>,
    killing: Option<JoinHandle<Result<()>>>,
    /// Names this play, so that what another left behind is not taken for its own.
    run: Arc<str>,
}

/// How long after a step the gateway is killed.
const KILL_WITHIN: u64 = 40;

impl Stage {
    pub(crate) async fn open(showcase: &Showcase, options: &Options) -> Result<Self> {
        Transcript::title(showcase.title, showcase.about);
        let directory = tempfile::tempdir()?;
        let gateway = Gateway::start(directory.path(), showcase, options).await;
        let gateway = match gateway {
            Ok(gateway) => gateway,
            Err(error) => {
                let log = std::fs::read_to_string(directory.path().join("log"));
                return Err(error.context(log.unwrap_or_default()));
            }
        };
        Ok(Self {
            directory,
            http_port: gateway.http_port,
            gateway: Arc::new(Mutex::new(gateway)),
            transcript: Transcript::default(),
            kill_every: options.kill_every,
            killing: None,
            run: Uuid::now_v7().simple().to_string().into(),
        })
    }

    /// A party, with a certificate of its own.
    pub(crate) async fn party(&self, oin: &str, name: &'static str) -> Result<Party> {
        let client =
            self.gateway.lock().await.client(oin, &name.replace(' ', "-").to_lowercase())?;
        Ok(Party::new(oin.parse()?, name, client, &self.run))
    }

    /// Something that a party is about to do. In the middle of it the gateway may be killed.
    pub(crate) async fn step(&mut self, who: &Party, what: &str) -> Result<()> {
        self.is_there_again().await?;
        let step = self.transcript.step(who.name, what);
        if self.kill_every.is_some_and(|every| step.is_multiple_of(every)) {
            let gateway = Arc::clone(&self.gateway);
            let after = u64::from(Uuid::new_v4().as_bytes()[0]) % KILL_WITHIN;
            self.killing = Some(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                gateway.lock().await.kill_and_start().await
            }));
        }
        Ok(())
    }

    /// Where the source that is asked over HTTP is to answer.
    pub(crate) fn http_port(&self) -> Option<u16> {
        self.http_port
    }

    /// What is to be seen.
    pub(crate) fn note(&self, text: &str) {
        Transcript::note(text);
    }

    /// The record of processing so far, one line each, once its chain is verified.
    pub(crate) async fn records(&mut self) -> Result<Vec<Json>> {
        self.is_there_again().await?;
        let directory = self.directory.path().join("data/records");
        let verified = wissel_audit::verify(&directory, |_| {})?;
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                // A last line may be under way.
                let text = std::fs::read_to_string(&path)?;
                lines.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
            }
        }
        let read = u64::try_from(lines.len())?;
        anyhow::ensure!(read >= verified.records, "records were left out while reading");
        Ok(lines)
    }

    /// Something that must hold.
    pub(crate) fn check(&mut self, what: &str, holds: bool) {
        self.transcript.check(what, holds);
    }

    /// Waits for a gateway that was killed.
    async fn is_there_again(&mut self) -> Result<()> {
        match self.killing.take() {
            Some(killing) => {
                killing.await??;
                self.note("(the gateway was killed and started again)");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends the play, and says whether all was as it should be.
    pub(crate) async fn close(mut self, played: Result<()>) -> Result<()> {
        let ended = async {
            self.is_there_again().await?;
            self.gateway.lock().await.stop().await
        }
        .await;
        let faults = self.transcript.end();
        let ended = played.and(ended);
        if faults.is_empty() && ended.is_ok() {
            return Ok(());
        }
        let log = self.gateway.lock().await.log();
        let _kept = self.directory.keep();
        let log = log.display();
        match ended {
            Err(error) => {
                Err(error.context(format!("the play broke off; the gateway's log: {log}")))
            }
            Ok(()) => bail!("not as it should be: {}; the gateway's log: {log}", faults.join("; ")),
        }
    }
}
