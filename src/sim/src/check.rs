//! The judgement of a run that has come to rest, and the checks that can be made on the way.
//!
//! Convergence compares rows byte by byte in a canonical order; loss is in `check_loss`; observers are held against fresh
//! queries; groups of documents written together must be seen together; silence means keep-alive and presence alone.

use std::collections::BTreeMap;

use sync::Message;
use value::{Millis, Value, cbor};

use crate::check_loss;
use crate::cluster::Cluster;
use crate::document::{self, COLLECTIONS, MODELLED, RICH};

/// What found a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checker {
    /// A request was answered by an error that it should not get.
    Answers,
    /// A blob is gone, never comes, or has other bytes.
    Blobs,
    /// The engine broke its contract with the skin.
    Contract,
    /// Peers hold different documents.
    Convergence,
    /// Two runs of one seed differ.
    Determinism,
    /// Rows of an index are not those of the documents.
    Indexes,
    /// Links did not come back, or something is pending for ever.
    Liveness,
    /// An acknowledged write is gone, or a value shows that should not.
    Loss,
    /// An observer's last answer is not the present one.
    Observers,
    /// The engine panicked.
    Panic,
    /// An insertion into a text or a list is missing, doubled or torn.
    Rich,
    /// Frames or commits without a cause.
    Silence,
    /// A peer does not start from its disk.
    Start,
    /// Half of a transaction was seen.
    Transactions,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who found it.
    pub checker: Checker,
    /// What, for people.
    pub text: String,
    /// When, by virtual time.
    pub at: Millis,
}

/// Says what is wrong with the end of a run.
type Verdict = fn(&Cluster) -> Result<(), String>;

impl Cluster {
    /// Judges the final rows of all peers.
    pub fn judge(&mut self) {
        let verdicts: [(Checker, Verdict); 6] = [
            (Checker::Contract, answered),
            (Checker::Liveness, live),
            (Checker::Convergence, converged),
            (Checker::Loss, kept),
            (Checker::Rich, edited),
            (Checker::Observers, observed),
        ];
        for (checker, verdict) in verdicts {
            if let Err(text) = verdict(self) {
                return self.fail(checker, text);
            }
        }
        self.check_all_indexes();
    }
}

fn answered(cluster: &Cluster) -> Result<(), String> {
    for (node, peer) in cluster.nodes.iter().enumerate() {
        if let Some(request) = peer.contract.unanswered() {
            return Err(format!("peer {node}: {request}"));
        }
    }
    Ok(())
}

/// Checks what the peers themselves say of sync.
fn live(cluster: &Cluster) -> Result<(), String> {
    if cluster.profile.big_peers == 0 {
        return Ok(());
    }
    for (node, peer) in cluster.nodes.iter().enumerate().skip(cluster.profile.big_peers) {
        if cluster.net_holder(cluster.store_of(node)) != Some(node) {
            continue;
        }
        let Some(status) = &peer.status else { return Err(format!("peer {node} never told its status")) };
        if status.big_peer != peer::io::BigPeerState::Live {
            return Err(format!("peer {node} is not linked to the Big Peer: {:?}", status.big_peer));
        }
        if status.pending_commits != 0 || status.catching_up != 0 {
            return Err(format!(
                "peer {node} says that {} commits are pending and {} subscriptions are catching up",
                status.pending_commits, status.catching_up
            ));
        }
    }
    Ok(())
}

fn converged(cluster: &Cluster) -> Result<(), String> {
    for collection in cluster.profile.collections() {
        let name = COLLECTIONS[collection];
        let reference = by_key(&cluster.nodes[0].final_rows[&collection]);
        for (node, peer) in cluster.nodes.iter().enumerate().skip(1) {
            let rows = by_key(&peer.final_rows[&collection]);
            let parts: Vec<Option<i64>> =
                peer.interests.values().filter(|interest| interest.collection == collection).map(|i| i.part).collect();
            let wanted = |row: &Value| {
                let part = row.as_object().and_then(|row| row.get("k")).and_then(Value::as_int);
                cluster.profile.is_big_peer(node) || parts.iter().any(|wanted| wanted.is_none() || *wanted == part)
            };
            for (id, row) in &reference {
                if wanted(row) && rows.get(id) != Some(row) {
                    let found = rows.get(id).map_or_else(|| "nothing".to_owned(), tell);
                    return Err(format!("in {name} peer 0 has {}, and peer {node} has {found}", tell(row)));
                }
            }
            if let Some(row) = rows.iter().find(|(id, _)| !reference.contains_key(*id)).map(|(_, row)| row)
                && (peer.covers(collection) || cluster.profile.is_big_peer(node))
            {
                return Err(format!("in {name} peer 0 has nothing, and peer {node} has {}", tell(row)));
            }
        }
    }
    Ok(())
}

