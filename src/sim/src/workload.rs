//! The statements that clients make: random, over few documents, so that conflicts are frequent.
//!
//! Each statement comes with what the model has to know of it. The statements themselves know nothing of the state: an
//! insert may meet a document or not, an update may match nothing.

use std::collections::BTreeSet;

use store::Durability;
use value::{Millis, Object, Value};

use crate::document::{self, ALL_FIELDS, COLLECTIONS, Code, FIELDS, GROUPED, NESTED_FIELDS, PARTIAL, WILD};
use crate::model::{Effect, Fate, Write};
use crate::options::{Class, Profile};
use crate::rng::Rng;

/// The values of `k`, by which subscriptions to a part are made.
pub const PARTS: i64 = 3;

/// A statement and its account.
#[derive(Clone, Debug)]
pub struct Statement {
    /// DQL.
    pub text: String,
    /// Its parameters.
    pub args: Object,
    /// What it must survive.
    pub durability: Durability,
    /// What it does, for the model; the wild ones have none.
    pub write: Option<Write>,
}

/// Makes statements.
#[derive(Debug)]
pub struct Workload {
    rng: Rng,
    profile: Profile,
}

impl Workload {
    /// Starts a stream of statements.
    pub fn new(seed: u64, profile: &Profile) -> Workload {
        Workload { rng: Rng::named(seed, "workload"), profile: profile.clone() }
    }

    /// Returns the source of chance, for what clients do besides statements.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Makes a statement that writes into a collection; `number` is what the model will call it.
    pub fn write(&mut self, node: usize, collection: usize, number: usize) -> Statement {
        match collection {
            GROUPED => self.grouped(node, number),
            WILD => self.wild(),
            _ => self.plain(node, collection, number),
        }
    }

    fn plain(&mut self, node: usize, collection: usize, number: usize) -> Statement {
        let allowed = |class, weight| if self.profile.has(class) { weight } else { 0 };
        let evicts = if self.profile.is_big_peer(node) { 0 } else { allowed(Class::Evictions, 2) };
        let weights = [30, allowed(Class::Initial, 5), 50, allowed(Class::Deletes, 8), evicts];
        let id = self.id();
        match self.rng.weighted(&weights) {
            0 => self.insert(node, collection, number, id, Effect::Insert),
            1 => self.insert(node, collection, number, id, Effect::Initial),
            2 => self.update(node, collection, number, id),
            3 => self.remove(node, collection, id, Effect::Delete),
            _ => self.remove(node, collection, id, Effect::Evict),
        }
    }

    fn insert(&mut self, node: usize, collection: usize, number: usize, id: i64, effect: Effect) -> Statement {
        let sets = self.some_fields();
        let mut row = self.row(id, number, sets);
        if collection == PARTIAL {
            row.insert("k".to_owned(), Value::Int(self.rng.below(PARTS as u64) as i64));
        }
        let policies = [
            "",
            " ON ID CONFLICT FAIL",
            " ON ID CONFLICT DO NOTHING",
            " ON ID CONFLICT DO UPDATE",
            " ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
        ];
        let (initial, policies) = match effect {
            Effect::Initial => ("INITIAL ", &policies[..3]),
            _ => ("", &policies[..]),
        };
        let policy = *self.rng.pick(policies);
        let text = format!("INSERT INTO {} {initial}DOCUMENTS (:row){policy}", COLLECTIONS[collection]);
        let args = Object::from([("row".to_owned(), Value::Object(row))]);
        self.statement(node, collection, Some(id), effect, (sets, 0), text, args)
    }

