//! The messages of the protocol and their binary form. Layouts are in `docs/wire.md`; vectors in `tests/vectors/wire`.
//!
//! A frame is one kind byte and a body of varints, lengths and bytes. A frame of an unknown kind is skipped, so that minor
//! versions can add kinds; a known kind with a body that does not parse ends the link.

use value::limits::{
    COLLECTION_NAME_BYTES_MAX, FRAME_BYTES_MAX, ID_BYTES_MAX, MERGED_DOCUMENT_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use value::{CollectionName, DecodeError, DocId, ErrorCode, Hlc, PeerKey, Reader, ReplicaId, Seq, StoreId, Writer};

/// Peers must agree on it.
pub const VERSION_MAJOR: u64 = 1;
/// Grows with added kinds; only told.
pub const VERSION_MINOR: u64 = 0;
/// Longest name, key or token in a Hello, bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest signal payload, bytes.
pub const SIGNAL_BYTES_MAX: usize = 64 * 1024;
/// Longest presence entry, bytes.
pub const PRESENCE_BYTES_MAX: usize = 16 * 1024;
/// Most subscriptions of one peer.
pub const SUBSCRIPTIONS_MAX: usize = 1024;
/// A signal is relayed at most this often.
pub const SIGNAL_HOPS_MAX: u8 = 4;

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

/// One subscription of the receiver, with how far it already is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubRequest {
    /// Names it on this link: hash of text and arguments.
    pub hash: u64,
    /// `SELECT * FROM c [WHERE …]`, or `*` for everything (Big Peers).
    pub text: String,
    /// Arguments as a binary object.
    pub args: Vec<u8>,
    /// Position in the sender's log up to which the receiver has everything that matches.
    pub cursor: Option<Seq>,
}

/// A document's delta or its whole state: both are the same kind of bytes to a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocState {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which.
    pub id: DocId,
    /// Opaque here.
    pub delta: Vec<u8>,
}

/// Changes of one commit that this link wants; applied whole.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Unit {
    /// In the order of the commit.
    pub docs: Vec<DocState>,
}

/// A message of the protocol. Names in the order of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who is speaking.
    Hello(Box<Hello>),
    /// The other side's Hello was accepted.
    Welcome,
    /// The other side's Hello was refused; the link ends.
    Reject {
        /// Why.
        code: ErrorCode,
        /// For a person.
        detail: String,
    },
    /// The sender's whole set of subscriptions; replaces the one before.
    Subs {
        /// Counts the sets of this link; answers to older sets are ignored.
        generation: u64,
        /// The set.
        subs: Vec<SubRequest>,
    },
    /// Changes since a subscription's cursor, which moves to `through` when the last part is in.
    CatchUp {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription.
        hash: u64,
        /// New position.
        through: Seq,
        /// More parts of the same unit follow.
        partial: bool,
        /// The changes.
        unit: Unit,
    },
    /// Whole documents, in no order of time; the subscription's cursor moves to `complete` with the last.
    Docs {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription.
        hash: u64,
        /// Position, with the last message of the scan.
        complete: Option<Seq>,
        /// The documents.
        unit: Unit,
    },
    /// From here on the subscription's cursor moves with `Commits`.
    SubLive {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription.
        hash: u64,
        /// Its position.
        at: Seq,
    },
    /// The subscription cannot be served.
    SubDenied {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription.
        hash: u64,
        /// Why.
        code: ErrorCode,
        /// For a person.
        detail: String,
    },
    /// Changes for all live subscriptions, whose cursors move to `through`.
    Commits {
        /// Of the set it answers.
        generation: u64,
        /// New position.
        through: Seq,
        /// More parts of the same unit follow.
        partial: bool,
        /// The changes.
        unit: Unit,
    },
    /// What the receiver has saved.
    Ack {
        /// It has everything it wants up to this position of the sender's log.
        seq: Seq,
        /// Bytes of data frames taken since the link came up.
        bytes: u64,
    },
    /// Signalling for a WebRTC link, addressed.
    Signal {
        /// Whose.
        from: PeerKey,
        /// For whom.
        to: PeerKey,
        /// How often it may still be relayed.
        hops: u8,
        /// Opaque.
        payload: Vec<u8>,
    },
    /// Entries of the presence map.
    Presence {
        /// Newer ones replace older.
        entries: Vec<crate::presence::Entry>,
    },
    /// Are you there?
    Ping,
    /// I am here.
    Pong,
    /// The sender closes.
    Bye {
        /// Why, when there is a reason.
        code: Option<ErrorCode>,
    },
    /// About blobs; kinds 20 to 25.
    Blob(crate::blob::BlobMessage),
}

