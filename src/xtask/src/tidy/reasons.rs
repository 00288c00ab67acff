//! Every dependency from outside has a sentence above it that says why it is there.
//!
//! Reads the manifests as text, because comments are what is looked for. An entry that takes its version from the root
//! manifest may have its sentence there.

use super::Finding;
use super::metadata::Package;
use crate::error::{Result, read_text};
use crate::workspace::Workspace;

/// Checks the manifest of every package.
pub fn check_all(workspace: &Workspace, packages: &[Package]) -> Result<Vec<Finding>> {
    let root = read_text(&workspace.path("Cargo.toml"))?;
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let explained: Vec<String> =
        entries(&root).into_iter().filter(|entry| entry.explained).map(|entry| entry.name).collect();
    let mut findings = Vec::new();
    for package in packages {
        findings.extend(check(&package.name, &read_text(&package.manifest)?, &ours, &explained));
    }
    Ok(findings)
}

fn check(room: &str, manifest: &str, ours: &[&str], explained: &[String]) -> Vec<Finding> {
    entries(manifest)
        .into_iter()
        .filter(|entry| !entry.explained && !ours.contains(&entry.name.as_str()) && !explained.contains(&entry.name))
        .map(|entry| {
            let problem = format!("`{}` needs a comment above it that says why it is there", entry.name);
            Finding::failure(format!("{room} (Cargo.toml:{})", entry.line), problem)
        })
        .collect()
}

#[derive(Debug, PartialEq)]
struct Entry {
    name: String,
    line: usize,
    explained: bool,
}

/// Returns the dependencies of a manifest, in whatever table they stand.
fn entries(manifest: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut inside = false;
    let mut depth = 0_usize;
    let mut above = "";
    for (number, line) in manifest.lines().enumerate().map(|(number, line)| (number + 1, line.trim())) {
        let explained = above.starts_with('#');
        if depth > 0 {
            depth = depth_after(depth, line);
        } else if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_matches(['[', ']']);
            inside = table.ends_with("dependencies");
            // `[dependencies.name]`: the table itself is the entry.
            if let Some((_, name)) = table.rsplit_once("dependencies.") {
                found.push(Entry { name: name.trim_matches('"').into(), line: number, explained });
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default().trim_matches('"');
            found.push(Entry { name: name.into(), line: number, explained });
            depth = depth_after(0, line);
        }
        above = line;
    }
    found
}

/// Counts open brackets, so that an entry over several lines is one entry.
fn depth_after(depth: usize, line: &str) -> usize {
    line.chars().fold(depth, |depth, character| match character {
        '[' | '{' => depth + 1,
        ']' | '}' => depth.saturating_sub(1),
        _ => depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
[package]
name = \"a\"

[dependencies]
value.workspace = true
# Why b is here.
b = { version = \"1\", features = [
    \"x\",
] }
yrs.workspace = true
c = \"1\"

[target.'cfg(unix)'.dev-dependencies]
d = \"1\"

# Why e is here.
[dependencies.e]
version = \"1\"
";

    #[test]
    fn an_unexplained_dependency_is_found_with_its_line() {
        let found = check("a", MANIFEST, &["value"], &["yrs".into()]);
        let places: Vec<_> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["a (Cargo.toml:11)", "a (Cargo.toml:14)"]);
        assert!(found[0].problem.contains("`c`"));
    }

    #[test]
    fn a_comment_of_another_entry_does_not_count() {
        let manifest = "[dependencies]\n# Why a is here.\na = \"1\"\nb = \"1\"\n";
        assert_eq!(check("x", manifest, &[], &[]).len(), 1);
    }
}
