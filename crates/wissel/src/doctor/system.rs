//! What the machine gives: disk, open files, a clock.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::finding::Findings;
use crate::config::{Bus, Config};
use crate::output;

/// Fewer than these are soon used up by connections and files of the bus.
const FILES_MIN: u64 = 4_096;

/// Whether state can be written, and there is room for it.
pub(super) fn disk(config: &Config) -> Findings {
    let mut found = Findings::of("disk");
    let data = &config.data_dir;
    let shown = data.display();
    if data.exists() {
        match tempfile::Builder::new().prefix(".doctor-").tempfile_in(data) {
            Ok(_) => found.ok(format!("{shown}: can be written")),
            Err(error) => found.error(
                format!("data_dir {shown}: cannot be written: {error}"),
                "make it a directory of the gateway's user",
                format!("ls -ld {shown}; install -d -m 700 -o wissel {shown}"),
            ),
        }
        let mode = std::fs::metadata(data).map_or(0o700, |found| found.permissions().mode());
        if data.is_dir() && mode & 0o077 != 0 {
            found.warning(
                format!("data_dir {shown}: mode {:03o}, and messages are personal", mode & 0o777),
                "let only the gateway's user in",
                format!("chmod 700 {shown}"),
            );
        }
    } else {
        found.note(format!("{shown}: is not there yet; a gateway makes it"));
    }
    // Where it is, or will be.
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.clone());
    let there = absolute.ancestors().find(|one| one.exists()).unwrap_or(Path::new("/"));
    room(there, config, &mut found);
    if config.bus == Bus::Embedded {
        file_system(there, &mut found);
    }
    found
}

fn room(directory: &Path, config: &Config, found: &mut Findings) {
    let mark = config.limits.disk_free_bytes;
    let whence = config.origins.of("limits.disk_free_bytes");
    let shown = directory.display();
    let Ok(stat) = rustix::fs::statvfs(directory) else {
        found.note(format!("{shown}: it cannot be found out how much is free"));
        return;
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let what =
        format!("{} MiB free; at least {} MiB (limits.disk_free_bytes)", free >> 20, mark >> 20);
    let advice = format!(
        "free some, give it a larger disk, or lower the mark ({whence}); a gateway below it is not \
         ready"
    );
    let command = format!("du -xh --max-depth=1 {shown}/ | sort -h; df -h {shown}");
    if free < mark {
        found.error(what, advice, command);
    } else if free / 2 < mark {
        found.warning(what, advice, command);
    } else {
        found.ok(what);
    }
}

/// The embedded bus wants locks and fdatasync to be what they say.
fn file_system(directory: &Path, found: &mut Findings) {
    const NFS: i64 = 0x6969;
    const TMPFS: i64 = 0x0102_1994;
    const OVERLAY: i64 = 0x794c_7630;
    let Ok(stat) = rustix::fs::statfs(directory) else { return };
    let (shown, command) =
        (directory.display(), format!("findmnt --target {}", directory.display()));
    let unfit = match stat.f_type {
        NFS => "on NFS, on which nothing was tried",
        TMPFS => "in memory, gone at a restart",
        OVERLAY => "in a container's layer, gone with it",
        _ => {
            found.ok(format!("{shown}: its file system is local, as far as can be told"));
            return;
        }
    };
    let advice = "put data_dir on a local disk that stays";
    found.warning(format!("{shown}: {unfit}"), advice, command);
}

/// How many files a process that starts here may open. A gateway that runs has its own limit.
pub(super) fn open_files(_: &Config) -> Findings {
    let mut found = Findings::of("open files");
    match wissel_console::Vitals::process().map(|process| process.open_files_max) {
        None => found.note("the limit cannot be found out here"),
        // Without a limit it says 0.
        Some(most) if most == 0 || most >= FILES_MIN => {
            found.ok(format!("limit of a process started here: {most} (0: none)"));
        }
        Some(most) => found.warning(
            format!("limit of a process started here: {most}, expected at least {FILES_MIN}"),
            "raise it where the gateway is started; deploy/wissel.service does (LimitNOFILE)",
            "ulimit -n 65536",
        ),
    }
    found
}

/// Whether time goes as it should. What cannot be known from here is said.
pub(super) fn clock(config: &Config) -> Findings {
    const WATCHED: Duration = Duration::from_millis(200);
    const SLACK: Duration = Duration::from_millis(50);
    let mut found = Findings::of("clock");
    let (steady, wall) = (Instant::now(), SystemTime::now());
    std::thread::sleep(WATCHED);
    let (steady, wall) = (steady.elapsed(), wall.elapsed().unwrap_or_default());
    let command = "timedatectl status";
    if wall.abs_diff(steady) > SLACK {
        let advice = "somebody sets the clock while we look; let one time service do it";
        found.warning(format!("it went {wall:?} while {steady:?} passed"), advice, command);
    } else {
        found.ok("it goes evenly");
    }
    match is_synchronised() {
        Some(true) => found.ok("a time service keeps it right"),
        Some(false) => found.warning(
            "no time service keeps it right",
            "let one; terms, deadlines, certificates and tokens go by it",
            "timedatectl set-ntp true",
        ),
        None => found.ok(
            "whether it is right is not known here, without timedatectl; with --server it is held \
             against the gateway's",
        ),
    }
    // What was written later than now was written by another clock, or before it was set back.
    let store = config.data_dir.join("control.sqlite");
    let written = std::fs::metadata(&store).and_then(|found| found.modified());
    if let Ok(written) = written
        && let Ok(ahead) = written.duration_since(SystemTime::now())
        && ahead > SLACK
    {
        found.error(
            format!(
                "{}: was written at {}, which is to come",
                store.display(),
                output::moment(written)
            ),
            "the clock was set back, or that of the file system differs; set it right",
            command,
        );
    }
    found
}

/// Whether the system says that a time service keeps its clock right; none where it does not
/// say.
fn is_synchronised() -> Option<bool> {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked.ok()?.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}
