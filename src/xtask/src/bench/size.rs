//! `cargo xtask bench size`: what a browser downloads.
//!
//! Counts `pkg/dist/shoal.wasm` and the bundled scripts, each compressed with gzip at its highest level, as servers do.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::error::{Error, Result, read_bytes, write_file};
use crate::stamp::files;
use crate::workspace::{Workspace, missing};
use crate::{pkg, setup};

/// The limit for the module and its scripts together, compressed.
pub const GZIP_BYTES_MAX: usize = 970_000;

/// One file's figures.
#[derive(Debug, PartialEq)]
pub struct Weight {
    name: String,
    bytes: usize,
    gzip_bytes: usize,
}

/// Builds the package, prints the figures, writes them as JSON where asked, and holds the limit.
pub fn run(workspace: &Workspace, json: Option<&Path>) -> Result<()> {
    setup::run(workspace, setup::Scope::Build)?;
    pkg::run(workspace)?;
    let weights = weigh(workspace)?;
    if let Some(target) = json {
        write_file(target, format!("{:#}\n", as_json(&weights)))?;
    }
    hold(&weights)
}

/// Weighs what was built.
pub fn weigh(workspace: &Workspace) -> Result<Vec<Weight>> {
    let dist = workspace.path("pkg/dist");
    let mut weights = Vec::new();
    for folder in [dist.join("shoal.wasm"), dist.join("index.js"), dist.join("worker.js")] {
        for file in files(&folder)? {
            let bytes = read_bytes(&file)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            weights.push(Weight { name, bytes: bytes.len(), gzip_bytes: gzip_bytes(&bytes) });
        }
    }
    if weights.iter().any(|weight| weight.name == "shoal.wasm") && weights.len() > 1 {
        Ok(weights)
    } else {
        Err(missing("pkg/dist", "cargo xtask pkg"))
    }
}

/// Prints the figures; more than the limit is an error.
pub fn hold(weights: &[Weight]) -> Result<()> {
    for weight in weights {
        println!("  {:<24} {:>10} bytes {:>10} bytes gzip", weight.name, weight.bytes, weight.gzip_bytes);
    }
    let total = total(weights);
    println!("  {:<24} {:>16} {total:>10} bytes gzip of {GZIP_BYTES_MAX}", "together", "");
    if total <= GZIP_BYTES_MAX {
        Ok(())
    } else {
        Err(Error::Found(format!("the packed module is {} bytes above its limit", total - GZIP_BYTES_MAX)))
    }
}

fn total(weights: &[Weight]) -> usize {
    weights.iter().map(|weight| weight.gzip_bytes).sum()
}

fn as_json(weights: &[Weight]) -> serde_json::Value {
    let files: Vec<_> = weights
        .iter()
        .map(|weight| json!({ "name": weight.name, "bytes": weight.bytes, "gzip_bytes": weight.gzip_bytes }))
        .collect();
    json!({ "bench": "size", "files": files, "gzip_bytes": total(weights), "gzip_bytes_max": GZIP_BYTES_MAX })
}

fn gzip_bytes(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory cannot fail").len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_breaks() {
        let weight = |gzip_bytes| vec![Weight { name: "a".into(), bytes: 1, gzip_bytes }];
        assert!(hold(&weight(GZIP_BYTES_MAX)).is_ok());
        assert!(hold(&weight(GZIP_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn gzip_squeezes_what_repeats() {
        assert!(gzip_bytes(&[7; 10_000]) < 100);
    }
}
