//! One fast hash for checksums, filters and content stamps. It is no protection against an adversary.

use xxhash_rust::xxh3::xxh3_64;

/// Returns the XXH3 64-bit hash of the bytes.
pub fn hash64(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Returns the 32-bit checksum of a stored record: the low half of the hash.
pub fn checksum(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}
