//! How far this store has read the logs of others: one small record for each other store.
//!
//! A cursor is written in the commit that brought the data, so it is never ahead of it. One that moved past commits with
//! nothing for us moves in memory only and is written with the next commit.

use store::{Key, ReadError, Store};
use value::{CollectionName, DecodeError, Reader, Seq, SmallMap, StoreId, Writer};

const PREFIX: &str = "cursor/";

/// Position of one subscription in another store's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Everything that matches is here up to this position.
    pub seq: Seq,
    /// The subscription's collection; `None`: all.
    pub collection: Option<CollectionName>,
}

impl Cursor {
    fn covers(&self, collection: &CollectionName) -> bool {
        self.collection.as_ref().is_none_or(|name| name == collection)
    }
}

/// The cursors by store, then by hash of the subscription.
#[derive(Debug, Default)]
pub struct Cursors {
    stores: SmallMap<StoreId, SmallMap<u64, Cursor>>,
}

impl Cursors {
    /// Reads the small records.
    pub fn load(store: &impl Store) -> Result<Cursors, ReadError> {
        let mut cursors = Cursors::default();
        for (key, bytes) in store.range(&Key::metas(PREFIX), usize::MAX)? {
            if let Some(store::Parsed::Meta { name }) = key.parse() {
                cursors.replay(&name, Some(&bytes));
            }
        }
        Ok(cursors)
    }

    /// Takes a small record that another tab's commit, or an earlier run, has written. Others are ignored.
    pub fn replay(&mut self, name: &str, bytes: Option<&[u8]>) {
        let Some(store) = name.strip_prefix(PREFIX).and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
            return;
        };
        // An unreadable cursor costs a scan, nothing more.
        match bytes.map(decode) {
            Some(Ok(cursors)) => _ = self.stores.insert(StoreId(store), cursors),
            Some(Err(_)) | None => _ = self.stores.remove(&StoreId(store)),
        }
    }

    /// Returns a cursor.
    pub fn cursor(&self, store: StoreId, hash: u64) -> Option<Seq> {
        self.stores.get(&store)?.get(&hash).map(|cursor| cursor.seq)
    }

    /// Moves a cursor in memory.
    pub fn advance(&mut self, store: StoreId, hash: u64, cursor: Cursor) {
        self.stores.or_insert_with(store, SmallMap::new).insert(hash, cursor);
    }

    /// Returns the small record of a store with some cursors moved.
    pub fn record(&self, store: StoreId, moves: &[(u64, Cursor)]) -> (String, Vec<u8>) {
        let mut cursors = self.stores.get(&store).cloned().unwrap_or_default();
        cursors.extend(moves.iter().cloned());
        (name_of(store), encode(&cursors))
    }

    /// Returns the names of the small records.
    pub fn names(&self) -> Vec<String> {
        self.stores.keys().map(|store| name_of(*store)).collect()
    }

    /// Forgets, in memory, the cursors of subscriptions that cover a collection.
    pub fn drop_collection(&mut self, collection: &CollectionName) {
        self.stores.values_mut().for_each(|cursors| cursors.retain(|_, cursor| !cursor.covers(collection)));
    }

    /// Returns the small records to write so that the cursors of subscriptions that cover a collection are forgotten.
    pub fn forget(&self, collection: &CollectionName) -> Vec<(String, Option<Vec<u8>>)> {
        let mut records = Vec::new();
        for (store, cursors) in self.stores.iter() {
            let mut kept = cursors.clone();
            kept.retain(|_, cursor| !cursor.covers(collection));
            if kept.len() != cursors.len() {
                records.push((name_of(*store), Some(encode(&kept))));
            }
        }
        records
    }
}

fn name_of(store: StoreId) -> String {
    format!("{PREFIX}{:016x}", store.0)
}

fn encode(cursors: &SmallMap<u64, Cursor>) -> Vec<u8> {
    let mut out = Writer::new();
    out.var(cursors.len() as u64);
    for (hash, cursor) in cursors.iter() {
        let collection = cursor.collection.as_ref().map_or("", CollectionName::as_str);
        out.fixed64(*hash).var(cursor.seq.0).str(collection);
    }
    out.finish()
}

fn decode(bytes: &[u8]) -> Result<SmallMap<u64, Cursor>, DecodeError> {
    let mut r = Reader::new(bytes);
    let mut cursors = SmallMap::new();
    for _ in 0..r.count(1 << 20)? {
        let (hash, seq) = (r.fixed64()?, Seq(r.var()?));
        let collection = CollectionName::new(r.str(1024)?).ok();
        cursors.insert(hash, Cursor { seq, collection });
    }
    r.finish()?;
    Ok(cursors)
}
