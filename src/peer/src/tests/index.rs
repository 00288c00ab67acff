//! Goal: index rows are those of the documents after every commit, by whatever way it came, and scans answer like a walk.
//!
//! Method: after each step the rows are compared with the documents of the same store; scans with an order of values that
//! knows nothing of keys.

use std::ops::Bound;

use dql::{Access, Index, IndexKey, IndexScan, KeyBounds};
use store::{DeviceNow, Durability, ReadError, Store};
use value::{CollectionName, DocId, ErrorCode, Object, Value};

use super::harness::{BIG, World};
use super::shared::{Hold, Shared};
use crate::draft::Draft;
use crate::engine::Engine;
use crate::index::{IndexChange, IndexDefinition};
use crate::io::{Input, PageDocuments, PageForm, PageRequest, Reply, Ticket, TransactionId};
use crate::view::{Extent, Scan, View};

pub const ONE: usize = 1;

pub fn name(text: &str) -> CollectionName {
    CollectionName::new(text).expect("it is short")
}

/// `"x -y.z"` is the field x ascending, then y.z descending.
fn fields(text: &str) -> Vec<IndexKey> {
    let field = |word: &str| IndexKey {
        path: word.trim_start_matches('-').split('.').map(str::to_owned).collect(),
        descending: word.starts_with('-'),
    };
    text.split(' ').map(field).collect()
}

fn create(ticket: Ticket, collection: &str, index: &str, keys: &str) -> Input {
    let definition = IndexDefinition { collection: name(collection), name: index.to_owned(), keys: fields(keys) };
    let change = IndexChange::Create { definition, if_not_exists: false };
    Input::ChangeIndex { ticket, change, durability: Durability::Relaxed }
}

fn drop_index(ticket: Ticket, collection: &str, index: &str) -> Input {
    let change = IndexChange::Drop { collection: name(collection), name: index.to_owned(), if_exists: false };
    Input::ChangeIndex { ticket, change, durability: Durability::Relaxed }
}

impl World {
    pub fn create(&mut self, node: usize, collection: &str, index: &str, keys: &str) {
        let ticket = self.ticket();
        self.input(node, create(ticket, collection, index, keys));
        let answer = self.nodes[node].replies.remove(&ticket);
        assert!(matches!(answer, Some(Ok(Reply::Rows { commit: Some(_), .. }))), "{answer:?}");
    }

    fn change(&mut self, node: usize, input: impl FnOnce(Ticket) -> Input) -> Result<Reply, ErrorCode> {
        let ticket = self.ticket();
        self.input(node, input(ticket));
        self.nodes[node].replies.remove(&ticket).expect("it is answered").map_err(|failure| failure.code)
    }

    pub fn check(&mut self, node: usize) {
        let problems = self.nodes[node].engine.check_indexes(|_| panic!("all is in memory"));
        assert_eq!(problems, Ok(Vec::new()));
    }

    /// Returns the index, which must be built.
    pub fn index(&self, node: usize, index: &str) -> Index {
        let listed = self.nodes[node].engine.indexes();
        let found = listed.iter().find(|listing| listing.index.name == index).expect("it exists");
        assert!(found.built, "{found:?}");
        found.index.clone()
    }
}

impl Shared {
    fn create(&mut self, tab: usize, collection: &str, index: &str, keys: &str) {
        let ticket = self.ticket();
        self.input(tab, create(ticket, collection, index, keys));
        assert!(self.answer(tab, ticket).is_ok());
    }

    fn check(&mut self, tab: usize) {
        let device = self.devices[self.tabs[tab].store].clone();
        let problems = self.tabs[tab].engine.check_indexes(|blocks| device.read_now(blocks).expect("the device works"));
        assert_eq!(problems, Ok(Vec::new()));
    }

    fn built(&self, tab: usize, index: &str) -> bool {
        self.tabs[tab].engine.indexes().iter().any(|listing| listing.index.name == index && listing.built)
    }
}

pub fn all() -> KeyBounds {
    KeyBounds { equal: Vec::new(), low: Bound::Unbounded, high: Bound::Unbounded }
}

