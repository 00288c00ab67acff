//! Sync scopes: which collections leave this peer, and to whom. The sender enforces them.
//!
//! `ALTER SYSTEM SET user_collection_sync_scopes = {'notes': 'BigPeerOnly'}`; a collection that is not named goes to all. A
//! scope says nothing of what comes in. Set it before sync is started, at each start: what was kept back in an earlier run and is
//! no longer goes to a peer that was linked then when it next changes.

use store::Store;
use value::{CollectionName, ErrorCode, Failure, SmallMap, Value};

use crate::engine::Engine;
use crate::io::LinkId;
use crate::network::Link;
use crate::parameters::SYNC_SCOPES;

/// Whom a collection may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    AllPeers,
    /// Only the Big Peer.
    BigPeerOnly,
    /// Nobody.
    LocalPeerOnly,
    /// Everybody but the Big Peer.
    SmallPeersOnly,
}

impl Scope {
    fn of(value: &Value) -> Option<Scope> {
        match value.as_str()? {
            "AllPeers" => Some(Scope::AllPeers),
            "BigPeerOnly" => Some(Scope::BigPeerOnly),
            "LocalPeerOnly" => Some(Scope::LocalPeerOnly),
            "SmallPeersOnly" => Some(Scope::SmallPeersOnly),
            _ => None,
        }
    }

    fn allows(self, to_big_peer: bool) -> bool {
        match self {
            Scope::AllPeers => true,
            Scope::BigPeerOnly => to_big_peer,
            Scope::LocalPeerOnly => false,
            Scope::SmallPeersOnly => !to_big_peer,
        }
    }
}

/// Checks a value of the parameter. Error: what is wrong, for a person.
pub fn check_scopes(value: &Value) -> Result<(), Failure> {
    let wrong = |message| Err(Failure::new(ErrorCode::QueryParameter, message));
    for (name, scope) in value.as_object().into_iter().flatten() {
        if CollectionName::new(name).is_err() {
            return wrong(format!("{SYNC_SCOPES}: '{name}' is no name of a collection"));
        }
        if Scope::of(scope).is_none() {
            let known = "AllPeers, BigPeerOnly, SmallPeersOnly and LocalPeerOnly";
            return wrong(format!("{SYNC_SCOPES}: the scope of '{name}' is none of {known}"));
        }
    }
    Ok(())
}

impl<S: Store> Engine<S> {
    /// Works out what a link must not carry.
    pub(crate) fn keep_back(&mut self, id: LinkId) {
        let scopes = self.parameters.map(SYNC_SCOPES);
        let network = &mut self.network;
        let Some(link) = network.links.get_mut(&id) else { return };
        let to_big_peer = link.remote.as_ref().is_some_and(|remote| remote.is_big_peer);
        let kept = scopes.iter().filter(|(_, scope)| Scope::of(scope).is_some_and(|scope| !scope.allows(to_big_peer)));
        let kept = kept.filter_map(|(name, _)| CollectionName::new(name).ok());
        link.kept_back = SmallMap::new();
        link.kept_back.extend(kept.map(|name| (name, ())));
        if to_big_peer {
            for name in link.kept_back.keys() {
                let known = network.ever_kept_back.insert(name.clone(), ()).is_some();
                network.acknowledged_moved |= !known;
            }
        }
    }

    /// The scopes were set: a link that may carry more from now on starts over, and what the other side has is compared.
    pub(crate) fn scopes_changed(&mut self) {
        let ids: Vec<LinkId> = self.network.established().map(|(id, _, _)| id).collect();
        for id in ids {
            let before = self.network.links.get(&id).map(|link| link.kept_back.clone());
            self.keep_back(id);
            let after = self.network.links.get(&id).map(|link| &link.kept_back);
            let wider =
                before.iter().flat_map(SmallMap::keys).any(|name| after.is_some_and(|kept| !kept.contains_key(name)));
            if wider {
                // A cursor of before has passed over what was kept back; the next session compares.
                self.scopes_widened = self.log.head();
                self.drop_link(id, ErrorCode::SyncBusy);
            }
        }
    }
}

impl Link {
    /// Says whether a collection may go over the link.
    pub fn carries(&self, collection: &CollectionName) -> bool {
        self.kept_back.is_empty() || !self.kept_back.contains_key(collection)
    }
}
