//! Installing what the tests need, on Debian.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::timed;
use crate::workspace::root;

/// What has to be there, and Debian's packages that bring it.
struct Need {
    file: &'static str,
    packages: &'static [&'static str],
}

const NEEDS: [Need; 12] = [
    Need { file: "/usr/lib/rabbitmq/bin/rabbitmq-server", packages: &["rabbitmq-server"] },
    Need { file: "/usr/bin/cc", packages: &["gcc", "libc6-dev"] },
    Need { file: "/usr/bin/tmux", packages: &["tmux"] },
    Need { file: "/usr/bin/pkill", packages: &["procps"] },
    Need { file: "/usr/bin/promtool", packages: &["prometheus"] },
    Need { file: "/usr/bin/chromium", packages: &["chromium"] },
    Need { file: "/usr/bin/chromedriver", packages: &["chromium-driver"] },
    Need { file: "/usr/bin/npm", packages: &["npm"] },
    Need { file: "/usr/lib/python3/dist-packages/pika/__init__.py", packages: &["python3-pika"] },
    Need { file: "/usr/lib/python3/dist-packages/grpc/__init__.py", packages: &["python3-grpcio"] },
    Need { file: "/usr/bin/grpc_python_plugin", packages: &["protobuf-compiler-grpc"] },
    Need { file: "/usr/include/google/protobuf/any.proto", packages: &["libprotobuf-dev"] },
];

/// What puts another Debian in a folder.
const DEBOOTSTRAP: Need = Need { file: "/usr/sbin/debootstrap", packages: &["debootstrap"] };
/// The Debian with RabbitMQ 4.
const SUITE: &str = "trixie";

/// Installs what is missing; nothing when all is there.
pub(crate) fn install() -> Result<()> {
    install_missing(&NEEDS)?;
    install_axe()
}

/// Finds what on a page keeps people from using it. Mozilla's licence; it is used by tests
/// alone, and no part of what is delivered.
const AXE: &str = "axe-core@4.14.1";
/// The SHA-512 of its package.
const AXE_HASH: &str = "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b73\
                        4f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5";

/// Puts axe-core in `target/tools/axe-core`, unless it is there.
fn install_axe() -> Result<()> {
    let tools = root().join("target/tools");
    if tools.join("axe-core/axe.min.js").exists() {
        return Ok(());
    }
    let unfinished = tools.join("axe-core.unfinished");
    fs::create_dir_all(&unfinished).context("target/tools")?;
    println!("== install {AXE}");
    run(&unfinished, &["npm", "pack", "--silent", AXE])?;
    let package = format!("{}.tgz", AXE.replace('@', "-"));
    let sum = Command::new("sha512sum").arg(&package).current_dir(&unfinished).output();
    let sum = String::from_utf8(sum.context("sha512sum")?.stdout)?;
    ensure!(sum.starts_with(AXE_HASH), "{package} is another than was expected: {sum}");
    run(&unfinished, &["tar", "--extract", "--strip-components=1", "--file", &package])?;
    fs::rename(&unfinished, tools.join("axe-core")).context("target/tools/axe-core")
}

/// Runs a command in a folder.
fn run(folder: &Path, words: &[&str]) -> Result<()> {
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    let status = command.status().with_context(|| words.join(" "))?;
    ensure!(status.success(), "{}: {status}", words.join(" "));
    Ok(())
}

/// Puts a Debian with RabbitMQ 4 in `target/rabbitmq-4`, about 370 MB, unless it is there.
pub(crate) fn install_rabbitmq_4() -> Result<()> {
    let folder = root().join("target/rabbitmq-4");
    let server = "usr/lib/rabbitmq/bin/rabbitmq-server";
    if folder.join(server).exists() {
        return Ok(());
    }
    install_missing(&[DEBOOTSTRAP])?;
    let unfinished = root().join("target/rabbitmq-4.unfinished");
    let (from, to) = (unfinished.to_string_lossy(), folder.to_string_lossy());
    fs::create_dir_all(root().join("target")).context("target")?;
    as_root(&["rm", "--recursive", "--force", &from, &to])?;
    timed("RabbitMQ 4", || {
        let include = "--include=rabbitmq-server";
        let mirror = debian();
        let words = ["debootstrap", "--variant=minbase", include, SUITE, &from];
        // Without a mirror it takes its own.
        let words: Vec<&str> = words.into_iter().chain(mirror.as_deref()).collect();
        as_root(&words)?;
        ensure!(unfinished.join(server).exists(), "Debian {SUITE} brought no {server}");
        as_root(&["mv", &from, &to])
    })
}

/// The mirror of Debian that this machine uses, when its sources say.
fn debian() -> Option<String> {
    let lists = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<_> = lists.map(|file| file.path()).collect();
    files.push("/etc/apt/sources.list".into());
    files.sort();
    let texts: Vec<String> =
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    mirror_in(&texts)
}

/// The first address that ends as those of Debian do.
fn mirror_in(sources: &[String]) -> Option<String> {
    let lines = sources.iter().flat_map(|text| text.lines());
    let lines = lines.filter(|line| line.starts_with("URIs:") || line.starts_with("deb "));
    let mut words = lines.flat_map(str::split_whitespace);
    words.find_map(|word| {
        let bare = word.trim_end_matches('/');
        let is_debian = bare.starts_with("http") && bare.ends_with("/debian");
        is_debian.then(|| bare.to_owned())
    })
}

fn install_missing(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| need.is_missing()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_debian_itself() {
        let found = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            mirror_in(&texts)
        };
        let security = "URIs: http://m.example/debian-security\n";
        let new = "Types: deb\n# http://old.example/debian\nURIs: http://m.example/debian/\n";
        assert_eq!(found(&[security, new]).as_deref(), Some("http://m.example/debian"));
        let old = "deb [signed-by=/k] https://n.example/debian bookworm main\n";
        assert_eq!(found(&["", old]).as_deref(), Some("https://n.example/debian"));
        assert_eq!(found(&[security]), None);
    }
}
