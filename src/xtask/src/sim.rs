//! `cargo xtask sim`: the deterministic simulator; every argument goes to it.

use std::ffi::OsString;
use std::time::Duration;

use crate::error::Result;
use crate::process;
use crate::workspace::Workspace;

/// Far above the longest run that people start by hand.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Builds the simulator with optimisation and runs it in sight.
pub fn run(workspace: &Workspace, rest: &[OsString]) -> Result<()> {
    let mut sim = workspace.cargo(&["run", "--release", "--quiet", "--package", "sim", "--bin", "shoal-sim", "--"]);
    process::run_shown(sim.args(rest), LIMIT).map(drop)
}
