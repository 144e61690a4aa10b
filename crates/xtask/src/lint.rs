//! What is checked besides the tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::workspace::{cargo, root};
use crate::{decisions, dependencies, step, timed};

/// A newer one knows other words; a change here is a choice.
const TYPOS: &str = "typos==1.52.0";

/// Runs every check in turn, to the first that fails.
pub(crate) fn run() -> Result<()> {
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--all-features"]);
    step("lints", clippy.args(["--", "--deny", "warnings"]))?;
    let mut documentation = cargo();
    documentation.args(["doc", "--quiet", "--workspace", "--all-features", "--no-deps"]);
    step("documentation", documentation.env("RUSTDOCFLAGS", "--deny warnings"))?;
    timed("decisions", decisions::check)?;
    timed("dependencies", dependencies::check)?;
    spelling()
}

fn spelling() -> Result<()> {
    let Some(typos) = typos() else {
        println!("== spelling: left out, as {TYPOS} cannot be had; expected python3 with venv");
        return Ok(());
    };
    step("spelling", Command::new(typos).current_dir(root()))
}

/// The program typos, which comes as a Python package; none when it cannot be had.
fn typos() -> Option<PathBuf> {
    let place = root().join("target/tools").join(TYPOS);
    let bin = place.join("bin");
    let typos = bin.join("typos");
    let had = typos.exists()
        || runs(Command::new("python3").args(["-m", "venv"]).arg(&place))
            && runs(Command::new(bin.join("pip")).args(["install", "--only-binary=:all:", TYPOS]));
    had.then_some(typos)
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
