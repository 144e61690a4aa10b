//! Are the licences of all dependencies among those that deny.toml allows?

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::{cargo, root};

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

pub(crate) fn check() -> Result<()> {
    let policy = fs::read_to_string(root().join("deny.toml")).context("deny.toml")?;
    let policy: Policy = toml::from_str(&policy).context("deny.toml")?;
    let allowed = policy.licenses.allow.iter().map(|name| Licensee::parse(name));
    let allowed: Vec<Licensee> = allowed.collect::<Result<_, _>>().context("deny.toml: allow")?;

    let output = cargo().args(["metadata", "--format-version", "1"]).output()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let faults: Vec<String> =
        metadata.packages.iter().filter_map(|package| fault(package, &allowed)).collect();
    if faults.is_empty() {
        println!("== licences: {} packages, all allowed by deny.toml", metadata.packages.len());
        return Ok(());
    }
    bail!("licences that deny.toml does not allow:\n{}", faults.join("\n"))
}

fn fault(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let Package { name, version, license } = package;
    let Some(license) = license else { return Some(format!("{name} {version}: none given")) };
    match Expression::parse_mode(license, ParseMode::LAX) {
        Ok(expression) => {
            let met = expression
                .evaluate(|requirement| allowed.iter().any(|one| one.satisfies(requirement)));
            (!met).then(|| format!("{name} {version}: {license}"))
        }
        Err(error) => Some(format!("{name} {version}: {license}: {error}")),
    }
}
