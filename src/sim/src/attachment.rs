//! Attachments in a run: clients make blobs, name them in documents, and fetch what they see named. What must be there in the
//! end is in `check_blob`.
//!
//! A client puts the chunks of a new blob into its device as a skin does, asks the engine to keep them, and names the blob at
//! once. Some are named by a document that nobody else ever touches: these may never be collected. The others share a few
//! documents in which names replace each other, are copied, unset and deleted.
//!
//! A fetch is made by the tab that has the links, as `web` sees to; the other tabs are told to look at the device again. What
//! was fetched is read at once, and every byte compared. Chance has a stream of its own.

use std::collections::{BTreeMap, BTreeSet};

use peer::io::{BlobRequest, Input, Reply, Ticket};
use store::{BlobDeviceNow, BlobPlace, Durability};
use value::blob::{BLOB_CHUNK_BYTES, chunk_hash};
use value::{BlobId, ChunkList, ErrorCode, Failure, Object, Value};

use crate::check::Checker;
use crate::cluster::{Cluster, Event};
use crate::disk::Mood;
use crate::document::{self, ATTACHED, ATTACHED_SOURCE};
use crate::model::{Effect, Fate, Write};
use crate::node::Request;
use crate::options::Class;
use crate::plant::Plant;
use crate::rng::Rng;

/// Documents that many blobs share, from 0 on; those of one blob alone come after.
const SHARED: i64 = 3;
/// Lengths of blobs, most of one chunk, bytes.
const LENGTHS: [usize; 7] =
    [0, 1, 3_000, 40_000, BLOB_CHUNK_BYTES, BLOB_CHUNK_BYTES + 1, 2 * BLOB_CHUNK_BYTES + 70_000];
/// How often each.
const WEIGHTS: [u64; 7] = [1, 1, 8, 5, 1, 2, 1];
/// The field that holds a token declared, and the one that holds it as a map.
const FIELDS: [&str; 2] = ["f", "g"];

/// A blob of a run.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// Its length, bytes.
    pub len: usize,
    /// The write that named it first, and the document, if nobody else touches that.
    pub own: Option<(usize, i64)>,
}

/// What clients know of blobs.
#[derive(Debug)]
pub struct Attachments {
    rng: Rng,
    /// In the order in which they were made.
    pub blobs: Vec<Blob>,
    /// Blobs that a store has told to be there, and has had no power cut since: by store and number.
    pub had: BTreeSet<(usize, usize)>,
    /// What each peer has last seen named: by peer, document and field.
    known: BTreeMap<(usize, i64, usize), usize>,
}

impl Attachments {
    /// Starts without blobs.
    pub fn new(seed: u64) -> Attachments {
        let (blobs, had, known) = Default::default();
        Attachments { rng: Rng::named(seed, "attachments"), blobs, had, known }
    }

    /// Returns the source of chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A peer forgets what it has seen; after a power cut of a device that lies it may have lost blobs too.
    pub fn forget(&mut self, node: usize, emptied: Option<usize>) {
        self.known.retain(|(of, _, _), _| *of != node);
        self.had.retain(|(store, _)| Some(*store) != emptied);
    }

    /// Takes the documents that a peer has shown.
    pub fn see(&mut self, node: usize, rows: &[Value]) {
        for row in rows {
            let Some(id) = document::id(row) else { continue };
            for field in 0..FIELDS.len() {
                match self.named(row, field) {
                    Some(blob) => _ = self.known.insert((node, id, field), blob),
                    None => _ = self.known.remove(&(node, id, field)),
                }
            }
        }
    }

    /// Returns the blobs that documents name.
    pub fn names(&self, rows: &[Value]) -> BTreeSet<usize> {
        rows.iter().flat_map(|row| (0..FIELDS.len()).filter_map(|field| self.named(row, field))).collect()
    }

    fn named(&self, row: &Value, field: usize) -> Option<usize> {
        let id = row.as_object()?.get(FIELDS[field])?.as_object()?.get("id")?.as_str()?;
        let id = BlobId::parse(id.as_bytes())?;
        self.blobs.iter().position(|blob| blob.id == id)
    }

    fn token(&self, blob: usize) -> Value {
        let Blob { id, len, .. } = &self.blobs[blob];
        let metadata = Value::Object(Object::new());
        Value::from([("id", Value::Str(id.to_string())), ("len", Value::Int(*len as i64)), ("metadata", metadata)])
    }
}

