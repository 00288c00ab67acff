//! Whom to link to: the Big Peer with credentials, nearby peers up to a limit; when, with back-off.

use store::Store;
use sync::Credentials;
use value::{ErrorCode, Failure, Millis, PeerKey};

use crate::config::Role;
use crate::engine::Engine;
use crate::io::{DialTarget, LinkId, LinkKind, Output, SignalPath, Ticket};
use crate::network::{DialState, Link};

/// WebRTC links of one peer at most.
const MESH_LINKS_MAX: usize = 6;
/// A peer heard on the BroadcastChannel counts as near for this long, milliseconds.
const SEEN_MS: u64 = 30_000;

impl Role {
    /// Returns the Big Peer's address.
    pub fn big_peer_url(&self) -> Option<&str> {
        match self {
            Role::BigPeer { .. } => None,
            Role::SmallPeer { big_peer_url } => big_peer_url.as_deref(),
        }
    }
}

impl<S: Store> Engine<S> {
    pub(crate) fn sync_on(&mut self, on: bool) {
        if self.network.sync_on == on {
            return;
        }
        self.network.sync_on = on;
        self.network.asked = false;
        if on {
            self.online();
            self.links_changed();
        } else {
            self.close_all_links();
            self.network.mesh.clear();
            self.network.big_peer = Default::default();
        }
    }

    pub(crate) fn may_link(&mut self, may: bool) {
        if self.network.may_link && !may {
            self.close_all_links();
            self.network.mesh.clear();
            self.network.big_peer = Default::default();
            // Nobody dials for it any more.
            if let Some(ticket) = self.network.login.take() {
                self.reply(ticket, Err(no_links()));
            }
        }
        self.network.may_link = may;
        self.blob_role_changed();
    }

    pub(crate) fn login(&mut self, ticket: Ticket, provider: String, token: String) {
        if self.config.role.big_peer_url().is_none() {
            let message = "this database has no Big Peer to log in to; open it with connect: {mode: 'server', url}";
            return self.reply(ticket, Err(Failure::new(ErrorCode::Unsupported, message)));
        }
        if !self.network.may_link {
            return self.reply(ticket, Err(no_links()));
        }
        if let Some(older) = self.network.login.take() {
            self.reply(older, Err(Failure::new(ErrorCode::AuthenticationFailedToAuthenticate, "another login came")));
        }
        self.network.credentials = Some(Credentials { provider, token });
        self.network.authenticated = false;
        let older: Vec<LinkId> =
            self.network.links.iter().filter(|(_, link)| link.is_to_big_peer()).map(|(id, _)| *id).collect();
        older.into_iter().for_each(|id| self.close_link(id, None));
        // A link that was still shaking hands has failed for nobody.
        self.network.login = Some(ticket);
        if self.network.big_peer.state != DialState::Dialling {
            self.network.big_peer.state = DialState::Idle;
        }
    }

