//! The messages of the protocol and their binary form. Layouts are in `docs/wire.md`; vectors in `tests/vectors/wire`.
//!
//! A frame is one kind byte and a body of varints, lengths and bytes. A frame of an unknown kind is skipped, so that minor
//! versions can add kinds; a known kind with a body that does not parse ends the link.

use value::limits::{FRAME_BYTES_MAX, STATEMENT_BYTES_MAX};
use value::{DecodeError, ErrorCode, Hlc, PeerKey, Reader, Seq, Writer};

pub use crate::hello::{Credentials, Hello};
use crate::hello::{decode_hello, decode_peer_key, encode_hello, encode_peer_key};
use crate::recon::{Extent, Range, decode_ranges, encode_ranges};

/// Peers must agree on it.
pub const VERSION_MAJOR: u64 = 2;
/// Grows with added kinds; only told.
pub const VERSION_MINOR: u64 = 0;
/// Longest name, key or token in a Hello, bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest signal payload, bytes.
pub const SIGNAL_BYTES_MAX: usize = 64 * 1024;
/// Longest presence entry, bytes.
pub const PRESENCE_BYTES_MAX: usize = 16 * 1024;
/// Most subscriptions of one peer.
pub const SUBSCRIPTIONS_MAX: usize = 1024;
/// A signal is relayed at most this often.
pub const SIGNAL_HOPS_MAX: u8 = 4;
/// Most documents that one answer of a reconciliation needs.
const PLACES_MAX: usize = 64 * 1024;
/// Most documents that one answer of a reconciliation has beside the sender's.
const EXTRA_MAX: usize = 1024 * 1024;

/// One subscription of the receiver, with how far it already is. Its place in the set names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubRequest {
    /// `SELECT * FROM c [WHERE …]`, or `*` for everything (Big Peers).
    pub text: String,
    /// Arguments as a binary object.
    pub args: Vec<u8>,
    /// What the receiver has of it.
    pub has: Has,
}

/// What the receiver has of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// No document at all.
    Nothing,
    /// Documents, but not the sender's as far as it knows: the two compare first.
    Something,
    /// Everything that matches, up to this position in the sender's log.
    UpTo(Seq),
}

/// Changes that are applied whole, in a form that is the peers' business.
pub type Unit = Vec<u8>;

