//! Running every test, and adding up what came of them.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use crate::timed;
use crate::workspace::{build_wissel, cargo};

/// Runs the tests of the whole workspace, documentation's examples included.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let wissel = build_wissel(&[])?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--all-features", "--no-fail-fast", "--"]);
    command.args(arguments).env("WISSEL_BIN", wissel).stdout(Stdio::piped());

    let mut total = Total::default();
    let status = timed("test", || {
        let mut tests = command.spawn().context("cargo test")?;
        let output = tests.stdout.take().context("cargo test has no output")?;
        total.pass_on(BufReader::new(output), std::io::stdout())?;
        tests.wait().context("cargo test")
    })?;
    println!("tests: {total}");
    ensure!(status.success(), "cargo test failed: {status}");
    ensure!(total.passed > 0, "no test ran");
    Ok(())
}

/// The sum of the `test result:` lines of the many test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    /// Passes on each line as it comes, and counts.
    fn pass_on(&mut self, mut lines: impl BufRead, mut out: impl Write) -> Result<()> {
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).context("cargo test")? > 0 {
            out.write_all(&line)?;
            out.flush()?;
            self.count(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(())
    }

    /// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`
    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored } = self;
        write!(formatter, "{passed} passed, {failed} failed, {ignored} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_and_other_lines_are_not() {
        let mut total = Total::default();
        let output = "running 4 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            a test says: test result: ok. 9 passed; 0 failed\n\
            test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.00s\n";
        let mut passed_on = Vec::new();
        total.pass_on(output.as_bytes(), &mut passed_on).unwrap();
        assert_eq!(passed_on, output.as_bytes());
        assert_eq!(total, Total { passed: 7, failed: 2, ignored: 1 });
        assert_eq!(total.to_string(), "7 passed, 2 failed, 1 skipped");
    }
}
