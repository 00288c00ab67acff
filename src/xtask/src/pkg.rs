//! `cargo xtask pkg`: the npm package, from the wasm room and the TypeScript facade to `pkg/dist`.
//!
//! ```text
//! src/web ─ cargo ─► web.wasm ─ wasm-bindgen ─► dist/wasm/shoal.{js,d.ts}, shoal_bg.wasm ─ wasm-opt ─► dist/shoal.wasm
//! pkg/src/{index,worker}.ts + dist/wasm/shoal.js ─ esbuild ─► dist/{index,worker}.js;   pkg/src ─ tsc ─► dist/*.d.ts
//! ```
//!
//! Each step is skipped when its inputs did not change; cargo knows its own.

use std::path::PathBuf;

use crate::error::{Doing, Error, Result};
use crate::process;
use crate::stamp::Stamp;
use crate::terminal::step;
use crate::workspace::{Workspace, missing};

const WASM_BINDGEN_FLAGS: [&str; 5] = ["--target", "web", "--out-name", "shoal", "--omit-default-module-path"];

/// The features that Rust's wasm32-unknown-unknown uses; wasm-opt must be told, since `strip` takes the list away.
const WASM_OPT_FLAGS: [&str; 9] = [
    "-O3",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--strip-debug",
    "--strip-producers",
];

const ESBUILD_FLAGS: [&str; 7] = [
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--platform=neutral",
    "--external:node:*",
    "--minify",
    "--sourcemap=linked",
];

/// What the package's users and the demo import.
const ENTRIES: [&str; 2] = ["index", "worker"];

/// Builds whatever is out of date.
pub fn run(workspace: &Workspace) -> Result<()> {
    let note = |done: &bool| if *done { String::new() } else { "unchanged".into() };
    step("web to wasm", |step| process::run(&mut compile(workspace), step), |()| String::new())?;
    step("wasm-bindgen", |step| bind(workspace, step), note)?;
    step("wasm-opt", |step| optimise(workspace, step), note)?;
    step("bundle", |step| bundle(workspace, step), note)?;
    step("type declarations", |step| declare(workspace, step), note).map(drop)
}

/// A crate type given here and not in the manifest keeps link-time optimisation, which `["cdylib", "rlib"]` drops.
fn compile(workspace: &Workspace) -> std::process::Command {
    workspace.cargo(&[
        "rustc",
        "--package",
        "web",
        "--lib",
        "--crate-type",
        "cdylib",
        "--profile",
        "wasm",
        "--target",
        "wasm32-unknown-unknown",
    ])
}

type Work<'a> = &'a mut crate::terminal::Step;

fn bind(workspace: &Workspace, step: Work) -> Result<bool> {
    let module = workspace.target("wasm32-unknown-unknown/wasm/web.wasm");
    let outputs =
        ["dist/wasm/shoal.js", "dist/wasm/shoal.d.ts", "dist/wasm/shoal_bg.wasm"].map(|file| at(workspace, file));
    Stamp::of(workspace, "wasm-bindgen")
        .word(workspace.wasm_bindgen_version()?)
        .word(WASM_BINDGEN_FLAGS)
        .path(&module)?
        .unless_fresh(&outputs, || {
            let mut command = workspace.program(workspace.wasm_bindgen_bin()?.join("wasm-bindgen"));
            command.args(WASM_BINDGEN_FLAGS).arg("--out-dir").arg(at(workspace, "dist/wasm")).arg(&module);
            process::run(&mut command, step)
        })
}

fn optimise(workspace: &Workspace, step: Work) -> Result<bool> {
    let module = at(workspace, "dist/wasm/shoal_bg.wasm");
    let output = at(workspace, "dist/shoal.wasm");
    Stamp::of(workspace, "wasm-opt")
        .word(WASM_OPT_FLAGS)
        .path(&at(workspace, "package-lock.json"))?
        .path(&module)?
        .unless_fresh(std::slice::from_ref(&output), || {
            // Moved into place when whole: an interrupted run must not leave half a module.
            let unfinished = output.with_extension("wasm.part");
            let mut command = workspace.npm_program("pkg", "wasm-opt");
            command.args(WASM_OPT_FLAGS).arg(&module).arg("-o").arg(&unfinished);
            process::run(&mut command, step)?;
            std::fs::rename(&unfinished, &output).doing(|| format!("write {}", output.display()))
        })
}

fn bundle(workspace: &Workspace, step: Work) -> Result<bool> {
    let sources: Vec<(PathBuf, PathBuf)> = ENTRIES
        .map(|entry| (at(workspace, &format!("src/{entry}.ts")), at(workspace, &format!("dist/{entry}.js"))))
        .into_iter()
        .filter(|(source, _)| source.is_file())
        .collect();
    if sources.is_empty() {
        return Err(missing("pkg/src/index.ts", "git checkout pkg/src"));
    }
    let outputs: Vec<PathBuf> = sources.iter().map(|(_, output)| output.clone()).collect();
    facade(workspace, "bundle")?.word(ESBUILD_FLAGS).unless_fresh(&outputs, || {
        let mut command = workspace.npm_program("pkg", "esbuild");
        command.args(sources.iter().map(|(source, _)| source)).args(ESBUILD_FLAGS);
        command.arg(format!("--outdir={}", at(workspace, "dist").display())).arg("--log-level=warning");
        process::run(&mut command, step)
    })
}

fn declare(workspace: &Workspace, step: Work) -> Result<bool> {
    let stamp = facade(workspace, "declarations")?.path(&at(workspace, "tsconfig.json"))?;
    stamp.unless_fresh(&[at(workspace, "dist/index.d.ts")], || {
        if !at(workspace, "tsconfig.json").is_file() {
            return Err(missing("pkg/tsconfig.json", "git checkout pkg/tsconfig.json"));
        }
        let mut command = workspace.npm_program("pkg", "tsc");
        command.arg("--project").arg(at(workspace, "tsconfig.json"));
        command
            .args(["--declaration", "--emitDeclarationOnly", "--noEmit", "false", "--rootDir"])
            .arg(at(workspace, "src"));
        command.arg("--outDir").arg(at(workspace, "dist"));
        match process::run(&mut command, step) {
            // The compiler's complaints are the news; its exit status is not.
            Err(Error::Failed { tail, .. }) => {
                Err(Error::Failed { program: "tsc".into(), status: "the types of pkg/src are wrong".into(), tail })
            }
            other => other,
        }
    })
}

/// What the facade's outputs are made from.
fn facade(workspace: &Workspace, name: &str) -> Result<Stamp> {
    Stamp::of(workspace, name)
        .path(&at(workspace, "package-lock.json"))?
        .path(&at(workspace, "src"))?
        .path(&at(workspace, "dist/wasm/shoal.js"))?
        .path(&at(workspace, "dist/wasm/shoal.d.ts"))
}

fn at(workspace: &Workspace, file: &str) -> PathBuf {
    workspace.path("pkg").join(file)
}