impl Message {
    /// Says whether it counts against the window.
    pub fn is_data(&self) -> bool {
        matches!(self, Message::CatchUp { .. } | Message::Commits { .. } | Message::Docs { .. })
    }

    /// Returns the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Message::Hello(hello) => encode_hello(hello, out.u8(1)),
            Message::Welcome => _ = out.u8(2),
            Message::Reject { code, detail } => _ = out.u8(3).str(code.as_str()).str(detail),
            Message::Subs { generation, subs } => encode_subs(*generation, subs, out.u8(4)),
            Message::CatchUp { generation, hash, through, partial, unit } => {
                out.u8(5).var(*generation).fixed64(*hash).var(through.0).u8(u8::from(*partial));
                encode_unit(unit, &mut out);
            }
            Message::Docs { generation, hash, complete, unit } => {
                out.u8(6).var(*generation).fixed64(*hash).u8(u8::from(complete.is_some()));
                if let Some(seq) = complete {
                    out.var(seq.0);
                }
                encode_unit(unit, &mut out);
            }
            Message::SubLive { generation, hash, at } => _ = out.u8(7).var(*generation).fixed64(*hash).var(at.0),
            Message::SubDenied { generation, hash, code, detail } => {
                out.u8(8).var(*generation).fixed64(*hash).str(code.as_str()).str(detail);
            }
            Message::Commits { generation, through, partial, unit } => {
                out.u8(9).var(*generation).var(through.0).u8(u8::from(*partial));
                encode_unit(unit, &mut out);
            }
            Message::Ack { seq, bytes } => _ = out.u8(10).var(seq.0).var(*bytes),
            Message::Signal { from, to, hops, payload } => {
                out.u8(11).str(&from.0).str(&to.0).u8(*hops).bytes(payload);
            }
            Message::Presence { entries } => {
                out.u8(12).var(entries.len() as u64);
                entries.iter().for_each(|entry| entry.encode_into(&mut out));
            }
            Message::Ping => _ = out.u8(13),
            Message::Pong => _ = out.u8(14),
            Message::Blob(blob) => blob.encode_into(&mut out),
            Message::Bye { code } => _ = out.u8(15).str(code.map_or("", ErrorCode::as_str)),
        }
        out.finish()
    }

    /// Reads a frame of at most 44 MiB. `None`: a kind this version does not know.
    pub fn decode(frame: &[u8]) -> Result<Option<Message>, DecodeError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::Limit("frame bytes"));
        }
        let mut r = Reader::new(frame);
        let message = match r.u8()? {
            1 => Message::Hello(Box::new(decode_hello(&mut r)?)),
            2 => Message::Welcome,
            3 => Message::Reject { code: decode_code(&mut r)?, detail: r.str(TEXT_BYTES_MAX)?.to_owned() },
            4 => decode_subs(&mut r)?,
            5 => Message::CatchUp {
                generation: r.var()?,
                hash: r.fixed64()?,
                through: Seq(r.var()?),
                partial: decode_bool(&mut r)?,
                unit: decode_unit(&mut r)?,
            },
            6 => Message::Docs {
                generation: r.var()?,
                hash: r.fixed64()?,
                complete: if decode_bool(&mut r)? { Some(Seq(r.var()?)) } else { None },
                unit: decode_unit(&mut r)?,
            },
            7 => Message::SubLive { generation: r.var()?, hash: r.fixed64()?, at: Seq(r.var()?) },
            8 => Message::SubDenied {
                generation: r.var()?,
                hash: r.fixed64()?,
                code: decode_code(&mut r)?,
                detail: r.str(TEXT_BYTES_MAX)?.to_owned(),
            },
            9 => Message::Commits {
                generation: r.var()?,
                through: Seq(r.var()?),
                partial: decode_bool(&mut r)?,
                unit: decode_unit(&mut r)?,
            },
            10 => Message::Ack { seq: Seq(r.var()?), bytes: r.var()? },
            11 => Message::Signal {
                from: decode_peer_key(&mut r)?,
                to: decode_peer_key(&mut r)?,
                hops: r.u8()?,
                payload: r.bytes(SIGNAL_BYTES_MAX)?.to_vec(),
            },
            12 => {
                let count = r.count(4096)?;
                let entries = (0..count).map(|_| crate::presence::Entry::decode_from(&mut r));
                Message::Presence { entries: entries.collect::<Result<_, _>>()? }
            }
            13 => Message::Ping,
            14 => Message::Pong,
            15 => Message::Bye { code: code_of(r.str(TEXT_BYTES_MAX)?) },
            kind => match crate::blob::BlobMessage::decode(kind, &mut r)? {
                Some(blob) => Message::Blob(blob),
                None => return Ok(None),
            },
        };
        r.finish()?;
        Ok(Some(message))
    }
}

