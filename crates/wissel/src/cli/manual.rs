//! The commands that bring help to where people look for it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::aot;

pub(crate) const COMPLETIONS_HELP: &str = "Examples:\n  \
wissel completions bash > ~/.local/share/bash-completion/completions/wissel\n  \
wissel completions zsh > ~/.zfunc/_wissel\n  \
wissel completions fish > ~/.config/fish/completions/wissel.fish";

pub(crate) const MAN_HELP: &str =
    "Example:\n  wissel man --out ~/.local/share/man/man1 && man wissel-publish";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// The shells that are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for aot::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Where the pages go; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
