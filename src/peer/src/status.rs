//! What applications are shown of sync, and the small record of what the Big Peer has acknowledged.

use store::{Key, ReadError, Store};
use value::limits::COLLECTION_NAME_BYTES_MAX;
use value::{CollectionName, Reader, Seq, Writer};

use crate::engine::Engine;
use crate::io::{BigPeerState, LinkStatus, Output, Status};
use crate::log_tail::LogEntry;
use crate::network::DialState;

const ACKNOWLEDGED: &str = "big-peer-acknowledged";

impl<S: Store> Engine<S> {
    /// Tells the status when it changed.
    pub(crate) fn tell_status(&mut self) {
        let status = self.status();
        if self.told_status.as_ref() != Some(&status) {
            self.told_status = Some(status.clone());
            self.outputs.push_back(Output::Status(status));
        }
    }

    pub(crate) fn status(&self) -> Status {
        let incoming = |link: &crate::network::Link| {
            let waiting = |sub: &&crate::network::IncomingSub| !sub.live && !sub.denied;
            link.incoming.subs.iter().filter(waiting).count() as u64
        };
        let expected = |link: &crate::network::Link| -> u64 {
            let catching_up = link.incoming.subs.iter().filter(|sub| !sub.live && !sub.denied);
            catching_up.filter_map(|sub| Some(sub.expected?.0.saturating_sub(sub.documents))).sum()
        };
        let links = self.network.established().map(|(_, link, remote)| LinkStatus {
            peer: remote.peer_key.clone(),
            is_big_peer: remote.is_big_peer,
            kind: link.kind,
            acknowledged: link.acknowledged,
        });
        Status {
            sync_on: self.network.sync_on,
            authenticated: self.network.authenticated,
            big_peer: self.big_peer_state(),
            pending_commits: self.network.pending.len() as u64,
            catching_up: self.network.established().map(|(_, link, _)| incoming(link)).sum(),
            documents_received: self.network.documents_received,
            documents_expected: self.network.established().map(|(_, link, _)| expected(link)).sum(),
            links: links.collect(),
        }
    }

    fn big_peer_state(&self) -> BigPeerState {
        if !self.network.sync_on || self.config.role.big_peer_url().is_none() {
            return BigPeerState::Off;
        }
        if self.network.credentials.is_none() {
            return BigPeerState::AuthenticationRequired;
        }
        match self.network.big_peer.state {
            DialState::Up => BigPeerState::Live,
            DialState::Waiting { code, .. } => BigPeerState::BackingOff(code),
            DialState::Dialling | DialState::Idle => BigPeerState::Connecting,
        }
    }

    /// Reads the small record at boot, and counts what it leaves open.
    pub(crate) fn load_acknowledged(&mut self) -> Result<(), ReadError> {
        let stored = self.store.get(&Key::meta(ACKNOWLEDGED))?.unwrap_or_default();
        let mut reader = Reader::new(&stored);
        self.network.acknowledged = self.network.acknowledged.max(Seq(reader.var().unwrap_or(0)));
        while let Ok(name) = reader.str(COLLECTION_NAME_BYTES_MAX) {
            if let Ok(name) = CollectionName::new(name) {
                self.network.ever_kept_back.insert(name, ());
            }
        }
        if self.config.role.big_peer_url().is_some() {
            let open = self.log.after(self.network.acknowledged).filter(|entry| LogEntry::is_local(entry));
            self.network.pending = open.map(|entry| entry.seq).collect();
        }
        Ok(())
    }

    /// Returns the small record when it moved; it is written with the next commit.
    pub(crate) fn acknowledged_record(&mut self) -> Option<(String, Vec<u8>)> {
        std::mem::take(&mut self.network.acknowledged_moved).then(|| {
            let mut out = Writer::new();
            out.var(self.network.acknowledged.0);
            self.network.ever_kept_back.keys().for_each(|name| _ = out.str(name.as_str()));
            (ACKNOWLEDGED.to_owned(), out.finish())
        })
    }
}
