//! Matching one message against many subscriptions: W1 to W6, each beside the crates
//! `quamina` and `a-tree`, a naive scan, and a plain hash look-up as the limit.
//!
//! Every contender gives the right answers before it is timed. Messages are drawn
//! at random, so that what they find is seldom in a near cache; the message itself is, as
//! it was read just before. All find the same: the numbers of the subscriptions.

use std::alloc::System;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wissel_benches::routing::{
    Built, Contender, Curve, Effort, Kind, Oracle, Outcome, Panel, Timing, Workload,
    allocations_a_message, build, churn, inboxes, plot, take_turns,
};
use wissel_benches::{Arguments, Report, median};

/// Counts what is asked for; that takes some ten nanoseconds each time.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How this bench runs.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  cargo xtask bench route -- --only W1 --only W3\n  \
    cargo xtask bench route -- --plot docs/routing-curve.svg")]
struct RouteArguments {
    #[command(flatten)]
    common: Arguments,
    /// A few seconds, with fewer subscriptions: to see that it works
    #[arg(long)]
    quick: bool,
    /// Only this workload, W1 to W6; may be given more than once
    #[arg(long, value_name = "WORKLOAD", ignore_case = true,
          value_parser = ["W1", "W2", "W3", "W4", "W5", "W6"])]
    only: Vec<String>,
    /// Measure the curves from 1,000 to 1,000,000 subscriptions too, and draw them
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Turns of each contender in a round.
const TURNS: u32 = 3;

fn main() -> Result<()> {
    let arguments = RouteArguments::parse();
    let mut report = Report::new("route", &arguments.common);
    let mut allocating = vec![];
    for kind in Kind::ALL {
        if arguments.wants(kind.name()) && workload(kind, &arguments, &mut report)? > 0.0 {
            allocating.push(kind.name());
        }
    }
    if arguments.wants("W6") {
        changes(&arguments, &mut report)?;
    }
    if let Some(file) = &arguments.plot {
        let panels = [Kind::Types, Kind::Municipalities, Kind::Subjects, Kind::Affixes]
            .map(|kind| panel(kind, &arguments, &mut report));
        plot(file, &panels.into_iter().collect::<Result<Vec<_>>>()?)?;
    }
    report.finish();
    ensure!(allocating.is_empty(), "matching allocates memory: {allocating:?}; expected none");
    Ok(())
}

/// One workload, by all who can. Gives how often Wissel allocates for a message.
fn workload(kind: Kind, arguments: &RouteArguments, report: &mut Report) -> Result<f64> {
    let effort = arguments.effort();
    let workload = Workload::new(kind, arguments.size(kind))?;
    let (name, size) = (kind.name(), workload.size());
    report.note(&format!("{name}: {size} {}", kind.asks()));

    let oracle = Oracle::of(workload)?;
    let mut contenders = vec![];
    for contender in [Contender::Wissel].into_iter().chain(Contender::PEERS) {
        contenders.extend(built(contender, &oracle, &effort, report)?);
    }
    drop(oracle);
    let timings = take_turns(&mut contenders, arguments.common.rounds * TURNS, &effort)?;
    let peers: Vec<(String, &Timing)> =
        contenders.iter().map(label).zip(&timings).skip(1).collect();
    let ours = timings.first().context("Wissel was measured")?;
    let matching: Vec<(String, &[f64])> =
        peers.iter().map(|(peer, timing)| (peer.clone(), timing.matching.as_slice())).collect();
    let title = format!("{name} one message, of which {:.2} match", ours.fan_out);
    report.beside(&title, "ns", &ours.matching, &matching);
    let rates: Vec<f64> = ours.matching.iter().map(|each| ours.fan_out * 1e9 / each).collect();
    report.figure(&format!("{name} matches a second, one core"), "", &rates);
    apart(name, &contenders, &timings, report);
    memory(name, &contenders, report);

    let wissel = contenders.first_mut().context("Wissel was built")?;
    let allocations = allocations_a_message(wissel)?;
    report.figure(&format!("{name} allocations a message"), "", &[allocations]);
    if kind == Kind::Subjects {
        drop(contenders);
        let found = inboxes(size, arguments.common.rounds * TURNS, effort.messages)?;
        report.figure("W3 one message, when inboxes are found", "ns", &found.matching);
        report.figure("W3 memory, a subscription, the same", "bytes", &[found.bytes]);
    }
    Ok(allocations)
}

