//! Every Rust file of a package is reached from one of its roots: a file that no `mod` names is not compiled, and its
//! tests never run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Finding;
use super::files::Text;
use super::metadata::Package;

/// Follows the `mod` declarations of every package.
pub fn check(packages: &[Package], texts: &[Text]) -> Vec<Finding> {
    let mut reached = BTreeSet::new();
    for root in packages.iter().flat_map(|package| &package.roots) {
        follow(root, &children_folder(root, true), texts, &mut reached);
    }
    texts
        .iter()
        .filter(|file| file.path.ends_with(".rs") && !reached.contains(&file.absolute))
        .map(|file| Finding::failure(&file.path, "no `mod` reaches this file: it is never compiled"))
        .collect()
}

fn follow(file: &Path, children: &Path, texts: &[Text], reached: &mut BTreeSet<PathBuf>) {
    let Some(text) = texts.iter().find(|text| text.absolute == file) else { return };
    if !reached.insert(file.to_owned()) {
        return;
    }
    for module in declared(&text.text) {
        match module {
            Module::Named(name) => {
                for child in [children.join(format!("{name}.rs")), children.join(&name).join("mod.rs")] {
                    follow(&child, &children_folder(&child, false), texts, reached);
                }
            }
            Module::Placed(path) => {
                let child = normal(&file.parent().unwrap_or(Path::new("")).join(path));
                follow(&child, &children_folder(&child, true), texts, reached);
            }
        }
    }
}

/// Where the modules that a file declares are looked for.
fn children_folder(file: &Path, is_root: bool) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    if is_root || file.ends_with("mod.rs") {
        folder.to_owned()
    } else {
        folder.join(file.file_stem().unwrap_or_default())
    }
}

#[derive(Debug, PartialEq)]
enum Module {
    /// `mod name;`
    Named(String),
    /// `#[path = "…"] mod name;` or `include!("…")`
    Placed(String),
}

/// Returns the modules that a file declares by lines of their own, which is how rustfmt writes them.
fn declared(text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[path") || line.starts_with("include!(") {
            path = line.split('"').nth(1).map(str::to_owned);
            if line.starts_with("include!(") {
                found.extend(path.take().map(Module::Placed));
            }
        } else if let Some(name) = declaration(line) {
            found.push(path.take().map_or_else(|| Module::Named(name.to_owned()), Module::Placed));
        }
    }
    found
}

/// Returns the name in `mod name;`, with any visibility before it and any attribute on its line.
fn declaration(line: &str) -> Option<&str> {
    let line = line.split("//").next()?.trim();
    let before_end = line.strip_suffix(';')?;
    let (before, name) = before_end.rsplit_once(' ')?;
    let word = before.rsplit([' ', ']']).next()?;
    let plain = name.chars().all(|character| character.is_alphanumeric() || character == '_');
    (word == "mod" && plain).then_some(name)
}

/// Resolves `..` by text alone.
fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                result.pop();
            }
            std::path::Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> Text {
        Text { path: path.into(), absolute: Path::new("/r").join(path), text: text.into() }
    }

    fn package(root: &str) -> Package {
        let roots = vec![Path::new("/r").join(root)];
        Package { name: "a".into(), manifest: "/r/a/Cargo.toml".into(), roots, dependencies: vec![] }
    }

    #[test]
    fn a_forgotten_file_is_found() {
        let texts = [
            text(
                "a/src/lib.rs",
                "mod b;\npub(crate) mod c;\n#[cfg(test)]\nmod tests;\n#[path = \"../x/odd.rs\"]\nmod odd;\n",
            ),
            text("a/src/b.rs", "mod inner;\n"),
            text("a/src/b/inner.rs", ""),
            text("a/src/c/mod.rs", "#[cfg(test)] mod deep;\n"),
            text("a/src/c/deep.rs", ""),
            text("a/src/tests.rs", ""),
            text("a/x/odd.rs", ""),
            text("a/src/forgotten.rs", "// mod c;\n"),
            text("a/src/inner.rs", ""),
        ];
        let found = check(&[package("a/src/lib.rs")], &texts);
        let places: Vec<_> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["a/src/forgotten.rs", "a/src/inner.rs"]);
    }

    #[test]
    fn declarations_are_told_from_other_lines() {
        assert_eq!(declaration("pub mod a_b; // why"), Some("a_b"));
        assert_eq!(declaration("mod a {"), None);
        assert_eq!(declaration("use a::mod_b;"), None);
        assert_eq!(declaration("// mod a;"), None);
    }
}
