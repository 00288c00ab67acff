//! What peers say without its being kept: where a cursor is, who types.
//!
//! A message belongs to a topic, is relayed at most some times and never twice by one peer: its sender and its number name it.
//! Nothing says that it arrives. Layout (kind 30): origin `u64`, number `u64`, hops `u8`, topic `u64`, payload `bytes`; later
//! minor versions append.

use std::collections::VecDeque;

use value::{DecodeError, Reader, Writer};

/// Longest payload, bytes.
pub const EPHEMERAL_BYTES_MAX: usize = 16 * 1024;
/// It is relayed at most this often.
pub const EPHEMERAL_HOPS_MAX: u8 = 4;
/// Messages that a peer remembers to have seen.
const SEEN_MAX: usize = 1024;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ephemeral {
    /// The replica that said it.
    pub origin: u64,
    /// Greater than that of any message it said before.
    pub number: u64,
    /// How often it may still be relayed.
    pub hops: u8,
    /// Whom it concerns.
    pub topic: u64,
    /// Opaque.
    pub payload: Vec<u8>,
}

impl Ephemeral {
    /// Writes the body.
    pub(crate) fn encode_into(&self, out: &mut Writer) {
        out.fixed64(self.origin).fixed64(self.number).u8(self.hops).fixed64(self.topic).bytes(&self.payload);
    }

    /// Reads the body.
    pub(crate) fn decode_from(r: &mut Reader<'_>) -> Result<Ephemeral, DecodeError> {
        let (origin, number, hops) = (r.fixed64()?, r.fixed64()?, r.u8()?);
        let (topic, payload) = (r.fixed64()?, r.bytes(EPHEMERAL_BYTES_MAX)?.to_vec());
        // A newer minor version may append fields.
        r.rest();
        Ok(Ephemeral { origin, number, hops, topic, payload })
    }
}

/// The messages that a peer has seen last, so that it relays none twice.
#[derive(Debug, Default)]
pub struct Seen {
    names: VecDeque<(u64, u64)>,
}

impl Seen {
    /// Notes a message; says whether it is new here.
    pub fn is_new(&mut self, message: &Ephemeral) -> bool {
        let name = (message.origin, message.number);
        if self.names.contains(&name) {
            return false;
        }
        if self.names.len() >= SEEN_MAX {
            self.names.pop_front();
        }
        self.names.push_back(name);
        true
    }
}
