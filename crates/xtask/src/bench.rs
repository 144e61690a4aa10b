//! The benches: what there is, and running it.

use anyhow::{Context as _, Result, bail};

use crate::step;
use crate::workspace::{Metadata, build_wissel, cargo};

const PACKAGE: &str = "wissel-benches";

/// A target of the package of benches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bench {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In `benches/benches`.
    Bench,
    /// In `benches/src/bin`.
    Program,
}

/// The benches with these names; all of them when none is named.
pub(crate) fn find(names: &[String]) -> Result<Vec<Bench>> {
    let packages = Metadata::of_ours()?.packages;
    let package = packages.into_iter().find(|package| package.name == PACKAGE);
    let targets = package.with_context(|| format!("no package {PACKAGE}"))?.targets;
    let all: Vec<Bench> = targets
        .into_iter()
        .filter_map(|target| Some(Bench { kind: Kind::of(&target.kind)?, name: target.name }))
        .collect();
    choose(all, names)
}

/// Runs them one after the other, each with Wissel as it is installed.
pub(crate) fn run(benches: &[Bench], arguments: &[String]) -> Result<()> {
    let wissel = build_wissel(&["--profile", "dist"])?;
    for Bench { name, kind } in benches {
        let mut command = cargo();
        match kind {
            Kind::Bench => command.args(["bench", "--quiet", "--package", PACKAGE, "--bench"]),
            Kind::Program => {
                command.args(["run", "--quiet", "--release", "--package", PACKAGE, "--bin"])
            }
        };
        command.arg(name).arg("--").args(arguments).env("WISSEL_BIN", &wissel);
        // A line for each message would be what is measured.
        command.env("WISSEL_LOG__FILTER", "info");
        step(&format!("bench {name}"), &mut command)?;
    }
    Ok(())
}

impl Kind {
    fn of(kinds: &[String]) -> Option<Self> {
        kinds.iter().find_map(|kind| match kind.as_str() {
            "bench" => Some(Self::Bench),
            "bin" => Some(Self::Program),
            _ => None,
        })
    }
}

fn choose(mut all: Vec<Bench>, names: &[String]) -> Result<Vec<Bench>> {
    let list = || all.iter().map(|bench| bench.name.as_str()).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        bail!("{PACKAGE} has no benches");
    }
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|bench| bench.name != **name)) {
        bail!("no bench is named {unknown}; expected one of: {}", list());
    }
    if !names.is_empty() {
        all.retain(|bench| names.contains(&bench.name));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Bench> {
        [("route", Kind::Bench), ("amqp", Kind::Program)]
            .map(|(name, kind)| Bench { name: name.to_owned(), kind })
            .into()
    }

    #[test]
    fn all_benches_are_chosen_unless_some_are_named() {
        assert_eq!(choose(all(), &[]).unwrap(), all());
        assert_eq!(choose(all(), &["amqp".to_owned()]).unwrap(), all()[1..]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let error = choose(all(), &["rout".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "no bench is named rout; expected one of: route, amqp");
    }

    #[test]
    fn a_library_is_no_bench() {
        assert_eq!(Kind::of(&["lib".to_owned()]), None);
        assert_eq!(Kind::of(&["bin".to_owned()]), Some(Kind::Program));
    }
}
