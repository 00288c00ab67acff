//! The small objects that cross the border: options in; status and presence out.

use std::borrow::Borrow;

use js_sys::BigInt;
use peer::io::{BigPeerState, LinkKind, PeerInfo, PresenceGraph, Status};
use serde::{Deserialize, Serialize};
use value::{Object, Value, cbor};
use wasm_bindgen::JsValue;

use crate::js;

/// What `Peer.open` takes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOptions {
    /// Name of the database.
    pub database: String,
    /// Names the store in this origin.
    pub directory: String,
    /// The Big Peer's endpoint.
    pub big_peer_url: Option<String>,
    /// Of this peer.
    pub device_name: String,
    /// Of the package.
    pub version: String,
    /// `{passphrase}` or `{key}` as bytes; absent for a store that is not encrypted.
    #[serde(default, with = "serde_wasm_bindgen::preserve")]
    pub encryption: JsValue,
    /// The folder of a host that has files; absent elsewhere.
    #[serde(default, with = "serde_wasm_bindgen::preserve")]
    pub folder: JsValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusView {
    is_on: bool,
    authenticated: bool,
    big_peer: &'static str,
    reason: Option<&'static str>,
    pending_commits: f64,
    catching_up: f64,
    documents_received: f64,
    documents_expected: f64,
    links: Vec<LinkView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkView {
    peer_key: String,
    is_big_peer: bool,
    transport: &'static str,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    acknowledged: JsValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeerView {
    key: String,
    device_name: String,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    metadata: JsValue,
    is_big_peer: bool,
    version: String,
    links: Vec<NeighbourView>,
}

#[derive(Serialize)]
struct NeighbourView {
    peer: String,
    transport: &'static str,
}

#[derive(Serialize)]
struct PresenceView {
    local: PeerView,
    remotes: Vec<PeerView>,
}

/// Returns the state of sync as applications see it.
pub fn status(status: &Status) -> JsValue {
    let (big_peer, reason) = match status.big_peer {
        BigPeerState::AuthenticationRequired => ("authentication-required", None),
        BigPeerState::BackingOff(code) => ("backing-off", Some(code.as_str())),
        BigPeerState::Connecting => ("connecting", None),
        BigPeerState::Live => ("live", None),
        BigPeerState::Off => ("off", None),
    };
    let links = status.links.iter().map(|link| LinkView {
        peer_key: link.peer.0.clone(),
        is_big_peer: link.is_big_peer,
        transport: transport(link.kind),
        acknowledged: BigInt::from(link.acknowledged.0).into(),
    });
    plain(&StatusView {
        is_on: status.sync_on,
        authenticated: status.authenticated,
        big_peer,
        reason,
        pending_commits: status.pending_commits as f64,
        catching_up: status.catching_up as f64,
        documents_received: status.documents_received as f64,
        documents_expected: status.documents_expected as f64,
        links: links.collect(),
    })
}

/// Returns who is in reach.
pub fn presence(graph: &PresenceGraph) -> JsValue {
    plain(&PresenceView { local: peer(&graph.local), remotes: graph.remotes.iter().map(peer).collect() })
}

fn peer(info: &PeerInfo) -> PeerView {
    let neighbour =
        |(peer, kind): &(value::PeerKey, LinkKind)| NeighbourView { peer: peer.0.clone(), transport: transport(*kind) };
    PeerView {
        key: info.key.0.clone(),
        device_name: info.device_name.clone(),
        metadata: encoded(&info.metadata),
        is_big_peer: info.is_big_peer,
        version: info.version.clone(),
        links: info.links.iter().map(neighbour).collect(),
    }
}

fn transport(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Simulated => "Simulated",
        LinkKind::WebRtc => "WebRTC",
        LinkKind::WebSocket => "WebSocket",
    }
}

fn encoded(object: &Object) -> JsValue {
    js::bytes_to(&cbor::encode(&Value::Object(object.clone())))
}

fn plain(view: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true);
    view.serialize(&serializer).expect("numbers, text and lists always become objects")
}

/// Rows as one buffer of CBOR and the end of each row in it; `_id`s as a CBOR array. What is empty is left out: a buffer of
/// JavaScript's costs more than a small write.
pub fn rows<V: Borrow<Value>>(rows: &[V], mutated: &[Value], commit: Option<value::Seq>) -> JsValue {
    let mut writer = value::Writer::new();
    let mut ends = Vec::with_capacity(rows.len());
    for row in rows {
        cbor::encode_into(row.borrow(), &mut writer);
        ends.push(writer.len() as u32);
    }
    let answer = js::object(&[]);
    if !ends.is_empty() {
        js::set(&answer, "bytes", &js::bytes_to(&writer.finish()));
        js::set(&answer, "ends", &js_sys::Uint32Array::from(ends.as_slice()));
    }
    if !mutated.is_empty() {
        let mut ids = value::Writer::new();
        cbor::encode_array_head(mutated.len(), &mut ids);
        mutated.iter().for_each(|id| cbor::encode_into(id, &mut ids));
        js::set(&answer, "mutated", &js::bytes_to(&ids.finish()));
    }
    if commit.is_some() {
        js::set(&answer, "commit", &seq(commit));
    }
    answer
}

/// Returns a place in the log, or `undefined`.
pub fn seq(seq: Option<value::Seq>) -> JsValue {
    seq.map_or(JsValue::UNDEFINED, |seq| BigInt::from(seq.0).into())
}
