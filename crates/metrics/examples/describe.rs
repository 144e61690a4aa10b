//! Writes the page about metrics.
#![allow(clippy::print_stdout, reason = "it is what is asked for")]

fn main() {
    print!("{}", wissel_metrics::Metrics::new().describe());
}
