//! Which Rust compiles for wasm: rustup's own, or Debian's where rustup's server cannot be reached.
//!
//! The choice is recorded in the user's cache. One compiler serves the whole workspace, native rooms included: two in one
//! target folder would rebuild every build script and macro at each switch.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::debian;
use crate::error::{Error, Result, write_file};
use crate::process;
use crate::terminal::Step;
use crate::workspace::Workspace;

const WASM: &str = "wasm32-unknown-unknown";
const RECORD: &str = "toolchain";
/// `rustup target add` takes seconds; where its server is not reachable it can hang.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// The compiler of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// Debian's packages, linked to rustup as `debian`.
    Debian,
    /// Whatever rustup would take without us.
    Rustup,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Toolchain::Debian => "Debian's rustc (toolchain `debian`)",
            Toolchain::Rustup => "rustup",
        })
    }
}

/// Returns the choice that was made, without looking at the machine.
pub fn chosen(workspace: &Workspace) -> Toolchain {
    let recorded = std::fs::read_to_string(workspace.cache(RECORD)).is_ok_and(|record| record.trim() == "debian");
    if recorded || forced() { Toolchain::Debian } else { Toolchain::Rustup }
}

/// Makes sure that one of the two compiles for wasm, and records which.
pub fn ensure(workspace: &Workspace, step: &mut Step) -> Result<Toolchain> {
    let toolchain = decide(workspace, step)?;
    if !forced() && chosen(workspace) != toolchain {
        let record = if toolchain == Toolchain::Debian { "debian" } else { "rustup" };
        write_file(&workspace.cache(RECORD), record)?;
    }
    Ok(toolchain)
}

fn decide(workspace: &Workspace, step: &mut Step) -> Result<Toolchain> {
    if !forced() && rustup_has_target(workspace) {
        return Ok(Toolchain::Rustup);
    }
    if debian::has_wasm_toolchain(workspace) {
        return Ok(Toolchain::Debian);
    }
    if !forced() {
        match process::run_within(workspace.program("rustup").args(["target", "add", WASM]), RUSTUP_LIMIT, step) {
            Ok(()) if rustup_has_target(workspace) => return Ok(Toolchain::Rustup),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Ok(()) | Err(_) => step.tick("rustup's server cannot be reached: Debian's packages instead"),
        }
    }
    debian::install_wasm_toolchain(workspace, step)?;
    Ok(Toolchain::Debian)
}

/// For trying the fall-back on a machine that does not need it; a forced choice is not recorded.
fn forced() -> bool {
    std::env::var_os("SHOAL_FORCE_DEBIAN_TOOLCHAIN").is_some_and(|value| value == "1")
}

fn rustup_has_target(workspace: &Workspace) -> bool {
    let mut rustc = workspace.program("rustc");
    rustc.args(["--print", "target-libdir", "--target", WASM]);
    process::output(&mut rustc).is_ok_and(|folder| {
        std::fs::read_dir(Path::new(folder.trim())).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
        })
    })
}
