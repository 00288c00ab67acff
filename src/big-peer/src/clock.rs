//! The clocks of this skin: the rooms below get time as an argument, and here is where it comes from.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use value::Millis;

/// Returns the wall clock.
#[expect(clippy::disallowed_methods, reason = "the one place of this skin that reads the wall clock")]
pub fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place of this skin that reads the monotonic clock")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Returns the seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
