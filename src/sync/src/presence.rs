//! Who is in reach: a small map replicated along the links, last writer wins, entries expire.
//!
//! Every peer writes its own entry only. Newer entries are forwarded to every other link; equal or older ones are not, so
//! that a message dies out. An entry that is not renewed for a minute is forgotten. Nothing of it touches the documents.

use value::{DecodeError, Hlc, Millis, PeerKey, Reader, SmallMap, Writer};

use crate::hello::{decode_peer_key, encode_peer_key};
use crate::wire::PRESENCE_BYTES_MAX;

/// How long an entry lives after it was last heard of, milliseconds.
pub const TTL_MS: u64 = 60_000;
/// How often a peer renews its own entry, milliseconds.
pub const RENEW_MS: u64 = 30_000;
/// Most peers known at a time.
const PEERS_MAX: usize = 4096;

/// What one peer says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub peer: PeerKey,
    /// When it was written, by its writer's clock.
    pub stamp: Hlc,
    /// Name, metadata and links; opaque here.
    pub body: Vec<u8>,
}

impl Entry {
    pub(crate) fn encode_into(&self, out: &mut Writer) {
        encode_peer_key(&self.peer, out);
        out.fixed64(self.stamp.0).bytes(&self.body);
    }

    pub(crate) fn decode_from(r: &mut Reader<'_>) -> Result<Entry, DecodeError> {
        Ok(Entry { peer: decode_peer_key(r)?, stamp: Hlc(r.fixed64()?), body: r.bytes(PRESENCE_BYTES_MAX)?.to_vec() })
    }
}

/// The entries that are alive.
#[derive(Debug, Default)]
pub struct PresenceMap {
    entries: SmallMap<PeerKey, (Entry, Millis)>,
    /// The last entries of those that are not: others may still tell of them.
    gone: SmallMap<PeerKey, (Hlc, Millis)>,
}

impl PresenceMap {
    /// Takes an entry; returns whether it was news.
    pub fn merge(&mut self, entry: Entry, now: Millis) -> bool {
        let full = self.entries.len() >= PEERS_MAX;
        if self.gone.get(&entry.peer).is_some_and(|(stamp, _)| *stamp >= entry.stamp) {
            return false;
        }
        match self.entries.get_mut(&entry.peer) {
            Some((known, _)) if known.stamp >= entry.stamp => false,
            Some(slot) => {
                *slot = (entry, now);
                true
            }
            None if full => false,
            None => {
                self.entries.insert(entry.peer.clone(), (entry, now));
                true
            }
        }
    }

    /// Forgets what was not renewed; returns whether anything went.
    pub fn expire(&mut self, now: Millis) -> bool {
        // Whoever else has such an entry forgets it within its time to live.
        self.gone.retain(|_, (_, since)| now.since(*since) < 2 * TTL_MS);
        let expired: Vec<PeerKey> = self
            .entries
            .iter()
            .filter(|(_, (_, heard))| now.since(*heard) >= TTL_MS)
            .map(|(key, _)| key.clone())
            .collect();
        expired.iter().for_each(|peer| self.forget(peer, now));
        !expired.is_empty()
    }

    /// Forgets what a peer has said, until it says more.
    pub fn forget(&mut self, peer: &PeerKey, now: Millis) {
        if let Some((entry, _)) = self.entries.remove(peer)
            && self.gone.len() < PEERS_MAX
        {
            self.gone.insert(peer.clone(), (entry.stamp, now));
        }
    }

    /// Returns when the next entry expires.
    pub fn next_expiry(&self) -> Option<Millis> {
        self.entries.values().map(|(_, heard)| heard.plus(TTL_MS)).min()
    }

    /// Returns the entries by key.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(|(entry, _)| entry)
    }

    /// Returns one entry.
    pub fn entry(&self, peer: &PeerKey) -> Option<&Entry> {
        self.entries.get(peer).map(|(entry, _)| entry)
    }
}