/// Ready to be timed: its answers are right. None when it has no part in this.
fn built(
    contender: Contender,
    oracle: &Oracle,
    effort: &Effort,
    report: &mut Report,
) -> Result<Option<Built>> {
    let workload = oracle.workload();
    let (kind, who) = (workload.kind(), contender.name());
    let mut built = match build(contender, workload, effort)? {
        Outcome::Built(built) => *built,
        Outcome::Not(reason) => {
            report.note(&format!("  {who}: n/a, {reason}"));
            return Ok(None);
        }
    };
    if let Some(reason) = &built.reduced {
        report.note(&format!("  {who}: with {} only, {reason}", built.workload.size()));
    }
    if let Some(cannot) = contender.cannot(kind) {
        report.note(&format!("  {who}: with {} only, without {cannot}", built.held()));
    }
    let different = if built.workload == workload {
        built.differences(oracle, effort)?
    } else {
        built.differences(&Oracle::of(built.workload)?, effort)?
    };
    if different > 0 {
        let wrong = format!("{different} of {} answers are wrong", effort.compared);
        ensure!(contender != Contender::Wissel, "{} {wrong}", kind.name());
        report.note(&format!("  {who}: n/a, {wrong}"));
        return Ok(None);
    }
    Ok(Some(built))
}

/// What is done to messages besides matching.
fn apart(name: &str, contenders: &[Built], timings: &[Timing], report: &mut Report) {
    if let Some(ours) = timings.first() {
        report.figure(&format!("{name} apart: scanning the frame"), "ns", &ours.scanning);
    }
    for (one, timing) in contenders.iter().zip(timings) {
        if let Some(form) = one.contender.form() {
            report.figure(&format!("{name} apart: {form}"), "ns", &timing.taking);
        }
        if !timing.reading.is_empty() {
            let what = format!("{name} of which {} reads its form", one.contender.name());
            report.figure(&what, "ns", &timing.reading);
        }
    }
}

fn memory(name: &str, contenders: &[Built], report: &mut Report) {
    let each = |one: &Built, whole: f64| [whole / f64::from(one.held())];
    let bytes: Vec<[f64; 1]> = contenders.iter().map(|one| each(one, one.bytes as f64)).collect();
    let building: Vec<[f64; 1]> =
        contenders.iter().map(|one| each(one, one.took.as_secs_f64() * 1e6)).collect();
    for (what, unit, figures) in [("memory", "bytes", &bytes), ("building", "µs", &building)] {
        let [ours, peers @ ..] = figures.as_slice() else { continue };
        let peers: Vec<(String, &[f64])> = contenders
            .iter()
            .skip(1)
            .map(label)
            .zip(peers.iter().map(<[f64; 1]>::as_slice))
            .collect();
        report.beside(&format!("{name} {what}, a subscription"), unit, ours, &peers);
    }
}

