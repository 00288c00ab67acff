//! What the examples that measure have in common.

use peer::{Config, Role};
use value::{Object, PeerKey, ReplicaId, StoreId};

/// Returns the configuration of a Small Peer without a server.
pub fn config() -> Config {
    Config {
        database: "d".to_owned(),
        replica: ReplicaId(1),
        store: StoreId(2),
        slot: 0,
        peer_key: PeerKey("p".to_owned()),
        device_name: "n".to_owned(),
        metadata: Object::new(),
        version: "0".to_owned(),
        role: Role::SmallPeer { big_peer_url: None },
    }
}
