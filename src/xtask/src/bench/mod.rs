//! `cargo xtask bench`: what the project costs and how quick it is, in figures that anybody can measure again.
//!
//! `size` counts bytes and holds a limit. `store`, `dql` and `sync` run the contestants of `tests/bench` in a browser; how, is its own business and
//! is told in `docs/benchmarks.md`. A bench builds what it measures, prints a table and writes the figures as JSON where asked.

pub mod driver;
pub mod size;

use std::path::PathBuf;

use crate::error::{Doing, Result};
use crate::workspace::Workspace;

/// Options of `bench`.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// What is measured.
    pub name: Name,
    /// Where the figures go as JSON.
    pub json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Name {
    /// The engine in a browser, beside its peers.
    Driven(driver::Subject, driver::Size),
    /// What a browser downloads.
    Size,
}

/// Runs one bench; a relative file is taken from the caller's folder.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let json =
        options.json.as_deref().map(std::path::absolute).transpose().doing(|| "find the JSON file's folder".into())?;
    match options.name {
        Name::Driven(subject, size) => driver::run(workspace, subject, size, json.as_deref()),
        Name::Size => size::run(workspace, json.as_deref()),
    }
}
