//! One fast hash for checksums, filters and content stamps. It is no protection against an adversary.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// Returns the XXH3 64-bit hash of the bytes.
pub fn hash64(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Returns the 32-bit checksum of a stored record: the low half of the hash.
pub fn checksum(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

/// Returns the XXH3 128-bit hash of some bytes under a key: equal bytes under different keys have different hashes.
pub fn hash128_of(key: &[u8], bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, xxh3_64(key))
}
