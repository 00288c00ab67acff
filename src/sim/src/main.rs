//! `shoal-sim`: runs seeds and tells what fails. `cargo xtask sim` builds it with optimisation and starts it.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use sim::{Checker, Class, Failure, Lines, Options, Outcome, Stats, run, run_twice, shrink};

const USAGE: &str = "\
Usage: cargo xtask sim [options]

  --seeds N      run N seeds (default 1000)
  --from S       the first of them (default 0)
  --seed S       run one seed, twice, and compare
  --peers N      Small Peers (default 3)
  --steps N      statements, roughly (default 120)
  --without A,B  leave classes of trouble out; a run with them is another run:
                 attachments crashes cuts deletes disks evictions indexes initial media mesh parted partitions partial power rich
                 skew tabs transactions wild
  --trace        print everything that happens (with --seed)
  --keep-going   do not stop at the first failure; tell all
  --help         this text
";

/// Every so many seeds one is run twice.
const TWICE_EVERY: u64 = 16;

struct Plan {
    seeds: std::ops::Range<u64>,
    single: bool,
    keep_going: bool,
    options: Options,
}

fn main() -> ExitCode {
    let plan = match parse(std::env::args().skip(1)) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if simulate(&plan) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the seeds and returns how many failed.
fn simulate(plan: &Plan) -> u64 {
    let (mut sum, mut failed, mut done) = (Stats::default(), 0, 0);
    let shown = std::io::stdout().is_terminal() && !plan.single;
    let total = plan.seeds.end - plan.seeds.start;
    for seed in plan.seeds.clone() {
        let twice = (plan.single && plan.options.lines == Lines::None) || (!plan.single && seed % TWICE_EVERY == 0);
        let outcome = if twice { run_twice(seed, &plan.options) } else { run(seed, &plan.options) };
        sum += outcome.stats;
        done += 1;
        if shown && done % 10 == 0 {
            print!("\r{done} of {total} seeds");
            let _ = std::io::stdout().flush();
        }
        if let Some(failure) = &outcome.failure {
            failed += 1;
            report(plan, &outcome, failure);
            if !plan.keep_going {
                break;
            }
        } else if plan.single {
            println!("seed {seed}: trace hash {:016x}", outcome.hash);
        }
    }
    if shown {
        print!("\r");
    }
    println!("{done} seeds, {failed} failed");
    for (count, what) in sum.told() {
        println!("{count:>12} {what}");
    }
    failed
}

fn report(plan: &Plan, outcome: &Outcome, failure: &Failure) {
    let seed = outcome.seed;
    println!("\nseed {seed} FAILED, checker {:?}, at {} ms:", failure.checker, failure.at.0);
    println!("  {}", failure.text);
    println!("  replay: cargo xtask sim --seed {seed}{}", arguments(&plan.options));
    if plan.keep_going || plan.options.lines == Lines::Printed || failure.checker == Checker::Determinism {
        return;
    }
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (smaller, found) = shrink(seed, &plan.options, failure.checker);
    std::panic::set_hook(quiet);
    if let Some(Failure { text, at, .. }) = found.and_then(|outcome| outcome.failure) {
        println!("  smaller: at {} ms: {text}", at.0);
        println!("  replay: cargo xtask sim --seed {seed}{} --trace", arguments(&smaller));
    }
}

/// Returns the options that are not the default, as typed.
fn arguments(options: &Options) -> String {
    let usual = Options::default();
    let mut text = String::new();
    if options.peers != usual.peers {
        text.push_str(&format!(" --peers {}", options.peers));
    }
    if options.steps != usual.steps {
        text.push_str(&format!(" --steps {}", options.steps));
    }
    let named = Class::ALL.iter().filter(|(_, class)| options.without.contains(class));
    let names: Vec<&str> = named.map(|(name, _)| *name).collect();
    if !names.is_empty() {
        text.push_str(&format!(" --without {}", names.join(",")));
    }
    text
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
    let (mut from, mut count, mut single, mut keep_going) = (0, 1000, None, false);
    let mut options = Options::default();
    while let Some(name) = args.next() {
        let mut number = || -> Result<u64, String> {
            let text = args.next().ok_or_else(|| format!("{name} needs a number"))?;
            text.parse().map_err(|_| format!("{name} needs a number, and {text} is none"))
        };
        match name.as_str() {
            "--from" => from = number()?,
            "--help" | "-h" => return Ok(None),
            "--keep-going" => keep_going = true,
            "--peers" => options.peers = number()?.clamp(1, 20) as usize,
            "--seed" => single = Some(number()?),
            "--seeds" => count = number()?,
            "--steps" => options.steps = number()? as usize,
            "--trace" => options.lines = Lines::Printed,
            "--without" => options.without = classes(&args.next().unwrap_or_default())?,
            _ => return Err(format!("{name} is not an option")),
        }
    }
    if options.lines == Lines::Printed && single.is_none() {
        return Err("--trace goes with --seed".to_owned());
    }
    let seeds = match single {
        Some(seed) => seed..seed + 1,
        None => from..from + count,
    };
    Ok(Some(Plan { seeds, single: single.is_some(), keep_going, options }))
}

fn classes(text: &str) -> Result<BTreeSet<Class>, String> {
    let find = |name: &str| Class::ALL.iter().find(|(known, _)| *known == name).map(|(_, class)| *class);
    text.split(',').map(|name| find(name).ok_or_else(|| format!("{name} is not a class of trouble"))).collect()
}
