//! Where settings come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where each setting comes from, by its key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    file: Option<PathBuf>,
    /// What stands in the file.
    written: toml::Table,
    /// The variables with settings, by the keys of these.
    variables: BTreeMap<String, String>,
    /// The arguments with settings, by the keys of these.
    arguments: BTreeMap<&'static str, &'static str>,
}

/// Where one setting comes from, or would be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An argument, such as `--bus`.
    Argument(&'static str),
    /// A variable, such as `WISSEL_BUS`.
    Variable(String),
    /// The file that was given. A setting that is nowhere is mended there too.
    File(PathBuf),
    /// The file that was given, and variables with something that is in it.
    Both(PathBuf, Vec<String>),
    /// Nowhere, and no file was given.
    Nowhere,
}

impl Origins {
    pub(super) fn new(file: Option<PathBuf>, written: toml::Table) -> Self {
        Self { file, written, ..Self::default() }
    }

    /// Adds a variable, as `WISSEL_LOG__FORMAT` for `log.format`; either case will do.
    pub(super) fn add_variable(&mut self, name: String) {
        let below = name.get(VARIABLES.len()..).unwrap_or_default();
        self.variables.insert(below.to_lowercase().replace("__", "."), name);
    }

    pub(super) fn add_argument(&mut self, key: &'static str, name: &'static str) {
        self.arguments.insert(key, name);
    }

    /// The file that was given.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Where this setting was set, such as `limits.message_bytes` or `operators[0].roles`. One
    /// that was not set would be set in the file.
    pub(crate) fn of(&self, key: &str) -> Origin {
        let whole = key.split('[').next().unwrap_or(key);
        if let Some(name) = self.arguments.get(whole) {
            return Origin::Argument(name);
        }
        if let Some(name) = self.variables.get(whole) {
            return Origin::Variable(name.clone());
        }
        let mut names = self.variables_within(whole).cloned();
        match (&self.file, names.next()) {
            (Some(file), Some(first)) if self.is_written(whole) => {
                Origin::Both(file.clone(), std::iter::once(first).chain(names).collect())
            }
            (_, Some(first)) => Origin::Variable(first),
            (Some(file), None) => Origin::File(file.clone()),
            (None, None) => Origin::Nowhere,
        }
    }

    /// Where the table was set that this setting is absent from.
    pub(super) fn of_absent(&self, key: &str) -> Origin {
        let mut table = key;
        while let Some((within, _)) = table.rsplit_once('.') {
            table = within;
            if self.is_written(table) || self.variables_within(table).next().is_some() {
                break;
            }
        }
        match self.of(table) {
            Origin::Both(file, _) => Origin::File(file),
            origin => origin,
        }
    }

    /// Whether anything sets this.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.arguments.contains_key(key) || self.variables.contains_key(key) || self.is_written(key)
    }

    /// A fault that begins with the key of what is wrong, as `console.origin: …` or `[tls] …`,
    /// with where that was set.
    pub(crate) fn told(&self, fault: &str) -> String {
        format!("{}: {fault}", self.of_fault(fault))
    }

    /// Where that was set which a fault begins with.
    pub(crate) fn of_fault(&self, fault: &str) -> Origin {
        let key = fault.split([' ', ':']).next().unwrap_or_default();
        self.of(key.trim_matches(['[', ']']))
    }

    /// The variables that set something in this.
    fn variables_within(&self, table: &str) -> impl Iterator<Item = &String> {
        let begins = format!("{table}.");
        let within = self.variables.range(begins.clone()..);
        within.take_while(move |(key, _)| key.starts_with(&begins)).map(|(_, name)| name)
    }

    fn is_written(&self, key: &str) -> bool {
        let mut names = key.split('.');
        let first = names.next().and_then(|name| self.written.get(name));
        names.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten().is_some()
    }
}

/// How variables with settings begin.
pub(super) const VARIABLES: &str = "WISSEL_";

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name) => f.write_str(name),
            Self::Variable(name) => f.write_str(name),
            Self::File(file) => file.display().fmt(f),
            Self::Both(file, names) => write!(f, "{} and {}", file.display(), names.join(", ")),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        let written = "listen = 'x'\n[tls]\nkey = 'k'\n[console.oidc]\nissuer = 'i'\n";
        let mut origins = Origins::new(Some("w.toml".into()), written.parse().unwrap());
        for name in [
            "WISSEL_LOG__FORMAT",
            "WISSEL_Listen",
            "WISSEL_TOKENS__ISSUER",
            "WISSEL_TLS__REVOCATION_LISTS",
            "WISSEL_LIMITS__MESSAGE_BYTES__X",
            "WISSEL_OPERATORS",
        ] {
            origins.add_variable(name.to_owned());
        }
        origins.add_argument("bus", "--bus");
        origins
    }

    #[test]
    fn a_variable_is_named_where_it_was_the_one_that_set_it() {
        for (key, expected) in [
            ("log.format", "WISSEL_LOG__FORMAT"),
            ("log.filter", "w.toml"),
            ("bus", "--bus"),
            ("listen", "WISSEL_Listen"),
            ("operators[0].roles[1]", "WISSEL_OPERATORS"),
            ("console.operators[0].name", "w.toml"),
            // A table by a variable, where a number is expected.
            ("limits.message_bytes", "WISSEL_LIMITS__MESSAGE_BYTES__X"),
            ("catalogue", "w.toml"),
            ("tls", "w.toml and WISSEL_TLS__REVOCATION_LISTS"),
        ] {
            assert_eq!(origins().of(key).to_string(), expected, "{key}");
        }
        for (absent, expected) in [
            ("tokens.jwks_file", "WISSEL_TOKENS__ISSUER"),
            ("tls.certificate", "w.toml"),
            ("console.oidc.client_id", "w.toml"),
            ("console.operators[0].name", "w.toml"),
        ] {
            assert_eq!(origins().of_absent(absent).to_string(), expected, "{absent}");
        }
        assert_eq!(Origins::default().of("listen"), Origin::Nowhere);
    }

    #[test]
    fn a_fault_is_told_with_where_its_key_was_set() {
        for (fault, expected) in [
            ("[tokens] no keys", "WISSEL_TOKENS__ISSUER: [tokens] no keys"),
            ("[[exchange.http]] no URL", "w.toml: [[exchange.http]] no URL"),
            ("bus: it is none", "--bus: bus: it is none"),
        ] {
            assert_eq!(origins().told(fault), expected);
        }
    }
}
