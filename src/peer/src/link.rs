//! The life of a link: up, handshake, messages, down.

use store::Store;
use sync::{Event, Hello, Message, Session, SessionConfig};
use value::{ErrorCode, PeerKey, SmallMap};

use crate::config::Role;
use crate::engine::Engine;
use crate::io::{DialTarget, LinkId, LinkKind, Output, Reply};
use crate::network::{DialState, Incoming, Link};
use crate::reconcile::Taking;
use crate::unit::Words;

impl<S: Store> Engine<S> {
    pub(crate) fn link_up(&mut self, id: LinkId, kind: LinkKind, target: Option<DialTarget>) {
        if !self.is_wanted(target.as_ref()) {
            self.outputs.push_back(Output::Close { link: id, code: None });
            return;
        }
        let to_big_peer = matches!(target, Some(DialTarget::BigPeer { .. }));
        let is_big_peer = matches!(self.config.role, Role::BigPeer { .. });
        let config = SessionConfig {
            hello: Hello {
                database: self.config.database.clone(),
                replica: self.config.replica,
                store: self.config.store,
                peer_key: self.config.peer_key.clone(),
                // The reading counts as the clock of this peer; a stamp of the past would hide a skew.
                hlc: value::Hlc::from_millis(self.now),
                is_big_peer,
                horizon: self.told_horizon(),
                credentials: self.network.credentials.clone().filter(|_| to_big_peer),
            },
            required_token: match &self.config.role {
                Role::BigPeer { token } => Some(token.clone()),
                Role::SmallPeer { .. } => None,
            },
            message_bytes_max: match kind {
                LinkKind::Simulated | LinkKind::WebSocket => 64 * 1024,
                LinkKind::WebRtc => 16 * 1024,
            },
        };
        let link = Link {
            id,
            kind,
            target,
            session: Session::new(config, self.now),
            remote: None,
            outgoing: sync::Outgoing::default(),
            said: Words::default(),
            heard: Words::default(),
            matchers: Vec::new(),
            asked: Vec::new(),
            incoming: Incoming::default(),
            kept_back: SmallMap::new(),
            giving: SmallMap::new(),
            taking: Taking::default(),
            parked: false,
            taken_bytes: 0,
            untaken_bytes: 0,
            ack_due: false,
            received_at: None,
            acknowledged: value::Seq(0),
            acknowledgement: (value::Seq(0), 0),
            told: value::Seq(0),
            caught_up: false,
            through_due: None,
        };
        self.network.links.insert(id, link);
        self.flush(id);
    }

    /// Links are wanted while sync is on; one to the Big Peer also to try credentials.
    fn is_wanted(&self, target: Option<&DialTarget>) -> bool {
        let login = self.network.login.is_some() && matches!(target, Some(DialTarget::BigPeer { .. }));
        self.network.may_link && (self.network.sync_on || login)
    }

    pub(crate) fn frame(&mut self, id: LinkId, bytes: &[u8]) {
        if let Some(link) = self.network.links.get_mut(&id) {
            link.session.handle(bytes, self.now);
        }
        self.drain(id);
    }

    /// Acts on a session's events and sends its messages.
    pub(crate) fn drain(&mut self, id: LinkId) {
        while let Some(event) = self.network.links.get_mut(&id).and_then(|link| link.session.poll_event()) {
            match event {
                Event::Closed { code, refused } => self.session_closed(id, code, refused),
                Event::Established(hello) => self.established(id, *hello),
                Event::Message(message, size) => self.message(id, message, size),
            }
        }
        self.flush(id);
    }

    /// Hands a session's messages to the skin.
    pub(crate) fn flush(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        while let Some(bytes) = link.session.poll_message() {
            self.outputs.push_back(Output::Send { link: id, bytes });
        }
    }

    /// Sends one message; returns the bytes of its frame.
    pub(crate) fn send(&mut self, id: LinkId, message: &Message) -> usize {
        let Some(link) = self.network.links.get_mut(&id) else { return 0 };
        let size = link.session.send(message);
        self.flush(id);
        size
    }

