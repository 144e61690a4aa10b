//! `wissel doctor`: whether all that a gateway stands on is well, and what to do where not.

mod bus;
mod certificates;
mod finding;
mod gateway;
mod mend;
mod parts;
mod system;
mod written;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use serde_json::json;

use self::finding::{Finding, Findings, Severity};
use crate::cli::DoctorArguments;
use crate::config::{Bus, Config};
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(arguments: DoctorArguments) -> Result<(), Failure> {
    let findings = examine(&arguments).await;
    let count = |severity| findings.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if arguments.json {
        output::json(&json!({ "errors": errors, "warnings": warnings, "findings": findings }))?;
    } else {
        tell(&findings);
    }
    match (errors, warnings) {
        (0, 0) => Ok(()),
        (0, _) if !arguments.strict => Ok(()),
        (0, _) => Err(Failure::refused(format!("warnings: {warnings}"))),
        _ => Err(Failure::refused(format!("to be mended: {errors}; warnings: {warnings}"))),
    }
}

/// All checks, side by side, each within its time.
async fn examine(arguments: &DoctorArguments) -> Vec<Finding> {
    let mut checks: Vec<(&'static str, BoxFuture<'static, Findings>)> = Vec::new();
    let mut found = Findings::of("configuration");
    let file = arguments.serve.config.clone();
    match Config::load(&arguments.serve) {
        Ok(config) => {
            let config = Arc::new(config);
            found.ok("it can be read");
            certificates::settings(&config, &arguments.serve, &mut found);
            parts::settings(&config, &arguments.serve, &mut found);
            let of = |check: fn(&Config) -> Findings| {
                let config = Arc::clone(&config);
                async move {
                    let looking = tokio::task::spawn_blocking(move || check(&config));
                    looking.await.unwrap_or_else(|_| Findings::of("doctor"))
                }
                .boxed()
            };
            checks.push(("certificates", of(certificates::look)));
            let tokens = Arc::clone(&config);
            checks.push(("tokens", async move { parts::tokens(&tokens).await }.boxed()));
            if config.bus == Bus::Embedded {
                checks.push(("bus", of(bus::embedded)));
            } else {
                let config = Arc::clone(&config);
                checks.push(("bus", async move { bus::rabbitmq(&config).await }.boxed()));
            }
            checks.push(("disk", of(system::disk)));
            checks.push(("open files", of(system::open_files)));
            checks.push(("catalogue", of(written::catalogue)));
            checks.push(("records", of(written::records)));
            checks.push(("clock", of(system::clock)));
        }
        Err(failure) => found.error(
            failure.message(),
            "mend the settings; nothing that they name was looked at",
            mend::show(file.as_ref()),
        ),
    }
    if let Some(connection) = arguments.connection() {
        let file = file.clone();
        let looking = async move { gateway::look(&connection, file.as_ref()).await };
        checks.push(("gateway", looking.boxed()));
    }
    let patience = Duration::from_secs(arguments.timeout);
    let again = mend::with_file("wissel doctor", file.as_ref());
    let again = format!("{again} --timeout {}", (patience.as_secs() * 6).min(3_600));
    let limited = checks.into_iter().map(|(name, check)| {
        let again = again.clone();
        async move {
            tokio::time::timeout(patience, check).await.unwrap_or_else(|_| {
                let mut found = Findings::of(name);
                found.error(
                    format!("not done within {} s", patience.as_secs()),
                    "find out what does not answer, or give it more time",
                    again,
                );
                found
            })
        }
    });
    let others = join_all(limited).await.into_iter().flat_map(|found| found.all);
    found.all.into_iter().chain(others).collect()
}

fn tell(findings: &[Finding]) {
    let rows = findings
        .iter()
        .map(|one| vec![one.severity.name().to_owned(), one.check.to_owned(), one.what.clone()]);
    output::table(&["", "CHECK", "FOUND"], rows.collect());
    for finding in findings {
        if let (Some(advice), Some(command)) = (&finding.advice, &finding.command) {
            let (severity, check) = (finding.severity.name(), finding.check);
            output::line(&format!("\n{severity}: {check}: {}", finding.what));
            output::line(&format!("  {advice}:\n    {command}"));
        }
    }
}
