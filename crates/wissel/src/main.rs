//! The one binary: serve, demo, publish, subscribe, and what operators need.

fn main() {}
