//! `cargo xtask test`: every test of the project, stage by stage, and a table at the end.
//!
//! A stage that fails does not stop the others; any failure makes the command fail. A stage in which no test ran is a
//! failure too: a filter, a forgotten module or a broken harness must not look like success.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::arguments::TestOptions;
use crate::error::{Error, Result};
use crate::setup::Scope;
use crate::setup::toolchain::{self, Toolchain};
use crate::terminal::{seconds, step};
use crate::tidy::Mode;
use crate::workspace::{Workspace, missing};
use crate::{bench, pkg, process, setup, tidy};

/// A stage that hangs must not eat the whole hour.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Builds everything native, tests and programs, and runs nothing.
const NATIVE_BUILD: [&str; 5] = ["test", "--workspace", "--exclude", "web", "--no-run"];

/// One part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Tidy,
    Format,
    Native,
    Sim,
    Browser,
    Size,
    Package,
    Bench,
    E2e,
}

impl Stage {
    /// In the order in which they run: the quickest answer first.
    const ALL: [Stage; 9] = [
        Stage::Tidy,
        Stage::Format,
        Stage::Native,
        Stage::Sim,
        Stage::Browser,
        Stage::Size,
        Stage::Package,
        Stage::Bench,
        Stage::E2e,
    ];

    /// Returns the stage with this name.
    pub fn named(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Stage::Tidy => "tidy",
            Stage::Format => "format",
            Stage::Native => "native",
            Stage::Sim => "sim",
            Stage::Browser => "browser",
            Stage::Size => "size",
            Stage::Package => "package",
            Stage::Bench => "bench",
            Stage::E2e => "e2e",
        }
    }

    fn scope(self) -> Scope {
        match self {
            Stage::Tidy | Stage::Format | Stage::Native | Stage::Sim => Scope::Native,
            Stage::Size | Stage::Package => Scope::Build,
            Stage::Browser | Stage::Bench | Stage::E2e => Scope::Tests,
        }
    }

    /// Runs the stage and returns how many tests, checks or files it held.
    fn run(self, workspace: &Workspace, rest: &[OsString]) -> Result<usize> {
        match self {
            Stage::Tidy => tidy::check(workspace, Mode::Check),
            Stage::Format => format(workspace),
            Stage::Native => native(workspace, rest),
            Stage::Sim => sim(workspace),
            Stage::Browser => browser(workspace, rest),
            Stage::Size => size(workspace),
            Stage::Package => package(workspace, rest),
            Stage::Bench => bench::driver::self_test(workspace),
            Stage::E2e => e2e(workspace, rest, &[]),
        }
    }
}

/// Sets up what the stages need, runs them and prints the table.
pub fn run(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let stages: Vec<Stage> = options.only.map_or_else(|| Stage::ALL.to_vec(), |stage| vec![stage]);
    let scope = stages.iter().map(|stage| stage.scope()).max().unwrap_or(Scope::Native);
    setup::run(workspace, scope)?;
    let mut table = Vec::new();
    for stage in stages {
        println!("\n── {} ──", stage.name());
        let started = Instant::now();
        let result = stage.run(workspace, &options.rest);
        if let Err(error) = &result {
            eprint!("{}", error.report());
        }
        let interrupted = matches!(result, Err(Error::Interrupted));
        table.push((stage, started.elapsed(), result));
        if interrupted {
            break;
        }
    }
    summarise(&table)
}

fn summarise(table: &[(Stage, Duration, Result<usize>)]) -> Result<()> {
    println!("\n── summary ──");
    let mut failed = Vec::new();
    for (stage, time, result) in table {
        let (mark, held) = match result {
            Ok(0) => ("✗", "no test ran".to_owned()),
            Ok(held) => ("✓", held.to_string()),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(_) => ("✗", "failed".to_owned()),
        };
        if mark == "✗" {
            failed.push(stage.name());
        }
        println!("{mark} {:<10} {:>12} {:>14}", stage.name(), seconds(*time), held);
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::Found(format!("failed: {}", failed.join(", ")))) }
}

/// Debian's linked toolchain has no rustfmt; rustup's stable one has.
fn format(workspace: &Workspace) -> Result<usize> {
    let cargo = |words: &[&str]| {
        let mut cargo = workspace.program("cargo");
        cargo.args(words);
        if toolchain::chosen(workspace) == Toolchain::Debian {
            cargo.env("RUSTUP_TOOLCHAIN", "stable");
        }
        cargo
    };
    if !process::succeeds(&mut cargo(&["fmt", "--version"])) {
        return Err(missing("rustfmt", "rustup component add rustfmt"));
    }
    process::run_shown(&mut cargo(&["fmt", "--all", "--check"]), LIMIT).map(|_| 1)
}

fn native(workspace: &Workspace, rest: &[OsString]) -> Result<usize> {
    let mut test = workspace.cargo(&["test", "--workspace", "--exclude", "web", "--"]);
    count_passed(process::run_shown(test.args(rest), LIMIT)?)
}

