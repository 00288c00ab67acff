//! Numbers that look random and come from a seed.

/// Marsaglia's xorshift with 64 bits; the seed is not 0.
pub struct XorShift(pub u64);

impl XorShift {
    /// Returns a number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Says yes so many times of a hundred.
    pub fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    /// Returns one of several.
    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Returns the seed that an environment variable names, or the usual one, and prints it.
pub fn seed(usual: u64) -> u64 {
    let seed = std::env::var("DQL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(usual);
    println!("DQL_SEED={seed}");
    seed
}
