//! The command line: words in, a `Command` out. No defaults are applied anywhere else.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::bench;
use crate::bench::driver::{Extent, Size, Subject};
use crate::error::{Error, Result};
use crate::setup::Scope;
use crate::test::Stage;
use crate::tidy::Mode;

/// What `--help` prints.
pub const USAGE: &str = "\
cargo xtask COMMAND

  demo [--port 8090] [--big-peer-port 8091] [--data .data]
                          builds everything, starts a Big Peer with real data and serves the demo
  test [--only tidy|format|native|sim|browser|size|package|bench|e2e] [-- ARGUMENTS]
                          runs every test, or one stage; ARGUMENTS go to its test runner
  nightly                 what takes too long for every run: 200 kills of browsers, 10,000 seeds of the simulator
  setup [--tests]         installs what is missing (with --tests: the browser and its driver too)
  pkg                     builds the npm package into pkg/dist
  bench size [--json FILE]
                          prints the size of the packed module, and fails above the limit
  bench store [--quick] [--json FILE]
                          measures the engine in Chromium beside Dexie, RxDB, PouchDB, Yjs and IndexedDB by hand;
                          with JSON also the charts beside it (--quick: a minute instead of a quarter of an hour)
  bench dql [--quick] [--json FILE]
                          the same for statements, beside SQLite, Dexie and RxDB
  bench sync [--quick] [--rounds N] [--json FILE]
                          the same for sync with a server, beside Yjs, RxDB and PouchDB; --rounds works for all three
  sim [--seeds N] [--from SEED] [--seed SEED] ...
                          runs the simulator; all arguments go to it
  tidy [--fix]            checks arrows between rooms, sizes, forgotten files and docs/errors.md
                          (--fix writes docs/errors.md)
";

/// A whole command line.
#[derive(Debug, PartialEq)]
pub enum Command {
    Bench(bench::Options),
    Demo(DemoOptions),
    Help,
    Nightly,
    Pkg,
    Setup(Scope),
    Sim(Vec<OsString>),
    Test(TestOptions),
    Tidy(Mode),
}

/// Options of `demo`.
#[derive(Debug, PartialEq)]
pub struct DemoOptions {
    /// The demo's own port.
    pub port: u16,
    /// The Big Peer's port.
    pub big_peer_port: u16,
    /// The Big Peer's directory, relative to the caller's.
    pub data: Option<PathBuf>,
}

/// Options of `test`.
#[derive(Debug, Default, PartialEq)]
pub struct TestOptions {
    /// One stage instead of all.
    pub only: Option<Stage>,
    /// Arguments to the stage's test runner.
    pub rest: Vec<OsString>,
}

/// Reads the words after `cargo xtask`.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Command> {
    let mut parser = lexopt::Parser::from_args(words);
    let command = match parser.next().map_err(wrong)? {
        None | Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Value(word)) => word.string().map_err(wrong)?,
        Some(other) => return Err(wrong(other.unexpected())),
    };
    match command.as_str() {
        "bench" => bench(&mut parser),
        "demo" => demo(&mut parser),
        "help" => Ok(Command::Help),
        "nightly" => end(&mut parser, Command::Nightly),
        "pkg" => end(&mut parser, Command::Pkg),
        "setup" => {
            let tests = flag(&mut parser, "tests")?;
            Ok(Command::Setup(if tests { Scope::Tests } else { Scope::Build }))
        }
        "sim" => Ok(Command::Sim(parser.raw_args().map_err(wrong)?.collect())),
        "test" => test(&mut parser),
        "tidy" => {
            let fix = flag(&mut parser, "fix")?;
            Ok(Command::Tidy(if fix { Mode::Fix } else { Mode::Check }))
        }
        other => Err(Error::Argument(format!("there is no command `{other}`"))),
    }
}

