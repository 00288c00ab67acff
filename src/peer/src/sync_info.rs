//! What statements can see of sync: `system:data_sync_info`, a row a peer, and `system:subscriptions`, a row a subscription
//! and peer with its progress.

use store::Store;
use value::{Millis, Object, PeerKey, Seq, Value};

use crate::engine::Engine;
use crate::network::{IncomingSub, Link};
use crate::system::{object, text};

/// Peers that were linked and are not, remembered at most.
const PAST_MAX: usize = 64;

/// What is left of a link that is gone.
#[derive(Clone, Debug)]
pub struct Past {
    is_big_peer: bool,
    acknowledged: Seq,
    received_at: Option<Millis>,
    /// When it was lost.
    lost_at: Millis,
}

impl<S: Store> Engine<S> {
    /// Remembers a link that is gone.
    pub(crate) fn remember_link(&mut self, link: &Link) {
        let Some(remote) = &link.remote else { return };
        let past = Past {
            is_big_peer: remote.is_big_peer,
            acknowledged: link.acknowledged,
            received_at: link.received_at,
            lost_at: self.now,
        };
        self.network.past.insert(remote.peer_key.clone(), past);
        if self.network.past.len() > PAST_MAX {
            let oldest = self.network.past.iter().min_by_key(|(_, past)| past.lost_at).map(|(peer, _)| peer.clone());
            oldest.into_iter().for_each(|peer| _ = self.network.past.remove(&peer));
        }
    }

    pub(crate) fn data_sync_info(&self) -> Vec<Object> {
        let links = self.network.established();
        let mut rows: Vec<Object> = links
            .map(|(_, link, remote)| {
                row(&remote.peer_key, remote.is_big_peer, "Connected", (link.acknowledged, link.received_at))
            })
            .collect();
        let status = if self.network.sync_on { "Not Connected" } else { "Disabled" };
        for (peer, past) in self.network.past.iter() {
            if self.network.link_to(peer).is_none() {
                rows.push(row(peer, past.is_big_peer, status, (past.acknowledged, past.received_at)));
            }
        }
        rows
    }

    pub(crate) fn subscription_rows(&self) -> Vec<Object> {
        let mut rows = Vec::new();
        for (_, link, remote) in self.network.established() {
            let wanted = self.wanted();
            for (sub, wanted) in link.incoming.subs.iter().zip(&wanted) {
                rows.push(progress(sub, &wanted.text, &remote.peer_key));
            }
        }
        rows
    }
}

fn row(peer: &PeerKey, is_big_peer: bool, status: &str, (acknowledged, received): (Seq, Option<Millis>)) -> Object {
    let documents = Value::from([
        ("sync_session_status", text(status)),
        ("synced_up_to_local_commit_id", Value::Int(acknowledged.0 as i64)),
        ("last_update_received_time", received.map_or(Value::Null, |at| Value::Int(at.0 as i64))),
    ]);
    object([("_id", text(&peer.to_string())), ("is_ditto_server", Value::Bool(is_big_peer)), ("documents", documents)])
}

fn progress(sub: &IncomingSub, statement: &str, peer: &PeerKey) -> Object {
    let state = match sub {
        IncomingSub { denied: true, .. } => "denied",
        IncomingSub { live: true, .. } => "live",
        IncomingSub { .. } => "catching up",
    };
    let number = |count: u64| Value::Int(count as i64);
    let (documents, bytes) =
        sub.expected.map_or((Value::Null, Value::Null), |(documents, bytes)| (number(documents), number(bytes)));
    object([
        ("_id", Value::from([("peer", text(&peer.to_string())), ("statement", text(statement))])),
        ("state", text(state)),
        ("documents", number(sub.documents)),
        ("bytes", number(sub.bytes)),
        ("documents_expected", documents),
        ("bytes_expected", bytes),
    ])
}
