//! What is here: blobs whole and in part, and places that belong to none.

use std::rc::Rc;

use store::BlobPlace;
use store::blob_device::HEAD_PART;
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
    /// When this engine last added to it.
    pub touched: Millis,
    /// Since when it is known that no document names it; `None`: one did when that was last looked at.
    pub unnamed_since: Option<Millis>,
}

impl Held {
    /// Starts without any chunk, and without a durable head.
    pub fn new(place: BlobPlace, list: Rc<ChunkList>, now: Millis) -> Held {
        let missing = list.chunks();
        let chunks = vec![Chunk::Missing; missing as usize];
        let (since, touched, unnamed_since) = (now, now, Some(now));
        Held { place, list, chunks, missing, have_bytes: 0, head: false, since, touched, unnamed_since }
    }

    /// Takes over what the device lists: its head, and these parts, ascending. `asked_at`: what came after that may be missing.
    /// Says whether chunks that were here are not.
    pub fn found(&mut self, parts: &[u32], asked_at: Millis) -> bool {
        self.head = true;
        parts.iter().for_each(|part| self.put(part.wrapping_sub(1)));
        if self.touched >= asked_at {
            return false;
        }
        let (before, mut parts) = (self.missing, parts.iter().peekable());
        for chunk in 0..self.list.chunks() {
            while parts.next_if(|part| **part <= chunk).is_some() {}
            if parts.peek().is_none_or(|part| **part > chunk + 1) {
                self.lose(chunk);
            }
        }
        self.missing > before
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

    /// A chunk that was here is not; says whether it was.
    pub fn lose(&mut self, chunk: u32) -> bool {
        let here = self.chunks.get_mut(chunk as usize).filter(|state| **state == Chunk::Here);
        let lost = here.map(|state| *state = Chunk::Missing).is_some();
        if lost {
            self.missing += 1;
            self.have_bytes -= self.list.chunk_bytes(chunk) as u64;
        }
        lost
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

    /// Returns the next durable part from a place on, the head included.
    pub fn next_part(&self, from: u32) -> Option<u32> {
        if from == HEAD_PART && self.head {
            return Some(HEAD_PART);
        }
        let first = from.saturating_sub(1);
        let behind = self.chunks.get(first as usize..)?;
        let offset = behind.iter().position(|chunk| *chunk == Chunk::Here)?;
        Some(first + offset as u32 + 1)
    }

    /// Returns how many parts are durable, the head included.
    pub fn parts(&self) -> u64 {
        u64::from(self.head) + u64::from(self.list.chunks() - self.missing)
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
    /// It has a head that cannot be read.
    pub head_damaged: bool,
    /// Since when nothing has come to it.
    pub still_since: Millis,
}

impl Stray {
    /// Notes what was found in a place.
    pub fn note(strays: &mut SmallMap<BlobPlace, Stray>, place: BlobPlace, parts: usize, now: Millis) -> &mut Stray {
        let stray = strays.or_insert_with(place, || Stray { parts, head_damaged: false, still_since: now });
        if stray.parts != parts {
            (stray.parts, stray.still_since) = (parts, now);
        }
        stray
    }
}
