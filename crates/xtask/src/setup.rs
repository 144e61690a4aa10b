//! Installing what the tests need, on Debian.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::root;

/// What has to be there, and Debian's packages that bring it.
struct Need {
    file: &'static str,
    packages: &'static [&'static str],
}

const NEEDS: [Need; 2] = [
    Need { file: "/usr/lib/rabbitmq/bin/rabbitmq-server", packages: &["rabbitmq-server"] },
    Need { file: "/usr/bin/cc", packages: &["gcc", "libc6-dev"] },
];

/// Installs what is missing; nothing when all is there.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| need.is_missing()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let files: Vec<&str> = missing.iter().map(|need| need.file).collect();
    let advice = format!("install {}, so that {} is there", packages.join(" "), files.join(", "));
    ensure!(Path::new("/usr/bin/apt-get").exists(), "this is no Debian: {advice}");

    println!("== install {}", packages.join(" "));
    install_packages(&packages).context(advice)?;
    for need in missing {
        if need.is_missing() {
            bail!("{} is installed, but brought no {}", need.packages.join(" "), need.file);
        }
    }
    Ok(())
}

impl Need {
    fn is_missing(&self) -> bool {
        !Path::new(self.file).exists()
    }
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let _no_services = NoServices::begin()?;
    let mut wanted = vec!["install", "--no-install-recommends"];
    wanted.extend(packages);
    if apt_get(&wanted).is_err() {
        println!("== the lists of packages may be missing or old: update");
        apt_get(&["update"])?;
        apt_get(&wanted)?;
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let apt_get = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    let quietly = ["--yes", "--quiet", "--option", "DPkg::Lock::Timeout=120"];
    as_root(&[&apt_get[..], arguments, &quietly].concat())
}

/// While it lives, an installed package starts no service.
struct NoServices {
    ours: bool,
}

/// What invoke-rc.d and its kin ask before they start a service; 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const MARK: &str = "# Placed by cargo xtask setup";

impl NoServices {
    /// A policy that the owner of the machine made stays in force.
    fn begin() -> Result<Self> {
        let existing = fs::read(POLICY).ok();
        if existing.is_some_and(|text| !String::from_utf8_lossy(&text).contains(MARK)) {
            return Ok(Self { ours: false });
        }
        let draft = root().join("target/policy-rc.d");
        // Should this process be killed, its policy ends with it all the same.
        let process = std::process::id();
        let policy = format!("#!/bin/sh\n{MARK}.\ntest -d /proc/{process} && exit 101\nexit 0\n");
        fs::create_dir_all(root().join("target")).context("target")?;
        fs::write(&draft, policy).with_context(|| draft.display().to_string())?;
        as_root(&["install", "--mode=755", &draft.to_string_lossy(), POLICY])?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = as_root(&["rm", "--force", POLICY])
        {
            eprintln!("warning: {POLICY} is left behind: {error:#}");
        }
    }
}

/// Runs a command as root, by sudo where needed.
fn as_root(words: &[&str]) -> Result<()> {
    let sudo: &[&str] = if is_root()? { &[] } else { &["sudo"] };
    let words = [sudo, words].concat();
    let text = words.join(" ");
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).status().context(text.clone())?;
    ensure!(status.success(), "{text}: {status}");
    Ok(())
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output().context("id -u")?;
    Ok(id.stdout.trim_ascii() == b"0")
}