/// What a round of reconciliation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundKind {
    /// How much of what differs to follow.
    pub extent: Extent,
    /// Whether what was sent since the round before may have changed the receiver's documents.
    pub fresh: bool,
    /// Whether the sender has documents of the collection that do not match, and wants to hear of extra ones.
    pub wants_extra: bool,
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
        /// Which subscription, by its place in the set.
        sub: u64,
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
        /// Which subscription, by its place in the set.
        sub: u64,
        /// Position, with the last message of the scan.
        complete: Option<Seq>,
        /// The documents.
        unit: Unit,
    },
    /// From here on the subscription's cursor moves with `Commits`.
    SubLive {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription, by its place in the set.
        sub: u64,
        /// How far its position is beyond the cursor that the receiver asked with, which is 0 if it had none; modulo 2^64.
        ahead: u64,
    },
    /// The subscription cannot be served.
    SubDenied {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription, by its place in the set.
        sub: u64,
        /// Why.
        code: ErrorCode,
        /// For a person.
        detail: String,
    },
    /// Changes for all live subscriptions, whose cursors move on.
    Commits {
        /// Of the set it answers.
        generation: u64,
        /// By how much, from the position that was told last; positions are large numbers. 0 while more parts follow.
        ahead: u64,
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
    /// A round of reconciliation for one subscription: what the sender has, by ranges.
    Recon {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription, by its place in the set.
        sub: u64,
        /// How far to follow, and whether to look again at what is there.
        round: RoundKind,
        /// What the sender has.
        ranges: Vec<Range>,
    },
    /// The receiver's answer to a round.
    ReconAnswer {
        /// Of the receiver's set.
        generation: u64,
        /// Which subscription, by its place in the set.
        sub: u64,
        /// What it says of the ranges.
        ranges: Vec<Range>,
        /// Which of the named documents it needs, by their place in the round, ascending.
        needed: Vec<u64>,
        /// Hashes of the keys of documents that it has and the sender has not, where the sender asked for them.
        extra: Vec<u64>,
    },
    /// How much a subscription's catch-up will be, where the sender knows.
    Expect {
        /// Of the set it answers.
        generation: u64,
        /// Which subscription, by its place in the set.
        sub: u64,
        /// Documents.
        documents: u64,
        /// Their bytes, before they are compressed.
        bytes: u64,
    },
    /// The log was trimmed beyond the live stream: no subscription is live until it is told so again.
    NotLive {
        /// Of the set it answers.
        generation: u64,
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
    /// Entries of the presence map. Newer ones replace older.
    Presence {
        /// What the sender says of itself: when it was written, and name, metadata and links.
        own: Option<(Hlc, Vec<u8>)>,
        /// What others said.
        entries: Vec<crate::presence::Entry>,
    },
    /// What is said without being kept.
    Ephemeral(crate::ephemeral::Ephemeral),
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

impl Has {
    /// Returns the position up to which the receiver has everything.
    pub fn position(self) -> Seq {
        if let Has::UpTo(seq) = self { seq } else { Seq(0) }
    }
}

impl RoundKind {
    fn flags(self) -> u8 {
        u8::from(self.extent == Extent::All) | u8::from(self.fresh) << 1 | u8::from(self.wants_extra) << 2
    }

    fn from_flags(flags: u8) -> Result<RoundKind, DecodeError> {
        if flags > 7 {
            return Err(DecodeError::Invalid("flags of a round"));
        }
        let extent = if flags & 1 == 1 { Extent::All } else { Extent::More };
        Ok(RoundKind { extent, fresh: flags & 2 == 2, wants_extra: flags & 4 == 4 })
    }
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
            Message::CatchUp { generation, sub, through, partial, unit } => {
                out.u8(5).var(*generation).var(*sub).var(through.0).u8(u8::from(*partial)).raw(unit);
            }
            Message::Docs { generation, sub, complete, unit } => {
                out.u8(6).var(*generation).var(*sub).u8(u8::from(complete.is_some()));
                if let Some(seq) = complete {
                    out.var(seq.0);
                }
                out.raw(unit);
            }
            Message::SubLive { generation, sub, ahead } => _ = out.u8(7).var(*generation).var(*sub).var(*ahead),
            Message::SubDenied { generation, sub, code, detail } => {
                out.u8(8).var(*generation).var(*sub).str(code.as_str()).str(detail);
            }
            Message::Commits { generation, ahead, partial, unit } => {
                out.u8(9).var(*generation).var(*ahead).u8(u8::from(*partial)).raw(unit);
            }
            Message::Ack { seq, bytes } => _ = out.u8(10).var(seq.0).var(*bytes),
            Message::Signal { from, to, hops, payload } => {
                out.u8(11);
                encode_peer_key(from, &mut out);
                encode_peer_key(to, &mut out);
                out.u8(*hops).bytes(payload);
            }
            Message::Presence { own, entries } => {
                out.u8(12).u8(u8::from(own.is_some()));
                if let Some((stamp, body)) = own {
                    out.fixed64(stamp.0).bytes(body);
                }
                out.var(entries.len() as u64);
                entries.iter().for_each(|entry| entry.encode_into(&mut out));
            }
            Message::Ephemeral(message) => message.encode_into(out.u8(30)),
            Message::Ping => _ = out.u8(13),
            Message::Pong => _ = out.u8(14),
            Message::Blob(blob) => blob.encode_into(&mut out),
            Message::Bye { code } => _ = out.u8(15).str(code.map_or("", ErrorCode::as_str)),
            Message::Recon { generation, sub, round, ranges } => {
                out.u8(16).var(*generation).var(*sub).u8(round.flags());
                encode_ranges(ranges, &mut out);
            }
            Message::Expect { generation, sub, documents, bytes } => {
                out.u8(18).var(*generation).var(*sub).var(*documents).var(*bytes);
            }
            Message::NotLive { generation } => _ = out.u8(19).var(*generation),
            Message::ReconAnswer { generation, sub, ranges, needed, extra } => {
                out.u8(17).var(*generation).var(*sub);
                encode_ranges(ranges, &mut out);
                encode_places(needed, &mut out);
                out.var(extra.len() as u64);
                extra.iter().for_each(|hash| _ = out.fixed64(*hash));
            }
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
                sub: r.var()?,
                through: Seq(r.var()?),
                partial: decode_bool(&mut r)?,
                unit: r.rest().to_vec(),
            },
            6 => Message::Docs {
                generation: r.var()?,
                sub: r.var()?,
                complete: if decode_bool(&mut r)? { Some(Seq(r.var()?)) } else { None },
                unit: r.rest().to_vec(),
            },
            7 => Message::SubLive { generation: r.var()?, sub: r.var()?, ahead: r.var()? },
            8 => Message::SubDenied {
                generation: r.var()?,
                sub: r.var()?,
                code: decode_code(&mut r)?,
                detail: r.str(TEXT_BYTES_MAX)?.to_owned(),
            },
            9 => Message::Commits {
                generation: r.var()?,
                ahead: r.var()?,
                partial: decode_bool(&mut r)?,
                unit: r.rest().to_vec(),
            },
            10 => Message::Ack { seq: Seq(r.var()?), bytes: r.var()? },
            11 => Message::Signal {
                from: decode_peer_key(&mut r)?,
                to: decode_peer_key(&mut r)?,
                hops: r.u8()?,
                payload: r.bytes(SIGNAL_BYTES_MAX)?.to_vec(),
            },
            12 => {
                let own = match decode_bool(&mut r)? {
                    true => Some((Hlc(r.fixed64()?), r.bytes(PRESENCE_BYTES_MAX)?.to_vec())),
                    false => None,
                };
                let count = r.count(4096)?;
                let entries = (0..count).map(|_| crate::presence::Entry::decode_from(&mut r));
                Message::Presence { own, entries: entries.collect::<Result<_, _>>()? }
            }
            13 => Message::Ping,
            14 => Message::Pong,
            15 => Message::Bye { code: code_of(r.str(TEXT_BYTES_MAX)?) },
            16 => Message::Recon {
                generation: r.var()?,
                sub: r.var()?,
                round: RoundKind::from_flags(r.u8()?)?,
                ranges: decode_ranges(&mut r)?,
            },
            17 => Message::ReconAnswer {
                generation: r.var()?,
                sub: r.var()?,
                ranges: decode_ranges(&mut r)?,
                needed: decode_places(&mut r)?,
                extra: {
                    let count = r.count(EXTRA_MAX)?;
                    (0..count).map(|_| r.fixed64()).collect::<Result<_, _>>()?
                },
            },
            18 => Message::Expect { generation: r.var()?, sub: r.var()?, documents: r.var()?, bytes: r.var()? },
            19 => Message::NotLive { generation: r.var()? },
            30 => Message::Ephemeral(crate::ephemeral::Ephemeral::decode_from(&mut r)?),
            kind => match crate::blob::BlobMessage::decode(kind, &mut r)? {
                Some(blob) => Message::Blob(blob),
                None => return Ok(None),
            },
        };
        r.finish()?;
        Ok(Some(message))
    }
}

