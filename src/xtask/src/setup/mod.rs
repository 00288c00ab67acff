//! `cargo xtask setup`: installs what is missing, and only that.
//!
//! Every step first looks at the machine, without the network; a second run therefore ends in well under a second. What
//! it installs goes to the user's cache (keyed by version, so a fresh clone finds it), to rustup, to `node_modules`, or,
//! for what only the system can hold, to Debian's packages. What it may not install it names with the command.

mod debian;
mod npm;
pub mod toolchain;

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::process;
use crate::terminal::{Step, step};
use crate::workspace::{Workspace, missing};

/// How much is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Formatting and native tests: cargo alone.
    Native,
    /// Builds of the npm package and the demo.
    Build,
    /// All tests: the browser and its driver too.
    Tests,
}

const NODE_MAJOR_MIN: u32 = 20;

/// Brings the machine to the state that `scope` needs.
pub fn run(workspace: &Workspace, scope: Scope) -> Result<()> {
    if scope == Scope::Native {
        return Ok(());
    }
    step("node", |_| node(workspace), |version| version.clone())?;
    step("wasm target", |step| toolchain::ensure(workspace, step), |toolchain| toolchain.to_string())?;
    let version = workspace.wasm_bindgen_version()?;
    step(format!("wasm-bindgen {version}"), |step| wasm_bindgen(workspace, &version, step), ToString::to_string)?;
    let folders: &[&str] =
        if scope == Scope::Tests { &["pkg", "www", "tests/e2e", "tests/bench"] } else { &["pkg", "www"] };
    for folder in folders {
        step(format!("npm packages of {folder}"), |step| npm::ensure(workspace, folder, step), ToString::to_string)?;
    }
    if scope == Scope::Tests {
        step("chromium and chromedriver", |step| browser(workspace, step), ToString::to_string)?;
    }
    Ok(())
}

/// Where the tests find Chromium; `SHOAL_CHROMIUM` names another one.
pub fn chromium() -> PathBuf {
    std::env::var_os("SHOAL_CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from)
}

/// Where the wasm tests find the driver; `CHROMEDRIVER` names another one.
pub fn chromedriver() -> PathBuf {
    std::env::var_os("CHROMEDRIVER").map_or_else(|| "/usr/bin/chromedriver".into(), PathBuf::from)
}

fn node(workspace: &Workspace) -> Result<String> {
    let advice = "apt-get install nodejs npm, or https://nodejs.org (version 20 or newer)";
    let version = process::output(workspace.program("node").arg("--version"))
        .map_err(|_| missing("node", advice))?
        .trim()
        .to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_MAJOR_MIN) {
        Ok(version)
    } else {
        Err(Error::Missing { what: format!("node {version} is older than {NODE_MAJOR_MIN}"), install: advice.into() })
    }
}

/// The commands must be of exactly the crate's version, so they live in a folder of their own in the cache.
fn wasm_bindgen(workspace: &Workspace, version: &str, step: &mut Step) -> Result<&'static str> {
    let program = workspace.wasm_bindgen_bin()?.join("wasm-bindgen");
    let said = process::output(workspace.program(&program).arg("--version")).unwrap_or_default();
    if said.split_whitespace().nth(1) == Some(version) {
        return Ok("");
    }
    let root = workspace.cache(format!("tools/wasm-bindgen-{version}"));
    let mut install = workspace.cargo(&["install", "wasm-bindgen-cli", "--force", "--version", version, "--root"]);
    install.arg(&root);
    // Most of the build is the test runner's HTTP and TLS crates: a light optimisation takes half the time and the
    // commands are quick enough. `--locked` fails where a registry mirror lags behind the tool's own lock file.
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "32");
    install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    install.env("CARGO_TARGET_DIR", workspace.cache(format!("build/wasm-bindgen-{version}")));
    process::run(&mut install, step).map_err(|error| {
        let command = format!("cargo install wasm-bindgen-cli --version {version} --root {}", root.display());
        error.installing(format!("wasm-bindgen {version}"), command)
    })?;
    // The build's leftovers are of no further use; a failure to remove them harms nobody.
    let _ = std::fs::remove_dir_all(workspace.cache(format!("build/wasm-bindgen-{version}")));
    Ok("installed")
}

fn browser(workspace: &Workspace, step: &mut Step) -> Result<&'static str> {
    if chromium().is_file() && chromedriver().is_file() {
        return Ok("");
    }
    debian::install(workspace, &["chromium", "chromium-driver"], step)?;
    for program in [chromium(), chromedriver()] {
        if !program.is_file() {
            return Err(missing(program.display().to_string(), "set SHOAL_CHROMIUM and CHROMEDRIVER to yours"));
        }
    }
    Ok("installed")
}
