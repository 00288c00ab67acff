//! Time: milliseconds, and the hybrid logical clock that stamps every change.

use std::fmt;

use crate::limits::CLOCK_PULL_MS_MAX;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Returns the time that many milliseconds later.
    pub fn plus(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }

    /// Returns how many milliseconds passed since the earlier time; 0 when it is not earlier.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A reading of the hybrid logical clock: 48 bits of milliseconds, 16 bits of counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The beginning of time: the stamp of initial documents.
    pub const ZERO: Hlc = Hlc(0);

    /// Returns the first reading of a millisecond.
    pub fn from_millis(now: Millis) -> Hlc {
        Hlc(now.0 << 16)
    }

    /// Returns the physical part.
    pub fn millis(self) -> Millis {
        Millis(self.0 >> 16)
    }

    /// Returns the next reading.
    pub fn next(self) -> Hlc {
        Hlc(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// The hybrid logical clock of one engine. Time is an argument.
#[derive(Clone, Copy, Debug, Default)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// Starts after a known reading.
    pub fn new(last: Hlc) -> HlcClock {
        HlcClock { last }
    }

    /// Returns the latest reading.
    pub fn last(&self) -> Hlc {
        self.last
    }

    /// Returns a reading greater than every earlier one.
    pub fn tick(&mut self, now: Millis) -> Hlc {
        self.last = self.last.next().max(Hlc::from_millis(now));
        self.last
    }

    /// Takes note of a remote reading, but is never pulled further than five minutes beyond now.
    pub fn observe(&mut self, remote: Hlc, now: Millis) {
        let ceiling = Hlc::from_millis(now.plus(CLOCK_PULL_MS_MAX));
        self.last = self.last.max(remote.min(ceiling));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_grow_when_the_wall_clock_stands_or_goes_back() {
        let mut clock = HlcClock::default();
        let first = clock.tick(Millis(1000));
        let second = clock.tick(Millis(1000));
        let third = clock.tick(Millis(10));
        assert!(first < second && second < third);
        assert_eq!(first.millis(), Millis(1000));
    }

    #[test]
    fn a_remote_clock_a_year_ahead_pulls_five_minutes_at_most() {
        let mut clock = HlcClock::default();
        clock.observe(Hlc::from_millis(Millis(31_536_000_000)), Millis(1000));
        assert_eq!(clock.last().millis(), Millis(1000 + CLOCK_PULL_MS_MAX));
    }
}
