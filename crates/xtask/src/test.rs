//! Running every test, and adding up what came of them.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::personal::Search;
use crate::timed;
use crate::workspace::{build_wissel, cargo, root};

/// Runs the tests of the whole workspace, documentation's examples included, and then
/// looks for personal numbers in all that they wrote.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    run_packages(&["--workspace"], arguments, &[])
}

/// Runs the tests of the bus on RabbitMQ, and those from end to end that have `rabbitmq` in
/// their names unless the arguments say which, on RabbitMQ 4.
pub(crate) fn run_on_rabbitmq_4(arguments: &[String]) -> Result<()> {
    let on_4 = [("WISSEL_TEST_RABBITMQ", "4")];
    let of_bus = ["--package", "wissel-testkit", "--package", "wissel-bus-amqp"];
    run_packages(&of_bus, arguments, &on_4)?;
    let those = ["rabbitmq".to_owned()];
    let arguments = if arguments.is_empty() { &those } else { arguments };
    run_packages(&["--package", "wissel-tests"], arguments, &on_4)
}

fn run_packages(
    packages: &[&str],
    arguments: &[String],
    environment: &[(&str, &str)],
) -> Result<()> {
    let wissel = build_wissel(&[])?;
    let logs = root().join("target/test-logs");
    if logs.exists() {
        std::fs::remove_dir_all(&logs).with_context(|| logs.display().to_string())?;
    }
    std::fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
    let mut command = cargo();
    command.arg("test").args(packages).args(["--all-features", "--no-fail-fast", "--"]);
    command
        .envs(environment.iter().copied())
        .args(with_output_of_all(arguments))
        .env("WISSEL_BIN", wissel)
        .env("WISSEL_TEST_LOGS", &logs);

    let mut total = Total::default();
    let mut search = Search::with_examples(&root().join("deploy/catalogue/examples"))?;
    let status = timed("test", || {
        total.of(&mut command, &mut search, std::io::stdout(), std::io::stderr())
    })?;
    println!("tests: {total}");
    let files = search.directory(&logs)?;
    let verdict = search.verdict();
    if !status.success() {
        if let Err(found) = &verdict {
            println!("personal numbers: {found}");
        }
        bail!("cargo test failed: {status}");
    }
    ensure!(total.passed > 0, "no test ran");
    // A filter may have left out the tests that start gateways.
    let all = arguments.is_empty() && packages == ["--workspace"];
    ensure!(files > 0 || !all, "no gateway left its log in {}", logs.display());
    verdict
}

/// The arguments of the tests, and one that has them give what passing tests print as well,
/// which they keep to themselves otherwise.
fn with_output_of_all(arguments: &[String]) -> Vec<&str> {
    const SHOW_OUTPUT: &str = "--show-output";
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Each may be given once.
    if !all.iter().any(|argument| [SHOW_OUTPUT, "--nocapture", "--no-capture"].contains(argument)) {
        all.push(SHOW_OUTPUT);
    }
    all
}

/// The sum of the `test result:` lines of the many test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    /// Runs tests; passes on what they write as it comes, counts, and looks through it.
    fn of(
        &mut self,
        command: &mut Command,
        search: &mut Search,
        out: impl Write,
        mut err: impl Write + Send,
    ) -> Result<ExitStatus> {
        let mut tests = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = tests.stdout.take().context("the tests have no output")?;
        let errors = tests.stderr.take().context("the tests have no output for errors")?;
        let mut of_errors = search.another();
        std::thread::scope(|scope| {
            let errors = scope.spawn(|| {
                each_line(BufReader::new(errors), |number, line| {
                    of_errors.line("the errors of the tests", number, line);
                    err.write_all(line)
                })
            });
            self.pass_on(BufReader::new(output), out, search)?;
            errors.join().ok().context("the errors of the tests cannot be read")?
        })?;
        search.add(of_errors);
        tests.wait().context("the tests")
    }

    /// Passes on each line, but for what passing tests print.
    fn pass_on(
        &mut self,
        lines: impl BufRead,
        mut out: impl Write,
        search: &mut Search,
    ) -> Result<()> {
        let mut of_passing = false;
        each_line(lines, |number, line| {
            search.line("the output of the tests", number, line);
            match line.trim_ascii_end() {
                b"successes:" => of_passing = true,
                b"failures:" => of_passing = false,
                line if line.starts_with(b"test result: ") => of_passing = false,
                _ => {}
            }
            self.count(&String::from_utf8_lossy(line));
            if of_passing {
                return Ok(());
            }
            out.write_all(line)?;
            out.flush()
        })
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

/// Gives each line as it comes, with its number and its end.
fn each_line(
    mut lines: impl BufRead,
    mut take: impl FnMut(u64, &[u8]) -> std::io::Result<()>,
) -> Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line).context("reading the output of the tests")? == 0 {
            break;
        }
        take(number, &line)?;
    }
    Ok(())
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored } = self;
        write!(formatter, "{passed} passed, {failed} failed, {ignored} skipped")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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

    #[test]
    fn the_output_of_all_is_asked_for_once() {
        let with = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            with_output_of_all(&given).join(" ")
        };
        assert_eq!(with(&[]), "--show-output");
        assert_eq!(with(&["--skip", "kill"]), "--skip kill --show-output");
        assert_eq!(with(&["--nocapture"]), "--nocapture");
    }

    /// The program of one test that passes.
    fn compiled(directory: &Path, body: &str) -> Command {
        let (source, program) = (directory.join("planted.rs"), directory.join("planted"));
        std::fs::write(&source, format!("#[test] fn passes() {{ {body} }}")).unwrap();
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.arg("--test").arg(&source).arg("-o").arg(&program);
        assert!(rustc.status().unwrap().success());
        Command::new(program)
    }

    #[test]
    fn a_number_that_a_passing_test_writes_is_found_wherever_it_writes_it() {
        let number = format!("99999{}", "0342");
        let to_err = "std::io::Write::write_all(&mut std::io::stderr(), text).unwrap();";
        let to_out = "std::io::Write::write_all(&mut std::io::stdout(), text).unwrap();";
        for (body, is_found) in [
            (format!("println!(\"{number}\");"), true),
            (format!("eprintln!(\"{number}\");"), true),
            (format!("let text = b\"{number}\\n\"; {to_err}"), true),
            (format!("let text = b\"{number}\\n\"; {to_out}"), true),
            ("println!(\"nobody\");".to_owned(), false),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let mut command = compiled(directory.path(), &body);
            command.args(with_output_of_all(&[]));
            let (mut total, mut search) = (Total::default(), Search::default());
            let mut out = Vec::new();
            let status = total.of(&mut command, &mut search, &mut out, std::io::sink()).unwrap();
            assert!(status.success() && total.passed == 1, "{}", String::from_utf8_lossy(&out));
            assert_eq!(search.verdict().is_err(), is_found, "{body}");
            assert!(!String::from_utf8_lossy(&out).contains("nobody"));
        }
    }
}
