use clap::Parser;
use serde_json::{Value, json};

/// How a bench runs.
#[derive(Debug, Clone, Parser)]
#[command(after_help = "Example:\n  cargo xtask bench route\n  \
    cargo bench --package wissel-benches --bench route -- --rounds 7 --json")]
pub struct Arguments {
    /// How many rounds; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Cargo says this to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// Figures of one bench, each beside that of its peer in the same run.
pub struct Report {
    title: &'static str,
    json: bool,
    rows: Vec<Value>,
}

impl Arguments {
    /// Those of the command line.
    #[must_use]
    pub fn read() -> Self {
        Self::parse()
    }
}

impl Report {
    /// Begins a report.
    #[must_use]
    pub fn new(title: &'static str, arguments: &Arguments) -> Self {
        if !arguments.json {
            println!("{title}: medians of {} rounds, in turn with the peer", arguments.rounds);
        }
        Self { title, json: arguments.json, rows: Vec::new() }
    }

    /// A figure without a peer.
    pub fn figure(&mut self, what: &str, unit: &str, rounds: &[f64]) {
        let ours = median(rounds);
        self.rows.push(json!({ "what": what, "unit": unit, "ours": ours }));
        if !self.json {
            println!("  {what:<52} {:>12} {unit}", number(ours));
        }
    }

    /// A figure, that of the peer, and ours divided by the peer's.
    pub fn ratio(&mut self, what: &str, unit: &str, rounds: &[f64], peer: &str, peers: &[f64]) {
        let (ours, theirs) = (median(rounds), median(peers));
        let ratio = ours / theirs;
        self.rows.push(json!({
            "what": what, "unit": unit, "ours": ours, "peer": peer, "peers": theirs, "ratio": ratio,
        }));
        if !self.json {
            println!("  {what:<52} {:>12} {unit}", number(ours));
            println!("    {peer:<50} {:>12} {unit}   ratio {ratio:.2}", number(theirs));
        }
    }

    /// A figure, and those of several peers. Ours is divided by each of theirs.
    pub fn beside(&mut self, what: &str, unit: &str, rounds: &[f64], peers: &[(String, &[f64])]) {
        self.figure(what, unit, rounds);
        let ours = median(rounds);
        for (peer, theirs) in peers {
            let theirs = median(theirs);
            let ratio = ours / theirs;
            self.rows.push(json!({
                "what": what, "unit": unit, "peer": peer, "peers": theirs, "ratio": ratio,
            }));
            if !self.json {
                println!("    {peer:<50} {:>12} {unit}   ratio {ratio:.3}", number(theirs));
            }
        }
    }

    /// Something that must be said of the figures.
    pub fn note(&mut self, text: &str) {
        self.rows.push(json!({ "note": text }));
        if !self.json {
            println!("  {text}");
        }
    }

    /// Ends the report.
    pub fn finish(self) {
        if self.json {
            println!("{}", json!({ "bench": self.title, "rows": self.rows }));
        }
    }
}

/// The middle one.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn number(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