/// Reads a peer key of 1 to 128 bytes.
pub(crate) fn decode_peer_key(r: &mut Reader<'_>) -> Result<PeerKey, DecodeError> {
    let key = r.str(128)?;
    if key.is_empty() { Err(DecodeError::Invalid("peer key")) } else { Ok(PeerKey(key.to_owned())) }
}

fn encode_hello(hello: &Hello, out: &mut Writer) {
    out.var(VERSION_MAJOR).var(VERSION_MINOR).str(&hello.database);
    out.fixed64(hello.replica.0).fixed64(hello.store.0).str(&hello.peer_key.0).fixed64(hello.hlc.0);
    out.u8(u8::from(hello.is_big_peer)).u8(u8::from(hello.credentials.is_some()));
    if let Some(credentials) = &hello.credentials {
        out.str(&credentials.provider).str(&credentials.token);
    }
}

fn decode_hello(r: &mut Reader<'_>) -> Result<Hello, DecodeError> {
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

fn encode_subs(generation: u64, subs: &[SubRequest], out: &mut Writer) {
    out.var(generation).var(subs.len() as u64);
    for sub in subs {
        out.fixed64(sub.hash).str(&sub.text).bytes(&sub.args).u8(u8::from(sub.cursor.is_some()));
        if let Some(seq) = sub.cursor {
            out.var(seq.0);
        }
    }
}

fn decode_subs(r: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let generation = r.var()?;
    let count = r.count(SUBSCRIPTIONS_MAX)?;
    let mut subs = Vec::with_capacity(count);
    for _ in 0..count {
        subs.push(SubRequest {
            hash: r.fixed64()?,
            text: r.str(STATEMENT_BYTES_MAX)?.to_owned(),
            args: r.bytes(STATEMENT_BYTES_MAX)?.to_vec(),
            cursor: if decode_bool(r)? { Some(Seq(r.var()?)) } else { None },
        });
    }
    Ok(Message::Subs { generation, subs })
}

/// Documents of one collection that stand together name it once.
fn encode_unit(unit: &Unit, out: &mut Writer) {
    out.var(unit.docs.len() as u64);
    let mut collection = "";
    for doc in &unit.docs {
        if doc.collection.as_str() == collection {
            out.u8(0);
        } else {
            collection = doc.collection.as_str();
            out.str(collection);
        }
        out.bytes(doc.id.as_bytes()).bytes(&doc.delta);
    }
}

fn decode_unit(r: &mut Reader<'_>) -> Result<Unit, DecodeError> {
    let count = r.count(FRAME_BYTES_MAX)?;
    let mut docs: Vec<DocState> = Vec::with_capacity(count.min(4096));
    for _ in 0..count {
        let name = r.str(COLLECTION_NAME_BYTES_MAX)?;
        let collection = match (name.is_empty(), docs.last()) {
            (true, Some(previous)) => previous.collection.clone(),
            _ => CollectionName::new(name).map_err(|_| DecodeError::Invalid("collection name"))?,
        };
        let id = DocId::from_bytes(r.bytes(ID_BYTES_MAX)?)?;
        let delta = r.bytes(MERGED_DOCUMENT_BYTES_MAX)?.to_vec();
        docs.push(DocState { collection, id, delta });
    }
    Ok(Unit { docs })
}

fn decode_bool(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid("flag")),
    }
}

fn code_of(text: &str) -> Option<ErrorCode> {
    ErrorCode::ALL.iter().copied().find(|code| code.as_str() == text)
}

fn decode_code(r: &mut Reader<'_>) -> Result<ErrorCode, DecodeError> {
    Ok(code_of(r.str(TEXT_BYTES_MAX)?).unwrap_or(ErrorCode::Unknown))
}
