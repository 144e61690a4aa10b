//! What to type about a setting, where it was set.

use std::path::PathBuf;

use crate::config::{Origin, Origins};

/// This command of ours, with the configuration file that was given.
pub(super) fn with_file(command: &str, file: Option<&PathBuf>) -> String {
    match file {
        Some(file) => format!("{command} --config {}", file.display()),
        None => command.to_owned(),
    }
}

/// Shows the settings that a gateway would run with.
pub(super) fn show(file: Option<&PathBuf>) -> String {
    with_file("wissel config show", file)
}

/// Changes what a fault begins with, such as `tracing.endpoint: …`.
pub(super) fn change(origins: &Origins, fault: &str) -> String {
    match origins.of_fault(fault) {
        Origin::Argument(name) => format!("wissel serve --help # {name}"),
        Origin::Variable(name) => format!("export {name}=… # where the gateway is started"),
        Origin::File(file) | Origin::Both(file, _) => format!("editor {}", file.display()),
        Origin::Nowhere => "wissel serve --help # --config FILE, with the setting in it".to_owned(),
    }
}
