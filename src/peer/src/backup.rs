//! The file that a whole database is exported to. Layout and reasons: `docs/export.md`; vector: `tests/vectors/export`.
//!
//! A file is a magic with a format byte, and sections: one head, any number of documents, attachments, one end. A section knows its
//! length and ends with a checksum, so that damage has a place and everything before it can be used. States of documents are
//! joins: a file may be imported twice, or in part, or over newer data. An attachment is its chunk list and then its chunks, a section
//! each, so that memory holds one of them. Decoding is under limits; nothing here reads or writes.

use crate::record::DocState;
use value::blob::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES, list_bytes};
use value::limits::{COLLECTION_NAME_BYTES_MAX, ID_BYTES_MAX, MERGED_DOCUMENT_BYTES_MAX};
use value::{ChunkList, CollectionName, DecodeError, DocId, Millis, Reader, Writer, checksum};

/// Begins a file: the magic and the format. Format 1 had no attachments; all that it has is read the same.
pub const START: [u8; 5] = *b"SHEX\x02";
/// Largest body of a section, bytes: one merged document and what goes around it.
pub const SECTION_BYTES_MAX: usize = 44 * 1024 * 1024;
/// What a section adds to its body, bytes.
const FRAME_BYTES: usize = 9;
const TEXT_BYTES_MAX: usize = 1024;
const DOCUMENTS_MAX: usize = 10_000_000;

const KIND_HEAD: u8 = 1;
const KIND_DOCUMENTS: u8 = 2;
const KIND_END: u8 = 3;
const KIND_ATTACHMENT: u8 = 4;
const KIND_CHUNK: u8 = 5;
const KIND_ABANDONED: u8 = 6;

/// A piece of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// The rest of the attachment before it could not be read when it was exported: it is not in the file.
    Abandoned,
    /// An attachment; all its chunks follow, in order and before anything else.
    Attachment(ChunkList),
    /// A chunk of the attachment before it.
    Chunk(Vec<u8>),
    /// Whole states of documents, in the order of their keys.
    Documents(Vec<DocState>),
    /// Nothing follows; a file without it was cut off.
    End {
        /// In all sections.
        documents: u64,
        /// All before this one, the head included.
        sections: u64,
    },
    /// The first: where the file comes from.
    Head {
        /// Name of the database.
        database: String,
        /// When it was begun.
        time: Millis,
        /// Of the package that wrote it.
        version: String,
    },
}

impl Section {
    /// Returns the section as the file holds it.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        let kind = match self {
            Section::Abandoned => KIND_ABANDONED,
            Section::Attachment(list) => {
                body.fixed64(list.blob_bytes()).raw(list.hashes());
                KIND_ATTACHMENT
            }
            Section::Chunk(bytes) => {
                body.raw(bytes);
                KIND_CHUNK
            }
            Section::Documents(docs) => {
                write_documents(docs, &mut body);
                KIND_DOCUMENTS
            }
            Section::End { documents, sections } => {
                body.var(*documents).var(*sections);
                KIND_END
            }
            Section::Head { database, time, version } => {
                body.str(database).fixed64(time.0).str(version);
                KIND_HEAD
            }
        };
        let body = body.finish();
        let mut out = Writer::new();
        out.u8(kind).raw(&(body.len() as u32).to_be_bytes()).raw(&body);
        let mut bytes = out.finish();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Reads one whole section.
    pub fn decode(bytes: &[u8]) -> Result<Section, DecodeError> {
        let (framed, sum) = bytes.split_last_chunk::<4>().ok_or(DecodeError::End)?;
        if bytes.len() < FRAME_BYTES {
            return Err(DecodeError::End);
        }
        if bytes.len() > SECTION_BYTES_MAX + FRAME_BYTES {
            return Err(DecodeError::Limit("section"));
        }
        if checksum(framed) != u32::from_be_bytes(*sum) {
            return Err(DecodeError::Checksum);
        }
        let mut reader = Reader::new(framed);
        let kind = reader.u8()?;
        let length = reader.raw(4)?.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
        if length != reader.remaining() {
            return Err(DecodeError::Invalid("length of a section"));
        }
        let section = match kind {
            KIND_ABANDONED => Section::Abandoned,
            KIND_ATTACHMENT => Section::Attachment(read_list(&mut reader)?),
            KIND_CHUNK => Section::Chunk(read_chunk(&mut reader)?),
            KIND_DOCUMENTS => Section::Documents(read_documents(&mut reader)?),
            KIND_END => Section::End { documents: reader.var()?, sections: reader.var()? },
            KIND_HEAD => Section::Head {
                database: reader.str(TEXT_BYTES_MAX)?.to_owned(),
                time: Millis(reader.fixed64()?),
                version: reader.str(TEXT_BYTES_MAX)?.to_owned(),
            },
            _ => return Err(DecodeError::Invalid("kind of a section")),
        };
        reader.finish()?;
        Ok(section)
    }
}

fn read_list(reader: &mut Reader<'_>) -> Result<ChunkList, DecodeError> {
    let len = reader.fixed64()?;
    if len > BLOB_BYTES_MAX {
        return Err(DecodeError::Limit("attachment"));
    }
    let hashes = reader.raw(list_bytes(len))?.to_vec();
    ChunkList::new(len, hashes).ok_or(DecodeError::Invalid("chunk list"))
}

fn read_chunk(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    match reader.remaining() {
        0 => Err(DecodeError::End),
        1..=BLOB_CHUNK_BYTES => Ok(reader.rest().to_vec()),
        _ => Err(DecodeError::Limit("chunk")),
    }
}

fn write_documents(docs: &[DocState], out: &mut Writer) {
    out.var(docs.len() as u64);
    let mut before: Option<&CollectionName> = None;
    for doc in docs {
        // No collection has an empty name: it stands for the name of the document before.
        let name = if before == Some(&doc.collection) { "" } else { doc.collection.as_str() };
        out.str(name).bytes(doc.id.as_bytes()).bytes(&doc.delta);
        before = Some(&doc.collection);
    }
}

fn read_documents(reader: &mut Reader<'_>) -> Result<Vec<DocState>, DecodeError> {
    let count = reader.count(DOCUMENTS_MAX)?;
    let mut docs: Vec<DocState> = Vec::with_capacity(count.min(4096));
    for _ in 0..count {
        let name = reader.str(COLLECTION_NAME_BYTES_MAX)?;
        let collection = match (name.is_empty(), docs.last()) {
            (true, Some(before)) => before.collection.clone(),
            _ => CollectionName::new(name).map_err(|_| DecodeError::Invalid("collection name"))?,
        };
        let id = DocId::from_bytes(reader.bytes(ID_BYTES_MAX)?)?;
        let delta = reader.bytes(MERGED_DOCUMENT_BYTES_MAX)?.to_vec();
        docs.push(DocState { collection, id, delta });
    }
    Ok(docs)
}
