//! Goal: the engine answers as the vectors of the language say, and random queries as a walk over all documents does.
//!
//! Method: the cases of `tests/vectors/dql`, each on a new engine, over a memory store and over the log-structured one.

use std::rc::Rc;

use dql::Zones;
use store::Durability;
use value::{Failure, Millis, Object, Value};

use super::harness::World;
use super::language::case::{Answer, Case, NOW_MS, offset_in_2024, run_all};
use super::language::query::{Data, ask, condition};
use super::language::random::{XorShift, seed};
use super::shared::Shared;
use crate::io::{Input, Reply, Ticket};

/// The zones that the README of the vectors names.
pub struct ZonesOf2024;

impl Zones for ZonesOf2024 {
    fn offset(&self, zone: &str, at: Millis) -> Option<i32> {
        offset_in_2024(zone, at.0)
    }

    fn local(&self) -> String {
        "Europe/Berlin".to_owned()
    }
}

/// What runs statements one after the other.
trait Place {
    fn execute(&mut self, text: &str, args: Object) -> Result<Reply, Failure>;

    fn rows(&mut self, text: &str, args: Object) -> Result<Vec<Value>, Failure> {
        match self.execute(text, args)? {
            Reply::Rows { rows, .. } => Ok(rows),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn insert(&mut self, collection: &str, documents: &[Object]) {
        if documents.is_empty() {
            return;
        }
        let all = documents.iter().cloned().map(Value::Object).collect();
        let text = format!("INSERT INTO {collection} DOCUMENTS (:all)");
        self.rows(&text, [("all".to_owned(), Value::Array(all))].into()).expect("inserted");
    }

    fn index(&mut self, text: &str) {
        self.rows(text, Object::new()).unwrap_or_else(|failure| panic!("{text}: {failure}"));
    }

    /// Panics unless all indexes are built.
    fn are_ready(&mut self, count: usize) {
        let rows = self.rows("SELECT * FROM system:indexes", Object::new()).expect("a SELECT");
        assert_eq!(rows.len(), count, "{rows:?}");
        let is_ready = |row: &Value| row.as_object().and_then(|row| row.get("state")) == Some(&Value::from("ready"));
        assert!(rows.iter().all(is_ready), "{rows:?}");
    }

    fn answer(&mut self, case: &Case) -> Answer {
        self.insert("c", &case.documents);
        case.others.iter().for_each(|(collection, documents)| self.insert(collection, documents));
        case.indexes.iter().for_each(|index| self.index(index));
        self.are_ready(case.indexes.len());
        let failed = |failure: Failure| (failure.code.as_str().to_owned(), failure.message);
        let rows = self.rows(&case.statement, case.args.clone()).map_err(failed)?;
        Ok((rows, self.rows("SELECT * FROM c", Object::new()).map_err(failed)?))
    }
}

fn execute(ticket: Ticket, text: &str, args: Object) -> Input {
    Input::Execute { ticket, transaction: None, text: text.to_owned(), args, durability: Durability::Relaxed }
}

/// A node of a world.
struct InMemory(World);

impl InMemory {
    fn new() -> InMemory {
        InMemory(World::at(Millis(NOW_MS), Rc::new(ZonesOf2024)))
    }
}

impl Place for InMemory {
    fn execute(&mut self, text: &str, args: Object) -> Result<Reply, Failure> {
        let ticket = self.0.ticket();
        self.0.input(0, execute(ticket, text, args));
        self.0.nodes[0].replies.remove(&ticket).expect("every statement is answered")
    }
}

/// A tab over a device.
struct Logged(Shared);

impl Logged {
    fn new() -> Logged {
        let mut shared = Shared::new(1);
        shared.now = Millis(NOW_MS);
        shared.zones = Rc::new(ZonesOf2024);
        shared.open(0);
        Logged(shared)
    }
}

impl Place for Logged {
    fn execute(&mut self, text: &str, args: Object) -> Result<Reply, Failure> {
        let ticket = self.0.ticket();
        self.0.input(0, execute(ticket, text, args));
        self.0.answer(0, ticket)
    }
}

#[test]
fn vectors_hold_in_memory() {
    run_all("memory", |case| InMemory::new().answer(case));
}

#[test]
fn vectors_hold_over_a_device() {
    run_all("device", |case| Logged::new().answer(case));
}

fn differ(seed: u64, rounds: usize, mut place: impl FnMut() -> Box<dyn Place>) {
    let mut random = XorShift(seed);
    for _ in 0..rounds {
        let data = Data::new(&mut random);
        let mut place = place();
        // Half the indexes are there before the documents, half are built behind them.
        let (before, after) = data.indexes.split_at(data.indexes.len() / 2);
        before.iter().for_each(|index| place.index(index));
        data.documents.iter().for_each(|(collection, documents)| place.insert(collection, documents));
        after.iter().for_each(|index| place.index(index));
        place.are_ready(data.indexes.len());
        for _ in 0..20 {
            let query = ask(&mut random, &data);
            query.compare(&data, place.rows(&query.planned, Object::new()).map_err(|failure| failure.code));
        }
        let (condition, touched) = condition(&mut random, &data);
        for (mutation, changed) in [
            (format!("UPDATE c SET z = 1 WHERE {condition}"), "SELECT _id FROM c WHERE z = 1"),
            (format!("DELETE FROM c WHERE {condition} RETURNING _id"), ""),
        ] {
            let returned = place.rows(&mutation, Object::new());
            let found = if changed.is_empty() { returned } else { place.rows(changed, Object::new()) };
            touched.compare(&data, found.map_err(|failure| failure.code));
        }
    }
}

#[test]
fn random_queries_answer_as_a_walk_does_in_memory() {
    differ(seed(0x5eed_0003), 100, || Box::new(InMemory::new()));
}

#[test]
fn random_queries_answer_as_a_walk_does_over_a_device() {
    differ(seed(0x5eed_0004), 60, || Box::new(Logged::new()));
}
