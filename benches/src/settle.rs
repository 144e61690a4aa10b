//! Rest between measurements.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use procfs::{CurrentSI as _, KernelStats};

/// How long the processors are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// This share of their time, they may be busy and count as resting.
const BUSY: f64 = 0.1;
/// On a machine that others use too, they may never rest.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the disk finish what was given to it, and waits until the processors rest: what one
/// leaves behind, be it bytes or tables that it merges, is nothing that the next one is to wait
/// for.
///
/// # Errors
/// When `sync` is not to be had, or the kernel does not tell what the processors do.
pub async fn settle() -> Result<()> {
    let ended = tokio::process::Command::new("sync").status().await.context("sync")?;
    ensure!(ended.success(), "sync: {ended}");
    let begun = Instant::now();
    let mut before = Processors::now()?;
    while begun.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        let now = Processors::now()?;
        if now.busy_since(&before) < BUSY {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Ticks of all processors since the machine was started.
struct Processors {
    resting: u64,
    all: u64,
}

impl Processors {
    fn now() -> Result<Self> {
        let time = KernelStats::current()?.total;
        let resting = time.idle + time.iowait.unwrap_or_default();
        let stolen = time.steal.unwrap_or_default();
        let busy = time.user + time.nice + time.system + stolen;
        let interrupts = time.irq.unwrap_or_default() + time.softirq.unwrap_or_default();
        Ok(Self { resting, all: resting + busy + interrupts })
    }

    #[expect(clippy::cast_precision_loss, reason = "ticks of a tenth of a second")]
    fn busy_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        let resting = self.resting.saturating_sub(before.resting);
        1.0 - resting as f64 / all as f64
    }
}
