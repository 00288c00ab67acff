//! Goal: verification finds every index row that is missing, wrong or too many, and nothing where all is well.
//!
//! Method: rows are changed in the store behind the engine's back.

use store::{Batch, Key, Store};
use value::{DocId, Seq, Value};

use super::harness::World;
use super::index::ONE;
use crate::index::{IndexFinding, IndexWalk};
use crate::io::{Input, Reply};

const DOCUMENTS: u64 = 5_000;

fn filled() -> World {
    let mut world = World::new(1);
    for first in (0..DOCUMENTS).step_by(500) {
        let documents: Vec<String> =
            (first..first + 500).map(|id| format!("({{'_id': {id}, 'x': {}}})", id % 7)).collect();
        world.ok(ONE, &format!("INSERT INTO a DOCUMENTS {}", documents.join(", ")));
    }
    world.create(ONE, "a", "by_x", "x");
    world.create(ONE, "b", "none", "x");
    world
}

/// Asks for steps until the walk is done; before each something may happen.
fn walk(world: &mut World, mut before: impl FnMut(&mut World)) -> Box<IndexWalk> {
    let mut walk = Box::<IndexWalk>::default();
    while !walk.is_done() {
        before(world);
        let ticket = world.ticket();
        world.input(ONE, Input::WalkIndexes { ticket, walk });
        walk = match world.nodes[ONE].replies.remove(&ticket) {
            Some(Ok(Reply::IndexesWalked(walk))) => walk,
            other => panic!("{other:?}"),
        };
    }
    walk
}

/// Changes rows as no commit does.
fn tamper(world: &mut World, change: impl FnOnce(&mut Batch)) {
    let store = &mut world.nodes[ONE].engine.store;
    let mut batch = Batch::new(Seq(store.applied().0 + 1));
    change(&mut batch);
    store.apply(batch).expect("it is in memory");
}

fn rows(world: &World) -> Vec<(Key, Vec<u8>)> {
    let number = world.index(ONE, "by_x").number;
    world.nodes[ONE].engine.store.range(&Key::index_rows(number), usize::MAX).expect("it is in memory")
}

fn problems(walk: &IndexWalk) -> Vec<&str> {
    walk.findings().iter().map(|IndexFinding { problem, .. }| problem.as_str()).collect()
}

#[test]
fn a_sound_store_has_no_findings_also_while_it_is_written() {
    let mut world = filled();
    let quiet = walk(&mut world, |_| {});
    assert_eq!((quiet.findings(), quiet.rows()), (&[][..], DOCUMENTS));
    let mut next = 0;
    let busy = walk(&mut world, |world| {
        next += 1;
        world.ok(ONE, &format!("UPDATE a SET x = {next} WHERE _id = {}", DOCUMENTS - next * 13));
        world.ok(ONE, &format!("INSERT INTO a DOCUMENTS ({{'_id': 'new {next}', 'x': {next}}})"));
        world.ok(ONE, &format!("DELETE FROM a WHERE _id = {next}"));
    });
    assert_eq!(busy.findings(), []);
    assert!(next > DOCUMENTS / 200, "{next} steps: the rows were looked up");
}

#[test]
fn rows_that_are_missing_wrong_too_many_or_of_no_index_are_found() {
    let mut world = filled();
    let all = rows(&world);
    let (number, absent) = (world.index(ONE, "by_x").number, DocId::new(&Value::from("absent")).expect("an id"));
    let mut stray = all[1].0.as_bytes()[9..].to_vec();
    tamper(&mut world, |batch| {
        batch.delete(all[0].0.clone());
        batch.put(all[1].0.clone(), vec![1, 2, 3]);
        // The same field with another `_id`.
        let of_id = |row: &[u8], id: &DocId| {
            let known = DocId::new(&Value::Int(0)).expect("an id").as_bytes().len();
            [&row[..row.len() - known], id.as_bytes()].concat()
        };
        batch.put(Key::index_row(number, &of_id(&all[0].0.as_bytes()[9..], &absent)), all[0].1.clone());
        stray.push(0);
        batch.put(Key::index_row(number + 1_000, &stray), Vec::new());
    });
    let found = walk(&mut world, |_| {});
    let told = problems(&found).join("\n");
    for expected in ["no row of document", "wrong note in the row", "row too many of document", "no index has it"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(found.findings()[0].index, "a.by_x");
}

#[test]
fn of_one_index_ten_findings_are_told_and_the_others_counted() {
    let mut world = filled();
    let all = rows(&world);
    tamper(&mut world, |batch| all.iter().step_by(100).for_each(|(key, _)| _ = batch.delete(key.clone())));
    let found = walk(&mut world, |_| {});
    assert_eq!(found.findings().len(), 11);
    assert_eq!(problems(&found)[10], "40 more of its rows are not as they should be");
}
