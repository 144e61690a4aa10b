//! What is checked besides the tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{cargo, licences, root, step, target};

pub(crate) fn run() -> Result<()> {
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--all-features"]);
    step("lints", clippy.args(["--", "--deny", "warnings"]))?;
    let mut documentation = cargo();
    documentation.args(["doc", "--quiet", "--workspace", "--all-features", "--no-deps"]);
    step("documentation", documentation.env("RUSTDOCFLAGS", "--deny warnings"))?;

    licences::check()?;

    let Some(tools) = tools() else {
        println!("== spelling: left out, for want of python3 with venv");
        return Ok(());
    };
    step("spelling", Command::new(tools.join("typos")).current_dir(root()))
}

/// The folder with typos, which comes as a Python package; none when it cannot be
/// had.
fn tools() -> Option<PathBuf> {
    let place = target().join("tools");
    let bin = place.join("bin");
    if !bin.join("typos").exists() {
        let quiet = |command: &mut Command| {
            let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            ran.is_ok_and(|status| status.success())
        };
        let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(&place))
            && quiet(Command::new(bin.join("pip")).args(["install", "typos"]));
        if !made {
            return None;
        }
    }
    Some(bin)
}
