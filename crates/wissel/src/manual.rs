//! `wissel completions` and `wissel man`: what the command line says of itself, for shells and
//! for `man`.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::aot;

use crate::cli::{Cli, CompletionsArguments, ManArguments};
use crate::exit::Failure;
use crate::output;

/// The script by which a shell completes, on standard output.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    let shell = aot::Shell::from(arguments.shell);
    aot::generate(shell, &mut Cli::command(), "wissel", &mut script);
    // A reader that went away is no failure, as with other programs in a pipe.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(&script).and_then(|()| out.flush());
    Ok(())
}

/// A page for each command and subcommand, `wissel-catalogue-show.1` among them.
pub(crate) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let out = &arguments.out;
    let wrong = |error| Failure::usage(format!("--out {}: {error}", out.display()));
    std::fs::create_dir_all(out).map_err(wrong)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, out).map_err(wrong)?;
    output::note(&format!("the manual is in {}; begin with wissel.1", out.display()));
    Ok(())
}

/// The page of a command, and those of the commands below it.
fn pages(command: &clap::Command, out: &Path) -> std::io::Result<()> {
    command.get_subcommands().try_for_each(|below| pages(below, out))?;
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    // What stands behind the options, which is examples first of all.
    let text = String::from_utf8_lossy(&text).replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n");
    std::fs::write(out.join(page.get_filename()), text)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use clap::ValueEnum as _;

    use super::*;
    use crate::cli::Shell;

    /// Every command, by its words: `["wissel", "catalogue", "show"]`.
    fn all_commands() -> Vec<(Vec<String>, clap::Command)> {
        fn walk(
            words: &[String],
            command: &clap::Command,
            all: &mut Vec<(Vec<String>, clap::Command)>,
        ) {
            let words = [words, &[command.get_name().to_owned()]].concat();
            all.push((words.clone(), command.clone()));
            let below = command.get_subcommands().filter(|one| one.get_name() != "help");
            below.for_each(|one| walk(&words, one, all));
        }
        let mut all = Vec::new();
        let mut root = Cli::command();
        root.build();
        walk(&[], &root, &mut all);
        all
    }

    #[test]
    fn the_command_line_coheres() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_that_begins_with_its_name() {
        let all = all_commands();
        assert!(all.len() > 40, "{}", all.len());
        for (words, command) in &all[1..] {
            let mut command = command.clone();
            let help = command.render_long_help().to_string();
            let (_, examples) = help
                .split_once("\nExample")
                .unwrap_or_else(|| panic!("no example in the help of {}", words.join(" ")));
            assert!(examples.contains(&words.join(" ")), "{}: {examples}", words.join(" "));
        }
    }

    /// What is listed is shown by name, and both look again and speak JSON.
    #[test]
    fn what_operators_look_at_has_one_grammar() {
        let all = all_commands();
        let under = |noun: &str| -> Vec<&(Vec<String>, clap::Command)> {
            all.iter().filter(|(words, _)| words.len() == 3 && words[1] == noun).collect()
        };
        let listed_and_shown =
            ["inboxes", "dead-letters", "subscriptions", "parties", "catalogue", "cases"];
        for (noun, verbs) in
            listed_and_shown.map(|noun| (noun, &["list", "show"][..])).into_iter().chain([
                ("dossier", &["show"][..]),
                ("audit", &["list"]),
                ("archive", &["list"]),
                ("signals", &["list"]),
            ])
        {
            for verb in verbs {
                let found = under(noun).into_iter().find(|(words, _)| words[2] == *verb);
                let (_, command) = found.unwrap_or_else(|| panic!("wissel {noun} {verb}"));
                let takes =
                    |name: &str| command.get_arguments().any(|one| one.get_long() == Some(name));
                assert!(takes("json") && takes("watch"), "wissel {noun} {verb}");
            }
            assert!(under(noun).iter().all(|(words, _)| words[2] != "get"), "{noun}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let out = tempfile::tempdir().unwrap();
        man(&ManArguments { out: out.path().join("man1") }).unwrap();
        for (words, _) in all_commands() {
            let page = out.path().join("man1").join(words.join("-") + ".1");
            let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{words:?}"));
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{words:?}");
            assert!(text.contains(".SH EXAMPLES") && !text.contains(".SH EXTRA"), "{words:?}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = man(&ManArguments { out: file.path().to_owned() });
        assert!(refused.is_err(), "a file is no directory");
    }

    /// Whether a shell takes its script; none when it is not installed.
    fn parses(program: &str, script: &str) -> Option<bool> {
        let mut shell =
            Command::new(program).args(["-n", "/dev/stdin"]).stdin(Stdio::piped()).spawn().ok()?;
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        Some(shell.wait().unwrap().success())
    }

    #[test]
    fn shells_take_their_completions() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            let shell = aot::Shell::from(*shell);
            aot::generate(shell, &mut Cli::command(), "wissel", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("dead-letters") && script.contains("catalogue"));
            let parsed = parses(&shell.to_string(), &script);
            assert_ne!(parsed, Some(false), "{shell}");
            if shell == aot::Shell::Bash {
                assert_eq!(parsed, Some(true), "bash is part of every system that is tested");
                assert_eq!(parses("bash", &(script + "\nif")), Some(false), "and it looks");
            }
        }
    }
}
