//! `cargo xtask nightly`: what takes too long for every run.
//!
//! The same tests as `cargo xtask test`, told to go on for longer: 200 kills of renderers and browsers under load, about 20
//! minutes, then 10,000 seeds of the simulator. Both print the seeds with which a failure is met again.

use std::ffi::OsString;

use crate::error::Result;
use crate::setup::{self, Scope};
use crate::workspace::Workspace;
use crate::{sim, test};

const KILLS: &str = "200";
const SEEDS: &str = "10000";

/// Runs both; the first failure ends it.
pub fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace, Scope::Tests)?;
    test::e2e(workspace, &[OsString::from("kill.test")], &[("SHOAL_KILLS", KILLS)])?;
    sim::run(workspace, &["--seeds".into(), SEEDS.into()])
}
