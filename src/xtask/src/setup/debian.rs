//! Debian's packages: the browser, and a Rust compiler for wasm where rustup's server cannot be reached.

use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result};
use crate::process;
use crate::terminal::Step;
use crate::workspace::{Workspace, missing};

const RUSTC: &str = "/usr/bin/rustc";
const RUSTLIB: &str = "/usr/lib/rustlib";
const HOST: &str = "x86_64-unknown-linux-gnu";
const WASM: &str = "wasm32-unknown-unknown";

/// Installs packages with apt-get; if we are not root, names the command instead.
pub fn install(workspace: &Workspace, packages: &[&str], step: &mut Step) -> Result<()> {
    let command = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    let root = process::output(workspace.program("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root {
        return Err(Error::Missing {
            what: format!("{} must be installed by root", packages.join(" and ")),
            install: format!("sudo sh -c '{command}'"),
        });
    }
    if !process::succeeds(workspace.program("apt-get").arg("--version")) {
        return Err(missing(packages.join(" and "), "install them with your system's package manager"));
    }
    let failed = |error: Error| error.installing(packages.join(" and "), &command);
    process::run(workspace.program("apt-get").arg("update"), step).map_err(failed)?;
    let mut apt = workspace.program("apt-get");
    apt.args(["install", "-y", "--no-install-recommends"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    process::run(&mut apt, step).map_err(failed)
}

/// Says whether the `debian` toolchain is linked and has the standard library for wasm.
pub fn has_wasm_toolchain(workspace: &Workspace) -> bool {
    wasm_library().join(".complete").is_file()
        && process::output(workspace.program("rustup").args(["toolchain", "list"]))
            .is_ok_and(|list| list.lines().any(|line| line.split_whitespace().next() == Some("debian")))
}

/// Installs Debian's compiler, builds the standard library for wasm from the matching source package, and links both to
/// rustup as the toolchain `debian`. About 90 s of CPU.
pub fn install_wasm_toolchain(workspace: &Workspace, step: &mut Step) -> Result<()> {
    install(workspace, &["rustc-web", "rust-web-src"], step)?;
    link_linker(workspace)?;
    build_standard_library(workspace, step)?;
    process::run(workspace.program("rustup").args(["toolchain", "link", "debian", "/usr"]), step)
}

fn wasm_library() -> PathBuf {
    Path::new(RUSTLIB).join(WASM).join("lib")
}

/// Debian's compiler comes without a linker for wasm; rustup's stable toolchain has one.
fn link_linker(workspace: &Workspace) -> Result<()> {
    let link = Path::new(RUSTLIB).join(HOST).join("bin/rust-lld");
    if link.exists() {
        return Ok(());
    }
    let sysroot =
        process::output(workspace.program("rustc").args(["--print", "sysroot"]).env("RUSTUP_TOOLCHAIN", "stable"))?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(HOST).join("bin/rust-lld");
    if !linker.is_file() {
        return Err(missing("rust-lld", "apt-get install lld, then link it to /usr/lib/rustlib/…/bin/rust-lld"));
    }
    let folder = link.parent().expect("the path has a parent");
    std::fs::create_dir_all(folder).doing(|| format!("create {}", folder.display()))?;
    std::os::unix::fs::symlink(&linker, &link).doing(|| format!("link {}", link.display()))
}

/// The nightly switches are for the standard library's own build; nothing built with the result needs them.
fn build_standard_library(workspace: &Workspace, step: &mut Step) -> Result<()> {
    let source = Path::new(RUSTLIB).join("src/rust/library");
    let scratch = workspace.cache("build/wasm-standard-library");
    let mut build = workspace.program("cargo");
    build
        .current_dir(&source)
        .args(["build", "--locked", "--release", "--target", WASM, "--manifest-path", "sysroot/Cargo.toml"])
        .args(["--config", "profile.release.package.compiler_builtins.codegen-units=1", "--target-dir"])
        .arg(&scratch)
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes -Zforce-unstable-if-unmarked");
    process::run(&mut build, step)?;
    let library = wasm_library();
    std::fs::create_dir_all(&library).doing(|| format!("create {}", library.display()))?;
    let built = scratch.join(WASM).join("release/deps");
    for entry in std::fs::read_dir(&built).doing(|| format!("read {}", built.display()))? {
        let file = entry.doing(|| format!("read {}", built.display()))?.path();
        if file.extension().is_some_and(|extension| extension == "rlib") {
            let name = file.file_name().expect("a directory entry has a name");
            std::fs::copy(&file, library.join(name)).doing(|| format!("copy {}", file.display()))?;
        }
    }
    // Written last: without it the library counts as absent.
    std::fs::write(library.join(".complete"), "").doing(|| format!("write into {}", library.display()))?;
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}
