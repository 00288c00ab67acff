//! Sizes of source files, module docs, and text that must not be there.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::error::{Error, Result};
use crate::stamp::files;
use crate::workspace::Workspace;

const LINES_MAX: usize = 800;
const LINES_WARNING: usize = 500;

/// Files that may be longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Text that no Rust file may hold, with the reason. Put together here, so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 3] = [
    (concat!("#[", "ignore"), "a test runs or is removed"),
    (concat!("todo", "!("), "what is not built answers `unsupported`"),
    (concat!("unimplemented", "!("), "what is not built answers `unsupported`"),
];

/// Text that pure rooms may not hold outside their tests: these things are arguments.
const IMPURE: [&str; 6] = ["Instant::now", "SystemTime::now", "std::thread", "std::net", "thread_rng", "JsValue"];
const PURE_ROOMS: [&str; 7] = ["value", "crdt", "dql", "store", "sync", "peer", "sim"];

/// A source file.
pub struct Text {
    /// From the repository's root.
    pub path: String,
    /// On this machine.
    pub absolute: PathBuf,
    /// What it says.
    pub text: String,
}

/// Reads every source file of ours: Rust, TypeScript and modules of JavaScript; vectors and built files are left out.
pub fn texts(workspace: &Workspace) -> Result<Vec<Text>> {
    let root = workspace.path("");
    let mut found = Vec::new();
    for folder in ["src", "tests", "pkg", "www"] {
        for absolute in files(&workspace.path(folder))? {
            let relative = absolute.strip_prefix(&root).unwrap_or(&absolute).to_string_lossy().into_owned();
            if !is_source(&absolute) || relative.starts_with("tests/vectors/") || relative.starts_with("tests/e2e/out/")
            {
                continue;
            }
            match std::fs::read_to_string(&absolute) {
                Ok(text) => found.push(Text { path: relative, absolute, text }),
                // It was there a moment ago; a file that is being saved is no finding.
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                Err(cause) => return Err(Error::Io { doing: format!("read {}", absolute.display()), cause }),
            }
        }
    }
    Ok(found)
}

/// Checks every file.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    texts.iter().flat_map(|file| check_file(&file.path, &file.text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == path) {
        findings.push(Finding::failure(path, format!("{lines} lines, more than {LINES_MAX}: find a second noun")));
    } else if lines > LINES_WARNING {
        findings.push(Finding::warning(path, format!("{lines} lines; past {LINES_WARNING} ask for a second noun")));
    }
    if !path.ends_with(".rs") {
        return findings;
    }
    if is_root(path) && !text.starts_with("//!") {
        findings.push(Finding::failure(path, "begins with no module doc (`//!`)"));
    }
    let pure = PURE_ROOMS.iter().any(|room| path.starts_with(&format!("src/{room}/src/"))) && !is_skin(path);
    let mut in_tests = path.ends_with("tests.rs") || path.contains("/tests/");
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        in_tests |= code.trim() == "#[cfg(test)]";
        let place = || format!("{path}:{}", number + 1);
        for (forbidden, reason) in FORBIDDEN.iter().filter(|(forbidden, _)| code.contains(forbidden)) {
            findings.push(Finding::failure(place(), format!("`{forbidden}`: {reason}")));
        }
        if pure && !in_tests {
            for impure in IMPURE.iter().filter(|impure| code.contains(**impure)) {
                findings.push(Finding::failure(place(), format!("`{impure}` in a pure room: make it an argument")));
            }
        }
    }
    findings
}

/// Command-line programs of a pure room are its border.
fn is_skin(path: &str) -> bool {
    path.ends_with("/main.rs") || path.contains("/src/bin/")
}

fn is_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["rs", "ts", "mjs"].iter().any(|source| extension == *source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        check_file(path, text).len()
    }

    #[test]
    fn long_files_are_found() {
        let lines = |count: usize| "//!\n".repeat(count);
        assert_eq!(problems("src/a/src/b.rs", &lines(500)), 0);
        assert_eq!(
            check_file("pkg/src/a.ts", &lines(501)),
            [Finding::warning("pkg/src/a.ts", "501 lines; past 500 ask for a second noun")]
        );
        assert_eq!(problems("src/a/src/b.rs", &lines(801)), 1);
    }

    #[test]
    fn a_root_without_a_doc_is_found() {
        assert_eq!(problems("src/a/src/lib.rs", "//! A room.\n"), 0);
        assert_eq!(problems("src/a/src/lib.rs", "mod b;\n"), 1);
        assert_eq!(problems("src/a/src/b.rs", "fn b() {}\n"), 0);
    }

    #[test]
    fn forbidden_text_is_found_in_code_but_not_in_comments() {
        for (forbidden, _) in FORBIDDEN {
            assert_eq!(problems("src/a/src/b.rs", &format!("    {forbidden}")), 1);
            assert_eq!(problems("src/a/src/b.rs", &format!("// {forbidden}")), 0);
        }
    }

    #[test]
    fn a_clock_in_a_pure_room_is_found_but_not_in_its_tests_or_in_a_skin() {
        let clock = "let now = Instant::now();\n";
        assert_eq!(problems("src/sync/src/session.rs", clock), 1);
        assert_eq!(problems("src/sync/src/session.rs", &format!("#[cfg(test)]\nmod tests {{\n{clock}}}\n")), 0);
        assert_eq!(problems("src/big-peer/src/clock.rs", clock), 0);
        assert_eq!(problems("src/sim/src/main.rs", &format!("//! Runs it.\n{clock}")), 0);
    }
}
