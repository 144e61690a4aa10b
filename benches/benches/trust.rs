//! What trust costs: each stage of the road in ns a message, with 1,000 parties, 10,000
//! grants with row limits, schemas, and receivers that get some of the fields. Fan-out 3:
//! one municipality, and two that are not limited to one, of which one gets fewer fields.
//! The limit is prost decoding the frame, and serde_json reading its data.
//!
//! Messages go through the stages in small groups, so that they stay in the processor's
//! caches from one stage to the next, as on the road.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use bytes::Bytes;
use prost::Message as _;
use wissel_benches::{Arguments, Report, median};
use wissel_broker::entitlement::{self, Target};
use wissel_broker::road::deduplicate::{Known, Window, deduplicate};
use wissel_broker::road::{authorise, decode, identify, minimise, route, validate};
use wissel_broker::{Caller, Direction, Subscription};
use wissel_catalogue::Catalogue;
use wissel_filter::Filter;
use wissel_identifiers::Oin;
use wissel_message::{Event, EventView, Limits};
use wissel_proto::io::cloudevents::v1::CloudEvent;
use wissel_routing::{Router, Table};

const MESSAGES: usize = 20_000;
const GROUP: usize = 32;
const PARTIES: u32 = 1_000;
const TYPES: u32 = 10;
const PUBLISHER: u32 = 0;
/// Parties that are not limited to one municipality.
const NATIONAL: [u32; 2] = [1, 2];
/// How many parties a message finds.
const FAN_OUT: u32 = 3;

const STAGES: [&str; 10] = [
    "decode",
    "identify, authorise",
    "validate (rules, profile, subject, schema)",
    "deduplicate",
    "route, with row limits",
    "minimise (one of two forms)",
    "authorise: the right alone",
    "route: with row limits and rights alone",
    "route: the same conditions without grants",
    "route: to as many, without any condition",
];

fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("trust", &arguments);
    let catalogue = Catalogue::from_toml("bench", &catalogue()?)?;
    let tables = tables(&catalogue)?;
    let (mut prost, mut json) = (Vec::new(), Vec::new());
    let mut stages: Vec<Vec<f64>> = vec![Vec::new(); STAGES.len()];
    let mut trust = Vec::new();
    for round in 0..arguments.rounds {
        let frames: Vec<Bytes> = (0..MESSAGES)
            .map(
                |number| Ok(event(&format!("r{round}-{number}"), u32::try_from(number)?)?.encode()),
            )
            .collect::<Result<_>>()?;
        let (mut of_prost, mut of_json, mut took) = (0.0, 0.0, [0.0; STAGES.len()]);
        let window = Window::new(Duration::from_secs(3_600), 500_000);
        for (number, group) in frames.chunks(GROUP).enumerate() {
            let group = group.to_vec();
            of_prost += timed(group.clone(), |frame| Ok(CloudEvent::decode(frame)?))?.1;
            let data = group.iter().cloned().map(EventView::decode);
            let data = data.filter_map(|view| view.ok()?.data_bytes()).collect();
            let read = |data: Bytes| Ok(serde_json::from_slice::<serde_json::Value>(&data)?);
            of_json += timed(data, read)?.1;
            let grants_first = number.is_multiple_of(2);
            let stages = walk(group, &catalogue, &tables, &window, grants_first)?;
            for (all, one) in took.iter_mut().zip(stages) {
                *all += one;
            }
        }
        let each = |nanoseconds: f64| nanoseconds / f64::from(u32::try_from(MESSAGES).unwrap_or(1));
        prost.push(each(of_prost));
        json.push(each(of_json));
        for (all, one) in stages.iter_mut().zip(took) {
            all.push(each(one));
        }
        trust.push(each(took[6] + took[7] - took[8]));
    }
    for (name, took) in STAGES.iter().zip(&stages) {
        report.ratio(name, "ns/message", took, "prost decode alone", &prost);
    }
    let validate = &stages[2];
    report.ratio("validate", "ns/message", validate, "serde_json reading the data", &json);
    let limit = vec![100.0; trust.len()];
    report.ratio("authorisation and row limits", "ns/message", &trust, "the goal", &limit);
    let all: f64 = stages.iter().take(6).map(|took| median(took)).sum();
    report.ratio("the road", "ns/message", &[all], "prost decode alone", &prost);
    report.finish();
    Ok(())
}

/// Takes messages through one stage after the other; each stage's ns for all of them.
fn walk(
    frames: Vec<Bytes>,
    catalogue: &Catalogue,
    [by_grants, by_themselves, unlimited]: &[Arc<Table<Target>>; 3],
    window: &Arc<Window>,
    grants_first: bool,
) -> Result<[f64; STAGES.len()]> {
    let limits = Limits::default();
    let caller = Caller::Party(oin(PUBLISHER)?);
    let views: Vec<EventView> =
        frames.iter().cloned().map(EventView::decode).collect::<Result<_, _>>()?;
    let publisher = oin(PUBLISHER)?;
    // By reference: what the checks cost, without handing messages on.
    let right = timed(views.iter().collect(), |event| {
        let right = authorise::find_right(event, &caller, &publisher, catalogue, &limits)?;
        Ok(right.1.strict)
    })?;
    let found = |table: &Table<Target>, event: &EventView| {
        let mut inboxes = Vec::new();
        table.route(event, &mut inboxes);
        inboxes
    };
    let through = |table| timed(views.iter().collect(), |event| Ok(found(table, event)));
    // In turn, as what goes first finds the messages cold.
    let (by_right, bare) = if grants_first {
        let by_right = through(by_grants)?;
        (by_right, through(by_themselves)?)
    } else {
        let bare = through(by_themselves)?;
        (through(by_grants)?, bare)
    };
    let all = through(unlimited)?;
    let (received, decoding) = timed(frames, |frame| Ok(decode::decode(frame, &limits)?))?;
    let (authorised, authorising) = timed(received, |received| {
        Ok(authorise::authorise(
            identify::identify(received, &caller)?,
            &Direction::Subscribed,
            catalogue,
            &limits,
        )?)
    })?;
    let (admitted, validating) =
        timed(authorised, |authorised| Ok(validate::validate(authorised, &limits)?))?;
    let (fresh, deduplicating) = timed(admitted, |admitted| match deduplicate(admitted, window) {
        Known::Fresh(fresh) => Ok(fresh),
        _ => bail!("seen before"),
    })?;
    let (routed, routing) = timed(fresh, |fresh| Ok(route::route(fresh, by_grants)?))?;
    let (_, minimising) = timed(routed, |routed| Ok(minimise::minimise(routed)?))?;
    Ok([
        decoding,
        authorising,
        validating,
        deduplicating,
        routing,
        minimising,
        right.1,
        by_right.1,
        bare.1,
        all.1,
    ])
}