    fn established(&mut self, id: LinkId, hello: Hello) {
        // A second link of one kind to the same peer replaces the first, which is most likely dead and does not know it.
        let kind = self.network.links[&id].kind;
        let same = |(other, link, remote): (LinkId, &Link, &Hello)| {
            (other != id && link.kind == kind && remote.store == hello.store).then_some(other)
        };
        let older: Vec<LinkId> = self.network.established().filter_map(same).collect();
        older.into_iter().for_each(|older| self.drop_link(older, ErrorCode::SyncDuplicateReplica));
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let to_big_peer = matches!(link.target, Some(DialTarget::BigPeer { .. }));
        let peer = hello.peer_key.clone();
        link.remote = Some(hello);
        if to_big_peer {
            self.network.big_peer.succeeded();
            self.network.authenticated = true;
            if let Some(ticket) = self.network.login.take() {
                self.reply(ticket, Ok(Reply::LoggedIn));
            }
        } else if let Some(dialer) = self.network.mesh.get_mut(&peer) {
            dialer.succeeded();
        }
        if !self.network.sync_on {
            self.close_link(id, None);
            return;
        }
        self.keep_back(id);
        self.send_subscriptions(id);
        // A new entry goes to the others; the new link gets it with all that is known.
        self.renew_entry(Some(id));
        self.send_presence(id);
        self.blob_link_up(id);
    }

    fn session_closed(&mut self, id: LinkId, code: Option<ErrorCode>, refused: bool) {
        let to_big_peer = self.network.links.get(&id).is_some_and(Link::is_to_big_peer);
        if to_big_peer && refused && code == Some(ErrorCode::AuthenticationFailedToAuthenticate) {
            self.credentials_refused();
        }
        self.flush(id);
        self.outputs.push_back(Output::Close { link: id, code });
        self.forget_link(id, code.unwrap_or(ErrorCode::SyncUnreachable));
    }

    pub(crate) fn link_down(&mut self, id: LinkId) {
        self.forget_link(id, ErrorCode::SyncUnreachable);
    }

    /// Closes a link for a reason of our own.
    pub(crate) fn drop_link(&mut self, id: LinkId, code: ErrorCode) {
        self.close_link(id, Some(code));
    }

    /// Says goodbye and forgets the link.
    pub(crate) fn close_link(&mut self, id: LinkId, code: Option<ErrorCode>) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.session.close(code);
        self.flush(id);
        self.outputs.push_back(Output::Close { link: id, code });
        self.forget_link(id, code.unwrap_or(ErrorCode::SyncUnreachable));
    }

    pub(crate) fn close_all_links(&mut self) {
        let ids: Vec<LinkId> = self.network.links.keys().copied().collect();
        ids.into_iter().for_each(|id| self.close_link(id, None));
    }

    /// Removes a link and plans the next try of whoever dialled it.
    fn forget_link(&mut self, id: LinkId, code: ErrorCode) {
        let Some(link) = self.network.links.remove(&id) else { return };
        self.remember_link(&link);
        self.blob_link_down(id);
        match &link.target {
            Some(target) => self.target_lost(target, link.remote.is_some(), code),
            None => {
                let peer = link.remote.as_ref().map(|remote| remote.peer_key.clone());
                self.peer_lost(peer.as_ref());
            }
        }
        if let Some(remote) = &link.remote {
            self.presence_lost(&remote.peer_key);
            self.links_changed();
        }
    }

    /// The answering side of a mesh link starts over when it wants to dial itself.
    fn peer_lost(&mut self, peer: Option<&PeerKey>) {
        if let Some(dialer) = peer.and_then(|peer| self.network.mesh.get_mut(peer))
            && dialer.state == DialState::Up
        {
            dialer.state = DialState::Idle;
        }
    }
}

impl Link {
    /// Says whether the other side is the Big Peer of a Small Peer with this role: it decides what was deleted.
    pub fn is_authority(&self, role: &Role) -> bool {
        matches!(role, Role::SmallPeer { .. }) && self.remote.as_ref().is_some_and(|remote| remote.is_big_peer)
    }

    /// Says whether this side dialled the Big Peer.
    pub fn is_to_big_peer(&self) -> bool {
        matches!(self.target, Some(DialTarget::BigPeer { .. }))
    }
}