impl Cluster {
    /// Lets the client of a peer do something about attachments now and then.
    pub fn step_attachment(&mut self, node: usize) {
        if !self.profile.blobs || !self.attachments.rng.chance(200) {
            return;
        }
        self.look(node, ATTACHED);
        let deletes = if self.has(Class::Deletes) { 5 } else { 0 };
        match self.attachments.rng.weighted(&[30, 50, 15, 5, deletes]) {
            0 => self.create(node),
            1 => self.fetch_some(node),
            2 => {
                let (known, rng) = (&self.attachments.known, &mut self.attachments.rng);
                let seen: Vec<usize> = known.range((node, 0, 0)..(node + 1, 0, 0)).map(|(_, blob)| *blob).collect();
                if !seen.is_empty() {
                    let (blob, id) = (*rng.pick(&seen), rng.below(SHARED as u64) as i64);
                    self.name_blob(node, blob, id);
                }
            }
            unname => {
                let id = self.attachments.rng.below(SHARED as u64) as i64;
                let field = FIELDS[self.attachments.rng.index(FIELDS.len())];
                let text = match unname {
                    3 => format!("UPDATE {ATTACHED_SOURCE} UNSET {field} WHERE _id = :id"),
                    _ => "DELETE FROM x WHERE _id = :id".to_owned(),
                };
                self.write_token(node, id, text, Object::from([("id".to_owned(), Value::Int(id))]));
            }
        }
    }

    /// Puts a blob into the device of a peer and asks its engine to keep it.
    fn create(&mut self, node: usize) {
        let store = self.store_of(node);
        if self.nodes[store].disk.mood != Mood::Healthy {
            return;
        }
        let (number, len) = (self.attachments.blobs.len(), LENGTHS[self.attachments.rng.weighted(&WEIGHTS)]);
        let (bytes, place) = (content(number, len), BlobPlace(self.attachments.rng.number()));
        let mut hashes = Vec::new();
        for (chunk, bytes) in bytes.chunks(BLOB_CHUNK_BYTES).enumerate() {
            hashes.extend(chunk_hash(bytes));
            let put = self.nodes[store].disk.blobs().blob_put_now(place, chunk as u32 + 1, bytes.to_vec());
            put.expect("a device in memory can be written");
        }
        let list = ChunkList::new(len as u64, hashes).expect("there is a hash for each chunk");
        let id = list.id();
        if self.attachments.blobs.iter().any(|blob| blob.id == id) {
            // The empty one again.
            return;
        }
        self.attachments.blobs.push(Blob { id, len, own: None });
        let ticket = self.ticket(node, Request::Keep(number));
        self.deliver(node, Input::Blob(BlobRequest::Keep { ticket, place, list }));
    }

    /// A blob is kept, or not.
    pub fn kept(&mut self, node: usize, blob: usize, result: Result<Reply, Failure>) {
        if result != Ok(Reply::BlobKept(self.attachments.blobs[blob].id)) {
            if result.is_ok() {
                self.fail(Checker::Blobs, format!("peer {node} keeps blob {blob} as {result:?}"));
            }
            return;
        }
        self.stats.blobs += 1;
        self.is_here(node, blob);
        if self.attachments.rng.chance(600) {
            let id = SHARED + blob as i64;
            self.attachments.blobs[blob].own = Some((self.model.writes.len(), id));
            self.name_blob(node, blob, id);
        } else {
            let id = self.attachments.rng.below(SHARED as u64) as i64;
            self.name_blob(node, blob, id);
        }
    }

    /// A tab has a blob; the others look at the device again.
    fn is_here(&mut self, node: usize, blob: usize) {
        self.attachments.had.insert((self.store_of(node), blob));
        for tab in self.tabs_of(node) {
            if tab != node && self.nodes[tab].is_up() {
                let life = self.nodes[tab].life;
                self.after(1, Event::Tell { node: tab, life, input: Input::Blob(BlobRequest::Refresh) });
            }
        }
    }

    fn name_blob(&mut self, node: usize, blob: usize, id: i64) {
        let field = FIELDS[self.attachments.rng.index(FIELDS.len())];
        let token = self.attachments.token(blob);
        let row = Object::from([("_id".to_owned(), Value::Int(id)), (field.to_owned(), token)]);
        let args = Object::from([("row".to_owned(), Value::Object(row))]);
        let text = format!("INSERT INTO {ATTACHED_SOURCE} DOCUMENTS (:row) ON ID CONFLICT DO UPDATE");
        self.write_token(node, id, text, args);
    }

