//! `wissel showcase`.

use wissel_showcases::{ALL, Options, Showcase};

use crate::cli::ShowcaseArguments;
use crate::config::{Bus, bus_of};
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(arguments: ShowcaseArguments) -> Result<(), Failure> {
    let ShowcaseArguments { name, all, bus, kill_every } = arguments;
    let chosen: Vec<&Showcase> = match name {
        None if all => ALL.iter().collect(),
        None => {
            list();
            return Ok(());
        }
        Some(name) => vec![Showcase::of_name(&name).ok_or_else(|| unknown(&name))?],
    };
    let bus = match bus_of(bus.as_deref())? {
        (Bus::Embedded, _) => "embedded".to_owned(),
        // The gateways that are started read the file of the password themselves.
        (Bus::Amqp(url), _) => url,
    };
    let wissel = std::env::current_exe().map_err(Failure::internal)?;
    let options = Options { wissel, bus, kill_every };
    for showcase in chosen {
        let played = showcase.run(&options).await;
        played.map_err(|error| Failure::refused(format!("{}: {error:#}", showcase.name)))?;
    }
    Ok(())
}

fn list() {
    let rows = ALL.iter().map(|one| vec![one.name.into(), one.title.into(), one.about.into()]);
    output::table(&["NAME", "PROJECT", "WHAT HAPPENS"], rows.collect());
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = ALL.iter().map(|one| one.name).collect();
    Failure::usage(format!("{name:?} is no showcase; expected one of {}", names.join(", ")))
}