fn kept(cluster: &Cluster) -> Result<(), String> {
    for collection in MODELLED {
        let rows = check_loss::by_id(&cluster.nodes[0].final_rows[&collection]);
        check_loss::check(&cluster.model, collection, &rows)?;
    }
    Ok(())
}

fn edited(cluster: &Cluster) -> Result<(), String> {
    cluster.nodes[0].final_rows.get(&RICH).map_or(Ok(()), |rows| cluster.rich.check(&cluster.model, rows))
}

fn observed(cluster: &Cluster) -> Result<(), String> {
    for (node, peer) in cluster.nodes.iter().enumerate() {
        for (observer, watch) in &peer.watches {
            let Some(last) = &watch.last else {
                return Err(format!("peer {node}: observer {} of {} was never told anything", observer.0, watch.text));
            };
            let fresh = &peer.final_answers[observer];
            // Computed rows have an order; 1 is not 1.0.
            if watch.computed && cbor::encode(&Value::Array(last.clone())) != cbor::encode(&Value::Array(fresh.clone()))
            {
                return Err(format!(
                    "peer {node}: observer {} of {} was last told {last:?} and a fresh query answers {fresh:?}",
                    observer.0, watch.text
                ));
            }
            let (last, fresh) = (by_key(last), by_key(fresh));
            if let Some(difference) = difference(&last, &fresh) {
                return Err(format!(
                    "peer {node}: observer {} of {} was last told something else than a fresh query answers: {difference}",
                    observer.0, watch.text
                ));
            }
        }
    }
    Ok(())
}

fn difference(last: &BTreeMap<Vec<u8>, Value>, fresh: &BTreeMap<Vec<u8>, Value>) -> Option<String> {
    let keys = last.keys().chain(fresh.keys());
    let differing = keys.map(|key| (last.get(key), fresh.get(key))).find(|(last, fresh)| last != fresh);
    let told = |row: Option<&Value>| row.map_or_else(|| "nothing".to_owned(), tell);
    differing.map(|(last, fresh)| format!("{} instead of {}", told(last), told(fresh)))
}

/// Checks that documents which are always written together show one marker.
pub fn groups_are_whole(rows: &[Value]) -> Result<(), String> {
    let mut markers: BTreeMap<i64, Vec<(i64, &Value)>> = BTreeMap::new();
    for row in rows {
        let marker = row.as_object().and_then(|row| row.get("m"));
        if let (Some(id), Some(marker)) = (document::id(row), marker) {
            markers.entry(id / 2).or_default().push((id, marker));
        }
    }
    for (group, members) in markers {
        match &members[..] {
            [(_, first), (_, second)] if first == second => {}
            _ => return Err(format!("half of a transaction shows in group {group} of t: {members:?}")),
        }
    }
    Ok(())
}

/// Says whether a message of a link is a sign of life and nothing else.
pub fn is_quiet(bytes: &[u8]) -> bool {
    matches!(message(bytes), Some(Message::Ping | Message::Pong | Message::Presence { .. }))
}

/// Says whether a message of a link tells of blobs that the other side wants.
pub fn tells_of_blobs(bytes: &[u8]) -> bool {
    matches!(message(bytes), Some(Message::Blob(sync::BlobMessage::Have { .. })))
}

/// Says whether a message of a link carries documents.
pub fn carries_data(bytes: &[u8]) -> bool {
    matches!(message(bytes), Some(Message::CatchUp { .. } | Message::Commits { .. } | Message::Docs { .. }))
}

fn message(bytes: &[u8]) -> Option<Message> {
    match bytes.split_first() {
        Some((0, frame)) => Message::decode(frame).ok().flatten(),
        _ => None,
    }
}

/// Returns rows by the canonical bytes of their id, which makes equal sets equal maps.
fn by_key(rows: &[Value]) -> BTreeMap<Vec<u8>, Value> {
    let key = |row: &Value| row.as_object().and_then(|row| row.get("_id")).map(cbor::encode);
    rows.iter().map(|row| (key(row).unwrap_or_default(), row.clone())).collect()
}

fn tell(row: &Value) -> String {
    let Some(fields) = row.as_object() else { return format!("{row:?}") };
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", short(value))).collect();
    format!("{{{}}}", fields.join(", "))
}

fn short(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Float(float) => format!("{float:?}"),
        Value::Int(int) => int.to_string(),
        Value::Null => "null".to_owned(),
        Value::Object(_) => tell(value),
        Value::Str(text) if text.len() > 24 => format!("'{}…'", text.chars().take(20).collect::<String>()),
        Value::Str(text) => format!("'{text}'"),
        Value::Array(_) | Value::Bytes(_) => format!("{value:?}"),
    }
}
