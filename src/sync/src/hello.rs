//! Who is speaking: the first message of both sides, and the keys of peers.

use value::{DecodeError, HexOr, Hlc, PeerKey, Reader, ReplicaId, StoreId, Writer, read_hex_or, write_hex_or};

use crate::wire::{TEXT_BYTES_MAX, VERSION_MAJOR, VERSION_MINOR, decode_bool};

/// Who is speaking; the first message of both sides.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// Name of the database.
    pub database: String,
    /// Replica of the sender.
    pub replica: ReplicaId,
    /// Log of the sender: its cursors count in it.
    pub store: StoreId,
    /// Key of the sender.
    pub peer_key: PeerKey,
    /// The sender's clock.
    pub hlc: Hlc,
    /// Whether the sender is the server.
    pub is_big_peer: bool,
    /// Position in the sender's log before which tombstones were dropped.
    pub horizon: u64,
    /// What a server wants to see.
    pub credentials: Option<Credentials>,
}

/// A secret and who can check it. Its debug form hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the provider.
    pub provider: String,
    /// The secret.
    pub token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.provider)
    }
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hello({} {} {:?})", self.database, self.peer_key, self.store)
    }
}

/// Writes a peer key; ours are hexadecimal and take half the bytes.
pub fn encode_peer_key(key: &PeerKey, out: &mut Writer) {
    write_hex_or(Some(&key.0), key.0.as_bytes(), out);
}

/// Reads a peer key of 1 to 128 bytes.
pub fn decode_peer_key(r: &mut Reader<'_>) -> Result<PeerKey, DecodeError> {
    let invalid = DecodeError::Invalid("peer key");
    let key = match read_hex_or(r, 128)? {
        HexOr::Hex(text) => text,
        HexOr::Raw(bytes) => str::from_utf8(bytes).map_err(|_| invalid.clone())?.to_owned(),
    };
    if key.is_empty() { Err(invalid) } else { Ok(PeerKey(key)) }
}

pub(crate) fn encode_hello(hello: &Hello, out: &mut Writer) {
    out.var(VERSION_MAJOR).var(VERSION_MINOR).str(&hello.database);
    out.fixed64(hello.replica.0).fixed64(hello.store.0);
    encode_peer_key(&hello.peer_key, out);
    out.fixed64(hello.hlc.0);
    out.u8(u8::from(hello.is_big_peer)).var(hello.horizon).u8(u8::from(hello.credentials.is_some()));
    if let Some(credentials) = &hello.credentials {
        out.str(&credentials.provider).str(&credentials.token);
    }
}

pub(crate) fn decode_hello(r: &mut Reader<'_>) -> Result<Hello, DecodeError> {
    let major = r.var()?;
    if major != VERSION_MAJOR {
        return Err(DecodeError::Version(major));
    }
    let _minor = r.var()?;
    let hello = Hello {
        database: r.str(TEXT_BYTES_MAX)?.to_owned(),
        replica: ReplicaId(r.fixed64()?),
        store: StoreId(r.fixed64()?),
        peer_key: decode_peer_key(r)?,
        hlc: Hlc(r.fixed64()?),
        is_big_peer: decode_bool(r)?,
        horizon: r.var()?,
        credentials: match decode_bool(r)? {
            true => Some(Credentials {
                provider: r.str(TEXT_BYTES_MAX)?.to_owned(),
                token: r.str(TEXT_BYTES_MAX)?.to_owned(),
            }),
            false => None,
        },
    };
    // A newer minor version may append fields.
    r.rest();
    Ok(hello)
}
