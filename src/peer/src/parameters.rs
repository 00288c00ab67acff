//! System parameters: `ALTER SYSTEM SET name = value`, `SHOW name`.
//!
//! Values live in memory only, as in the original: an application sets them again at each start. A parameter that the
//! original has and that changes nothing here is taken and shown with `has_effect: false`, so that a program that sets it
//! goes on. Source: reference 2.11.

use std::collections::BTreeMap;

use dql::{Alteration, Shown};
use value::{CollectionName, ErrorCode, Failure, Object, Value};

use crate::scope::check_scopes;
use crate::system::{object, text};

/// What a parameter takes, and its default.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Bool(bool),
    /// Collections and what becomes of a concurrent update: 'delete' or 'field'.
    DeleteConflicts,
    /// A whole number from a least value.
    Count(i64, i64),
    Map,
    /// Collections and their scopes.
    Scopes,
    Text(&'static str),
}

#[derive(Clone, Copy, Debug)]
struct Parameter {
    name: &'static str,
    kind: Kind,
    has_effect: bool,
}

const fn used(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, has_effect: true }
}

const fn kept(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, has_effect: false }
}

pub const ATTACHMENTS_AUTO_FETCH: &str = "attachments_auto_fetch";
pub const ATTACHMENTS_GC_SECS: &str = "attachments_gc_interval_secs";
pub const DAYS_BETWEEN_REAPING: &str = "days_between_reaping";
pub const DEFAULT_DIRECTIVES: &str = "dql_default_directives";
pub const HISTORY_SIZE: &str = "dql_request_history_size";
pub const ON_DELETE_CONFLICT: &str = "on_delete_conflict";
pub const REAP_BATCH_SIZE: &str = "tombstone_reap_batch_size";
pub const STATEMENT_CACHE_SIZE: &str = "dql_statement_cache_size";
pub const STRICT_MODE: &str = "dql_strict_mode";
pub const SYNC_SCOPES: &str = "user_collection_sync_scopes";
pub const TOMBSTONE_TTL_ENABLED: &str = "tombstone_ttl_enabled";
pub const TOMBSTONE_TTL_HOURS: &str = "tombstone_ttl_hours";
pub const TRANSACTION_LOGGING_MS: &str = "transaction_duration_before_logging_ms";

/// All of them, by name.
const PARAMETERS: [Parameter; 33] = [
    used(ATTACHMENTS_AUTO_FETCH, Kind::Bool(false)),
    used(ATTACHMENTS_GC_SECS, Kind::Count(600, 1)),
    used(DAYS_BETWEEN_REAPING, Kind::Count(1, 1)),
    kept("document_size_hard_limit_bytes", Kind::Count(5_242_880, 1)),
    kept("document_size_soft_limit_bytes", Kind::Count(262_144, 1)),
    used(DEFAULT_DIRECTIVES, Kind::Map),
    kept("dql_object_default", Kind::Text("map")),
    used(HISTORY_SIZE, Kind::Count(4096, 0)),
    kept("dql_request_timeout_seconds", Kind::Count(0, 0)),
    kept("dql_restrict_subscriptions", Kind::Bool(true)),
    kept("dql_select_strict_mode", Kind::Bool(false)),
    kept("dql_slow_request_warn_seconds", Kind::Count(60, 0)),
    used(STATEMENT_CACHE_SIZE, Kind::Count(4096, 0)),
    used(STRICT_MODE, Kind::Bool(false)),
    kept("mesh_chooser_avoid_redundant_bluetooth", Kind::Bool(true)),
    kept("mesh_chooser_max_wlan_connections", Kind::Count(6, 0)),
    kept("metrics_exporter_enabled", Kind::Bool(false)),
    kept("network_enable_ngn", Kind::Bool(false)),
    used(ON_DELETE_CONFLICT, Kind::DeleteConflicts),
    kept("peer_certificate_revocation_check_enabled", Kind::Bool(true)),
    kept("presence_debounce_ms", Kind::Count(500, 0)),
    kept("presence_keep_alive_secs", Kind::Count(30, 1)),
    kept("presence_ttl_secs", Kind::Count(60, 1)),
    kept("remote_query_bytes_max", Kind::Count(10_485_760, 1)),
    kept("remote_query_timeout_secs", Kind::Count(90, 1)),
    kept("replication_gc_ttl_secs", Kind::Count(604_800, 1)),
    kept("replication_over_ngn", Kind::Bool(false)),
    kept("small_peer_info_publish_interval_secs", Kind::Count(300, 1)),
    used(REAP_BATCH_SIZE, Kind::Count(10_000, 1)),
    used(TOMBSTONE_TTL_ENABLED, Kind::Bool(true)),
    used(TOMBSTONE_TTL_HOURS, Kind::Count(168, 1)),
    used(TRANSACTION_LOGGING_MS, Kind::Count(10_000, 0)),
    used(SYNC_SCOPES, Kind::Scopes),
];

