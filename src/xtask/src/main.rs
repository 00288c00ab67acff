//! `cargo xtask`: all automation of the project, in Rust.
//!
//! Each command is a module with one entry, `run`. A command installs what it needs and nothing else; a second run finds
//! everything in place and makes no network access. Nothing here knows the protocol, the language or a format: rooms are
//! built and started as a user would, from the outside. After matklad's `cargo xtask`
//! (github.com/matklad/cargo-xtask).

#![expect(clippy::disallowed_methods, reason = "automation measures real time and waits for real programs")]

mod arguments;
mod bench;
mod demo;
mod error;
mod http;
mod nightly;
mod pkg;
mod process;
mod setup;
mod sim;
mod stamp;
mod terminal;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use arguments::Command;
use error::Result;
use workspace::Workspace;

fn main() -> ExitCode {
    process::catch_signals();
    match arguments::parse(std::env::args_os().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", error.report());
            error.exit_code()
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Demo(options) => demo::run(&workspace, &options),
        Command::Help => {
            print!("{}", arguments::USAGE);
            Ok(())
        }
        Command::Nightly => nightly::run(&workspace),
        Command::Pkg => {
            setup::run(&workspace, setup::Scope::Build)?;
            pkg::run(&workspace)
        }
        Command::Setup(scope) => setup::run(&workspace, scope),
        Command::Sim(rest) => sim::run(&workspace, &rest),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Tidy(mode) => tidy::run(&workspace, mode),
    }
}
