use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::{RabbitMq, TestkitError};

/// Something that a node does as soon as it is told to. `rabbitmqctl` by itself takes more
/// than a second to start.
#[derive(Debug)]
pub struct Readied {
    /// What it is, for an error.
    what: &'static str,
    /// It begins when this file is there.
    begin: PathBuf,
    /// What the node wrote when it was done, a line.
    done: PathBuf,
}

/// What RabbitMQ raises an alarm of when there is little left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The disk on which its data are.
    Disk,
    /// The memory of its machine.
    Memory,
}

/// How often a node looks whether it is to begin.
const LOOK_MS: u32 = 5;
/// After so many looks, five minutes, it is not told any more.
const LOOKS: u32 = 60_000;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl RabbitMq {
    /// Readies an alarm for so long, in which it takes nothing from connections that publish.
    /// What the node says is which alarms it had.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn ready_to_run_short(
        &self,
        of: Resource,
        time: Duration,
    ) -> Result<Readied, TestkitError> {
        // No disk and no memory has so much free, and no node is content with so little.
        let (module, limit, short) = match of {
            Resource::Disk => ("rabbit_disk_monitor", "disk_free_limit", "1 bsl 60"),
            Resource::Memory => ("vm_memory_monitor", "vm_memory_high_watermark", "0.00001"),
        };
        let milliseconds = time.as_millis();
        let expression = format!(
            "Limit = {module}:get_{limit}(), {module}:set_{limit}({short}), \
             timer:sleep({milliseconds}), Alarms = rabbit_alarm:get_alarms(), \
             {module}:set_{limit}(Limit), Alarms"
        );
        self.ready("an alarm", &expression).await
    }

    /// Readies its orderly end, as `stop_app` does it. The process of the node stays; see
    /// [`RabbitMq::kill`].
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn ready_to_stop(&self) -> Result<Readied, TestkitError> {
        self.ready("a stop", "rabbit:stop()").await
    }

    /// Has the node do what an expression of Erlang says, once it is told to.
    async fn ready(&self, what: &'static str, expression: &str) -> Result<Readied, TestkitError> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |part: &str| format!("{part}-{number}");
        let [begin, done, written] = ["begin", "done", "written"].map(name);
        let inside = |name: &str| format!("{:?}", self.inside(name).display().to_string());
        // `rabbitmqctl` has ended by then, and with it where its processes would write to.
        let program = format!(
            "spawn(fun() -> group_leader(whereis(init), self()), \
             Look = fun Look(0) -> never; \
             Look(Left) -> case file:delete({begin}) of \
             ok -> now; _ -> timer:sleep({LOOK_MS}), Look(Left - 1) end end, \
             case Look({LOOKS}) of never -> ok; now -> Said = (fun() -> {expression} end)(), \
             file:write_file({written}, io_lib:format(\"~0p~n\", [Said])), \
             file:rename({written}, {done}) end end).",
            begin = inside(&begin),
            written = inside(&written),
            done = inside(&done),
        );
        self.control(&["eval", &program]).await?;
        Ok(Readied { what, begin: self.path(&begin), done: self.path(&done) })
    }
}

impl Readied {
    /// Has it done. Ends when it is over, with what the node says of it.
    ///
    /// # Errors
    /// When the node does not do it, as it was killed or started again since.
    pub async fn go(self) -> Result<String, TestkitError> {
        std::fs::write(&self.begin, [])?;
        let begun = Instant::now();
        loop {
            match std::fs::read_to_string(&self.done) {
                Ok(said) => return Ok(said.trim_end().to_owned()),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Err(_) if begun.elapsed() > PATIENCE => {
                    return Err(TestkitError::NotDone { what: self.what });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
