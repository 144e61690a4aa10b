//! The thread that makes records safe from a loss of power, while others are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use crate::line::Head;
use crate::verify::HEAD_FILE;

/// Syncs one file at a time, and then says in the head how far it is.
pub(crate) struct Syncer {
    orders: mpsc::Sender<(File, Head)>,
    outcomes: mpsc::Receiver<io::Result<()>>,
    /// Whether there is an order that has no outcome yet.
    busy: bool,
}

impl Syncer {
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel::<(File, Head)>();
        let (done, outcomes) = mpsc::channel();
        let directory: PathBuf = directory.to_owned();
        let thread = std::thread::Builder::new().name("wissel-sync".to_owned());
        thread.spawn(move || {
            for (file, head) in ordered {
                if done.send(sync(&directory, &file, &head)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { orders, outcomes, busy: false })
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins to sync what was written to a file, up to this head. Not while it is busy.
    pub(crate) fn begin(&mut self, file: &File, head: Head) -> io::Result<()> {
        debug_assert!(!self.busy, "one file at a time");
        self.orders.send((file.try_clone()?, head)).map_err(|_| gone())?;
        self.busy = true;
        Ok(())
    }

    /// What came of what was begun, when that is known by now.
    pub(crate) fn outcome(&mut self) -> Option<io::Result<()>> {
        let outcome = match self.outcomes.try_recv() {
            Ok(outcome) => outcome,
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) if self.busy => Err(gone()),
            Err(mpsc::TryRecvError::Disconnected) => return None,
        };
        self.busy = false;
        Some(outcome)
    }

    /// Waits for what was begun.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if !self.busy {
            return Ok(());
        }
        self.busy = false;
        self.outcomes.recv().unwrap_or_else(|_| Err(gone()))
    }
}

/// Makes what was written to the file safe from a loss of power, and then says so in the head.
pub(crate) fn sync(directory: &Path, file: &File, head: &Head) -> io::Result<()> {
    file.sync_data()?;
    write_head(directory, head)
}

pub(crate) fn write_head(directory: &Path, head: &Head) -> io::Result<()> {
    let text = serde_json::to_vec(head)?;
    let (path, new) = (directory.join(HEAD_FILE), directory.join(format!("{HEAD_FILE}.new")));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    file.sync_data()?;
    fs::rename(&new, &path)
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs records has ended")
}