pub fn scan(index: &Index, bounds: Vec<KeyBounds>) -> IndexScan {
    IndexScan { index: index.clone(), bounds, reverse: false, covering: false }
}

/// Returns the `_id`s and objects that a scan finds, in its order; at most `max`.
pub fn found<S: Store>(view: &View<'_, S>, scan: &IndexScan, extent: Extent, max: usize) -> Vec<(DocId, Object)> {
    let mut found = Vec::new();
    let access = Access::Index(scan.clone());
    let outcome = view.find(&scan.index.collection, &access, extent, |row| -> Result<Scan, ReadError> {
        let names = scan.index.keys.iter().map(|key| key.path[0].clone()).chain(["_id".to_owned()]).collect();
        found.extend(row.fields(&dql::Needed::Named(names))?.map(|object| (row.id(), object)));
        Ok(if found.len() >= max { Scan::Stop } else { Scan::Continue })
    });
    assert_eq!(outcome, Ok(()));
    found
}

fn ids_of<S: Store>(engine: &Engine<S>, scan: &IndexScan) -> Vec<Value> {
    let view = View::new(&engine.store, &engine.indexes, Vec::new());
    found(&view, scan, Extent::Whole, usize::MAX).into_iter().map(|(id, _)| id.to_value()).collect()
}

pub fn ints(ids: &[i64]) -> Vec<Value> {
    ids.iter().map(|id| Value::Int(*id)).collect()
}

#[test]
fn rows_follow_inserts_updates_deletes_and_evictions() {
    let mut world = World::new(1);
    world.ok(ONE, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 3}), ({'_id': 2, 'n': 1}), ({'_id': 3})");
    world.create(ONE, "a", "by_n", "n");
    let index = world.index(ONE, "by_n");
    let everything = scan(&index, vec![all()]);
    assert_eq!(ids_of(&world.nodes[ONE].engine, &everything), ints(&[2, 1, 3]));
    let steps = [
        ("INSERT INTO a DOCUMENTS ({'_id': 4, 'n': 2})", vec![2, 4, 1, 3]),
        ("UPDATE a SET n = 0 WHERE _id = 1", vec![1, 2, 4, 3]),
        ("UPDATE a SET other = 0 WHERE _id = 1", vec![1, 2, 4, 3]),
        ("UPDATE a SET n = 0.0 WHERE _id = 1", vec![1, 2, 4, 3]),
        ("DELETE FROM a WHERE _id = 2", vec![1, 4, 3]),
        ("INSERT INTO a DOCUMENTS ({'_id': 2, 'n': 9})", vec![1, 4, 2, 3]),
        ("EVICT FROM a WHERE _id = 4", vec![1, 2, 3]),
        ("UPDATE a SET n = null WHERE _id = 3", vec![1, 2, 3]),
        ("DELETE FROM a", vec![]),
    ];
    for (text, expected) in steps {
        world.ok(ONE, text);
        assert_eq!(ids_of(&world.nodes[ONE].engine, &everything), ints(&expected), "{text}");
        world.check(ONE);
        world.restart(ONE);
        world.check(ONE);
        assert_eq!(ids_of(&world.nodes[ONE].engine, &everything), ints(&expected), "{text}, started again");
    }
}

#[test]
fn rows_follow_what_links_bring_and_stay_at_home() {
    let mut world = World::new(2);
    world.create(2, "a", "by_n", "n");
    world.online(ONE, "SELECT * FROM a");
    world.online(2, "SELECT * FROM a");
    world.ok(ONE, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 3}), ({'_id': 2, 'n': 1})");
    world.ok(ONE, "UPDATE a SET n = 0 WHERE _id = 1");
    world.ok(ONE, "DELETE FROM a WHERE _id = 2");
    let index = world.index(2, "by_n");
    assert_eq!(ids_of(&world.nodes[2].engine, &scan(&index, vec![all()])), ints(&[1]));
    world.check(2);
    assert!(world.nodes[ONE].engine.indexes().is_empty() && world.nodes[BIG].engine.indexes().is_empty());
}

