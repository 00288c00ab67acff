//! One line a step on the terminal, with the time it took; long steps show that they live.
//!
//! On a terminal the line of the running step is rewritten in place; in a log it is repeated every 20 s.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const REPEAT: Duration = Duration::from_secs(20);
const FRAMES: [&str; 4] = ["◐", "◓", "◑", "◒"];

/// A step that runs.
pub struct Step {
    name: String,
    started: Instant,
    shown: Option<Instant>,
    frame: usize,
    live: bool,
}

impl Step {
    /// Starts a step; `name` is a noun with its version, such as "wasm-bindgen 0.2.130".
    pub fn start(name: impl Into<String>) -> Step {
        let live = std::io::stdout().is_terminal();
        let mut step = Step { name: name.into(), started: Instant::now(), shown: None, frame: 0, live };
        step.tick("");
        step
    }

    /// Shows that the step lives; `last` is the newest line of its output. Called several times a second.
    pub fn tick(&mut self, last: &str) {
        let due = if self.live { Duration::from_millis(200) } else { REPEAT };
        if self.shown.unwrap_or(self.started).elapsed() < due {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = seconds(self.started.elapsed());
        if self.live {
            self.frame = (self.frame + 1) % FRAMES.len();
            let line = cut(&format!("{} {:<34} {elapsed:>8}  {}", FRAMES[self.frame], self.name, last.trim()), 100);
            print!("\r\x1b[2K{line}");
        } else {
            println!("… {:<34} {elapsed:>8}  {}", self.name, cut(last.trim(), 60));
        }
        flush();
    }

    /// Ends the step well; `note` says what was found or made.
    pub fn done(self, note: &str) {
        self.end("✓", note);
    }

    /// Ends the step badly; the error is printed by the caller.
    pub fn failed(self) {
        self.end("✗", "");
    }

    fn end(&self, mark: &str, note: &str) {
        if self.live {
            print!("\r\x1b[2K");
        }
        let line = format!("{mark} {:<34} {:>8}  {note}", self.name, seconds(self.started.elapsed()));
        println!("{}", line.trim_end());
        flush();
    }
}

/// Runs `work` as a step: its result decides the mark, and `note` is made from it.
pub fn step<T, E>(
    name: impl Into<String>,
    work: impl FnOnce(&mut Step) -> Result<T, E>,
    note: impl FnOnce(&T) -> String,
) -> Result<T, E> {
    let mut step = Step::start(name);
    let result = work(&mut step);
    match &result {
        Ok(value) => step.done(&note(value)),
        Err(_) => step.failed(),
    }
    result
}

/// Returns a duration as people read it: "0.3 s", "12 s", "3 min 02 s".
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 10 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if whole < 60 {
        format!("{whole} s")
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

fn cut(text: &str, characters_max: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(characters_max).collect()
}

/// A closed pipe is no reason to stop a build.
fn flush() {
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(340)), "0.3 s");
        assert_eq!(seconds(Duration::from_secs(12)), "12 s");
        assert_eq!(seconds(Duration::from_secs(182)), "3 min 02 s");
    }
}
