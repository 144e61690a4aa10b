//! What is found, and what to do about it.

use serde::Serialize;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// May be meant, or becomes an error.
    Warning,
    /// Must be mended.
    Error,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// What was looked at: `disk`, `bus`.
    pub(super) check: &'static str,
    /// What was found.
    pub(super) what: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
    /// The command to type.
    pub(super) command: Option<String>,
}

/// What one check found.
#[derive(Debug)]
pub(super) struct Findings {
    check: &'static str,
    pub(super) all: Vec<Finding>,
}

impl Findings {
    pub(super) fn of(check: &'static str) -> Self {
        Self { check, all: Vec::new() }
    }

    pub(super) fn ok(&mut self, what: impl Into<String>) {
        self.add(Severity::Ok, what.into(), None);
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.add(Severity::Note, what.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        what: impl Into<String>,
        advice: impl Into<String>,
        command: impl Into<String>,
    ) {
        self.add(Severity::Warning, what.into(), Some((advice.into(), command.into())));
    }

    pub(super) fn error(
        &mut self,
        what: impl Into<String>,
        advice: impl Into<String>,
        command: impl Into<String>,
    ) {
        self.add(Severity::Error, what.into(), Some((advice.into(), command.into())));
    }

    fn add(&mut self, severity: Severity, what: String, mend: Option<(String, String)>) {
        let (advice, command) = mend.unzip();
        self.all.push(Finding { severity, check: self.check, what, advice, command });
    }
}
