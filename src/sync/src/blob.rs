//! The messages that carry blobs: who wants which, who has it, and its bytes in pieces.
//!
//! A peer tells which blobs it wants; the other side tells which of them it has, at once or when they come to it. Then the
//! wanting side asks for one part after another: part 0 is the chunk list, part n the n-th chunk. Pieces of a part come in
//! order on one link, and at most `BLOB_WINDOW_BYTES` of them are on the way before the receiver has told that it took some.
//!
//! Kinds 20 to 25; a peer that does not know them skips them, and is asked nothing more. `docs/attachments.md`

use value::blob::{BLOB_BYTES_MAX, BLOB_HASH_BYTES};
use value::{BlobId, DecodeError, Reader, Writer};

/// Bytes of pieces that may be on the way before the receiver has taken some.
pub const BLOB_WINDOW_BYTES: u64 = 256 * 1024;
/// Largest piece, bytes.
pub const BLOB_PIECE_BYTES_MAX: usize = 32 * 1024;
/// Blobs named in one message.
pub const BLOBS_MAX: usize = 256;
/// Largest number of a part.
const PART_MAX: u64 = 65_536;
/// Largest part, bytes: the chunk list of the largest blob.
const PART_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A message about blobs. Names in the order of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobMessage {
    /// The sender wants these, now or when they come.
    Want {
        /// At most 256.
        ids: Vec<BlobId>,
    },
    /// The sender holds these, all of each.
    Have {
        /// With their lengths, bytes; at most 256.
        blobs: Vec<(BlobId, u64)>,
    },
    /// The sender holds one of them no more.
    Gone {
        /// Which.
        id: BlobId,
    },
    /// Send a part.
    Get {
        /// Of which blob.
        id: BlobId,
        /// 0 for the chunk list.
        part: u32,
    },
    /// Bytes of a part that was asked for; they follow each other.
    Piece {
        /// Of which blob.
        id: BlobId,
        /// Which part.
        part: u32,
        /// Where in the part.
        offset: u32,
        /// At most 32 KiB.
        bytes: Vec<u8>,
    },
    /// How much the sender has taken.
    Taken {
        /// Bytes of pieces since the link came up.
        bytes: u64,
    },
}

impl BlobMessage {
    /// Adds kind and body to a frame.
    pub fn encode_into(&self, out: &mut Writer) {
        match self {
            BlobMessage::Want { ids } => {
                out.u8(20).var(ids.len() as u64);
                ids.iter().for_each(|id| _ = out.raw(&id.0));
            }
            BlobMessage::Have { blobs } => {
                out.u8(21).var(blobs.len() as u64);
                blobs.iter().for_each(|(id, len)| _ = out.raw(&id.0).var(*len));
            }
            BlobMessage::Gone { id } => _ = out.u8(22).raw(&id.0),
            BlobMessage::Get { id, part } => _ = out.u8(23).raw(&id.0).var(u64::from(*part)),
            BlobMessage::Piece { id, part, offset, bytes } => {
                out.u8(24).raw(&id.0).var(u64::from(*part)).var(u64::from(*offset)).bytes(bytes);
            }
            BlobMessage::Taken { bytes } => _ = out.u8(25).var(*bytes),
        }
    }

    /// Reads the body of a kind. `None`: not one of these kinds.
    pub fn decode(kind: u8, r: &mut Reader<'_>) -> Result<Option<BlobMessage>, DecodeError> {
        Ok(Some(match kind {
            20 => {
                let count = r.count(BLOBS_MAX)?;
                BlobMessage::Want { ids: (0..count).map(|_| decode_id(r)).collect::<Result<_, _>>()? }
            }
            21 => {
                let count = r.count(BLOBS_MAX)?;
                let blob = |_| Ok((decode_id(r)?, at_most(r.var()?, BLOB_BYTES_MAX)?));
                BlobMessage::Have { blobs: (0..count).map(blob).collect::<Result<_, DecodeError>>()? }
            }
            22 => BlobMessage::Gone { id: decode_id(r)? },
            23 => BlobMessage::Get { id: decode_id(r)?, part: at_most(r.var()?, PART_MAX)? as u32 },
            24 => BlobMessage::Piece {
                id: decode_id(r)?,
                part: at_most(r.var()?, PART_MAX)? as u32,
                offset: at_most(r.var()?, PART_BYTES_MAX)? as u32,
                bytes: r.bytes(BLOB_PIECE_BYTES_MAX)?.to_vec(),
            },
            25 => BlobMessage::Taken { bytes: r.var()? },
            _ => return Ok(None),
        }))
    }
}

fn decode_id(r: &mut Reader<'_>) -> Result<BlobId, DecodeError> {
    let id = r.raw(BLOB_HASH_BYTES)?.try_into().map_err(|_| DecodeError::End)?;
    Ok(BlobId(id))
}

fn at_most(number: u64, most: u64) -> Result<u64, DecodeError> {
    if number <= most { Ok(number) } else { Err(DecodeError::Limit("blob")) }
}
