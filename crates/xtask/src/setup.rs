//! Installing what the tests need, on Debian.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// What has to be there, and Debian's package that brings it.
const NEEDED: [(&str, &str); 2] =
    [("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"), ("/usr/bin/cc", "gcc")];

/// Installs what is missing; nothing when all is there.
pub(crate) fn install() -> Result<()> {
    let missing = || NEEDED.iter().filter(|(file, _)| !Path::new(file).exists());
    let packages: Vec<&str> = missing().map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    ensure!(
        Path::new("/usr/bin/apt-get").exists(),
        "this is no Debian: install {} yourself; expected {:?}",
        packages.join(" and "),
        missing().map(|(file, _)| *file).collect::<Vec<_>>(),
    );
    println!("== install {}", packages.join(" "));
    let _no_services = NoServices::begin()?;
    if apt_get(&["install"], &packages).is_err() {
        apt_get(&["update"], &[])?;
        apt_get(&["install"], &packages)?;
    }
    match missing().next() {
        None => Ok(()),
        Some((file, package)) => bail!("{package} is installed, and {file} is not there"),
    }
}

fn apt_get(what: &[&str], packages: &[&str]) -> Result<()> {
    let mut command = privileged("apt-get")?;
    command.args(what).args(["--yes", "--quiet", "--option", "DPkg::Lock::Timeout=120"]);
    if !packages.is_empty() {
        command.arg("--no-install-recommends").args(packages);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    let status = command.status().context("apt-get")?;
    ensure!(status.success(), "apt-get {} failed: {status}", what.join(" "));
    Ok(())
}

/// While it lives, an installed package starts no service. As root only: with sudo
/// a service may start, which does not disturb the tests.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn begin() -> Result<Self> {
        if !is_root()? || Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context(POLICY)?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

fn privileged(program: &str) -> Result<Command> {
    if is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output();
    let id = id.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Command::new("/usr/bin/id").arg("-u").output(),
        _ => Err(error),
    });
    Ok(id.context("id -u")?.stdout.trim_ascii() == b"0")
}
