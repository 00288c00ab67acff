//! What cargo knows of the workspace's packages, cut down to what the checks ask.

use std::path::PathBuf;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::process;
use crate::workspace::Workspace;

/// A package of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name; for a room, its folder's name too.
    pub name: String,
    /// Its manifest, as an absolute path.
    pub manifest: PathBuf,
    /// The root files of its targets, as absolute paths.
    pub roots: Vec<PathBuf>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
}

/// One entry of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package that is named.
    pub name: String,
    /// Whether only tests see it.
    pub dev: bool,
    /// Whether it is a folder of ours.
    pub local: bool,
}

/// Asks cargo; no network, no resolution.
pub fn packages(workspace: &Workspace) -> Result<Vec<Package>> {
    let manifest = workspace.path("Cargo.toml");
    let mut cargo = workspace.program("cargo");
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]).arg(manifest);
    parse(&process::output(&mut cargo)?).ok_or_else(|| Error::Unexpected("`cargo metadata` has another form".into()))
}

fn parse(text: &str) -> Option<Vec<Package>> {
    let metadata: Value = serde_json::from_str(text).ok()?;
    metadata["packages"].as_array()?.iter().map(package).collect()
}

fn package(value: &Value) -> Option<Package> {
    let dependency = |value: &Value| {
        Some(Dependency {
            name: value["name"].as_str()?.to_owned(),
            dev: value["kind"] == "dev",
            local: value["path"].is_string(),
        })
    };
    Some(Package {
        name: value["name"].as_str()?.to_owned(),
        manifest: value["manifest_path"].as_str()?.into(),
        roots: value["targets"]
            .as_array()?
            .iter()
            .map(|target| Some(target["src_path"].as_str()?.into()))
            .collect::<Option<_>>()?,
        dependencies: value["dependencies"].as_array()?.iter().map(dependency).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_read() {
        let workspace = Workspace::find().expect("tests run in the repository");
        let packages = packages(&workspace).expect("cargo is here");
        let xtask = packages.iter().find(|package| package.name == "xtask").expect("that is us");
        assert!(xtask.dependencies.iter().any(|dependency| dependency.name == "value" && dependency.local));
        assert!(xtask.roots.iter().any(|root| root.ends_with("src/xtask/src/main.rs")));
    }
}