#[test]
fn an_export_holds_no_rows_and_an_import_makes_them() {
    let mut world = World::new(2);
    world.create(ONE, "a", "i", "n");
    world.create(2, "a", "i", "n");
    world.ok(ONE, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 3}), ({'_id': 2, 'n': 1}), ({'_id': 3, 'n': 2})");
    world.ok(ONE, "DELETE FROM a WHERE _id = 3");
    world.ok(2, "INSERT INTO a DOCUMENTS ({'_id': 9, 'n': 2})");
    let ticket = world.ticket();
    let request = PageRequest { collection: None, after: None, form: PageForm::States };
    world.input(ONE, Input::Page { ticket, request });
    let Some(Ok(Reply::Page(page))) = world.nodes[ONE].replies.remove(&ticket) else { panic!("a page is answered") };
    let PageDocuments::States(docs) = page.documents else { panic!("states were asked for") };
    assert_eq!(docs.len(), 3);
    let ticket = world.ticket();
    world.input(2, Input::Import { ticket, docs, durability: Durability::Relaxed });
    let index = world.index(2, "i");
    assert_eq!(ids_of(&world.nodes[2].engine, &scan(&index, vec![all()])), ints(&[2, 9, 1]));
    world.check(2);
}

#[test]
fn names_and_limits_are_checked_and_a_dropped_index_leaves_no_rows() {
    let mut world = World::new(1);
    world.ok(ONE, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 3})");
    world.create(ONE, "a", "i", "n");
    let first = world.index(ONE, "i");
    assert_eq!(world.change(ONE, |t| create(t, "a", "i", "m")), Err(ErrorCode::QueryIndexExists));
    assert!(world.change(ONE, |t| create(t, "b", "i", "m")).is_ok());
    assert_eq!(world.change(ONE, |t| drop_index(t, "a", "j")), Err(ErrorCode::QueryIndexNotFound));
    let many: Vec<String> = (0..17).map(|n| format!("f{n}")).collect();
    assert_eq!(world.change(ONE, |t| create(t, "a", "j", &many.join(" "))), Err(ErrorCode::QueryIndexLimit));
    assert_eq!(world.change(ONE, |t| create(t, "a", "j", "n n")), Err(ErrorCode::QueryInvalid));
    assert!(world.change(ONE, |t| drop_index(t, "a", "i")).is_ok());
    world.check(ONE);
    assert_eq!(ids_of(&world.nodes[ONE].engine, &scan(&first, vec![all()])), ints(&[1]), "a plan of before the drop");
    world.create(ONE, "a", "i", "-n");
    assert_ne!(world.index(ONE, "i").number, first.number);
    world.check(ONE);
    world.restart(ONE);
    world.check(ONE);
    (1..64).for_each(|n| world.create(ONE, "a", &format!("i{n}"), "n"));
    assert_eq!(world.change(ONE, |t| create(t, "a", "i64", "n")), Err(ErrorCode::QueryIndexLimit));
}

#[test]
fn a_transaction_sees_its_own_rows_and_leaves_none_when_rolled_back() {
    let mut world = World::new(1);
    world.ok(ONE, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 3}), ({'_id': 2, 'n': 1}), ({'_id': 3, 'n': 2})");
    world.create(ONE, "a", "by_n", "n");
    let index = world.index(ONE, "by_n");
    let ticket = world.ticket();
    world.input(ONE, Input::Begin { ticket, read_only: false });
    let transaction = TransactionId(1);
    for text in [
        "UPDATE a SET n = 9 WHERE _id = 2",
        "DELETE FROM a WHERE _id = 3",
        "INSERT INTO a DOCUMENTS ({'_id': 4, 'n': 0})",
    ] {
        let ticket = world.ticket();
        let (text, args, durability) = (text.to_owned(), Object::new(), Durability::Relaxed);
        world.input(ONE, Input::Execute { ticket, transaction: Some(transaction), text, args, durability });
    }
    let engine = &world.nodes[ONE].engine;
    let draft: &Draft = &engine.transactions.open[&transaction].draft;
    let view = View::new(&engine.store, &engine.indexes, vec![draft]);
    for extent in [Extent::Some, Extent::Whole] {
        let seen: Vec<Value> =
            found(&view, &scan(&index, vec![all()]), extent, 9).into_iter().map(|(id, _)| id.to_value()).collect();
        assert_eq!(seen, ints(&[4, 1, 2]));
    }
    assert_eq!(view.count(&name("a")), Ok(3));
    assert_eq!(ids_of(engine, &scan(&index, vec![all()])), ints(&[2, 3, 1]), "nobody else sees them");
    let ticket = world.ticket();
    world.input(ONE, Input::End { ticket, transaction, commit: false });
    assert_eq!(ids_of(&world.nodes[ONE].engine, &scan(&index, vec![all()])), ints(&[2, 3, 1]));
    world.check(ONE);
}

