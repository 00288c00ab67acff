//! What an engine is told when it starts.

use value::{Object, PeerKey, ReplicaId, Seq, StoreId};

/// The configuration of one engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the database; peers of other databases are refused.
    pub database: String,
    /// Random, kept beside the data.
    pub replica: ReplicaId,
    /// Random, kept beside the data; names the commit log.
    pub store: StoreId,
    /// Number of this tab among the co-writers of the store, below 64; guarded by a Web Lock.
    pub slot: u8,
    /// Names this peer to others.
    pub peer_key: PeerKey,
    /// At most 24 bytes.
    pub device_name: String,
    /// In presence.
    pub metadata: Object,
    /// Version of this software.
    pub version: String,
    /// Small Peer or Big Peer.
    pub role: Role,
}

/// What kind of peer this is.
#[derive(Clone, Debug)]
pub enum Role {
    /// The server: subscribes to everything, admits whoever has the token.
    BigPeer {
        /// The development token.
        token: String,
    },
    /// A browser.
    SmallPeer {
        /// `ws:` or `wss:` address, unless the mesh is peers only.
        big_peer_url: Option<String>,
    },
}

/// What the device held when the engine starts.
#[derive(Debug, Default)]
pub struct Boot {
    /// The retained records of the log, ascending; those after the store's applied position are applied first.
    pub log: Vec<(Seq, Vec<u8>)>,
    /// The position up to which the log was trimmed: every record after it is in `log` or in `damaged`. 0: it never was.
    pub log_start: Seq,
    /// Positions of records that cannot be read, ascending.
    pub damaged: Vec<Seq>,
}
