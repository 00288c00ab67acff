//! Names of blobs: what the bytes of an attachment are called, and how each piece of them is checked alone.
//!
//! A blob is cut into chunks of 256 KiB, of which the last may be shorter. Its chunk list is the SHA-256 of each, one behind the
//! other; its id is the SHA-256 of a domain byte, its length and that list. So who knows an id can check a list, and who has a
//! list can check every chunk, from whichever peer it came and in whatever order. `docs/attachments.md`

use std::fmt;

use sha2::{Digest, Sha256};

/// Bytes of every chunk but the last.
pub const BLOB_CHUNK_BYTES: usize = 256 * 1024;
/// Largest blob, bytes: its chunk list has 2 MiB.
pub const BLOB_BYTES_MAX: u64 = 65_536 * BLOB_CHUNK_BYTES as u64;
/// Bytes of a hash.
pub const BLOB_HASH_BYTES: usize = 32;

/// First byte of what is hashed, so that no chunk list is a chunk.
const CHUNK: u8 = 0;
const LIST: u8 = 1;

/// Names the content of a blob; its text form has 64 small hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; BLOB_HASH_BYTES]);

impl BlobId {
    /// Reads the text form; `None` for anything else, capital digits included, so that a blob has one name.
    pub fn parse(text: &[u8]) -> Option<BlobId> {
        let mut id = [0; BLOB_HASH_BYTES];
        if text.len() != 2 * BLOB_HASH_BYTES {
            return None;
        }
        for (byte, digits) in id.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Some(BlobId(id))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// Returns the hash of a chunk.
pub fn chunk_hash(bytes: &[u8]) -> [u8; BLOB_HASH_BYTES] {
    Sha256::new().chain_update([CHUNK]).chain_update(bytes).finalize().into()
}

/// The hashes of a blob's chunks, with its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkList {
    len: u64,
    hashes: Vec<u8>,
}

impl ChunkList {
    /// Joins a length and the hashes of that many bytes; `None` when they do not fit, or the blob is too large.
    pub fn new(len: u64, hashes: Vec<u8>) -> Option<ChunkList> {
        let fits = len <= BLOB_BYTES_MAX && hashes.len() == list_bytes(len);
        fits.then_some(ChunkList { len, hashes })
    }

    /// Returns the blob's length, bytes.
    pub fn blob_bytes(&self) -> u64 {
        self.len
    }

    /// Returns how many chunks there are; none for an empty blob.
    pub fn chunks(&self) -> u32 {
        chunk_count(self.len)
    }

    /// Returns the hashes, one behind the other.
    pub fn hashes(&self) -> &[u8] {
        &self.hashes
    }

    /// Returns the blob's id.
    pub fn id(&self) -> BlobId {
        let hash = Sha256::new().chain_update([LIST]).chain_update(self.len.to_be_bytes()).chain_update(&self.hashes);
        BlobId(hash.finalize().into())
    }

    /// Returns the length of a chunk, bytes; 0 for one that is not there.
    pub fn chunk_bytes(&self, chunk: u32) -> usize {
        let start = u64::from(chunk) * BLOB_CHUNK_BYTES as u64;
        self.len.saturating_sub(start).min(BLOB_CHUNK_BYTES as u64) as usize
    }

    /// Says whether these bytes are that chunk.
    pub fn is_chunk(&self, chunk: u32, bytes: &[u8]) -> bool {
        let wanted = self.hashes.chunks_exact(BLOB_HASH_BYTES).nth(chunk as usize);
        bytes.len() == self.chunk_bytes(chunk) && wanted.is_some_and(|hash| *hash == chunk_hash(bytes))
    }
}

/// Returns how many chunks a blob of that length has; at most 65,536 of one that is allowed.
pub fn chunk_count(len: u64) -> u32 {
    u32::try_from(len.div_ceil(BLOB_CHUNK_BYTES as u64)).unwrap_or(u32::MAX)
}

/// Returns the bytes of its chunk list.
pub fn list_bytes(len: u64) -> usize {
    chunk_count(len) as usize * BLOB_HASH_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bytes: &[u8]) -> ChunkList {
        let hashes = bytes.chunks(BLOB_CHUNK_BYTES).flat_map(chunk_hash).collect();
        ChunkList::new(bytes.len() as u64, hashes).expect("it fits")
    }

    #[test]
    fn an_id_is_the_same_for_ever() {
        // Computed by another program (Python's hashlib): documents hold these ids.
        let empty = "a536aa3cede6ea3c1f3e0357c3c60e0f216a8c89b853df13b29daa8f85065dfb";
        let two_chunks = "5d74945c4bcb0652ddf92579766fb4b65959030d5b3e8d61bf157dc79a7ee0b0";
        assert_eq!(list(b"").id().to_string(), empty);
        assert_eq!(list(&[0; BLOB_CHUNK_BYTES + 1]).id().to_string(), two_chunks);
        assert_ne!(list(&[0; BLOB_CHUNK_BYTES]).id(), list(&[0; BLOB_CHUNK_BYTES + 1]).id());
    }

    #[test]
    fn every_chunk_is_checked_alone() {
        let bytes: Vec<u8> = (0..BLOB_CHUNK_BYTES * 2 + 5).map(|n| (n % 251) as u8).collect();
        let list = list(&bytes);
        assert_eq!(list.chunks(), 3);
        assert_eq!(list.chunk_bytes(2), 5);
        for (number, chunk) in bytes.chunks(BLOB_CHUNK_BYTES).enumerate() {
            assert!(list.is_chunk(number as u32, chunk));
            let mut wrong = chunk.to_vec();
            wrong[4] ^= 1;
            assert!(!list.is_chunk(number as u32, &wrong));
            assert!(!list.is_chunk(number as u32 + 1, chunk));
        }
        assert!(!list.is_chunk(3, b""));
    }

    #[test]
    fn an_id_has_one_text_form() {
        let id = list(b"a").id();
        assert_eq!(BlobId::parse(id.to_string().as_bytes()), Some(id));
        assert_eq!(BlobId::parse(id.to_string().to_uppercase().as_bytes()), None);
        assert_eq!(BlobId::parse(b"00"), None);
        assert_eq!(ChunkList::new(1, Vec::new()), None);
        assert_eq!(ChunkList::new(BLOB_BYTES_MAX + 1, Vec::new()), None);
    }
}
