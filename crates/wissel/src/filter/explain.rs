//! `wissel filter explain`.

use serde_json::json;
use wissel_filter::{Condition, Filter};
use wissel_routing::{Filed, Router};

use crate::cli::ExplainArguments;
use crate::exit::Failure;
use crate::output;

pub(super) fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let mut filters = Vec::new();
    for text in &arguments.sql {
        super::expression(text)?;
        filters.push(Filter::Sql(text.clone()));
    }
    for text in &arguments.filters {
        let filter: Filter = serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("--filter is no filter: {error}")))?;
        filters.push(filter);
    }
    let compiled = filters.iter().map(Filter::compile).collect::<Result<Vec<_>, _>>();
    let unusable = |error| Failure::usage(format!("this filter cannot be used: {error}"));
    let condition = Condition::all(compiled.map_err(unusable)?);
    let router: Router<()> = Router::default();
    let filed = router.explain(&arguments.types, &filters).map_err(unusable)?;
    if arguments.json {
        return print_json(&condition, &filed);
    }
    output::line("Compiled:");
    indented(&condition.explain());
    match filed {
        Filed::Under { places, left, types_left } => {
            output::line("Found under:");
            list(&places);
            if left.is_empty() && types_left.is_empty() {
                output::line("Nothing is left to check for what is found there.");
                return Ok(());
            }
            output::line("Left to check for what is found there:");
            if !types_left.is_empty() {
                indented(&format!("type is one of {}", types_left.join(", ")));
            }
            left.iter().for_each(|condition| indented(&condition.explain()));
        }
        _ => output::line("It can match nothing, so it is not filed."),
    }
    Ok(())
}

fn list(places: &[String]) {
    const SHOWN: usize = 10;
    places.iter().take(SHOWN).for_each(|place| indented(place));
    if places.len() > SHOWN {
        indented(&format!("and {} more", places.len() - SHOWN));
    }
}

fn print_json(condition: &Condition, filed: &Filed) -> Result<(), Failure> {
    let (places, left, types_left) = match filed {
        Filed::Under { places, left, types_left } => {
            (places.as_slice(), left.as_slice(), types_left.as_slice())
        }
        _ => Default::default(),
    };
    let left: Vec<String> = left.iter().map(Condition::explain).collect();
    output::json(&json!({
        "compiled": condition.explain(),
        "matches_nothing": *filed == Filed::Nowhere,
        "found_under": places,
        "left_to_check": left,
        "types_left_to_check": types_left,
    }))
}

fn indented(text: &str) {
    text.lines().for_each(|line| output::line(&format!("  {line}")));
}
