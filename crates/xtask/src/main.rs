//! The commands of this repository's developers.

fn main() {}
