//! Puts the catalogue that is shipped in the binary, so that `wissel demo` needs no file.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/catalogue");
    let mut list = String::new();
    for directory in ["", "examples", "schemas"] {
        let from = root.join(directory);
        println!("cargo::rerun-if-changed={}", from.display());
        let mut names = fs::read_dir(&from)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>()?;
        names.retain(|name| name.ends_with(".toml") || name.ends_with(".json"));
        names.sort();
        for name in names {
            let path = fs::canonicalize(from.join(&name))?;
            let name = Path::new(directory).join(name);
            writeln!(list, "({name:?}, include_str!({path:?})),").map_err(io::Error::other)?;
        }
    }
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("catalogue.rs"), format!("&[{list}]"))
}
