//! Is every decision in the list of decisions?

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::root;

/// Names every decision that the list lacks, and every line of a decision that there is not.
pub(crate) fn check() -> Result<()> {
    let directory = root().join("docs/decisions");
    let list = fs::read_to_string(directory.join("README.md")).context("docs/decisions")?;
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&directory).context("docs/decisions")? {
        files.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    files.remove("README.md");
    let faults = faults(&files, &list);
    ensure!(faults.is_empty(), "docs/decisions/README.md:\n{}", faults.join("\n"));
    println!("{} decisions are in their list", files.len());
    Ok(())
}

fn faults(files: &BTreeSet<String>, list: &str) -> Vec<String> {
    let listed: BTreeSet<String> = list.lines().filter_map(listed).collect();
    let missing = files.difference(&listed).map(|file| format!("no line for {file}"));
    let vain = listed.difference(files).map(|file| format!("there is no {file}"));
    missing.chain(vain).collect()
}

/// The file that a line of the list is for: `| [0001](0001-title.md) | the decision |`. One
/// under another number than its own is none.
fn listed(line: &str) -> Option<String> {
    let (number, rest) = line.strip_prefix("| [")?.split_once("](")?;
    let (file, what) = rest.split_once(") | ")?;
    let is_line = file.starts_with(&format!("{number}-")) && what.len() > "|".len();
    is_line.then(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str], list: &str) -> Vec<String> {
        faults(&files.iter().map(|file| (*file).to_owned()).collect(), list)
    }

    #[test]
    fn each_decision_has_its_line_and_each_line_its_decision() {
        let list = "# Decisions\n\n| number | decision |\n|---|---|\n\
                    | [0001](0001-crates.md) | many crates |\n";
        assert!(of(&["0001-crates.md"], list).is_empty());
        assert_eq!(of(&["0001-crates.md", "0002-toml.md"], list), ["no line for 0002-toml.md"]);
        assert_eq!(of(&[], list), ["there is no 0001-crates.md"]);
    }

    #[test]
    fn a_line_has_the_number_of_its_decision_and_says_something() {
        for wrong in ["| [0002](0001-crates.md) | many crates |", "| [0001](0001-crates.md) | |"] {
            assert_eq!(of(&["0001-crates.md"], wrong), ["no line for 0001-crates.md"], "{wrong}");
        }
    }
}