    fn write_token(&mut self, node: usize, id: i64, text: String, args: Object) {
        let durability = *self.attachments.rng.pick(&[Durability::Relaxed, Durability::Strict]);
        let write = Write {
            node,
            collection: ATTACHED,
            targets: Some(BTreeSet::from([id])),
            effect: Effect::Update,
            sets: 0,
            unsets: 0,
            durability,
            text: text.clone(),
            made: self.now,
            settled: None,
            fate: Fate::Unknown,
            touched: None,
            had_seen: BTreeSet::new(),
        };
        let mark = self.model.mark();
        let number = self.model.make(write, mark);
        let ticket = self.ticket(node, Request::Write(Some(number)));
        self.deliver(node, Input::Execute { ticket, transaction: None, text, args, durability });
    }

    /// Fetches a blob that a peer has seen named, in the tab that has the links.
    fn fetch_some(&mut self, node: usize) {
        let (known, rng) = (&self.attachments.known, &mut self.attachments.rng);
        let seen: Vec<usize> = known.range((node, 0, 0)..(node + 1, 0, 0)).map(|(_, blob)| *blob).collect();
        let holder = self.nodes[self.profile.store_of(node)].holders.net;
        if let (false, Some(holder)) = (seen.is_empty(), holder) {
            let blob = *rng.pick(&seen);
            let fetching = |request: &Request| matches!(request, Request::Fetch(of) if *of == blob);
            if self.nodes[holder].is_up() && !self.nodes[holder].pending.values().any(fetching) {
                self.fetch(holder, blob);
            }
        }
    }

    /// Fetches a blob.
    pub fn fetch(&mut self, node: usize, blob: usize) {
        let ticket = self.ticket(node, Request::Fetch(blob));
        let Blob { id, len, .. } = self.attachments.blobs[blob];
        self.deliver(node, Input::Blob(BlobRequest::Fetch { ticket, id, len: len as u64 }));
    }

    /// A fetch is over: all of the blob is read.
    pub fn fetched(&mut self, node: usize, blob: usize, result: Result<Reply, Failure>) {
        let Blob { id, len, .. } = self.attachments.blobs[blob];
        match result {
            Ok(Reply::Fetched(Some(bytes))) if bytes == len as u64 => {
                self.stats.fetches += 1;
                self.is_here(node, blob);
                for chunk in 0..len.div_ceil(BLOB_CHUNK_BYTES) as u32 {
                    let ticket: Ticket = self.ticket(node, Request::ReadChunk(blob, chunk));
                    self.deliver(node, Input::Blob(BlobRequest::Read { ticket, id, chunk }));
                }
            }
            // The last document that named it names it no more.
            Ok(Reply::Fetched(None)) if !self.is_steady(blob) => {}
            Err(_) => {}
            Ok(other) => self.fail(Checker::Blobs, format!("peer {node} was told {other:?} of blob {blob}")),
        }
    }

    /// A chunk was read.
    pub fn chunk_read(&mut self, node: usize, blob: usize, chunk: u32, result: Result<Reply, Failure>) {
        let Ok(Reply::BlobChunk(mut bytes)) = result else { return };
        if self.plant == Some(Plant::SpoiltChunk) {
            bytes[0] ^= 1;
        }
        let whole = content(blob, self.attachments.blobs[blob].len);
        if whole.chunks(BLOB_CHUNK_BYTES).nth(chunk as usize) != Some(&bytes) {
            self.fail(Checker::Blobs, format!("peer {node} reads other bytes in chunk {chunk} of blob {blob}"));
        }
    }

    /// Says whether a request about blobs may fail like that.
    pub fn excuses_blob(&self, request: &Request, code: ErrorCode) -> bool {
        let disk = self.has(Class::Disks);
        match (request, code) {
            (Request::Keep(_), ErrorCode::StoreFailedToCreateAttachment) => disk,
            (Request::Fetch(_), ErrorCode::StoreFailedToFetchAttachment) => disk,
            // It was collected behind our back.
            (Request::ReadChunk(blob, _), ErrorCode::StoreAttachmentNotFound) => !self.is_steady(*blob),
            _ => false,
        }
    }
}

/// Returns the bytes of a blob.
fn content(blob: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| ((n * 31) >> 3) as u8 ^ (n >> 16) as u8 ^ (blob * 7 + 1) as u8).collect()
}
