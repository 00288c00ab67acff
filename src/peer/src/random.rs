//! The engine's own stream of random numbers, from the seed it was given (SplitMix64, Steele et al. 2014).

/// A deterministic generator; good for ids and jitter, not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a fresh `_id`: 32 hexadecimal digits.
    pub fn document_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.number(), self.number())
    }
}