/// The values that were set.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<&'static str, Value>);

impl Parameters {
    /// Gives a parameter the value that a kind of peer starts with.
    pub fn begin_with(&mut self, name: &'static str, value: Value) {
        self.0.insert(name, value);
    }

    /// Carries out ALTER SYSTEM. Errors: `query/parameter` for an unknown name or a value of another kind.
    pub fn alter(&mut self, alteration: &Alteration) -> Result<(), Failure> {
        match alteration {
            Alteration::Reset(name) => _ = self.0.remove(find(name)?.name),
            Alteration::ResetAll => self.0.clear(),
            Alteration::Set(name, value) => {
                let parameter = find(name)?;
                check(parameter, value)?;
                self.0.insert(parameter.name, value.clone());
            }
        }
        Ok(())
    }

    /// Returns the rows of SHOW. Errors: `query/parameter` for an unknown name.
    pub fn show(&self, shown: &Shown) -> Result<Vec<Value>, Failure> {
        if let Some(name) = shown.name() {
            find(name)?;
        }
        let row = |parameter: &Parameter| {
            Value::Object(object([
                ("name", text(parameter.name)),
                ("value", self.value(parameter)),
                ("default", parameter.kind.default()),
                ("has_effect", Value::Bool(parameter.has_effect)),
            ]))
        };
        Ok(PARAMETERS.iter().filter(|parameter| shown.includes(parameter.name)).map(row).collect())
    }

    fn value(&self, parameter: &Parameter) -> Value {
        self.0.get(parameter.name).cloned().unwrap_or_else(|| parameter.kind.default())
    }

    fn named(&self, name: &str) -> Value {
        find(name).map_or(Value::Null, |parameter| self.value(parameter))
    }

    /// Says whether a parameter is true.
    pub fn is(&self, name: &str) -> bool {
        self.named(name) == Value::Bool(true)
    }

    /// Returns a number.
    pub fn count(&self, name: &str) -> usize {
        self.named(name).as_int().map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Says whether DELETE in a collection removes its fields, so that a concurrent update survives.
    pub fn deletes_fields(&self, collection: &CollectionName) -> bool {
        let chosen = self.0.get(ON_DELETE_CONFLICT).and_then(Value::as_object);
        let chosen = chosen.and_then(|chosen| chosen.get(collection.as_str()));
        chosen.and_then(Value::as_str) == Some("field")
    }

    /// Returns an object.
    pub fn map(&self, name: &str) -> Object {
        self.named(name).into_object().unwrap_or_default()
    }
}

impl Kind {
    fn default(self) -> Value {
        match self {
            Kind::Bool(truth) => Value::Bool(truth),
            Kind::Count(count, _) => Value::Int(count),
            Kind::DeleteConflicts | Kind::Map | Kind::Scopes => Value::Object(Object::new()),
            Kind::Text(default) => text(default),
        }
    }
}

fn find(name: &str) -> Result<&'static Parameter, Failure> {
    let found = PARAMETERS.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        Failure::new(ErrorCode::QueryParameter, format!("unknown parameter '{name}'; SHOW ALL lists the parameters"))
    })
}

fn check(parameter: &Parameter, value: &Value) -> Result<(), Failure> {
    let (fits, wanted) = match parameter.kind {
        Kind::Bool(_) => (matches!(value, Value::Bool(_)), "true or false".to_owned()),
        Kind::Count(_, least) => {
            (value.as_int().is_some_and(|count| count >= least), format!("a whole number from {least}"))
        }
        Kind::DeleteConflicts => {
            let known = |value: &Value| matches!(value.as_str(), Some("delete" | "field"));
            let fits = value.as_object().is_some_and(|object| object.values().all(known));
            (fits, "an object from collections to 'delete' or 'field'".to_owned())
        }
        Kind::Map | Kind::Scopes => (value.as_object().is_some(), "an object".to_owned()),
        Kind::Text(_) => (value.as_str().is_some(), "a string".to_owned()),
    };
    if fits {
        return if matches!(parameter.kind, Kind::Scopes) { check_scopes(value) } else { Ok(()) };
    }
    Err(Failure::new(ErrorCode::QueryParameter, format!("the parameter {} takes {wanted}", parameter.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_every_default_is_of_its_kind() {
        assert!(PARAMETERS.is_sorted_by_key(|parameter| parameter.name));
        assert!(PARAMETERS.iter().all(|parameter| check(parameter, &parameter.kind.default()).is_ok()));
    }
}
