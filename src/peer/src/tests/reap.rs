//! Goal: tombstones go when their time is over, nothing that was deleted comes back, and nothing that was not is lost.

use value::Value;

use super::harness::{BIG, World};
use crate::io::Input;

const ALL: &str = "SELECT * FROM a";
const DAY_MS: u64 = 86_400_000;

fn two_online() -> World {
    let mut world = World::new(2);
    for number in 0..=2 {
        world.input(number, Input::MayCompact(true));
    }
    world.online(1, ALL);
    world.online(2, ALL);
    world
}

/// Lets days pass, of which the engines see only the end.
fn days(world: &mut World, days: u64) {
    world.now = world.now.plus(days * DAY_MS);
    world.pass(120_000);
}

fn stored(world: &World, number: usize) -> usize {
    use store::Store;
    world.nodes[number].engine.store().range(&store::Key::all_documents(), usize::MAX).expect("in memory").len()
}

#[test]
fn tombstones_go_a_week_later_on_small_peers_and_a_month_later_on_the_big_peer() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    world.ok(1, "DELETE FROM a WHERE _id = 1");
    world.pass(5_000);
    days(&mut world, 6);
    assert_eq!((stored(&world, 1), stored(&world, BIG)), (2, 2));
    days(&mut world, 2);
    assert_eq!((stored(&world, 1), stored(&world, 2), stored(&world, BIG)), (1, 1, 2));
    days(&mut world, 23);
    assert_eq!(stored(&world, BIG), 1);
    assert_eq!(world.rows(1, ALL), world.rows(2, ALL));
    assert_eq!(world.rows(1, ALL).len(), 1);
    let before = world.sent_bytes();
    world.pass(60_000);
    assert!(world.sent_bytes() - before < 2_000, "nobody asks for it again");
}

#[test]
fn a_tombstone_that_the_big_peer_has_not_acknowledged_stays() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.pass(5_000);
    world.big_peer_up = false;
    world.cut(BIG);
    world.ok(1, "DELETE FROM a WHERE _id = 1");
    days(&mut world, 10);
    assert_eq!(stored(&world, 1), 1, "the tombstone");
    world.big_peer_up = true;
    world.pass(60_000);
    assert!(world.rows(BIG, ALL).is_empty());
}

#[test]
fn a_peer_that_returns_after_the_horizon_lets_go_what_was_deleted_and_keeps_what_it_wrote() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1}), ({'_id': 2, 'x': 1}), ({'_id': 3, 'x': 1}), ({'_id': 4, 'x': 1})");
    world.pass(5_000);
    // The second peer goes away, writes a document of its own and changes another.
    world.input(2, Input::SyncOn(false));
    world.ok(2, "INSERT INTO a DOCUMENTS ({'_id': 5, 'x': 5})");
    world.ok(2, "UPDATE a SET x = 5 WHERE _id = 2");
    world.ok(1, "DELETE FROM a WHERE _id = 1 OR _id = 2");
    world.ok(1, "UPDATE a SET x = 9 WHERE _id = 3");
    world.pass(5_000);
    (0..32).for_each(|_| days(&mut world, 1));
    assert_eq!(stored(&world, BIG), 2, "the tombstones are gone");
    world.input(2, Input::SyncOn(true));
    world.pass(60_000);
    let row = |id, x| Value::from([("_id", Value::Int(id)), ("x", Value::Int(x))]);
    // What it had changed itself is newer than the horizon of what it had heard, and comes back whole.
    let wanted = [row(2, 5), row(3, 9), row(4, 1), row(5, 5)];
    assert_eq!(world.rows(2, "SELECT * FROM a ORDER BY _id"), wanted);
    assert_eq!(world.rows(BIG, "SELECT * FROM a ORDER BY _id"), wanted);
    assert_eq!(world.rows(1, "SELECT * FROM a ORDER BY _id"), wanted);
}

#[test]
fn reaping_can_be_turned_off_and_its_time_changed() {
    let mut world = two_online();
    world.ok(1, "ALTER SYSTEM SET tombstone_ttl_enabled = false");
    world.ok(2, "ALTER SYSTEM SET tombstone_ttl_hours = 1");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.ok(1, "DELETE FROM a");
    world.pass(5_000);
    days(&mut world, 1);
    assert_eq!((stored(&world, 1), stored(&world, 2)), (1, 0));
    days(&mut world, 20);
    assert_eq!(stored(&world, 1), 1);
}

#[test]
fn the_horizon_survives_a_restart() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    world.ok(1, "DELETE FROM a WHERE _id = 1");
    world.pass(5_000);
    world.input(2, Input::SyncOn(false));
    (0..33).for_each(|_| days(&mut world, 1));
    world.restart(BIG);
    world.input(2, Input::SyncOn(true));
    world.pass(60_000);
    assert_eq!(world.rows(2, ALL).len(), 1);
    assert_eq!(world.rows(BIG, ALL).len(), 1);
}

#[test]
fn what_a_big_peer_has_evicted_is_not_taken_for_deleted() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    world.ok(1, "DELETE FROM a WHERE _id = 2");
    world.pass(5_000);
    world.input(1, Input::SyncOn(false));
    world.input(2, Input::SyncOn(false));
    world.ok(BIG, "EVICT FROM a WHERE _id = 1");
    (0..40).for_each(|_| days(&mut world, 1));
    world.restart(BIG);
    world.input(2, Input::SyncOn(true));
    world.pass(60_000);
    assert_eq!(world.rows(2, ALL).len(), 1, "it stays");
    assert_eq!(world.rows(BIG, ALL).len(), 1, "and comes back to where it was evicted");
}

#[test]
fn a_new_big_peer_in_the_place_of_the_old_makes_nobody_forget() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    world.ok(1, "DELETE FROM a WHERE _id = 2");
    (0..40).for_each(|_| days(&mut world, 1));
    world.nodes[BIG].log.clear();
    world.restart_as_copy(BIG);
    world.input(BIG, Input::MayCompact(true));
    world.ok(BIG, "INSERT INTO a DOCUMENTS ({'_id': 9})");
    (0..40).for_each(|_| days(&mut world, 1));
    for number in 0..=2 {
        assert_eq!(world.rows(number, ALL).len(), 2, "at {number}");
    }
}