/// What a stage makes of each, and how long it took for all, in ns.
fn timed<I, O>(inputs: Vec<I>, stage: impl Fn(I) -> Result<O>) -> Result<(Vec<O>, f64)> {
    let mut outputs = Vec::with_capacity(inputs.len());
    let begun = Instant::now();
    for input in inputs {
        outputs.push(stage(input)?);
    }
    let took = begun.elapsed().as_secs_f64() * 1e9;
    Ok((black_box(outputs), took))
}

fn oin(number: u32) -> Result<Oin> {
    Ok(format!("00000099{number:09}000").parse()?)
}

fn event(id: &str, number: u32) -> Result<Event> {
    let source = format!("urn:nld:oin:{}:systeem:bench", oin(PUBLISHER)?);
    let event_type = format!("nl.bench.type{}", number % TYPES);
    // A municipality, and not one of the two national parties.
    let gemeente = 3 + number % (PARTIES - 3);
    let data = format!(
        r#"{{"naam":{{"voornaam":"Jan","achternaam":"Proef"}},"datum":"2026-11-24","bedrag":12.50,"toelichting":"{}"}}"#,
        "x".repeat(900)
    );
    let event = Event::builder(id, source, event_type)
        .subject("999990019")
        .extension("gemeente", format!("{gemeente:04}"))
        .data_text("application/json", data);
    Ok(event.build()?)
}

fn catalogue() -> Result<String> {
    let mut text = String::new();
    for party in 0..PARTIES {
        writeln!(text, "[[party]]\noin = \"{}\"\nname = \"Party {party}\"", oin(party)?)?;
    }
    let types: Vec<String> =
        (0..TYPES).map(|number| format!("\"nl.bench.type{number}\"")).collect();
    for name in &types {
        writeln!(
            text,
            r#"[[event_type]]
name = {name}
owner = "{}"
description = "x"
subject = "bsn"
[event_type.schema]
type = "object"
required = ["naam", "datum"]
additionalProperties = false
[event_type.schema.properties]
naam = {{ type = "object", properties = {{ voornaam = {{ type = "string" }}, achternaam = {{ type = "string" }} }} }}
datum = {{ type = "string", pattern = "^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$" }}
bedrag = {{ type = "number" }}
toelichting = {{ type = "string", maxLength = 2000 }}"#,
            oin(PUBLISHER)?
        )?;
    }
    let types = types.join(", ");
    for party in 0..PARTIES {
        let action = if party == PUBLISHER { "publish" } else { "receive" };
        let limits = match party {
            PUBLISHER => String::new(),
            _ if party == NATIONAL[0] => String::new(),
            _ if party == NATIONAL[1] => "fields = [\"/datum\", \"/naam/achternaam\"]".to_owned(),
            _ => format!("filters = [{{ exact = {{ gemeente = \"{party:04}\" }} }}]"),
        };
        writeln!(
            text,
            "[[grant]]\nparty = \"{}\"\ntype = [{types}]\naction = \"{action}\"\npurpose = \"x\"\nlegal_basis = \"y\"\n{limits}",
            oin(party)?
        )?;
    }
    Ok(text)
}

/// A subscription of each party to all that it may have: by its grants; with the same
/// conditions as its own filters; and, of as many parties as a message finds, without any.
fn tables(catalogue: &Catalogue) -> Result<[Arc<Table<Target>>; 3]> {
    let [by_grants, by_themselves, unlimited] = [(); 3].map(|()| Router::default());
    for party in 1..PARTIES {
        let name = format!("{}.all", oin(party)?);
        let subscription = Subscription {
            name: name.parse()?,
            inbox: name.parse()?,
            types: Vec::new(),
            filters: Vec::new(),
            follows: false,
            ordered: false,
            created_at: SystemTime::now(),
            declared: false,
        };
        by_grants.change(|changes| entitlement::put(&subscription, catalogue, changes));
        let exact = [("gemeente".to_owned(), format!("{party:04}"))];
        let filters = match NATIONAL.contains(&party) {
            true => Vec::new(),
            false => vec![Filter::Exact(exact.into())],
        };
        let types: Vec<String> =
            (0..TYPES).map(|number| format!("nl.bench.type{number}")).collect();
        let target = Target { inbox: name.parse()?, fields: None, watches: false };
        by_themselves.insert(&name.parse()?, &types, &filters, target.clone())?;
        if party <= FAN_OUT {
            unlimited.insert(&name.parse()?, &types, &[], target)?;
        }
    }
    Ok([by_grants, by_themselves, unlimited].map(|router| router.snapshot()))
}
