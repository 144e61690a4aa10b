//! The alert rules and the dashboard, held against the metrics that there are, against
//! Prometheus' own tool, and against the page for whoever is woken.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What promtool says; none where it is not installed, which `cargo xtask test` sees to.
fn promtool(arguments: &[&str]) {
    let output = Command::new("/usr/bin/promtool")
        .args(arguments)
        .current_dir(root().join("deploy/prometheus"))
        .output()
        .expect("promtool, of Debian's package prometheus: `cargo xtask setup` installs it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// The names in a text that begin as those of our metrics do.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|one: char| !(one.is_ascii_alphanumeric() || one == '_'));
    words.filter(|word| word.starts_with("wissel_")).map(str::to_owned).collect()
}

/// Every metric, and the three series that a histogram is.
fn described() -> BTreeSet<String> {
    let page = read("docs/metrics.md");
    let mut names = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `wissel_")) {
        let mut cells = line.split('|').map(str::trim);
        let name = cells.nth(1).unwrap().trim_matches('`');
        if cells.next() == Some("histogram") {
            names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        } else {
            names.insert(name.to_owned());
        }
    }
    assert!(names.len() > 40, "{names:?}");
    names
}

fn alerts() -> BTreeSet<String> {
    let rules = read("deploy/prometheus/alerts.yml");
    let named = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    named.map(str::to_owned).collect()
}

#[test]
fn the_rules_are_right_and_fire_when_they_are_to() {
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
    promtool(&["check", "config", "--syntax-only", "prometheus.yml"]);
}

#[test]
fn every_alert_is_tested_both_ways() {
    let tests = read("deploy/prometheus/alerts_test.yml");
    for alert in alerts() {
        let quiet = format!(", alertname: {alert} }}");
        let fires = format!("        alertname: {alert}\n        exp_alerts:");
        assert!(tests.contains(&quiet), "{alert} is not seen to stay quiet");
        assert!(tests.contains(&fires), "{alert} is not seen to fire");
    }
}

#[test]
fn every_alert_has_a_section_and_every_section_an_alert() {
    let page = read("docs/operations/alerts.md");
    let sections: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(sections, alerts());
    let rules = read("deploy/prometheus/alerts.yml");
    for alert in alerts() {
        let link = format!("runbook: docs/operations/alerts.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&link), "{link}");
    }
    for section in page.split("\n## ").skip(1) {
        for part in ["**Means**", "**Look**", "**do**"] {
            assert!(section.to_lowercase().contains(&part.to_lowercase()), "{part} in {section}");
        }
    }
}

#[test]
fn rules_and_dashboard_use_metrics_that_there_are() {
    let described = described();
    let rules = metrics_in(&read("deploy/prometheus/alerts.yml"));
    let dashboard: Json = serde_json::from_str(&read("deploy/grafana/wissel.json")).unwrap();
    let mut used = BTreeSet::new();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            used.extend(metrics_in(expression));
            expressions.push(expression.to_owned());
        }
    }
    assert!(expressions.len() > 30);
    // Also where nothing is drawn: variables, rows within rows.
    used.extend(metrics_in(&read("deploy/grafana/wissel.json")));
    for name in rules.iter().chain(&used) {
        assert!(described.contains(name), "{name} is no metric");
    }
    // What the dashboard asks is PromQL: as the rules of a file that promtool reads.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dashboard.yml");
    let records = expressions.iter().enumerate().map(|(number, expression)| {
        let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
        format!("      - record: panel:{number}\n        expr: {}\n", Json::from(expression))
    });
    let text = format!("groups:\n  - name: dashboard\n    rules:\n{}", records.collect::<String>());
    std::fs::write(&file, text).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}
