//! `cargo xtask tidy`: checks of the house that no compiler makes.
//!
//! Arrows between rooms and outside dependencies (`arrows`), why each dependency is there (`reasons`), sizes and forbidden
//! text (`files`), files that no `mod` reaches (`modules`), and the generated page of error codes. After rust-analyzer's
//! and TigerBeetle's tidy. Each check is a function from what is on disk to a list of findings, so that a test can plant a
//! violation.

mod arrows;
mod files;
mod metadata;
mod modules;
mod reasons;

use crate::error::{Error, Result, read_text, write_file};
use crate::terminal::step;
use crate::workspace::Workspace;

/// Whether generated pages are checked or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Check,
    Fix,
}

/// What a check found: a place and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    place: String,
    problem: String,
    severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Failure,
    Warning,
}

impl Finding {
    fn failure(place: impl Into<String>, problem: impl Into<String>) -> Finding {
        Finding { place: place.into(), problem: problem.into(), severity: Severity::Failure }
    }

    fn warning(place: impl Into<String>, problem: impl Into<String>) -> Finding {
        Finding { place: place.into(), problem: problem.into(), severity: Severity::Warning }
    }
}

/// Checks, and prints what was found.
pub fn run(workspace: &Workspace, mode: Mode) -> Result<()> {
    check(workspace, mode).map(drop)
}

/// Checks, prints what was found, and returns how many checks there were.
pub fn check(workspace: &Workspace, mode: Mode) -> Result<usize> {
    let packages = metadata::packages(workspace)?;
    let texts = files::texts(workspace)?;
    let checks: [(&str, Vec<Finding>); 5] = [
        ("arrows between rooms", arrows::check(&packages)),
        ("a reason for each dependency", reasons::check_all(workspace, &packages)?),
        ("file sizes and forbidden text", files::check(&texts)),
        ("files reached by a mod", modules::check(&packages, &texts)),
        ("docs/errors.md", errors_page(workspace, mode)?),
    ];
    let mut failures = 0;
    let held = checks.len();
    for (name, findings) in checks {
        failures += report(name, findings);
    }
    if failures == 0 { Ok(held) } else { Err(Error::Found(format!("tidy found {failures} problems"))) }
}

fn report(name: &str, mut findings: Vec<Finding>) -> usize {
    findings.sort();
    let failures = findings.iter().filter(|finding| finding.severity == Severity::Failure).count();
    // The time shown is of no interest: the checks are done.
    let result = step(name, |_| if failures == 0 { Ok(()) } else { Err(()) }, |()| String::new());
    for finding in &findings {
        let word = if finding.severity == Severity::Failure { "✗" } else { "note:" };
        println!("    {word} {}: {}", finding.place, finding.problem);
    }
    debug_assert_eq!(result.is_ok(), failures == 0);
    failures
}

fn errors_page(workspace: &Workspace, mode: Mode) -> Result<Vec<Finding>> {
    let path = workspace.path("docs/errors.md");
    let page = value::error::errors_page();
    match mode {
        Mode::Fix => write_file(&path, page).map(|()| Vec::new()),
        Mode::Check if path.is_file() => Ok(compare(&read_text(&path)?, &page)),
        Mode::Check => Ok(compare("", &page)),
    }
}

fn compare(written: &str, page: &str) -> Vec<Finding> {
    if written == page {
        return Vec::new();
    }
    let lines = written.lines().zip(page.lines()).take_while(|(old, new)| old == new).count();
    vec![Finding::failure(
        format!("docs/errors.md:{}", lines + 1),
        "differs from the error table in src/value/src/error.rs; run `cargo xtask tidy --fix`",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_page_is_found_with_its_line() {
        assert_eq!(compare("a\nb\n", "a\nb\n"), []);
        assert_eq!(compare("a\nb\n", "a\nc\n")[0].place, "docs/errors.md:2");
    }
}
