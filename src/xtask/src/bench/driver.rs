//! `cargo xtask bench store`, `bench dql` and `bench sync`: the engine in Chromium, in one run with its peers.
//!
//! Builds the package and hands over to `tests/bench/run.mjs`, which measures. A missed goal is printed and is no error.

use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::{pkg, process, setup, test};

/// Names the program of the server to the driver.
const BIG_PEER: &str = "SHOAL_BIG_PEER_BIN";

/// A full run takes 15 minutes on two idle cores; a busy machine is no reason to stop it.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// The benches that it knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject {
    /// Statements, beside Dexie, RxDB and SQLite.
    Dql,
    /// Documents on the device, beside Dexie, RxDB, PouchDB, Yjs and IndexedDB by hand.
    Store,
    /// Documents between a server and browsers, beside Yjs, RxDB and PouchDB.
    Sync,
}

impl Subject {
    /// Finds a bench by its name on the command line.
    pub fn named(name: &str) -> Option<Subject> {
        [Subject::Dql, Subject::Store, Subject::Sync].into_iter().find(|subject| subject.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Subject::Dql => "dql",
            Subject::Store => "store",
            Subject::Sync => "sync",
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// What takes part.
    pub extent: Extent,
    /// Other rounds than the extent's own.
    pub rounds: Option<NonZeroU32>,
}

/// What takes part in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// Five rounds, all peers, 100,000 documents, and the charts of the documentation.
    Full,
    /// Two rounds and few peers: for development, about a minute.
    Quick,
}

/// Builds, measures, and writes the figures where asked.
pub fn run(workspace: &Workspace, subject: Subject, size: Size, json: Option<&Path>) -> Result<()> {
    setup::run(workspace, setup::Scope::Tests)?;
    pkg::run(workspace)?;
    let mut driver = driver(workspace);
    if subject == Subject::Sync {
        driver.env(BIG_PEER, test::build_big_peer(workspace, test::Build::Release)?);
    }
    driver.arg("tests/bench/run.mjs").arg(subject.name());
    if size.extent == Extent::Quick {
        driver.arg("--quick");
    }
    if let Some(rounds) = size.rounds {
        driver.arg("--rounds").arg(rounds.to_string());
    }
    if let Some(file) = json {
        driver.arg("--json").arg(file);
    }
    process::run_shown(&mut driver, LIMIT).map(drop)
}

/// Runs the driver's own tests, some of which measure a little of everything; returns how many passed.
pub fn self_test(workspace: &Workspace) -> Result<usize> {
    let mut tests = driver(workspace);
    tests.env(BIG_PEER, test::build_big_peer(workspace, test::Build::Debug)?);
    tests.args(["--test", "--test-reporter=tap", "test/"]).current_dir(workspace.path("tests/bench"));
    let lines = process::run_shown(&mut tests, LIMIT)?;
    let passed = lines.iter().find_map(|line| line.strip_prefix("# pass ")?.trim().parse().ok());
    passed.filter(|passed| *passed > 0).ok_or_else(|| Error::Found("no test ran".into()))
}

fn driver(workspace: &Workspace) -> Command {
    let mut node = workspace.program("node");
    node.env("SHOAL_CHROMIUM", setup::chromium()).env("SHOAL_PKG_DIST", workspace.path("pkg/dist"));
    node
}
