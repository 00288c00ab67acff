//! What applications are shown of the network: who is in reach, and the state of sync.

use value::{ErrorCode, Object, PeerKey, Seq};

use super::LinkKind;

/// One peer in reach.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// Its key.
    pub key: PeerKey,
    /// Its name.
    pub device_name: String,
    /// What its application says about it.
    pub metadata: Object,
    /// Whether it is the server.
    pub is_big_peer: bool,
    /// Version of its software.
    pub version: String,
    /// Its live links: the other end and what carries it.
    pub links: Vec<(PeerKey, LinkKind)>,
}

/// The peers in reach, directly or through others.
#[derive(Clone, Debug, PartialEq)]
pub struct PresenceGraph {
    /// This peer.
    pub local: PeerInfo,
    /// The others, by key.
    pub remotes: Vec<PeerInfo>,
}

/// The state of the link to the Big Peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BigPeerState {
    /// Credentials are needed.
    AuthenticationRequired,
    /// Waiting to dial again; the code says why.
    BackingOff(ErrorCode),
    /// Dialling or shaking hands.
    Connecting,
    /// Frames flow.
    Live,
    /// Sync is off, or there is no Big Peer in the configuration.
    Off,
}

/// The state of sync, for applications to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Whether sync was started.
    pub sync_on: bool,
    /// Whether the credentials were accepted by the Big Peer.
    pub authenticated: bool,
    /// The link to the Big Peer.
    pub big_peer: BigPeerState,
    /// Own commits that no Big Peer has acknowledged yet.
    pub pending_commits: u64,
    /// Subscriptions still catching up, over all links.
    pub catching_up: u64,
    /// Documents received since sync was started.
    pub documents_received: u64,
    /// Documents still to come for subscriptions that catch up, as far as their senders have said.
    pub documents_expected: u64,
    /// The live links.
    pub links: Vec<LinkStatus>,
}

/// The state of one link.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkStatus {
    /// The other end.
    pub peer: PeerKey,
    /// Whether it is the server.
    pub is_big_peer: bool,
    /// What carries it.
    pub kind: LinkKind,
    /// The last of this store's commits that the other end has saved.
    pub acknowledged: Seq,
}