    fn update(&mut self, node: usize, collection: usize, number: usize, id: i64) -> Statement {
        let sets = self.some_fields();
        let unsets = if self.rng.chance(250) { self.rng.number() as u8 & ALL_FIELDS & !sets } else { 0 };
        // The map `n` as a whole goes only when nothing is written into it in the same breath.
        let whole = unsets & NESTED_FIELDS != 0 && sets & NESTED_FIELDS == 0 && self.rng.chance(500);
        let unsets = if whole { unsets | NESTED_FIELDS } else { unsets };
        let mut args = Object::new();
        let mut assigned = Vec::new();
        for field in document::fields(sets) {
            assigned.push(format!("{} = :v{field}", FIELDS[field]));
            args.insert(format!("v{field}"), self.value(number, field));
        }
        if collection == PARTIAL && self.rng.chance(300) {
            assigned.push(format!("k = {}", self.rng.below(PARTS as u64)));
        }
        let mut removed: Vec<&str> =
            document::fields(if whole { unsets & !NESTED_FIELDS } else { unsets }).map(|field| FIELDS[field]).collect();
        if whole {
            removed.push("n");
        }
        let unset = if removed.is_empty() { String::new() } else { format!(" UNSET {}", removed.join(", ")) };
        let (target, condition) = match (collection, self.rng.below(10)) {
            (PARTIAL, 0 | 1) => (None, format!("k = {}", self.rng.below(PARTS as u64))),
            (_, 0) => (None, format!("_id >= {id}")),
            _ => (Some(id), "_id = :id".to_owned()),
        };
        if target.is_some() {
            args.insert("id".to_owned(), Value::Int(id));
        }
        let collection_name = COLLECTIONS[collection];
        let text = format!("UPDATE {collection_name} SET {}{unset} WHERE {condition}", assigned.join(", "));
        self.statement(node, collection, target, Effect::Update, (sets, unsets), text, args)
    }

    fn remove(&mut self, node: usize, collection: usize, id: i64, effect: Effect) -> Statement {
        let verb = if effect == Effect::Delete { "DELETE" } else { "EVICT" };
        let text = format!("{verb} FROM {} WHERE _id = :id", COLLECTIONS[collection]);
        let args = Object::from([("id".to_owned(), Value::Int(id))]);
        self.statement(node, collection, Some(id), effect, (0, 0), text, args)
    }

    /// Makes a statement over both documents of a group, with one marker.
    fn grouped(&mut self, node: usize, number: usize) -> Statement {
        let group = self.rng.below(2) as i64;
        let marker = self.value(number, 0);
        let deletes = if self.profile.has(Class::Deletes) { 10 } else { 0 };
        let (effect, text, args) = match self.rng.weighted(&[50, 40, deletes]) {
            0 => {
                let row = |id| {
                    let fields = [
                        ("_id", Value::Int(id)),
                        ("f0", marker.clone()),
                        ("g", Value::Int(group)),
                        ("m", marker.clone()),
                    ];
                    Value::from(fields)
                };
                let args = Object::from([("a".to_owned(), row(group * 2)), ("b".to_owned(), row(group * 2 + 1))]);
                (Effect::Insert, "INSERT INTO t DOCUMENTS (:a), (:b) ON ID CONFLICT DO UPDATE", args)
            }
            1 => {
                let args = Object::from([("m".to_owned(), marker), ("g".to_owned(), Value::Int(group))]);
                (Effect::Update, "UPDATE t SET f0 = :m, m = :m WHERE g = :g", args)
            }
            _ => {
                let args = Object::from([("g".to_owned(), Value::Int(group))]);
                (Effect::Delete, "DELETE FROM t WHERE g = :g", args)
            }
        };
        let sets = if effect == Effect::Delete { 0 } else { 1 };
        let mut statement = self.statement(node, GROUPED, None, effect, (sets, 0), text.to_owned(), args);
        if let Some(write) = &mut statement.write {
            write.targets = Some(BTreeSet::from([group * 2, group * 2 + 1]));
        }
        statement
    }

    /// Makes two statements that only together write a group, for one transaction; the account is with the first.
    pub fn halves(&mut self, node: usize, number: usize) -> (Statement, Statement) {
        let group = self.rng.below(2) as i64;
        let marker = self.value(number, 0);
        let mut half = |id: i64| {
            let fields =
                [("_id", Value::Int(id)), ("f0", marker.clone()), ("g", Value::Int(group)), ("m", marker.clone())];
            let args = Object::from([("row".to_owned(), Value::from(fields))]);
            let text = "INSERT INTO t DOCUMENTS (:row) ON ID CONFLICT DO UPDATE".to_owned();
            self.statement(node, GROUPED, Some(id), Effect::Insert, (1, 0), text, args)
        };
        let (mut first, second) = (half(group * 2), half(group * 2 + 1));
        if let Some(write) = &mut first.write {
            write.targets = Some(BTreeSet::from([group * 2, group * 2 + 1]));
        }
        (first, Statement { write: None, ..second })
    }

