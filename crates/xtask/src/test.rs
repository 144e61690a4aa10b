//! Running every test, and adding up what came of them.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use crate::personal::Search;
use crate::timed;
use crate::workspace::{build_wissel, cargo, root};

/// Runs the tests of the whole workspace, documentation's examples included, and then
/// looks for personal numbers in all that they wrote.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let wissel = build_wissel(&[])?;
    let logs = root().join("target/test-logs");
    if logs.exists() {
        std::fs::remove_dir_all(&logs).with_context(|| logs.display().to_string())?;
    }
    std::fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--all-features", "--no-fail-fast", "--"]);
    command
        .args(arguments)
        .env("WISSEL_BIN", wissel)
        .env("WISSEL_TEST_LOGS", &logs)
        .stdout(Stdio::piped());

    let mut total = Total::default();
    let mut search = Search::default();
    let status = timed("test", || {
        let mut tests = command.spawn().context("cargo test")?;
        let output = tests.stdout.take().context("cargo test has no output")?;
        total.pass_on(BufReader::new(output), std::io::stdout(), &mut search)?;
        tests.wait().context("cargo test")
    })?;
    println!("tests: {total}");
    ensure!(status.success(), "cargo test failed: {status}");
    ensure!(total.passed > 0, "no test ran");
    let files = search.directory(&logs)?;
    // A filter may have left out the tests that start gateways.
    ensure!(files > 0 || !arguments.is_empty(), "no gateway left its log in {}", logs.display());
    search.verdict()
}

/// The sum of the `test result:` lines of the many test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    /// Passes on each line as it comes, counts, and looks through it.
    fn pass_on(
        &mut self,
        mut lines: impl BufRead,
        mut out: impl Write,
        search: &mut Search,
    ) -> Result<()> {
        let mut line = Vec::new();
        let mut number = 0;
        while lines.read_until(b'\n', &mut line).context("cargo test")? > 0 {
            out.write_all(&line)?;
            out.flush()?;
            self.count(&String::from_utf8_lossy(&line));
            number += 1;
            search.line("the output of the tests", number, &line);
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
        let mut search = Search::default();
        total.pass_on(output.as_bytes(), &mut passed_on, &mut search).unwrap();
        assert_eq!(passed_on, output.as_bytes());
        assert_eq!(total, Total { passed: 7, failed: 2, ignored: 1 });
        assert_eq!(total.to_string(), "7 passed, 2 failed, 1 skipped");
    }
}
