//! Who is in reach: this peer's own entry, the graph of the others, and what applications are told.
//!
//! A link is drawn when both its ends say so; peers that no drawn path leads to are out of reach, whatever their entries
//! say, until those expire.

use store::Store;
use sync::hello::{decode_peer_key, encode_peer_key};
use sync::presence::RENEW_MS;
use sync::{Entry, Message};
use value::limits::DEPTH_MAX;
use value::{DecodeError, Hlc, Object, PeerKey, Reader, SmallMap, Value, Writer, cbor};

use crate::config::Role;
use crate::engine::Engine;
use crate::io::{LinkId, LinkKind, Output, PeerInfo, PresenceGraph};

/// Links of one peer that its entry names.
const LINKS_MAX: usize = 128;
/// Entries of one message, bytes; more go into the next.
const MESSAGE_BYTES: usize = 32 * 1024;
/// Longest metadata of a peer, bytes in binary form.
pub const METADATA_BYTES_MAX: usize = 4096;

impl<S: Store> Engine<S> {
    pub(crate) fn set_profile(&mut self, device_name: String, metadata: Object) {
        self.config.device_name = device_name;
        self.config.metadata = metadata;
        self.links_changed();
    }

    /// Writes this peer's entry anew and tells the links.
    pub(crate) fn links_changed(&mut self) {
        self.renew_entry(None);
    }

    /// Writes this peer's entry anew and tells the links but one. The entry of a Big Peer does not name its links, so that one
    /// that comes is nothing new.
    pub(crate) fn renew_entry(&mut self, but: Option<LinkId>) {
        let known = self.network.presence.entry(&self.config.peer_key).is_some();
        if known && but.is_some() && matches!(self.config.role, Role::BigPeer { .. }) {
            return self.tell_presence();
        }
        if !self.network.sync_on {
            return self.tell_presence();
        }
        let entry = Entry {
            peer: self.config.peer_key.clone(),
            stamp: self.clock.tick(self.now),
            body: encode_body(&self.local_info()),
        };
        self.network.renew_at = self.now.plus(RENEW_MS);
        self.network.presence.merge(entry.clone(), self.now);
        self.broadcast(Some((entry.stamp, entry.body)), Vec::new(), but);
        self.tell_presence();
    }

    /// Tells a new link everything known, but what it has just said of itself.
    pub(crate) fn send_presence(&mut self, id: LinkId) {
        let (mut own, mut entries, mut bytes) = (None, Vec::new(), 0);
        let remote = self.network.links.get(&id).and_then(|link| link.remote.as_ref());
        let Some(remote) = remote.map(|remote| remote.peer_key.clone()) else { return };
        let known = self.network.presence.entries().filter(|entry| entry.peer != remote);
        let all: Vec<Entry> = known.cloned().collect();
        for entry in all {
            bytes += entry.body.len() + 64;
            match entry.peer == self.config.peer_key {
                true => own = Some((entry.stamp, entry.body)),
                false => entries.push(entry),
            }
            if bytes >= MESSAGE_BYTES {
                self.send(id, &Message::Presence { own: own.take(), entries: std::mem::take(&mut entries) });
                bytes = 0;
            }
        }
        self.send(id, &Message::Presence { own, entries });
    }

    pub(crate) fn presence_heard(&mut self, from: LinkId, own: Option<(Hlc, Vec<u8>)>, entries: Vec<Entry>) {
        let remote = self.network.links.get(&from).and_then(|link| link.remote.as_ref());
        let sender = remote.map(|remote| remote.peer_key.clone());
        let own = own.zip(sender).map(|((stamp, body), peer)| Entry { peer, stamp, body });
        let mut news = Vec::new();
        for entry in own.into_iter().chain(entries) {
            let mine = entry.peer == self.config.peer_key;
            let sound = decode_body(entry.peer.clone(), &entry.body).is_ok();
            if !mine && sound && self.network.presence.merge(entry.clone(), self.now) {
                news.push(entry);
            }
        }
        if !news.is_empty() {
            self.broadcast(None, news, Some(from));
            self.tell_presence();
        }
    }

    pub(crate) fn presence_time_passed(&mut self) {
        if !self.network.sync_on {
            return;
        }
        if self.network.renew_at <= self.now {
            self.links_changed();
        }
        if self.network.presence.expire(self.now) {
            self.tell_presence();
        }
    }

    /// A link has ended: a peer that had no other is gone, as far as can be known, and need not wait for its entry to expire.
    pub(crate) fn presence_lost(&mut self, peer: &PeerKey) {
        let linked = self.network.link_to(peer).is_some();
        let only_here = |info: &PeerInfo| info.links.iter().all(|(key, _)| *key == self.config.peer_key);
        let gone = self.peer_info(peer).is_some_and(|info| !info.is_big_peer && only_here(&info));
        if gone && !linked {
            self.network.presence.forget(peer, self.now);
        }
    }

    fn broadcast(&mut self, own: Option<(Hlc, Vec<u8>)>, entries: Vec<Entry>, except: Option<LinkId>) {
        let ids: Vec<LinkId> =
            self.network.established().map(|(id, _, _)| id).filter(|id| Some(*id) != except).collect();
        let message = Message::Presence { own, entries };
        ids.into_iter().for_each(|id| _ = self.send(id, &message));
    }

