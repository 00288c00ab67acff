//! `cargo xtask nightly`: what takes too long for every run.
//!
//! The same tests as `cargo xtask test`, told to go on for longer: 200 kills of renderers and browsers under load, about 20
//! minutes, then 10,000 seeds of the simulator. Both print the seeds with which a failure is met again. Then the fuzz targets
//! of `/fuzz`, five minutes each of the language and one each of the readers of bytes, where cargo-fuzz and a nightly compiler
//! are there.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::error::{Result, read_text, write_file};
use crate::setup::{self, Scope};
use crate::workspace::Workspace;
use crate::{process, sim, stamp, test};

const KILLS: &str = "200";
const SEEDS: &str = "10000";
/// Of the language; they start from the statements of the vectors.
const LANGUAGE_TARGETS: [&str; 2] = ["parse", "plan_and_run"];
const LANGUAGE_LIMITS: [&str; 3] = ["-max_total_time=300", "-max_len=400", "-timeout=10"];
/// Of the readers of bytes from outside; they have samples of their own, and say themselves what memory may be taken.
const DECODER_TARGETS: [&str; 8] =
    ["document", "message", "parcel", "presence", "record", "shorthand", "unit", "update"];
const DECODER_LIMITS: [&str; 3] = ["-max_total_time=60", "-max_len=8192", "-timeout=10"];
/// Building with a sanitizer included.
const FUZZ_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs all; the first failure ends it.
pub fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace, Scope::Tests)?;
    test::e2e(workspace, &[OsString::from("kill.test")], &[("SHOAL_KILLS", KILLS)])?;
    sim::run(workspace, &["--seeds".into(), SEEDS.into()])?;
    fuzz(workspace)
}

/// Fuzzes the language and the readers. Native tests call the same functions with mutated statements and bytes, so nothing is
/// lost without.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let cargo = |words: &[&str]| {
        let mut cargo = workspace.program("cargo");
        cargo.env("RUSTUP_TOOLCHAIN", "nightly").args(words).current_dir(workspace.path("fuzz"));
        cargo
    };
    if !process::succeeds(&mut cargo(&["fuzz", "--version"])) {
        println!(
            "no cargo-fuzz: the fuzz targets are left out (cargo install cargo-fuzz; rustup toolchain add nightly)"
        );
        return Ok(());
    }
    let run = |target: &str, limits: &[&str]| {
        let words = [&["fuzz", "run", "-O", target, "--"], limits].concat();
        process::run_shown(&mut cargo(&words), FUZZ_LIMIT)
    };
    let statements = statements(workspace)?;
    for target in LANGUAGE_TARGETS {
        write_corpus(&workspace.path("fuzz/corpus").join(target), &statements)?;
        run(target, &LANGUAGE_LIMITS)?;
    }
    DECODER_TARGETS.iter().try_for_each(|target| run(target, &DECODER_LIMITS).map(drop))
}

/// Reads the statements of the vectors.
fn statements(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in stamp::files(&workspace.path("tests/vectors/dql"))? {
        if file.extension().is_some_and(|extension| extension == "dqltest") {
            let text = read_text(&file)?;
            found.extend(text.lines().filter_map(statement));
        }
    }
    Ok(found)
}

fn statement(line: &str) -> Option<String> {
    let expression = || line.strip_prefix("expr ")?.rsplit_once(" => ").map(|(text, _)| format!("SELECT {text} AS v"));
    line.strip_prefix("run ").map(str::to_owned).or_else(expression)
}

fn write_corpus(folder: &Path, statements: &[String]) -> Result<()> {
    let write = |(number, text): (usize, &String)| write_file(&folder.join(format!("vector-{number:05}")), text);
    statements.iter().enumerate().try_for_each(write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_taken_from_the_lines_of_cases() {
        assert_eq!(statement("run SELECT 1").as_deref(), Some("SELECT 1"));
        assert_eq!(statement("expr 1 => 1").as_deref(), Some("SELECT 1 AS v"));
        assert_eq!(statement("row {}"), None);
    }
}