    pub(crate) fn logout(&mut self) {
        self.network.credentials = None;
        self.network.authenticated = false;
        let ids: Vec<LinkId> =
            self.network.links.iter().filter(|(_, link)| link.is_to_big_peer()).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.close_link(id, None));
    }

    /// The Big Peer said that the credentials are wrong.
    pub(crate) fn credentials_refused(&mut self) {
        self.network.credentials = None;
        self.network.authenticated = false;
        // After a refused login the application decides; after a refused reconnect it is asked again.
        match self.network.login.take() {
            Some(ticket) => {
                self.network.asked = true;
                let message = "the Big Peer did not accept the token; check the token and the provider";
                let failure = Failure::new(ErrorCode::AuthenticationFailedToAuthenticate, message);
                self.reply(ticket, Err(failure));
            }
            None => self.network.asked = false,
        }
    }

    pub(crate) fn online(&mut self) {
        for dialer in self.network.mesh.values_mut().chain([&mut self.network.big_peer]) {
            if let DialState::Waiting { code, .. } = dialer.state {
                dialer.state = DialState::Waiting { until: Millis(0), code };
            }
        }
    }

    pub(crate) fn peer_seen(&mut self, peer: PeerKey) {
        if peer != self.config.peer_key && self.network.seen.len() < 1024 {
            self.network.seen.insert(peer, self.now);
        }
    }

    pub(crate) fn dial_failed(&mut self, target: &DialTarget, code: ErrorCode) {
        self.target_lost(target, false, code);
    }

    /// A dialled target is lost or was not reached: plan the next try.
    pub(crate) fn target_lost(&mut self, target: &DialTarget, was_up: bool, code: ErrorCode) {
        let (now, random) = (self.now, self.random.number());
        match target {
            DialTarget::BigPeer { .. } => {
                if let Some(ticket) = self.network.login.take_if(|_| !was_up) {
                    let message = "the Big Peer does not answer; work goes on offline, try the login again later";
                    self.reply(ticket, Err(Failure::new(ErrorCode::SyncUnreachable, message)));
                }
                self.network.big_peer.failed(now, random, code);
            }
            DialTarget::Peer { peer, .. } => {
                if let Some(dialer) = self.network.mesh.get_mut(peer) {
                    dialer.failed(now, random, code);
                }
            }
        }
    }

    /// Dials whoever is wanted and due.
    pub(crate) fn run_dialers(&mut self) {
        if !self.network.may_link {
            return;
        }
        self.dial_big_peer();
        if self.network.sync_on && matches!(self.config.role, Role::SmallPeer { .. }) {
            self.dial_mesh();
        }
    }

    fn dial_big_peer(&mut self) {
        let Some(url) = self.config.role.big_peer_url().map(str::to_owned) else { return };
        if !self.network.sync_on && self.network.login.is_none() {
            return;
        }
        if self.network.credentials.is_none() {
            if !self.network.asked {
                self.network.asked = true;
                self.outputs.push_back(Output::AuthenticationRequired { seconds_left: 0 });
            }
            return;
        }
        if self.network.big_peer.is_due(self.now) && !self.network.links.values().any(Link::is_to_big_peer) {
            self.network.big_peer.state = DialState::Dialling;
            self.outputs.push_back(Output::Dial { target: DialTarget::BigPeer { url } });
        }
    }

    /// Of two peers the one with the smaller key dials.
    fn dial_mesh(&mut self) {
        let now = self.now;
        self.network.seen.retain(|_, heard| now.since(*heard) < SEEN_MS);
        let near = self.network.seen.keys().map(|peer| (peer.clone(), SignalPath::Broadcast));
        let known = self.network.told_graph.iter().flat_map(|graph| &graph.remotes);
        let far = known.filter(|peer| !peer.is_big_peer).map(|peer| (peer.key.clone(), SignalPath::Relay));
        let candidates: Vec<(PeerKey, SignalPath)> = near.chain(far).collect();
        let linked = |link: &&Link| link.kind != LinkKind::WebSocket && link.remote.is_some();
        let mut links = self.network.links.values().filter(linked).count();
        links += self.network.mesh.values().filter(|dialer| dialer.state == DialState::Dialling).count();
        for (peer, path) in candidates {
            if links >= MESH_LINKS_MAX || peer <= self.config.peer_key || self.network.link_to(&peer).is_some() {
                continue;
            }
            let dialer = self.network.mesh.or_insert_with(peer.clone(), Default::default);
            if dialer.state == DialState::Up {
                dialer.state = DialState::Idle;
            }
            if dialer.is_due(now) {
                dialer.state = DialState::Dialling;
                links += 1;
                self.outputs.push_back(Output::Dial { target: DialTarget::Peer { peer, path } });
            }
        }
    }

    /// Lets time pass for sessions, presence and positions.
    pub(crate) fn time_passed(&mut self) {
        let ids: Vec<LinkId> = self.network.links.keys().copied().collect();
        for id in ids {
            if let Some(link) = self.network.links.get_mut(&id) {
                link.session.timeout(self.now);
            }
            self.tell_through(id);
            self.drain(id);
        }
        self.presence_time_passed();
    }

    pub(crate) fn network_timeout(&self) -> Option<Millis> {
        if !self.network.may_link {
            return None;
        }
        let sessions = self.network.links.values().filter_map(|link| link.session.next_timeout());
        let positions = self.network.links.values().filter_map(|link| link.through_due);
        let mut times: Vec<Millis> = sessions.chain(positions).collect();
        let wanted = self.network.sync_on || self.network.login.is_some();
        let dialers = self.network.mesh.values().chain([&self.network.big_peer]);
        times.extend(dialers.filter_map(|dialer| match dialer.state {
            DialState::Waiting { until, .. } if wanted && until > self.now => Some(until),
            _ => None,
        }));
        if self.network.sync_on && !self.network.links.is_empty() {
            times.push(self.network.renew_at);
            times.extend(self.network.presence.next_expiry());
        }
        // A time that has passed is due now; never earlier than the present, so that a caller's timer moves on.
        times.into_iter().min()
    }
}

/// Why an engine that may not link, or no longer, cannot log in: it would wait until it may.
fn no_links() -> Failure {
    let message = "the connection was closed or went to another tab of this database; log in again";
    Failure::new(ErrorCode::SyncUnreachable, message)
}