    /// Returns what a peer says of itself.
    pub(crate) fn peer_info(&self, peer: &PeerKey) -> Option<PeerInfo> {
        let entry = self.network.presence.entry(peer)?;
        decode_body(entry.peer.clone(), &entry.body).ok()
    }

    fn local_info(&self) -> PeerInfo {
        let links = self.network.established().map(|(_, link, remote)| (remote.peer_key.clone(), link.kind));
        let mut sorted = SmallMap::new();
        sorted.extend(links.map(|link| (link, ())));
        PeerInfo {
            key: self.config.peer_key.clone(),
            device_name: self.config.device_name.clone(),
            metadata: self.config.metadata.clone(),
            is_big_peer: matches!(self.config.role, Role::BigPeer { .. }),
            version: self.config.version.clone(),
            links: sorted.into_iter().map(|(link, ())| link).collect(),
        }
    }

    fn tell_presence(&mut self) {
        let local = self.local_info();
        let infos = self.network.presence.entries().filter(|entry| entry.peer != local.key);
        let infos = infos.filter_map(|entry| decode_body(entry.peer.clone(), &entry.body).ok());
        let mut unreached = SmallMap::new();
        unreached.extend(infos.map(|info| (info.key.clone(), info)));
        let mut reached = SmallMap::new();
        let mut frontier = vec![local.clone()];
        while let Some(info) = frontier.pop() {
            let candidates: Vec<PeerKey> = match info.is_big_peer {
                true => unreached.keys().cloned().collect(),
                false => info.links.iter().map(|(key, _)| key.clone()).collect(),
            };
            for key in candidates {
                if unreached.get(&key).is_some_and(|other| are_linked(&info, other))
                    && let Some(other) = unreached.remove(&key)
                {
                    reached.insert(key, other.clone());
                    frontier.push(other);
                }
            }
        }
        let mut remotes: Vec<PeerInfo> = reached.into_iter().map(|(_, info)| info).collect();
        draw_links_of_big_peers(&local, &mut remotes);
        let graph = PresenceGraph { local, remotes };
        if self.network.told_graph.as_ref() != Some(&graph) {
            self.network.told_graph = Some(graph.clone());
            self.outputs.push_back(Output::Presence(graph));
        }
    }
}

fn says(info: &PeerInfo, other: &PeerInfo) -> bool {
    info.links.iter().any(|(key, _)| *key == other.key)
}

/// Between Small Peers both ends must say so; a Big Peer leaves the saying to the other end, since it may have thousands.
fn are_linked(a: &PeerInfo, b: &PeerInfo) -> bool {
    match (a.is_big_peer, b.is_big_peer) {
        (false, false) => says(a, b) && says(b, a),
        (true, _) => says(b, a),
        (false, true) => says(a, b),
    }
}

/// Fills in what Big Peers leave out of their entries.
fn draw_links_of_big_peers(local: &PeerInfo, remotes: &mut [PeerInfo]) {
    let ends: Vec<(PeerKey, PeerKey, LinkKind)> = remotes
        .iter()
        .chain([local])
        .flat_map(|info| info.links.iter().map(|(other, kind)| (other.clone(), info.key.clone(), *kind)))
        .collect();
    for big_peer in remotes.iter_mut().filter(|info| info.is_big_peer) {
        let own = ends.iter().filter(|(key, _, _)| *key == big_peer.key);
        big_peer.links = own.map(|(_, other, kind)| (other.clone(), *kind)).collect();
    }
}

/// Layout: version of the layout, name, metadata, flag, version of the software, links (count, each: key, kind).
fn encode_body(info: &PeerInfo) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(1).str(&info.device_name).bytes(&cbor::encode(&Value::Object(info.metadata.clone())));
    let links = if info.is_big_peer { &[] } else { &info.links[..info.links.len().min(LINKS_MAX)] };
    out.u8(u8::from(info.is_big_peer)).str(&info.version).var(links.len() as u64);
    for (key, kind) in links {
        encode_peer_key(key, &mut out);
        out.u8(match kind {
            LinkKind::Simulated => 0,
            LinkKind::WebRtc => 1,
            LinkKind::WebSocket => 2,
        });
    }
    out.finish()
}

fn decode_body(key: PeerKey, body: &[u8]) -> Result<PeerInfo, DecodeError> {
    let mut r = Reader::new(body);
    let layout = r.u8()?;
    if layout != 1 {
        return Err(DecodeError::Version(u64::from(layout)));
    }
    let device_name = r.str(256)?.to_owned();
    let metadata = cbor::decode(r.bytes(METADATA_BYTES_MAX)?, METADATA_BYTES_MAX)?;
    let metadata = metadata.into_object().ok_or(DecodeError::Invalid("metadata"))?;
    if Value::Object(metadata.clone()).depth() > DEPTH_MAX {
        return Err(DecodeError::Limit("depth"));
    }
    let is_big_peer = r.u8()? == 1;
    let version = r.str(256)?.to_owned();
    let mut links = Vec::new();
    for _ in 0..r.count(4096)? {
        let peer = decode_peer_key(&mut r)?;
        let kind = match r.u8()? {
            0 => LinkKind::Simulated,
            1 => LinkKind::WebRtc,
            2 => LinkKind::WebSocket,
            _ => return Err(DecodeError::Invalid("link kind")),
        };
        links.push((peer, kind));
    }
    r.finish()?;
    Ok(PeerInfo { key, device_name, metadata, is_big_peer, version, links })
}
