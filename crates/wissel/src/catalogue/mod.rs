//! `wissel catalogue`: what is in force or stands in files, and whether that is right.

pub(crate) mod drafts;
pub(crate) mod grants;
mod types;

use std::path::Path;

use serde_json::json;
use wissel_catalogue::{Catalogue, CatalogueError};

pub(crate) use self::types::named;
use crate::amounts::amount;
use crate::cli::{
    CatalogueArguments, CatalogueCheckArguments, CatalogueCommand, CatalogueDiffArguments,
    CatalogueShowArguments, Connection,
};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: &CatalogueCommand) -> Result<(), Failure> {
    match command {
        CatalogueCommand::Check(arguments) => check(arguments),
        CatalogueCommand::Diff(arguments) => diff(arguments).await,
        CatalogueCommand::List(of) => {
            let list = || async { types::list(&meant(of).await?, of.look.json) };
            watching::show(&of.look, list).await
        }
        CatalogueCommand::Show(CatalogueShowArguments { event_type, of }) => {
            let show = || async { types::show(&meant(of).await?, event_type, of.look.json) };
            watching::show(&of.look, show).await
        }
    }
}

/// Reads files for a command that only shows what is there.
fn load(path: &Path) -> Result<Catalogue, Failure> {
    can_be_read(path)?;
    Catalogue::load(path).map_err(|errors| {
        Failure::usage(format!(
            "the catalogue has faults, which `wissel catalogue check {}` explains:\n{errors}",
            path.display()
        ))
    })
}

/// What is not there has no faults.
fn can_be_read(path: &Path) -> Result<(), Failure> {
    let opened = std::fs::File::open(path).map(drop);
    opened.map_err(|error| {
        let path = path.display();
        Failure::usage(format!("{path}: {error}; expected a TOML file, or a directory of them"))
    })
}

/// The catalogue that a command is about: of files, or what a gateway has in force.
pub(crate) async fn meant(of: &CatalogueArguments) -> Result<Catalogue, Failure> {
    match &of.catalogue {
        Some(path) => load(path),
        None => in_force(&of.look.connection).await,
    }
}

/// What a gateway has in force.
async fn in_force(connection: &Connection) -> Result<Catalogue, Failure> {
    let files = client::connect(connection)?.catalogue_files().await?;
    let files = files.into_iter().map(|file| (file.name.into(), file.text)).collect();
    Catalogue::from_files(&files).map_err(|errors| {
        Failure::usage(format!(
            "the catalogue of {} cannot be read by this version of wissel; is that of another \
             version?\n{errors}",
            connection.server
        ))
    })
}

async fn diff(arguments: &CatalogueDiffArguments) -> Result<(), Failure> {
    let CatalogueDiffArguments { earlier, later, json, connection } = arguments;
    let later = load(later)?;
    let earlier = match earlier {
        Some(path) => load(path)?,
        None => in_force(connection).await?,
    };
    let changes = later.changes_since(&earlier);
    if *json {
        return changes.iter().try_for_each(output::json);
    }
    changes.iter().for_each(|change| output::line(&change.to_string()));
    output::note(&amount(changes.len(), "change", "changes"));
    Ok(())
}

/// Reads the files as a gateway would, and tells what it would say, and more.
fn check(arguments: &CatalogueCheckArguments) -> Result<(), Failure> {
    let CatalogueCheckArguments { path, catalogue, strict, json: as_json } = arguments;
    let path = catalogue.as_ref().unwrap_or(path);
    can_be_read(path)?;
    match Catalogue::load(path) {
        Ok(catalogue) => {
            let warnings = [catalogue.warnings(), catalogue.drafts().warnings()].concat();
            tell("warning", &warnings, *as_json)?;
            if *strict && !warnings.is_empty() {
                let count = amount(warnings.len(), "warning", "warnings");
                return Err(Failure::refused(format!("{count} in {}", path.display())));
            }
            summarise(path, &catalogue, *as_json)
        }
        Err(errors) => {
            tell("error", &errors.faults, *as_json)?;
            tell("warning", &errors.warnings, *as_json)?;
            let count = amount(errors.faults.len(), "fault", "faults");
            Err(Failure::refused(format!("{count} in {}", path.display())))
        }
    }
}

fn tell(level: &str, findings: &[CatalogueError], as_json: bool) -> Result<(), Failure> {
    for finding in findings {
        if as_json {
            output::json(&json!({
                "level": level,
                "file": finding.file,
                "line": finding.line,
                "message": finding.message,
            }))?;
        } else {
            let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
            let file = finding.file.display();
            output::line(&format!("{file}{line}: {level}: {}", finding.message));
        }
    }
    Ok(())
}

fn summarise(path: &Path, catalogue: &Catalogue, as_json: bool) -> Result<(), Failure> {
    let drafts = catalogue.drafts();
    let counts = [
        ("party", "parties", catalogue.parties().count()),
        ("event type", "event types", catalogue.event_types().count()),
        ("grant", "grants", catalogue.grant_count()),
        ("mandate", "mandates", catalogue.mandate_count()),
        ("subscription", "subscriptions", catalogue.subscriptions().len()),
        ("draft", "drafts", drafts.types().len() + drafts.grants().len()),
        ("warning", "warnings", catalogue.warnings().len() + drafts.warnings().len()),
    ];
    if as_json {
        let counts = counts.map(|(_, what, count)| (what.replace(' ', "_"), json!(count)));
        return output::json(&serde_json::Map::from_iter(counts));
    }
    let counts = counts.map(|(one, several, count)| amount(count, one, several));
    output::note(&format!("{}: {}", path.display(), counts.join(", ")));
    Ok(())
}
