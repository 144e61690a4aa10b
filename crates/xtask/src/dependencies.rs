//! Do the dependencies keep to deny.toml? The part of `cargo deny check` that needs
//! nothing installed: licences, sources, and versions that are not open-ended.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::workspace::{Metadata, Package, root};

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Names every package that does not keep to the policy.
pub(crate) fn check() -> Result<()> {
    let policy = Rules::parse(&fs::read_to_string(root().join("deny.toml"))?)?;
    let packages = Metadata::of_all()?.packages;
    let faults: Vec<String> = packages.iter().flat_map(|package| policy.faults(package)).collect();
    if !faults.is_empty() {
        bail!("dependencies that deny.toml does not allow:\n{}", faults.join("\n"));
    }
    println!("{} packages keep to deny.toml", packages.len());
    Ok(())
}

/// What deny.toml says, ready for use.
struct Rules {
    licences: Vec<Licensee>,
    registries: Vec<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let policy: Policy = toml::from_str(text).context("deny.toml")?;
        let allow = policy.licenses.allow.iter();
        let licences = allow.map(|name| Licensee::parse(name)).collect::<Result<_, _>>();
        Ok(Self {
            licences: licences.context("deny.toml: licenses.allow")?,
            registries: policy.sources.allow_registry,
        })
    }

    fn faults(&self, package: &Package) -> Vec<String> {
        let faults = [self.licence(package), self.source(package), open_ended(package)];
        let name = format!("{} {}", package.name, package.version);
        faults.into_iter().flatten().map(|fault| format!("{name}: {fault}")).collect()
    }

    fn licence(&self, package: &Package) -> Option<String> {
        let Some(licence) = &package.license else { return Some("no licence given".to_owned()) };
        let expression = match Expression::parse_mode(licence, ParseMode::LAX) {
            Ok(expression) => expression,
            Err(error) => return Some(format!("licence {licence}: {}", error.reason)),
        };
        let allowed = expression
            .evaluate(|needed| self.licences.iter().any(|licence| licence.satisfies(needed)));
        (!allowed).then(|| format!("licence {licence}"))
    }

    fn source(&self, package: &Package) -> Option<String> {
        let source = package.source.as_ref()?;
        let registry = source.strip_prefix("registry+");
        let allowed =
            registry.is_some_and(|registry| self.registries.iter().any(|one| one == registry));
        (!allowed).then(|| format!("source {source}"))
    }
}

/// A package of ours that takes any version of another, except of one beside it.
fn open_ended(package: &Package) -> Option<String> {
    let ours = package.source.is_none();
    let mut wanted = package.dependencies.iter().filter(|one| one.req == "*" && one.path.is_none());
    let dependency = wanted.next().filter(|_| ours)?;
    Some(format!("any version of {}", dependency.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn faults(package: &str) -> Vec<String> {
        let rules = Rules::parse(
            r#"
            [licenses]
            allow = ["Apache-2.0", "EUPL-1.2", "MIT"]
            [sources]
            allow-registry = ["https://github.com/rust-lang/crates.io-index"]
            "#,
        );
        rules.unwrap().faults(&serde_json::from_str(package).unwrap())
    }

    fn package(licence: &str, source: &str) -> String {
        format!(
            r#"{{"name": "a", "version": "1.0.0", "license": {licence}, "source": {source},
                "dependencies": [], "targets": []}}"#
        )
    }

    #[test]
    fn a_licence_is_allowed_when_every_part_that_binds_is() {
        let of = |licence: &str| faults(&package(licence, &format!("\"{CRATES_IO}\"")));
        assert!(of(r#""MIT OR GPL-3.0-only""#).is_empty());
        assert!(of(r#""MIT/Apache-2.0""#).is_empty());
        assert_eq!(of(r#""MIT AND GPL-3.0-only""#), ["a 1.0.0: licence MIT AND GPL-3.0-only"]);
        assert_eq!(of("null"), ["a 1.0.0: no licence given"]);
        assert_eq!(of(r#""Mine""#), ["a 1.0.0: licence Mine: unknown term"]);
    }

    #[test]
    fn packages_come_from_crates_io_or_this_workspace() {
        assert!(faults(&package(r#""EUPL-1.2""#, "null")).is_empty());
        for other in ["git+https://example.nl/a.git#1", "registry+https://crates.example.nl/"] {
            let found = faults(&package(r#""MIT""#, &format!("\"{other}\"")));
            assert_eq!(found, [format!("a 1.0.0: source {other}")]);
        }
    }

    #[test]
    fn a_package_of_ours_says_which_version_it_wants() {
        let with = |path: &str| {
            package(r#""EUPL-1.2""#, "null").replace(
                r#""dependencies": []"#,
                &format!(r#""dependencies": [{{"name": "b", "req": "*", "path": {path}}}]"#),
            )
        };
        assert_eq!(faults(&with("null")), ["a 1.0.0: any version of b"]);
        assert!(faults(&with(r#""/b""#)).is_empty());
        let theirs =
            with("null").replace(r#""source": null"#, &format!(r#""source": "{CRATES_IO}""#));
        assert!(!faults(&theirs).iter().any(|fault| fault.contains("any version")));
    }
}
