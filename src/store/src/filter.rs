//! A Bloom filter over the keys of a segment: says "certainly absent" without reading it.
//!
//! Ten bits a key and six probes give about 1 % of false alarms. Probes come from the two halves of one 64-bit hash
//! (Kirsch and Mitzenmacher 2006). Filters live in the manifest, not in the segments, so that looking for a new `_id` reads
//! nothing from the device.

use value::hash64;

const BITS_PER_KEY: usize = 10;
const PROBES: u64 = 6;

/// A set of keys that may claim too much and never too little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    bits: Vec<u8>,
}

impl Filter {
    /// Builds the filter from the keys' hashes.
    pub fn build(hashes: &[u64]) -> Filter {
        let mut filter = Filter { bits: vec![0; (hashes.len() * BITS_PER_KEY).div_ceil(8).max(8)] };
        for hash in hashes {
            for bit in probes(*hash, filter.bits.len()) {
                filter.bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        filter
    }

    /// Takes stored bits; no bits at all mean "may hold anything".
    pub fn from_bytes(bytes: &[u8]) -> Filter {
        Filter { bits: bytes.to_vec() }
    }

    /// Returns the bits for storing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Says whether a key may be in the segment.
    pub fn may_hold(&self, hash: u64) -> bool {
        self.bits.is_empty() || probes(hash, self.bits.len()).all(|bit| self.bits[bit / 8] & 1 << (bit % 8) != 0)
    }
}

/// Returns the hash that filters are built from and asked with.
pub(crate) fn filter_hash(key: &[u8]) -> u64 {
    hash64(key)
}

fn probes(hash: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let step = (hash >> 32) | 1;
    let bits = (bytes * 8) as u64;
    (0..PROBES).map(move |probe| ((hash & 0xffff_ffff).wrapping_add(probe.wrapping_mul(step)) % bits) as usize)
}