/// W6: matching while subscriptions come and go.
fn changes(arguments: &RouteArguments, report: &mut Report) -> Result<()> {
    let (effort, rounds) = (arguments.effort(), arguments.common.rounds);
    let size = arguments.size(Kind::Subjects);
    report.note(&format!("W6: {size} subjects, 10,000 changes a second by another thread"));
    let time = if arguments.quick { Duration::from_millis(200) } else { Duration::from_secs(2) };
    let churn = churn(size, rounds, time)?;
    let still = [("the same without changes".to_owned(), churn.still.as_slice())];
    report.beside("W6 one message, beside changes", "ns", &churn.changing, &still);
    report.figure("W6 changes made in a second", "", &churn.changes);
    for (what, quantile) in [("median", 0.5), ("99 of 100 within", 0.99)] {
        let took = churn.took.value_at_quantile(quantile) as f64 / 1_000.0;
        report.figure(&format!("W6 a change, {what}"), "µs", &[took]);
    }

    let oracle = Oracle::of(Workload::new(Kind::Subjects, size)?)?;
    let mut contenders = vec![];
    for contender in [Contender::Wissel, Contender::Quamina, Contender::ATree] {
        contenders.extend(built(contender, &oracle, &effort, report)?);
    }
    let time = effort.turn_time * 20;
    let took = contenders.iter_mut().map(|one| one.changes(time)).collect::<Result<Vec<_>>>()?;
    let [ours, peers @ ..] = took.as_slice() else { return Ok(()) };
    let labels = contenders.iter().skip(1).map(label);
    let peers: Vec<(String, &[f64])> = labels.zip(peers.iter().map(Vec::as_slice)).collect();
    report.beside("W6 a change, until it counts for the next message", "µs", ours, &peers);
    Ok(())
}

/// The curves of one kind of subscriptions.
fn panel(kind: Kind, arguments: &RouteArguments, report: &mut Report) -> Result<Panel> {
    const CONTENDERS: [Contender; 4] =
        [Contender::Wissel, Contender::Quamina, Contender::ATree, Contender::Lookup];
    let effort = arguments.effort();
    let mut curves = CONTENDERS.map(|contender| Curve { contender, points: vec![] });
    let mut able = CONTENDERS.to_vec();
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        let oracle = Oracle::of(Workload::new(kind, size)?)?;
        let mut contenders = vec![];
        for contender in able {
            let built = built(contender, &oracle, &effort, report)?;
            contenders.extend(built.filter(|one| one.reduced.is_none()));
        }
        able = contenders.iter().map(|one| one.contender).collect();
        let timings = take_turns(&mut contenders, arguments.common.rounds, &effort)?;
        for (one, timing) in contenders.iter().zip(&timings) {
            let matching = median(&timing.matching);
            let what = format!("{} curve: {size}, {}", kind.name(), one.contender.name());
            report.figure(&what, "ns", &[matching]);
            if let Some(curve) = curves.iter_mut().find(|curve| curve.contender == one.contender) {
                curve.points.push((f64::from(size), matching));
            }
        }
        if arguments.quick && size == 10_000 {
            break;
        }
    }
    let fan_out = kind.fan_out().map_or(String::new(), |count| format!(", {count} match"));
    let title = format!("{}: {}{fan_out}", kind.name(), kind.asks());
    let curves = curves.into_iter().filter(|curve| !curve.points.is_empty()).collect();
    Ok(Panel { title, curves })
}

/// A contender, and of how many subscriptions when not of all.
fn label(one: &Built) -> String {
    let name = one.contender.name();
    if one.reduced.is_none() && one.left_out.is_empty() {
        return name.to_owned();
    }
    format!("{name}, with {} only", one.held())
}

impl RouteArguments {
    fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one.eq_ignore_ascii_case(workload))
    }

    fn size(&self, kind: Kind) -> u32 {
        let size = match kind {
            Kind::Types | Kind::Mix => 10_000,
            Kind::Municipalities | Kind::Affixes => 100_000,
            Kind::Subjects => 1_000_000,
        };
        if self.quick { size / 10 } else { size }
    }

    fn effort(&self) -> Effort {
        let full = Effort {
            messages: 20_000,
            turn_time: Duration::from_millis(100),
            compared: 200,
            build_time: Duration::from_secs(10),
            build_bytes: 4 << 30,
        };
        if !self.quick {
            return full;
        }
        Effort { messages: 2_000, turn_time: Duration::from_millis(10), compared: 50, ..full }
    }
}