#[test]
fn a_count_follows_the_commits() {
    let mut world = World::new(1);
    let count = |world: &World| {
        let engine = &world.nodes[ONE].engine;
        View::new(&engine.store, &engine.indexes, Vec::new()).count(&name("a"))
    };
    assert_eq!(count(&world), Ok(0));
    for (text, expected) in [
        ("INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2}), ({'_id': 3})", 3),
        ("UPDATE a SET n = 1", 3),
        ("DELETE FROM a WHERE _id = 1", 2),
        ("DELETE FROM a WHERE _id = 1", 2),
        ("EVICT FROM a WHERE _id = 2", 1),
        ("INSERT INTO a DOCUMENTS ({'_id': 1})", 2),
        ("INSERT INTO b DOCUMENTS ({'_id': 1})", 2),
    ] {
        world.ok(ONE, text);
        assert_eq!(count(&world), Ok(expected), "{text}");
        assert_eq!(world.rows(ONE, "SELECT * FROM a").len() as u64, expected);
    }
}

#[test]
fn a_build_goes_on_after_every_place_where_the_process_may_die() {
    let mut world = World::new(1);
    for id in 0..2_500 {
        world.ok(ONE, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'n': {}}})", id % 7));
    }
    world.create(ONE, "a", "by_n", "n");
    let log = world.nodes[ONE].log.clone();
    let steps = log.len() - 2_500;
    assert!(steps >= 4, "the definition and at least three steps: {steps}");
    for cut in 1..steps {
        world.nodes[ONE].log = log[..log.len() - cut].to_vec();
        world.restart(ONE);
        world.check(ONE);
        let listed = world.nodes[ONE].engine.indexes();
        assert!(listed.len() == 1 && !listed[0].built, "{listed:?}");
        world.ok(ONE, "UPDATE a SET n = 8 WHERE _id < 40");
        world.ok(ONE, "DELETE FROM a WHERE _id > 2460");
        world.check(ONE);
        let halfway = world.nodes[ONE].engine.indexes()[0].index.clone();
        let eights = KeyBounds { equal: vec![Some(Value::Int(8))], ..all() };
        assert_eq!(ids_of(&world.nodes[ONE].engine, &scan(&halfway, vec![eights])).len(), 40, "before it is built");
        world.input(ONE, Input::MayCompact(true));
        world.index(ONE, "by_n");
        world.check(ONE);
    }
}

#[test]
fn a_step_that_finds_no_space_is_tried_again_after_a_commit_that_does() {
    let mut world = World::new(1);
    (0..1_500).for_each(|id| world.ok(ONE, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})")));
    world.create(ONE, "a", "i", "n");
    // The definition stays in the log, and the first step is refused.
    let log = world.nodes[ONE].log.clone();
    world.nodes[ONE].log = log[..=1_500].to_vec();
    world.restart(ONE);
    world.full = Some(ONE);
    let commits = world.nodes[ONE].commits;
    world.input(ONE, Input::MayCompact(true));
    world.pass(60_000);
    assert_eq!(world.nodes[ONE].commits, commits + 1, "it is not tried in a loop");
    world.full = None;
    world.ok(ONE, "INSERT INTO b DOCUMENTS ({'_id': 1})");
    world.index(ONE, "i");
    world.check(ONE);
}

