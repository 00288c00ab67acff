//! The sealed envelope: what a record looks like on a device that must not read it.
//!
//! Layout: magic `SHSE`, format (1 byte, 1), kind (1 byte), the kind's clear fields, nonce (12 bytes), ciphertext with its tag
//! of 16 bytes, checksum (4 bytes, big-endian) of everything before it. Kinds: 1 log, clear: sequence of the record before
//! (8 bytes, big-endian); 2 manifest, clear: version, floor, log start (8 bytes each, big-endian); 3 block; 4 small record;
//! 5 part of a blob, nothing in clear.
//! The associated data is everything before the nonce and then the record's name (`Place::name`), so that no record can
//! stand in for another.
//!
//! The room knows the layout and no cipher: a skin encrypts. Invariants: what is in clear is what a device itself must
//! compare; an envelope of another kind is damage; a key never passes through here unwrapped. `docs/decisions/0007`.

use value::{DecodeError, Reader, Seq, Writer};

use crate::blob_device::{BlobPlace, blob_key};
use crate::device::BlockId;
use crate::log::{open, seal};
use crate::manifest::{ManifestHead, read_head};

const MAGIC: &[u8; 4] = b"SHSE";
const FORMAT: u8 = 1;
const KEY_MAGIC: &[u8; 4] = b"SHKY";
const KEY_FORMAT: u8 = 1;

/// Bytes of a nonce of AES-GCM.
pub const NONCE_BYTES: usize = 12;
/// Bytes of its tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Fewer rounds than this are not accepted: somebody has weakened the record.
pub const ITERATIONS_MIN: u32 = 600_000;
/// More rounds than this are not accepted: opening would never end.
pub const ITERATIONS_MAX: u32 = 10_000_000;

const WRAPPED_BYTES: usize = 32 + TAG_BYTES;

/// Where a record lies, as far as it is known before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A part of a blob.
    Blob(BlobPlace, u32),
    /// A block under its number.
    Block(BlockId),
    /// A log record behind the record of this sequence; its own is taken by the device.
    Log(Seq),
    /// The manifest with this head.
    Manifest(ManifestHead),
    /// A small record under its name.
    Meta(&'a str),
}

impl Place<'_> {
    fn kind(&self) -> u8 {
        match self {
            Place::Log(_) => 1,
            Place::Manifest(_) => 2,
            Place::Block(_) => 3,
            Place::Meta(_) => 4,
            Place::Blob(..) => 5,
        }
    }

    /// Returns the envelope up to the nonce.
    fn head(&self) -> Writer {
        let mut writer = Writer::new();
        writer.raw(MAGIC).u8(FORMAT).u8(self.kind());
        match self {
            Place::Log(after) => writer.fixed64(after.0),
            Place::Manifest(head) => writer.fixed64(head.version).fixed64(head.floor.0).fixed64(head.log_start.0),
            Place::Blob(..) | Place::Block(_) | Place::Meta(_) => &mut writer,
        };
        writer
    }

    /// Returns what the ciphertext is bound to.
    pub fn associated_data(&self) -> Vec<u8> {
        let mut writer = self.head();
        match self {
            Place::Blob(place, part) => writer.raw(&blob_key(*place, *part)),
            Place::Block(block) => writer.raw(&block.to_bytes()),
            Place::Meta(name) => writer.raw(name.as_bytes()),
            Place::Log(_) | Place::Manifest(_) => &mut writer,
        };
        writer.finish()
    }

    /// Puts a ciphertext into its envelope.
    pub fn wrap(&self, nonce: &[u8; NONCE_BYTES], ciphertext: &[u8]) -> Vec<u8> {
        let mut writer = self.head();
        writer.raw(nonce).raw(ciphertext);
        seal(writer)
    }
}

/// The secret part of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ciphertext<'a> {
    /// What it was encrypted with, beside the key.
    pub nonce: &'a [u8],
    /// The tag at its end.
    pub bytes: &'a [u8],
}

/// Opens the envelope of a log record: the sequence before it, and what is sealed.
pub fn unwrap_log(bytes: &[u8]) -> Result<(Seq, Ciphertext<'_>), DecodeError> {
    let mut reader = open_kind(bytes, Place::Log(Seq(0)).kind())?;
    let after = Seq(reader.fixed64()?);
    Ok((after, sealed(reader)?))
}

