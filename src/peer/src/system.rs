//! The collections that the peer itself makes: `system:indexes`, `system:data_sync_info` and so on.
//!
//! Rows are made when a statement that names the collection is run, and not kept. Source: reference 2.9.

use std::collections::BTreeMap;
use std::rc::Rc;

use dql::{Plan, Zones};
use store::{Key, ReadError, Store};
use value::{Object, Value};

use crate::config::Role;
use crate::engine::Engine;
use crate::io::BigPeerState;
use crate::statement::Prepared;
use crate::view;

/// What the names of these collections start with.
pub const SYSTEM: &str = "system:";

/// How often live queries over these collections are looked at, milliseconds.
pub const TICK_MS: u64 = 500;

/// The rows that one statement can read.
#[derive(Default)]
pub struct SystemRows {
    rows: BTreeMap<String, Vec<Object>>,
    clock: Option<Rc<dyn Zones>>,
}

impl SystemRows {
    /// Returns the rows of a collection, by its name behind `system:`; none of one that does not exist.
    pub fn rows(&self, name: &str) -> &[Object] {
        self.rows.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns a monotonic time, nanoseconds; 0 where the host has none.
    pub fn clock(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.nanoseconds())
    }
}

/// Says whether a plan reads a collection that the peer makes.
pub fn reads_system(plan: &Plan) -> bool {
    plan.collections().iter().any(|collection| collection.as_str().starts_with(SYSTEM))
}

impl<S: Store> Engine<S> {
    /// Makes the rows that a statement can read.
    pub(crate) fn system_rows(&self, prepared: &Prepared) -> Result<SystemRows, ReadError> {
        let mut all = SystemRows::default();
        if matches!(*prepared.plan, Plan::Profile(_)) {
            all.clock = Some(Rc::clone(&self.zones));
        }
        if !prepared.reads_system {
            return Ok(all);
        }
        for collection in prepared.plan.collections() {
            let Some(name) = collection.as_str().strip_prefix(SYSTEM) else { continue };
            let rows = match name {
                "active_requests" => self.active_requests(),
                "collections" => self.stored_collections()?,
                "data_sync_info" => self.data_sync_info(),
                "dual" => vec![Object::new()],
                "indexes" => self.index_rows(),
                "metrics" => self.metrics(),
                "request_history" => self.history.rows(),
                "shared_statements" => self.parsed.rows(),
                "subscriptions" => self.subscription_rows(),
                "system_info" => self.system_info(),
                "vitals" => self.vitals(),
                _ => Vec::new(),
            };
            all.rows.insert(name.to_owned(), rows);
        }
        Ok(all)
    }

    fn active_requests(&self) -> Vec<Object> {
        let reads = self.reads.iter().map(|(_, prepared)| (prepared, "waiting to read"));
        let jobs = self.pipeline.statements().map(|prepared| (prepared, "waiting to write"));
        let inside = self.transactions.open.values().flat_map(|transaction| &transaction.waiting);
        let inside = inside.map(|(_, prepared)| (prepared, "in a transaction"));
        let all = reads.chain(jobs).chain(inside);
        all.map(|(prepared, state)| object([("statement", text(&prepared.text)), ("state", text(state))])).collect()
    }

    /// Finds the collections that hold something, tombstones included, by leaping from one to the next.
    fn stored_collections(&self) -> Result<Vec<Object>, ReadError> {
        let mut rest = Key::all_documents();
        let mut rows = Vec::new();
        while let Some((key, _)) = self.store.range(&rest, 1)?.into_iter().next() {
            let (collection, _) = view::named(&key)?;
            let documents = Key::documents(&collection);
            let name = collection.as_str();
            rows.push(object([("_id", text(name)), ("name", text(name))]));
            match documents.end {
                Some(end) => rest.start = end,
                None => break,
            }
        }
        Ok(rows)
    }

    fn index_rows(&self) -> Vec<Object> {
        let rows = self.indexes.listed().into_iter().map(|listing| {
            let index = &listing.index;
            let fields = index.keys.iter().map(|key| {
                let path = key.path.iter().map(|name| text(name)).collect();
                let direction = if key.descending { "desc" } else { "asc" };
                Value::from([("direction", text(direction)), ("key", Value::Array(path))])
            });
            let mut row = object([
                ("_id", text(&[index.collection.as_str(), ".", &index.name].concat())),
                ("name", text(&index.name)),
                ("collection", text(index.collection.as_str())),
                ("fields", Value::Array(fields.collect())),
                ("state", text(if listing.built { "ready" } else { "building" })),
                ("documents", Value::Int(listing.documents as i64)),
            ]);
            if let Some(of) = listing.of {
                row.insert("of".to_owned(), Value::Int(of as i64));
            }
            row
        });
        rows.collect()
    }

    fn metrics(&self) -> Vec<Object> {
        let figures = [
            ("commits", self.log.head().0),
            ("documents_received", self.network.documents_received),
            ("links", self.network.established().count() as u64),
            ("observers", self.observers.len() as u64),
            ("pending_commits", self.network.pending.len() as u64),
            ("subscriptions", self.subscriptions.len() as u64),
            ("transactions_open", self.transactions.open.len() as u64),
            ("transactions_opened", self.transactions.opened),
        ];
        figures.map(|(name, value)| object([("_id", text(name)), ("value", Value::Int(value as i64))])).into()
    }

    fn system_info(&self) -> Vec<Object> {
        let role = match self.config.role {
            Role::BigPeer { .. } => "big_peer",
            Role::SmallPeer { .. } => "small_peer",
        };
        let status = self.status();
        let facts = [
            ("core", "database_id", text(&self.config.database)),
            ("core", "device_name", text(&self.config.device_name)),
            ("core", "peer_key", text(&self.config.peer_key.to_string())),
            ("core", "role", text(role)),
            ("core", "version", text(&self.config.version)),
            ("store", "commit_id", Value::Int(self.log.head().0 as i64)),
            ("sync", "big_peer", text(state(status.big_peer))),
            ("sync", "is_active", Value::Bool(status.sync_on)),
            ("sync", "pending_commits", Value::Int(status.pending_commits as i64)),
        ];
        let row = |(namespace, key, value): (&str, &str, Value)| {
            object([
                ("_id", text(&[namespace, ".", key].concat())),
                ("namespace", text(namespace)),
                ("key", text(key)),
                ("value", value),
                ("timestamp", Value::Int(self.now.0 as i64)),
            ])
        };
        facts.map(row).into()
    }

    fn vitals(&self) -> Vec<Object> {
        let state = if self.broken.is_some() {
            "broken"
        } else if !self.booted {
            "starting"
        } else if self.damaged.is_empty() {
            "healthy"
        } else {
            "damaged"
        };
        vec![object([("_id", text("peer")), ("state", text(state)), ("time", Value::Int(self.now.0 as i64))])]
    }
}

fn state(state: BigPeerState) -> &'static str {
    match state {
        BigPeerState::AuthenticationRequired => "authentication required",
        BigPeerState::BackingOff(_) => "backing off",
        BigPeerState::Connecting => "connecting",
        BigPeerState::Live => "live",
        BigPeerState::Off => "off",
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::from(text)
}

pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Object {
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}
