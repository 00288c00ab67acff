//! The catalog: everything about a folder that changes together, in one file.
//!
//! Layout: magic `SHFC`, format (1 byte, 1), log after (8 bytes, big-endian), manifest (0, or length + 1 var and bytes), blocks
//! (count var, each: 9 bytes of id, bytes var), small records (count var, each: name and bytes, lengths var), checksum.

use value::{DecodeError, Reader, Seq, SmallMap, Writer};

use crate::device::BlockId;
use crate::log::{open, seal};

const MAGIC: &[u8; 4] = b"SHFC";
const FORMAT: u8 = 1;
const BLOCK_ID_BYTES: usize = 9;

/// What counts in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Entries of log files up to this sequence are gone, whether their file still is there or not.
    pub log_after: Seq,
    /// The manifest.
    pub manifest: Option<Vec<u8>>,
    /// Live blocks and their bytes.
    pub blocks: SmallMap<BlockId, u64>,
    /// Small records by name.
    pub meta: SmallMap<String, Vec<u8>>,
}

impl Catalog {
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(MAGIC).u8(FORMAT).fixed64(self.log_after.0);
        match &self.manifest {
            None => writer.var(0),
            Some(bytes) => writer.var(bytes.len() as u64 + 1).raw(bytes),
        };
        writer.var(self.blocks.len() as u64);
        for (block, bytes) in self.blocks.iter() {
            writer.raw(&block.to_bytes()).var(*bytes);
        }
        writer.var(self.meta.len() as u64);
        for (name, bytes) in self.meta.iter() {
            writer.str(name).bytes(bytes);
        }
        seal(writer)
    }

    pub fn decode(bytes: &[u8]) -> Result<Catalog, DecodeError> {
        let mut reader = open(bytes, MAGIC, FORMAT)?;
        let mut catalog = Catalog { log_after: Seq(reader.fixed64()?), ..Catalog::default() };
        catalog.manifest = match reader.var()? {
            0 => None,
            length => {
                Some(reader.raw(usize::try_from(length - 1).map_err(|_| DecodeError::Limit("length"))?)?.to_vec())
            }
        };
        for _ in 0..reader.count(usize::MAX)? {
            let block = read_block(&mut reader)?;
            catalog.blocks.insert(block, reader.var()?);
        }
        for _ in 0..reader.count(usize::MAX)? {
            let name = reader.str(usize::MAX)?.to_owned();
            catalog.meta.insert(name, reader.bytes(usize::MAX)?.to_vec());
        }
        reader.finish()?;
        Ok(catalog)
    }
}

fn read_block(reader: &mut Reader<'_>) -> Result<BlockId, DecodeError> {
    BlockId::from_bytes(reader.raw(BLOCK_ID_BYTES)?).ok_or(DecodeError::Invalid("kind of block"))
}
