//! The road from the frame to the bus's door, in one thread: 10,000 subscriptions,
//! fan-out 3, 1 KiB. The peer is prost decoding the same frame, and nothing else.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use prost::Message as _;
use wissel_benches::{Arguments, Report, big_event};
use wissel_broker::entitlement::Target;
use wissel_broker::road::deduplicate::{Known, Window, deduplicate};
use wissel_broker::road::{authorise, decode, identify, minimise, route, validate};
use wissel_broker::{Caller, Direction};
use wissel_catalogue::Catalogue;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, Oin};
use wissel_message::Limits;
use wissel_proto::io::cloudevents::v1::CloudEvent;
use wissel_routing::Router;
use wissel_tests::{PARTIES, REGISTRY};

const MESSAGES: u64 = 100_000;

fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("road", &arguments);
    let catalogue = catalogue()?;
    let router = router()?;
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        let frames =
            (0..MESSAGES).map(|number| Ok(big_event(&format!("r{round}"), number)?.encode()));
        let frames: Vec<Bytes> = frames.collect::<Result<_>>()?;
        let begun = Instant::now();
        for frame in &frames {
            black_box(CloudEvent::decode(frame.clone())?);
        }
        peers.push(per_second(begun.elapsed()));
        let begun = Instant::now();
        walk(frames, &catalogue, &router)?;
        ours.push(per_second(begun.elapsed()));
    }
    report.ratio("decode to minimise, one core", "messages/s", &ours, "prost decode alone", &peers);
    report.finish();
    Ok(())
}

fn walk(frames: Vec<Bytes>, catalogue: &Catalogue, router: &Router<Target>) -> Result<()> {
    let (limits, caller) = (Limits::default(), Caller::Party(REGISTRY.parse()?));
    let window = Window::new(Duration::from_secs(3_600), 500_000);
    let table = router.snapshot();
    for frame in frames {
        let received = decode::decode(frame, &limits)?;
        let identified = identify::identify(received, &caller)?;
        let authorised =
            authorise::authorise(identified, &Direction::Subscribed, catalogue, &limits)?;
        let admitted = validate::validate(authorised, &limits)?;
        let Known::Fresh(fresh) = deduplicate(admitted, &window) else { bail!("seen before") };
        let routed = route::route(fresh, &table)?;
        black_box(minimise::minimise(routed)?);
    }
    Ok(())
}

/// 10,000 subscriptions, of which three match: two by type and municipality, one by
/// a prefix of the type.
fn router() -> Result<Router<Target>> {
    let router = Router::default();
    for number in 0..10_000_u32 {
        let exact =
            |name: &str, value: String| Filter::Exact(BTreeMap::from([(name.to_owned(), value)]));
        let filter = match number {
            0 => exact("gemeente", "0344".to_owned()),
            1 => exact("gemeente", "0193".to_owned()),
            2 | 3 => Filter::Prefix(BTreeMap::from([("type".to_owned(), "nl.brp.".to_owned())])),
            _ => exact("subject", format!("{number:09}")),
        };
        let owner: Oin = PARTIES[number as usize % PARTIES.len()].parse()?;
        router.insert(
            &format!("{owner}.s{number}").parse()?,
            &["nl.brp.geboorte".to_owned()],
            &[filter],
            Target {
                inbox: InboxName::new(owner, &format!("i{number}"))?,
                fields: None,
                watches: false,
            },
        )?;
    }
    Ok(router)
}

fn catalogue() -> Result<Catalogue> {
    let mut text = format!("[[party]]\noin = \"{REGISTRY}\"\nname = \"Registry\"\n");
    let mut grants = String::new();
    let grant = |party: &str, action: &str| {
        format!(
            "[[grant]]\nparty = \"{party}\"\ntype = \"nl.brp.geboorte\"\naction = \"{action}\"\npurpose = \"x\"\nlegal_basis = \"y\"\n"
        )
    };
    grants += &grant(REGISTRY, "publish");
    for party in PARTIES {
        text += &format!("[[party]]\noin = \"{party}\"\nname = \"Receiver\"\n");
        grants += &grant(party, "receive");
    }
    text += &format!(
        "[[event_type]]\nname = \"nl.brp.geboorte\"\nowner = \"{REGISTRY}\"\ndescription = \"x\"\n"
    );
    Ok(Catalogue::from_toml("bench", &(text + &grants))?)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_second(took: Duration) -> f64 {
    MESSAGES as f64 / took.as_secs_f64()
}
