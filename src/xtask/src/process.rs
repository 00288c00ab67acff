//! Programs we start: every one in its own process group, watched until it ends, and stopped when we are.
//!
//! Ctrl-C and SIGTERM set a flag; whoever waits for a program sees it within 100 ms, stops the program's whole group
//! (SIGTERM, five seconds later SIGKILL) and returns `Error::Interrupted`. So no build and no server outlives us.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Doing, Error, Result};
use crate::terminal::{Step, seconds};

static STOP: AtomicBool = AtomicBool::new(false);

const TICK: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(5);
/// Far above any build; only what hangs meets it.
const LIMIT: Duration = Duration::from_secs(45 * 60);
const TAIL_LINES: usize = 40;

/// Turns Ctrl-C, SIGTERM and SIGHUP into the flag that `stopping` reads.
pub fn catch_signals() {
    ctrlc::set_handler(|| STOP.store(true, Ordering::SeqCst)).expect("the handler is set once, at the start");
}

/// Says whether we were asked to stop.
pub fn stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// Runs a program whose output matters only if it fails: its newest line shows in the step, its tail in the error.
pub fn run(command: &mut Command, step: &mut Step) -> Result<()> {
    run_within(command, LIMIT, step)
}

/// As `run`, but stops a program that does not end within `limit`.
pub fn run_within(command: &mut Command, limit: Duration, step: &mut Step) -> Result<()> {
    let mut tail = VecDeque::new();
    let status = watch(command, limit, |line| match line {
        Some(line) => {
            step.tick(&line);
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        None => step.tick(tail.back().map_or("", |line: &String| line.as_str())),
    })?;
    judge(command, status, tail.into())
}

/// Runs a program whose output is the point: it is printed as it comes, and returned.
/// A program that does not end within `limit` is stopped.
pub fn run_shown(command: &mut Command, limit: Duration) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let status = watch(command, limit, |line| {
        if let Some(line) = line {
            println!("{line}");
            lines.push(line);
        }
    })?;
    judge(command, status, Vec::new())?;
    Ok(lines)
}

/// Runs a short program and returns what it wrote to its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let program = name(command);
    let output = command.stdin(Stdio::null()).output().map_err(|cause| not_started(&program, cause))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let tail = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
        Err(Error::Failed { program, status: output.status.to_string(), tail })
    }
}

/// Says whether a short program runs and ends well; its output is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A server of ours. Dropping it stops its group.
pub struct Server {
    child: Child,
    program: String,
}

impl Server {
    /// Starts a program that runs until it is stopped; it shares our terminal.
    pub fn start(command: &mut Command) -> Result<Server> {
        let program = name(command);
        let child =
            command.stdin(Stdio::null()).process_group(0).spawn().map_err(|cause| not_started(&program, cause))?;
        Ok(Server { child, program })
    }

    /// Returns an error if the program has ended by itself.
    pub fn alive(&mut self) -> Result<()> {
        match self.child.try_wait().doing(|| format!("wait for {}", self.program))? {
            None => Ok(()),
            Some(status) => Err(Error::Failed {
                program: self.program.clone(),
                status: format!("ended early, {status}"),
                tail: vec![],
            }),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Starts `command`, hands over each line as it comes and `None` on every tick, and returns when it has ended.
fn watch(command: &mut Command, limit: Duration, mut seen: impl FnMut(Option<String>)) -> Result<ExitStatus> {
    let program = name(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|cause| not_started(&program, cause))?;
    let (sender, lines) = channel();
    forward(child.stdout.take(), sender.clone());
    forward(child.stderr.take(), sender);
    let started = Instant::now();
    loop {
        let ended = child.try_wait().doing(|| format!("wait for {program}"))?;
        drain(&lines, &mut seen);
        if let Some(status) = ended {
            // What a grandchild still holds open is not waited for longer than this.
            while let Ok(line) = lines.recv_timeout(TICK) {
                seen(Some(line));
            }
            return Ok(status);
        }
        if stopping() {
            stop(&mut child);
            return Err(Error::Interrupted);
        }
        if started.elapsed() > limit {
            stop(&mut child);
            let status = format!("did not end within {} and was stopped", seconds(limit));
            return Err(Error::Failed { program, status, tail: vec![] });
        }
    }
}

fn drain(lines: &Receiver<String>, seen: &mut impl FnMut(Option<String>)) {
    match lines.recv_timeout(TICK) {
        Ok(line) => {
            seen(Some(line));
            while let Ok(line) = lines.try_recv() {
                seen(Some(line));
            }
        }
        Err(RecvTimeoutError::Timeout) => seen(None),
        // Both pipes are closed but the program runs: do not spin.
        Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
    }
}

fn forward(pipe: Option<impl Read + Send + 'static>, sender: Sender<String>) {
    let pipe = pipe.expect("both pipes were asked for");
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
}

/// Asks the whole group to end, waits, then makes it. A group that is already gone is what we want.
fn stop(child: &mut Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id fits"));
    if matches!(child.try_wait(), Ok(None)) {
        let _ = killpg(group, Signal::SIGTERM);
        let asked = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < GRACE {
            std::thread::sleep(TICK);
        }
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

fn judge(command: &Command, status: ExitStatus, tail: Vec<String>) -> Result<()> {
    if status.success() {
        Ok(())
    } else if stopping() {
        Err(Error::Interrupted)
    } else {
        Err(Error::Failed { program: name(command), status: status.to_string(), tail })
    }
}

fn not_started(program: &str, cause: std::io::Error) -> Error {
    Error::Io { doing: format!("start `{program}`"), cause }
}

/// Returns the program's own name and its first two words, enough to know which step it was.
fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = command.get_args().take(2).map(|word| word.to_string_lossy());
    std::iter::once(program.to_string_lossy()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_end_of_the_output() {
        let mut step = Step::start("test");
        let error = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), &mut step);
        match error {
            Err(Error::Failed { status, tail, .. }) => {
                assert!(status.contains('3'), "{status}");
                assert_eq!(tail.len(), 2);
            }
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    #[test]
    fn a_program_that_hangs_is_stopped_with_its_children() {
        let started = Instant::now();
        let error = run_shown(Command::new("sh").args(["-c", "sleep 60 & sleep 60"]), Duration::from_millis(200));
        assert!(matches!(error, Err(Error::Failed { .. })));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_server_is_stopped_when_dropped() {
        let server = Server::start(Command::new("sleep").arg("60")).expect("sleep is everywhere");
        let started = Instant::now();
        drop(server);
        assert!(started.elapsed() < GRACE);
    }
}
