//! Where things are: the repository, its target folder, the user's cache; and how programs of the project are started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result, read_text};
use crate::setup::toolchain::{self, Toolchain};

/// The repository and what belongs to it.
pub struct Workspace {
    root: PathBuf,
    cache: PathBuf,
}

impl Workspace {
    /// Finds the repository from the place of this crate's sources, so that any working directory will do.
    pub fn find() -> Result<Workspace> {
        let manifest =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest
            .ancestors()
            .nth(2)
            .filter(|root| root.join("src/xtask/Cargo.toml").is_file())
            .ok_or_else(|| Error::Unexpected(format!("no repository above {}", manifest.display())))?
            .to_owned();
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let cache = cache
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .ok_or_else(|| missing("a home directory", "set HOME or XDG_CACHE_HOME"))?
            .join("shoal");
        Ok(Workspace { root, cache })
    }

    /// Returns a path inside the repository.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Returns a path inside the user's cache, shared by all clones on this machine.
    pub fn cache(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.cache.join(relative)
    }

    /// Returns the one target folder of all builds; `CARGO_TARGET_DIR` is honoured.
    pub fn target(&self, relative: impl AsRef<Path>) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.path("target"), |folder| self.root.join(folder))
            .join(relative)
    }

    /// Returns the exact version that the root manifest pins for wasm-bindgen.
    pub fn wasm_bindgen_version(&self) -> Result<String> {
        let manifest = read_text(&self.path("Cargo.toml"))?;
        pinned(&manifest, "wasm-bindgen")
            .ok_or_else(|| Error::Unexpected("Cargo.toml does not pin wasm-bindgen as \"=X.Y.Z\"".into()))
    }

    /// Returns the folder of the wasm-bindgen commands of the pinned version.
    pub fn wasm_bindgen_bin(&self) -> Result<PathBuf> {
        Ok(self.cache(format!("tools/wasm-bindgen-{}/bin", self.wasm_bindgen_version()?)))
    }

    /// Returns cargo for a build in this workspace, with the toolchain that set-up chose.
    pub fn cargo(&self, words: &[&str]) -> Command {
        let mut command = self.program("cargo");
        command.args(words);
        match toolchain::chosen(self) {
            Toolchain::Debian => command.env("RUSTUP_TOOLCHAIN", "debian"),
            Toolchain::Rustup => &mut command,
        };
        command
    }

    /// Returns a program that starts in the repository and does not inherit what cargo told *us* about this crate: build
    /// scripts that watch those variables would run again.
    pub fn program(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name.as_ref());
            }
        }
        command
    }

    /// Returns a program that an npm package brought into `folder/node_modules`.
    pub fn npm_program(&self, folder: &str, program: &str) -> Command {
        self.program(self.path(folder).join("node_modules/.bin").join(program))
    }
}

/// Says that something is not there, and what to do.
pub fn missing(what: impl Into<String>, install: impl Into<String>) -> Error {
    Error::Missing { what: format!("{} is missing", what.into()), install: install.into() }
}

fn pinned(manifest: &str, name: &str) -> Option<String> {
    let line = manifest.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
    let version = line.split('"').nth(1)?.strip_prefix('=')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_is_read_and_nothing_looser() {
        let manifest = "wasm-bindgen-futures = \"=9\"\nwasm-bindgen = \"=0.2.130\"\nyrs = \"1\"\n";
        assert_eq!(pinned(manifest, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(pinned(manifest, "yrs"), None);
    }

    #[test]
    fn this_repository_is_found_and_pins_wasm_bindgen() {
        let workspace = Workspace::find().expect("tests run in the repository");
        assert!(workspace.path("Cargo.toml").is_file());
        assert!(workspace.wasm_bindgen_version().is_ok());
    }
}
