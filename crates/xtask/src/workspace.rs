//! What Cargo says of this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::timed;

/// The part of `cargo metadata` that is of use here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// None for a package of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    pub(crate) path: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

impl Metadata {
    /// Of the packages of this workspace and of all that they depend on.
    pub(crate) fn of_all() -> Result<Self> {
        Self::read(&[])
    }

    /// Of the packages of this workspace only.
    pub(crate) fn of_ours() -> Result<Self> {
        Self::read(&["--no-deps"])
    }

    fn read(arguments: &[&str]) -> Result<Self> {
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1"]).args(arguments);
        let output = command.stderr(Stdio::inherit()).output().context("cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed: {}", output.status);
        serde_json::from_slice(&output.stdout).context("cargo metadata")
    }
}

/// Builds the program `wissel` as users get it; answers where it is.
pub(crate) fn build_wissel(arguments: &[&str]) -> Result<PathBuf> {
    timed("build wissel", || {
        let mut build = cargo();
        build.args(["build", "--quiet", "--package", "wissel", "--bin", "wissel"]);
        build.args(["--message-format", "json-render-diagnostics"]).args(arguments);
        let output = build.stderr(Stdio::inherit()).output().context("cargo build")?;
        ensure!(output.status.success(), "cargo build failed: {}", output.status);
        executable(&output.stdout).context("cargo build named no executable")
    })
}

/// The program among the messages of a build, one JSON object a line.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let lines = messages.split(|byte| *byte == b'\n');
    lines.rev().find_map(|line| serde_json::from_slice::<Message>(line).ok()?.executable)
}

/// Cargo, in the root of this workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The root of this workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"/t/debug/wissel"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(executable(messages.as_bytes()), Some(PathBuf::from("/t/debug/wissel")));
        assert_eq!(executable(b"{}\n"), None);
    }

    #[test]
    fn the_root_holds_this_crate() {
        assert!(root().join("crates/xtask/Cargo.toml").is_file());
    }
}
