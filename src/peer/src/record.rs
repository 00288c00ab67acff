//! One commit as the log holds it: what changed, where it came from, and the small records that moved with it.
//!
//! Layout (version 1): `u8` version, `u64` HLC, parts (count, each: `u64` origin, documents, evictions), metas (count, each:
//! name, flag, bytes). A record holds joins: applying it twice, or after a later one, changes nothing.

use value::limits::{COLLECTION_NAME_BYTES_MAX, ID_BYTES_MAX};
use value::{CollectionName, DecodeError, DocId, Hlc, Reader, StoreId, Writer};

const VERSION: u8 = 1;
/// Most items of one kind in a record.
const ITEMS_MAX: usize = 10_000_000;
/// Largest delta or small record, bytes.
const ITEM_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The origin of what was written here.
pub const LOCAL: StoreId = StoreId(0);

/// A document's delta or its whole state: both are the same kind of bytes to a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocState {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which.
    pub id: DocId,
    /// A document of `crdt` in binary form.
    pub delta: Vec<u8>,
}

/// The changes of one commit that came from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The store it came from; `LOCAL` for this one.
    pub origin: StoreId,
    /// The deltas.
    pub docs: Vec<DocState>,
    /// Documents dropped here, which no other peer hears of.
    pub evicted: Vec<(CollectionName, DocId)>,
}

/// One commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The clock after its last stamp.
    pub hlc: Hlc,
    /// What changed.
    pub parts: Vec<Part>,
    /// Small records that moved with it; `None` removes.
    pub metas: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// Returns the bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).fixed64(self.hlc.0).var(self.parts.len() as u64);
        for part in &self.parts {
            out.fixed64(part.origin.0).var(part.docs.len() as u64);
            for doc in &part.docs {
                out.str(doc.collection.as_str()).bytes(doc.id.as_bytes()).bytes(&doc.delta);
            }
            out.var(part.evicted.len() as u64);
            for (collection, id) in &part.evicted {
                out.str(collection.as_str()).bytes(id.as_bytes());
            }
        }
        out.var(self.metas.len() as u64);
        for (name, bytes) in &self.metas {
            out.str(name).u8(u8::from(bytes.is_some()));
            if let Some(bytes) = bytes {
                out.bytes(bytes);
            }
        }
        out.finish()
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(u64::from(version)));
        }
        let hlc = Hlc(r.fixed64()?);
        let parts = (0..r.count(ITEMS_MAX)?).map(|_| decode_part(&mut r)).collect::<Result<_, _>>()?;
        let metas = (0..r.count(ITEMS_MAX)?).map(|_| decode_meta(&mut r)).collect::<Result<_, _>>()?;
        r.finish()?;
        Ok(Record { hlc, parts, metas })
    }
}

fn decode_part(r: &mut Reader<'_>) -> Result<Part, DecodeError> {
    let origin = StoreId(r.fixed64()?);
    let mut docs = Vec::new();
    for _ in 0..r.count(ITEMS_MAX)? {
        let (collection, id) = decode_name(r)?;
        docs.push(DocState { collection, id, delta: r.bytes(ITEM_BYTES_MAX)?.to_vec() });
    }
    let evicted = (0..r.count(ITEMS_MAX)?).map(|_| decode_name(r)).collect::<Result<_, _>>()?;
    Ok(Part { origin, docs, evicted })
}

fn decode_name(r: &mut Reader<'_>) -> Result<(CollectionName, DocId), DecodeError> {
    let name = r.str(COLLECTION_NAME_BYTES_MAX)?;
    let collection = CollectionName::new(name).map_err(|_| DecodeError::Invalid("collection name"))?;
    Ok((collection, DocId::from_bytes(r.bytes(ID_BYTES_MAX)?)?))
}

fn decode_meta(r: &mut Reader<'_>) -> Result<(String, Option<Vec<u8>>), DecodeError> {
    let name = r.str(1024)?.to_owned();
    let bytes = match r.u8()? {
        0 => None,
        1 => Some(r.bytes(ITEM_BYTES_MAX)?.to_vec()),
        _ => return Err(DecodeError::Invalid("flag")),
    };
    Ok((name, bytes))
}