fn bench(parser: &mut lexopt::Parser) -> Result<Command> {
    let mut size = Size { extent: Extent::Full, rounds: None };
    let subject = match parser.next().map_err(wrong)? {
        Some(Value(word)) if word == "size" => None,
        Some(Value(word)) => Some(word.to_str().and_then(Subject::named).ok_or_else(bench_unnamed)?),
        _ => return Err(bench_unnamed()),
    };
    let mut json = None;
    while let Some(word) = parser.next().map_err(wrong)? {
        match word {
            Long("json") => json = Some(parser.value().map_err(wrong)?.into()),
            Long("quick") if subject.is_some() => size.extent = Extent::Quick,
            Long("rounds") if subject.is_some() => {
                size.rounds = Some(parser.value().and_then(|value| value.parse()).map_err(wrong)?);
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    let name = subject.map_or(bench::Name::Size, |subject| bench::Name::Driven(subject, size));
    Ok(Command::Bench(bench::Options { name, json }))
}

fn bench_unnamed() -> Error {
    Error::Argument("bench needs a name: dql, size, store or sync".into())
}

fn demo(parser: &mut lexopt::Parser) -> Result<Command> {
    let mut options = DemoOptions { port: 8090, big_peer_port: 8091, data: None };
    while let Some(word) = parser.next().map_err(wrong)? {
        match word {
            Long("port") => options.port = parser.value().and_then(|value| value.parse()).map_err(wrong)?,
            Long("big-peer-port") => {
                options.big_peer_port = parser.value().and_then(|value| value.parse()).map_err(wrong)?;
            }
            Long("data") => options.data = Some(parser.value().map_err(wrong)?.into()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(Command::Demo(options))
}

fn test(parser: &mut lexopt::Parser) -> Result<Command> {
    let mut options = TestOptions::default();
    while let Some(word) = parser.next().map_err(wrong)? {
        match word {
            Long("only") => {
                let name = parser.value().and_then(|value| value.string()).map_err(wrong)?;
                let stage =
                    Stage::named(&name).ok_or_else(|| Error::Argument(format!("there is no stage `{name}`")))?;
                options.only = Some(stage);
            }
            // Words after `--` arrive as values; a flag among them is one too.
            Value(word) => options.rest.push(word),
            other => return Err(wrong(other.unexpected())),
        }
    }
    if options.only.is_none() && !options.rest.is_empty() {
        return Err(Error::Argument("arguments after -- need --only STAGE".into()));
    }
    Ok(Command::Test(options))
}

fn flag(parser: &mut lexopt::Parser, name: &str) -> Result<bool> {
    let mut given = false;
    while let Some(word) = parser.next().map_err(wrong)? {
        match word {
            Long(word) if word == name => given = true,
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(given)
}

fn end(parser: &mut lexopt::Parser, command: Command) -> Result<Command> {
    match parser.next().map_err(wrong)? {
        None => Ok(command),
        Some(other) => Err(wrong(other.unexpected())),
    }
}

fn wrong(error: lexopt::Error) -> Error {
    Error::Argument(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn words_become_commands() {
        assert_eq!(parsed("").ok(), Some(Command::Help));
        assert_eq!(parsed("nightly").ok(), Some(Command::Nightly));
        assert_eq!(parsed("setup --tests").ok(), Some(Command::Setup(Scope::Tests)));
        assert_eq!(parsed("tidy --fix").ok(), Some(Command::Tidy(Mode::Fix)));
        assert_eq!(parsed("sim --seeds 3").ok(), Some(Command::Sim(vec!["--seeds".into(), "3".into()])));
        for (name, subject) in [("store", Subject::Store), ("dql", Subject::Dql), ("sync", Subject::Sync)] {
            let size = Size { extent: Extent::Quick, rounds: NonZeroU32::new(2) };
            let bench = bench::Options { name: bench::Name::Driven(subject, size), json: Some("f".into()) };
            assert_eq!(parsed(&format!("bench {name} --quick --rounds 2 --json f")).ok(), Some(Command::Bench(bench)));
        }
        let demo = DemoOptions { port: 1, big_peer_port: 8091, data: Some("d".into()) };
        assert_eq!(parsed("demo --port 1 --data d").ok(), Some(Command::Demo(demo)));
        let test = TestOptions { only: Some(Stage::Native), rest: vec!["--nocapture".into()] };
        assert_eq!(parsed("test --only native -- --nocapture").ok(), Some(Command::Test(test)));
    }

    #[test]
    fn wrong_words_are_named() {
        for line in [
            "nothing",
            "setup --test",
            "demo --port x",
            "bench",
            "bench size --quick",
            "bench size --rounds 1",
            "bench sim",
            "bench sync --rounds 0",
            "test --only all",
            "pkg now",
            "test -- x",
        ] {
            assert!(matches!(parsed(line), Err(Error::Argument(_))), "{line}");
        }
    }
}
