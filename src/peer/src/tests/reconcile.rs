//! Goal: peers that know nothing of each other find what they lack, both ways, and send little else.
//!
//! Method: the Big Peer and a Small Peer are stopped and come back as copies of themselves, with other stores, so that no
//! cursor of either is of use.

use value::Value;

use super::harness::{BIG, World};

const ALL: &str = "SELECT * FROM a";
const COUNT: &str = "SELECT COUNT(*) AS n FROM a";

/// A Big Peer and Small Peers that subscribe to everything of `a`, in sync, with some documents.
fn in_sync(small_peers: usize, documents: usize) -> World {
    let mut world = World::new(small_peers);
    (1..=small_peers).for_each(|number| world.online(number, ALL));
    for id in 0..documents {
        world.ok(BIG, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': {id}, 'text': 'text number {id}'}})"));
        world.now = world.now.plus(7);
    }
    world.pass(5_000);
    world
}

/// Parts the Big Peer from the first Small Peer, lets them do something, and brings both back as copies, the Small Peer with
/// these subscriptions; returns the bytes that flow.
fn apart(world: &mut World, subscriptions: &[&str], work: impl FnOnce(&mut World)) -> usize {
    world.big_peer_up = false;
    world.cut(BIG);
    world.pass(1_000);
    work(world);
    world.restart_as_copy(BIG);
    world.restart_as_copy(1);
    let before = world.sent_bytes();
    world.big_peer_up = true;
    subscriptions.iter().for_each(|subscription| world.online(1, subscription));
    world.pass(9_000);
    world.sent_bytes() - before
}

#[test]
fn equal_stores_that_never_met_exchange_few_bytes_and_no_document() {
    let mut world = in_sync(1, 2000);
    let bytes = apart(&mut world, &[ALL], |_| {});
    // Handshake, presence, keep-alives and both directions of the comparison.
    assert!(bytes < 900, "{bytes} bytes");
    assert!(world.nodes[1].commits <= 2, "a cursor at most is written");
    world.ok(BIG, "UPDATE a SET x = -1 WHERE _id = 5");
    assert_eq!(world.rows(1, ALL), world.rows(BIG, ALL), "and then changes flow");
}

#[test]
fn changes_deletions_and_new_documents_of_both_sides_are_found() {
    let mut world = in_sync(1, 1000);
    let bytes = apart(&mut world, &[ALL], |world| {
        world.ok(1, "UPDATE a SET x = 7 WHERE _id < 5");
        world.ok(1, "DELETE FROM a WHERE _id = 10");
        world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 5000})");
        world.pass(1_000);
        world.ok(BIG, "UPDATE a SET text = 'y' WHERE _id > 2 AND _id < 9");
        world.ok(BIG, "DELETE FROM a WHERE _id = 11");
        world.ok(BIG, "INSERT INTO a DOCUMENTS ({'_id': 5001})");
    });
    let rows = world.rows(BIG, ALL);
    assert_eq!(world.rows(1, ALL), rows);
    assert_eq!(rows.len(), 1000);
    assert_eq!(
        world.rows(1, "SELECT x, text FROM a WHERE _id = 4"),
        [Value::from([("text", Value::Str("y".into())), ("x", Value::Int(7)),])]
    );
    assert!(bytes < 6_000, "{bytes} bytes");
}

#[test]
fn the_old_state_of_what_the_big_peer_has_changed_is_not_sent_to_it() {
    let mut world = in_sync(1, 2000);
    let bytes = apart(&mut world, &[ALL], |world| {
        for id in (0..2000).step_by(20) {
            world.ok(BIG, &format!("UPDATE a SET x = -1 WHERE _id = {id}"));
        }
    });
    assert_eq!(world.rows(1, ALL), world.rows(BIG, ALL));
    assert_eq!(world.rows(BIG, "SELECT COUNT(*) AS n FROM a WHERE x = -1"), [Value::from([("n", Value::Int(100))])]);
    assert!(bytes < 6_000, "{bytes} bytes");
}

#[test]
fn a_document_that_left_the_predicate_meanwhile_is_learnt_of() {
    let mut world = in_sync(1, 50);
    world.online(1, "SELECT * FROM b WHERE x > 5");
    world.ok(BIG, "INSERT INTO b DOCUMENTS ({'_id': 1, 'x': 6}), ({'_id': 2, 'x': 7}), ({'_id': 3, 'x': 0})");
    world.pass(3_000);
    assert_eq!(world.rows(1, "SELECT * FROM b").len(), 2);
    apart(&mut world, &[ALL, "SELECT * FROM b WHERE x > 5"], |world| {
        world.ok(BIG, "UPDATE b SET x = 1 WHERE _id = 1");
        world.ok(BIG, "UPDATE b SET x = 9 WHERE _id = 3");
    });
    let rows = world.rows(1, "SELECT _id, x FROM b ORDER BY _id");
    let row = |id, x| Value::from([("_id", Value::Int(id)), ("x", Value::Int(x))]);
    assert_eq!(rows, [row(1, 1), row(2, 7), row(3, 9)]);
}

#[test]
fn what_no_subscription_of_a_small_peer_covers_reaches_the_big_peer_too() {
    let mut world = in_sync(1, 20);
    apart(&mut world, &[ALL], |world| world.ok(1, "INSERT INTO c DOCUMENTS ({'_id': 1}), ({'_id': 2})"));
    assert_eq!(world.rows(BIG, "SELECT * FROM c").len(), 2);
}

#[test]
fn a_big_peer_with_much_more_than_a_small_peer_is_compared_with_by_what_that_subscribes_to() {
    let mut world = World::new(1);
    world.online(1, "SELECT * FROM a WHERE x < 1000");
    for id in 0..3000 {
        world.ok(BIG, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': {id}}})"));
    }
    world.pass(3_000);
    let subscription = ["SELECT * FROM a WHERE x < 1000"];
    let bytes = apart(&mut world, &subscription, |world| world.ok(1, "UPDATE a SET y = 1 WHERE _id = 0"));
    assert_eq!(world.rows(BIG, "SELECT * FROM a WHERE y = 1").len(), 1);
    assert_eq!(world.rows(1, COUNT), [Value::from([("n", Value::Int(1000))])]);
    assert!(bytes < 2_700, "{bytes} bytes");
}

#[test]
fn a_subscription_that_is_added_meanwhile_begins_with_what_is_there() {
    let mut world = in_sync(2, 200);
    // It has some of them from another subscription.
    world.online(2, "SELECT * FROM a WHERE x < 100");
    let before = world.sent_bytes();
    world.online(1, "SELECT * FROM a WHERE x >= 0");
    world.pass(2_000);
    let bytes = world.sent_bytes() - before;
    assert!(bytes < 1_500, "{bytes} bytes");
    world.ok(BIG, "UPDATE a SET x = x + 1");
    assert_eq!(world.rows(1, ALL), world.rows(BIG, ALL));
    assert_eq!(world.rows(2, ALL), world.rows(BIG, ALL));
}

#[test]
fn evicted_documents_come_back_to_a_subscription_that_covers_them_and_nothing_else_does() {
    let mut world = in_sync(1, 500);
    let before = world.sent_bytes();
    world.ok(1, "EVICT FROM a WHERE _id < 3");
    world.pass(2_000);
    assert_eq!(world.rows(1, ALL), world.rows(BIG, ALL));
    let bytes = world.sent_bytes() - before;
    assert!(bytes < 3_000, "{bytes} bytes");
}