    /// Makes a statement for convergence alone: types that replace each other, equal seeds, maps over scalars.
    fn wild(&mut self) -> Statement {
        let (id, value) = (self.id(), self.rng.below(1000));
        let deletes = self.profile.has(Class::Deletes);
        let text = match self.rng.below(if deletes { 12 } else { 10 }) {
            0 => format!("INSERT INTO w DOCUMENTS ({{'_id': {id}, 'x': {value}}}) ON ID CONFLICT DO UPDATE"),
            1 => format!(
                "INSERT INTO w DOCUMENTS ({{'_id': {id}, 'n': {{'q': {{'r': {value}}}}}}}) ON ID CONFLICT DO NOTHING"
            ),
            2 => format!("INSERT INTO w INITIAL DOCUMENTS ({{'_id': {id}, 'x': 'seed', 'n': {{'q': 1}}}})"),
            3 => format!("UPDATE w SET n = {value} WHERE _id = {id}"),
            4 => format!("UPDATE w SET n.q.r = {value} WHERE _id = {id}"),
            5 => format!("UPDATE w SET n.q = [{value}, {{'a': null}}] WHERE _id = {id}"),
            6 => format!("UPDATE w SET n = {{}} UNSET x WHERE _id <= {id}"),
            7 => format!("UPDATE w SET x = 'v{value}' UNSET n WHERE _id = {id}"),
            8 => format!("UPDATE w SET x = null, y.z = {value}.5 WHERE x IS NOT MISSING"),
            9 => format!("UPDATE w SET y = true WHERE _id = {id}"),
            10 => format!("DELETE FROM w WHERE _id = {id}"),
            _ => format!("DELETE FROM w WHERE x = {value} OR _id = {id}"),
        };
        Statement { text, args: Object::new(), durability: self.durability(), write: None }
    }

    #[allow(clippy::too_many_arguments, reason = "the only caller-facing form is `write`; this fills in the account")]
    fn statement(
        &mut self,
        node: usize,
        collection: usize,
        target: Option<i64>,
        effect: Effect,
        (sets, unsets): (u8, u8),
        text: String,
        args: Object,
    ) -> Statement {
        let durability = self.durability();
        let write = Write {
            node,
            collection,
            targets: target.map(|id| BTreeSet::from([id])),
            effect,
            sets,
            unsets,
            durability,
            text: text.clone(),
            made: Millis(0),
            settled: None,
            fate: Fate::Unknown,
            touched: None,
            had_seen: BTreeSet::new(),
        };
        Statement { text, args, durability, write: Some(write) }
    }

    fn row(&mut self, id: i64, number: usize, sets: u8) -> Object {
        let mut row = Object::from([("_id".to_owned(), Value::Int(id))]);
        for field in document::fields(sets) {
            let value = self.value(number, field);
            document::set(&mut row, field, value);
        }
        row
    }

    fn value(&mut self, write: usize, field: usize) -> Value {
        let padding = self.profile.padding;
        Code { write, field }.value(if self.rng.chance(300) { padding } else { 0 })
    }

    fn id(&mut self) -> i64 {
        self.rng.below(self.profile.ids as u64) as i64
    }

    fn some_fields(&mut self) -> u8 {
        loop {
            let bits = (self.rng.number() & self.rng.number()) as u8 & ALL_FIELDS;
            if bits != 0 {
                return bits;
            }
        }
    }

    fn durability(&mut self) -> Durability {
        match self.rng.weighted(&[10, 60, 30]) {
            0 => Durability::Memory,
            1 => Durability::Relaxed,
            _ => Durability::Strict,
        }
    }
}