/// Opens the envelope of a manifest: its head, and what is sealed.
pub fn unwrap_manifest(bytes: &[u8]) -> Result<(ManifestHead, Ciphertext<'_>), DecodeError> {
    let mut reader = open_kind(bytes, Place::Manifest(ManifestHead::default()).kind())?;
    let head = read_head(&mut reader)?;
    Ok((head, sealed(reader)?))
}

/// Opens the envelope of a block, of a small record or of a part of a blob.
pub fn unwrap_named<'a>(place: &Place<'_>, bytes: &'a [u8]) -> Result<Ciphertext<'a>, DecodeError> {
    sealed(open_kind(bytes, place.kind())?)
}

/// Says whether these are the bytes of a sealed record.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

fn open_kind(bytes: &[u8], kind: u8) -> Result<Reader<'_>, DecodeError> {
    let mut reader = open(bytes, MAGIC, FORMAT)?;
    if reader.u8()? == kind { Ok(reader) } else { Err(DecodeError::Invalid("kind of sealed record")) }
}

fn sealed(mut reader: Reader<'_>) -> Result<Ciphertext<'_>, DecodeError> {
    let nonce = reader.raw(NONCE_BYTES)?;
    let bytes = reader.rest();
    if bytes.len() < TAG_BYTES { Err(DecodeError::End) } else { Ok(Ciphertext { nonce, bytes }) }
}

/// How the data key is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// By a key of 32 bytes that the application keeps.
    Key,
    /// By the key that PBKDF2 with SHA-256 makes of a passphrase.
    Passphrase {
        /// Random, new at every change.
        salt: [u8; SALT_BYTES],
        /// Rounds.
        iterations: u32,
    },
}

/// The store's data key, locked: the one record of an encrypted store that is read before there is a key.
///
/// Layout: magic `SHKY`, format (1 byte, 1), lock (1 byte: 1 key, 2 passphrase), for a passphrase salt (16 bytes) and
/// iterations (8 bytes, big-endian), nonce (12 bytes), the locked key with its tag (48 bytes), checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// What opens it.
    pub lock: Lock,
    /// Of the locking.
    pub nonce: [u8; NONCE_BYTES],
    /// Ciphertext and tag.
    pub wrapped: Vec<u8>,
}

impl Lock {
    fn head(&self) -> Writer {
        let mut writer = Writer::new();
        writer.raw(KEY_MAGIC).u8(KEY_FORMAT);
        match self {
            Lock::Key => writer.u8(1),
            Lock::Passphrase { salt, iterations } => writer.u8(2).raw(salt).fixed64(u64::from(*iterations)),
        };
        writer
    }

    /// Returns what the locked key is bound to.
    pub fn associated_data(&self) -> Vec<u8> {
        self.head().finish()
    }
}

impl KeyRecord {
    /// Returns the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = self.lock.head();
        writer.raw(&self.nonce).raw(&self.wrapped);
        seal(writer)
    }

    /// Reads the record.
    pub fn decode(bytes: &[u8]) -> Result<KeyRecord, DecodeError> {
        let mut reader = open(bytes, KEY_MAGIC, KEY_FORMAT)?;
        let lock = match reader.u8()? {
            1 => Lock::Key,
            2 => Lock::Passphrase { salt: fixed(&mut reader)?, iterations: iterations(reader.fixed64()?)? },
            _ => return Err(DecodeError::Invalid("lock of the key")),
        };
        let record = KeyRecord { lock, nonce: fixed(&mut reader)?, wrapped: reader.raw(WRAPPED_BYTES)?.to_vec() };
        reader.finish()?;
        Ok(record)
    }
}

fn iterations(number: u64) -> Result<u32, DecodeError> {
    let number = u32::try_from(number).map_err(|_| DecodeError::Limit("iterations"))?;
    let accepted = (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&number);
    if accepted { Ok(number) } else { Err(DecodeError::Limit("iterations")) }
}

fn fixed<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], DecodeError> {
    reader.raw(N)?.try_into().map_err(|_| DecodeError::End)
}