#[test]
fn two_tabs_and_a_third_that_opens_later_have_the_same_rows() {
    let mut shared = Shared::new(2);
    shared.open(0);
    let (a, b) = (shared.open(ONE), shared.open(ONE));
    shared.input(a, Input::MayCompact(true));
    shared.fill(a, "b", 0..30);
    shared.create(b, "b", "i", "x _id");
    shared.ok(b, "UPDATE b SET x = 'y' WHERE _id < 10");
    shared.fill(b, "b", 30..60);
    shared.ok(a, "DELETE FROM b WHERE _id > 50");
    let c = shared.open(ONE);
    for tab in [a, b, c] {
        assert!(shared.built(tab, "i"));
        shared.check(tab);
    }
    let ticket = shared.ticket();
    shared.input(c, drop_index(ticket, "b", "i"));
    shared.ok(b, "UPDATE b SET x = 'z' WHERE _id < 5");
    for tab in [a, b, c] {
        assert!(shared.tabs[tab].engine.indexes().is_empty());
        shared.check(tab);
    }
}

#[test]
fn a_tab_that_slept_through_a_build_reads_the_index_of_the_others() {
    let mut shared = Shared::new(2);
    shared.open(0);
    let (sleeper, writer) = (shared.open(ONE), shared.open(ONE));
    shared.input(writer, Input::MayCompact(true));
    shared.fill(writer, "b", 0..10);
    shared.tabs[sleeper].deaf = true;
    shared.create(writer, "b", "i", "x");
    shared.fill(writer, "b", 10..60);
    shared.ok(sleeper, "INSERT INTO b DOCUMENTS ({'_id': 100, 'x': 'late'})");
    shared.hear(writer);
    assert_eq!(shared.tabs[sleeper].reboots, 1, "the log went on without it");
    for tab in [sleeper, writer] {
        assert!(shared.built(tab, "i"));
        shared.check(tab);
    }
}

#[test]
fn writes_go_on_while_the_blocks_of_a_build_are_loaded() {
    let mut shared = Shared::new(2);
    shared.open(0);
    let writer = shared.open(ONE);
    shared.input(writer, Input::MayCompact(true));
    shared.fill(writer, "b", 0..40);
    shared.input(writer, Input::MayCompact(false));
    let cold = shared.open(ONE);
    shared.tabs[cold].holds = Hold::Loads;
    shared.create(cold, "b", "i", "x");
    assert!(matches!(shared.tabs[cold].held[..], [crate::io::Output::Load { .. }]), "{:?}", shared.tabs[cold].held);
    shared.ok(cold, "INSERT INTO c DOCUMENTS ({'_id': 1})");
    shared.ok(writer, "UPDATE b SET x = 'y' WHERE _id = 39");
    assert!(!shared.built(cold, "i"));
    shared.release(cold);
    for tab in [cold, writer] {
        shared.hear(tab);
        assert!(shared.built(tab, "i"));
        shared.check(tab);
    }
}

#[test]
fn after_a_block_was_lost_all_indexes_are_built_again() {
    let mut shared = Shared::new(2);
    shared.open(0);
    let tab = shared.open(ONE);
    shared.input(tab, Input::MayCompact(true));
    shared.create(tab, "b", "i", "x");
    shared.fill(tab, "b", 0..60);
    let before = shared.tabs[tab].engine.indexes()[0].index.number;
    let blocks = shared.devices[ONE].blocks();
    let middle = blocks[blocks.len() / 2];
    shared.devices[ONE].lose(middle);
    // The first tab still has the block in memory; it no longer compacts.
    shared.input(tab, Input::MayCompact(false));
    let again = shared.open(ONE);
    shared.input(again, Input::MayCompact(true));
    // A count of all reads no document, so a field is counted.
    shared.number(again, "SELECT COUNT(other) AS n FROM b");
    shared.check(again);
    shared.ok(again, "INSERT INTO c DOCUMENTS ({'_id': 1})");
    shared.ok(again, "UPDATE b SET x = 'y' WHERE _id < 5");
    shared.number(again, "SELECT COUNT(*) AS n FROM b");
    let listed = shared.tabs[again].engine.indexes();
    assert_eq!(shared.tabs[again].damaged, [middle.to_string()]);
    assert!(listed[0].built && listed[0].index.number != before, "{listed:?}");
    shared.check(again);
}
