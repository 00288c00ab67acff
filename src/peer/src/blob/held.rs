//! What is here: blobs whole and in part, and places that belong to none.

use std::rc::Rc;

use store::BlobPlace;
use value::{ChunkList, Millis, SmallMap};

/// A chunk as this peer has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// Durable.
    Here,
    /// Neither here nor on its way.
    Missing,
    /// Asked for, coming, or being written.
    Wanted,
}

/// A blob of which the chunk list is known.
#[derive(Debug)]
pub struct Held {
    /// Where it lies.
    pub place: BlobPlace,
    /// Its hashes.
    pub list: Rc<ChunkList>,
    chunks: Vec<Chunk>,
    missing: u32,
    have_bytes: u64,
    /// Its head is durable.
    pub head: bool,
    /// When this engine first had it.
    pub since: Millis,
    /// Since when it is known that no document names it; `None`: one did when that was last looked at.
    pub unnamed_since: Option<Millis>,
}

impl Held {
    /// Starts without any chunk, and without a durable head.
    pub fn new(place: BlobPlace, list: Rc<ChunkList>, now: Millis) -> Held {
        let missing = list.chunks();
        let chunks = vec![Chunk::Missing; missing as usize];
        Held { place, list, chunks, missing, have_bytes: 0, head: false, since: now, unnamed_since: Some(now) }
    }

    /// Takes over what the device lists: its head, and these parts.
    pub fn found(&mut self, parts: &[u32]) {
        self.head = true;
        parts.iter().for_each(|part| self.put(part.wrapping_sub(1)));
    }

    /// Everything of it is durable.
    pub fn complete(&mut self) {
        self.head = true;
        (0..self.list.chunks()).for_each(|chunk| self.put(chunk));
    }

    /// A chunk is durable.
    pub fn put(&mut self, chunk: u32) {
        if let Some(state) = self.chunks.get_mut(chunk as usize).filter(|state| **state != Chunk::Here) {
            *state = Chunk::Here;
            self.missing -= 1;
            self.have_bytes += self.list.chunk_bytes(chunk) as u64;
        }
    }

    /// A chunk that was here is not.
    pub fn lose(&mut self, chunk: u32) {
        if let Some(state) = self.chunks.get_mut(chunk as usize).filter(|state| **state == Chunk::Here) {
            *state = Chunk::Missing;
            self.missing += 1;
            self.have_bytes -= self.list.chunk_bytes(chunk) as u64;
        }
    }

    /// A chunk that was asked for will not come.
    pub fn give_back(&mut self, chunk: u32) {
        if let Some(state) = self.chunks.get_mut(chunk as usize).filter(|state| **state == Chunk::Wanted) {
            *state = Chunk::Missing;
        }
    }

    /// Returns the next missing chunk from a place on, and marks it as wanted.
    pub fn want_next(&mut self, from: &mut u32) -> Option<u32> {
        let behind = self.chunks.get(*from as usize..)?;
        let Some(offset) = behind.iter().position(|chunk| *chunk == Chunk::Missing) else {
            *from = self.list.chunks();
            return None;
        };
        let chunk = *from + offset as u32;
        self.chunks[chunk as usize] = Chunk::Wanted;
        *from = chunk + 1;
        Some(chunk)
    }

    /// Says whether a chunk is on its way.
    pub fn is_wanted(&self, chunk: u32) -> bool {
        self.chunks.get(chunk as usize) == Some(&Chunk::Wanted)
    }

    /// Says whether a chunk is durable.
    pub fn has(&self, chunk: u32) -> bool {
        self.chunks.get(chunk as usize) == Some(&Chunk::Here)
    }

    /// Says whether all of it is durable.
    pub fn is_whole(&self) -> bool {
        self.head && self.missing == 0
    }

    /// Returns its length, bytes.
    pub fn blob_bytes(&self) -> u64 {
        self.list.blob_bytes()
    }

    /// Returns what of it is durable, bytes.
    pub fn have_bytes(&self) -> u64 {
        self.have_bytes
    }
}

/// A place without a readable head, or with that of a blob that lies elsewhere too: it is being filled, or was given up.
#[derive(Debug)]
pub struct Stray {
    parts: usize,
    /// Since when nothing has come to it.
    pub still_since: Millis,
}

impl Stray {
    /// Notes what was found in a place.
    pub fn note(strays: &mut SmallMap<BlobPlace, Stray>, place: BlobPlace, parts: usize, now: Millis) {
        let stray = strays.or_insert_with(place, || Stray { parts, still_since: now });
        if stray.parts != parts {
            *stray = Stray { parts, still_since: now };
        }
    }
}