fn encode_subs(generation: u64, subs: &[SubRequest], out: &mut Writer) {
    out.var(generation).var(subs.len() as u64);
    for sub in subs {
        out.str(&sub.text).bytes(&sub.args);
        match sub.has {
            Has::Nothing => _ = out.u8(0),
            Has::Something => _ = out.u8(1),
            Has::UpTo(seq) => _ = out.u8(2).var(seq.0),
        }
    }
}

fn decode_subs(r: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let generation = r.var()?;
    let count = r.count(SUBSCRIPTIONS_MAX)?;
    let mut subs = Vec::with_capacity(count);
    for _ in 0..count {
        subs.push(SubRequest {
            text: r.str(STATEMENT_BYTES_MAX)?.to_owned(),
            args: r.bytes(STATEMENT_BYTES_MAX)?.to_vec(),
            has: match r.u8()? {
                0 => Has::Nothing,
                1 => Has::Something,
                2 => Has::UpTo(Seq(r.var()?)),
                _ => return Err(DecodeError::Invalid("flag")),
            },
        });
    }
    Ok(Message::Subs { generation, subs })
}

/// Writes ascending numbers, each as the difference to the one before.
fn encode_places(places: &[u64], out: &mut Writer) {
    out.var(places.len() as u64);
    let mut before = 0;
    for place in places {
        out.var(place.wrapping_sub(before));
        before = *place;
    }
}

fn decode_places(r: &mut Reader<'_>) -> Result<Vec<u64>, DecodeError> {
    let count = r.count(PLACES_MAX)?;
    let mut place = 0_u64;
    (0..count)
        .map(|_| {
            place = place.checked_add(r.var()?).ok_or(DecodeError::Invalid("place"))?;
            Ok(place)
        })
        .collect()
}

pub(crate) fn decode_bool(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
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