/// A thousand seeds of the simulator, in the tests' own build.
fn sim(workspace: &Workspace) -> Result<usize> {
    let seeds = "1000";
    let mut run =
        workspace.cargo(&["run", "--quiet", "--package", "sim", "--bin", "shoal-sim", "--", "--seeds", seeds]);
    let lines = process::run_shown(&mut run, LIMIT)?;
    let verdict = format!("{seeds} seeds, 0 failed");
    let held = lines.iter().any(|line| line.contains(&verdict));
    if held { Ok(1000) } else { Err(Error::Found("a seed failed".into())) }
}

fn browser(workspace: &Workspace, rest: &[OsString]) -> Result<usize> {
    let mut test =
        workspace.cargo(&["test", "--package", "web", "--target", "wasm32-unknown-unknown", "--lib", "--tests", "--"]);
    test.args(rest).env("CHROMEDRIVER", setup::chromedriver()).env("PATH", path_with_wasm_bindgen(workspace)?);
    count_passed(process::run_shown(&mut test, LIMIT)?)
}

fn path_with_wasm_bindgen(workspace: &Workspace) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(workspace.wasm_bindgen_bin()?).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|_| Error::Unexpected("the cache's folder has a colon in its name".into()))
}

fn size(workspace: &Workspace) -> Result<usize> {
    pkg::run(workspace)?;
    let weights = bench::size::weigh(workspace)?;
    bench::size::hold(&weights)?;
    Ok(weights.len())
}

/// The npm package under Node, as an application would import it.
fn package(workspace: &Workspace, rest: &[OsString]) -> Result<usize> {
    pkg::run(workspace)?;
    let mut run = workspace.program("node");
    run.args(["--test", "--test-reporter=tap", "test/"]).args(rest).current_dir(workspace.path("pkg"));
    let lines = process::run_shown(&mut run, LIMIT)?;
    let passed = lines.iter().find_map(|line| line.strip_prefix("# pass ")?.trim().parse().ok());
    passed.filter(|passed| *passed > 0).ok_or_else(|| Error::Found("no test ran".into()))
}

/// The end-to-end tests; `environment` is for those that can be told to do more.
pub fn e2e(workspace: &Workspace, rest: &[OsString], environment: &[(&str, &str)]) -> Result<usize> {
    pkg::run(workspace)?;
    build_demo(workspace)?;
    let big_peer = build_big_peer(workspace, Build::Debug)?;
    let mut run = workspace.program("node");
    run.arg("tests/e2e/run.mjs").args(rest).envs(environment.iter().copied());
    run.env("SHOAL_BIG_PEER_BIN", big_peer).env("SHOAL_CHROMIUM", setup::chromium());
    run.env("SHOAL_WWW_DIST", workspace.path("www/dist")).env("SHOAL_PKG_DIST", workspace.path("pkg/dist"));
    count_passed(process::run_shown(&mut run, LIMIT)?)
}

/// Builds the demo's pages into `www/dist`.
pub fn build_demo(workspace: &Workspace) -> Result<()> {
    let mut build = workspace.program("node");
    build.arg("build.mjs").current_dir(workspace.path("www"));
    step("demo pages", |step| process::run(&mut build, step), |()| String::new())
}

/// How a program is built.
#[derive(Clone, Copy, Debug)]
pub enum Build {
    /// With the tests' own settings: its dependencies are already there.
    Debug,
    /// As it is shipped; five minutes from nothing on two cores.
    Release,
}

/// Builds the Big Peer and returns its path.
pub fn build_big_peer(workspace: &Workspace, build: Build) -> Result<std::path::PathBuf> {
    // The debug build is the one that its own tests start: asked for in the same words as theirs, so that nothing is
    // compiled a second time with other features.
    let (words, path): (&[&str], _) = match build {
        Build::Debug => (&NATIVE_BUILD, "debug/shoal-big-peer"),
        Build::Release => {
            (&["build", "--release", "--package", "big-peer", "--bin", "shoal-big-peer"], "release/shoal-big-peer")
        }
    };
    step("Big Peer", |step| process::run(&mut workspace.cargo(words), step), |()| String::new())?;
    Ok(workspace.target(path))
}

/// Sums the "N passed" of every line that carries one: the form of libtest, of wasm-bindgen's runner and of ours.
fn count_passed(lines: Vec<String>) -> Result<usize> {
    let passed: usize = lines.iter().filter_map(|line| passed_in(line)).sum();
    if passed == 0 { Err(Error::Found("no test ran".into())) } else { Ok(passed) }
}

fn passed_in(line: &str) -> Option<usize> {
    let before = line.split_once(" passed")?.0;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_summed_over_binaries() {
        let lines = [
            "test result: ok. 12 passed; 0 failed",
            "test a ... ok",
            "test result: ok. 3 passed; 1 ignored",
            "2 passed",
        ];
        assert_eq!(count_passed(lines.map(str::to_owned).to_vec()).ok(), Some(17));
    }

    #[test]
    fn a_stage_without_tests_fails() {
        assert!(count_passed(vec!["test result: ok. 0 passed; 0 failed; 9 filtered out".into()]).is_err());
        assert!(summarise(&[(Stage::Tidy, Duration::ZERO, Ok(0))]).is_err());
    }

    #[test]
    fn every_stage_has_a_name_of_its_own() {
        for stage in Stage::ALL {
            assert_eq!(Stage::named(stage.name()), Some(stage));
        }
    }
}
