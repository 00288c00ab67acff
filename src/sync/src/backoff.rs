//! Waiting times between tries: exponential, jittered, bounded.

/// Counts failures and says how long to wait after each.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// First waiting time, milliseconds.
    pub const FIRST_MS: u64 = 250;
    /// Longest waiting time, milliseconds.
    pub const LONGEST_MS: u64 = 15_000;

    /// Counts a failure and returns how many milliseconds to wait: between half and all of the doubled time.
    /// `random` is any number; it places the wait in that span.
    pub fn failed(&mut self, random: u64) -> u64 {
        let span = (Backoff::FIRST_MS << self.failures.min(10)).min(Backoff::LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        span / 2 + random % (span / 2 + 1)
    }

    /// Forgets the failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}
