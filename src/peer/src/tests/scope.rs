//! Goal: what a scope keeps back goes nowhere else, by no way, and goes when the scope is widened.

use value::ErrorCode;

use super::harness::{BIG, World};
use crate::io::{DialTarget, Input, SignalPath};
use value::PeerKey;

fn scope(world: &mut World, number: usize, scope: &str) {
    world.ok(number, &format!("ALTER SYSTEM SET user_collection_sync_scopes = {{'a': '{scope}'}}"));
}

/// Two Small Peers of a Big Peer with a link of their own; the first keeps `a` to a scope and writes to `a` and `b`.
fn scoped(kept_to: &str) -> World {
    let mut world = World::new(2);
    scope(&mut world, 1, kept_to);
    for number in [1, 2] {
        world.online(number, "SELECT * FROM a");
        world.online(number, "SELECT * FROM b");
    }
    let target = DialTarget::Peer { peer: PeerKey("p2".into()), path: SignalPath::Relay };
    world.link(1, 2, Some(target));
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 1})");
    world.pass(5_000);
    world
}

fn held(world: &mut World, number: usize, collection: &str) -> usize {
    world.rows(number, &format!("SELECT * FROM {collection}")).len()
}

#[test]
fn each_scope_reaches_whom_it_names() {
    // The second peer relays what it gets to the Big Peer: the sender's scope binds the sender.
    for (kept_to, big, small) in [("AllPeers", 1, 1), ("BigPeerOnly", 1, 1), ("LocalPeerOnly", 0, 0)] {
        let mut world = scoped(kept_to);
        assert_eq!((held(&mut world, BIG, "a"), held(&mut world, 2, "a")), (big, small), "{kept_to}");
        assert_eq!((held(&mut world, BIG, "b"), held(&mut world, 2, "b")), (1, 1), "{kept_to}");
    }
}

#[test]
fn a_scope_of_small_peers_keeps_a_collection_from_the_big_peer_if_all_of_them_have_it() {
    let mut world = World::new(2);
    for number in [1, 2] {
        scope(&mut world, number, "SmallPeersOnly");
        world.online(number, "SELECT * FROM a");
    }
    let target = DialTarget::Peer { peer: PeerKey("p2".into()), path: SignalPath::Relay };
    world.link(1, 2, Some(target));
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.pass(5_000);
    assert_eq!((held(&mut world, BIG, "a"), held(&mut world, 2, "a")), (0, 1));
}

#[test]
fn nothing_is_kept_back_from_a_scan_and_a_catch_up_either() {
    let mut world = scoped("LocalPeerOnly");
    world.cut(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    world.restart_as_copy(BIG);
    world.pass(30_000);
    assert_eq!(held(&mut world, BIG, "a"), 0);
    assert_eq!(held(&mut world, BIG, "b"), 1);
}

#[test]
fn what_was_kept_back_goes_when_the_scope_is_widened() {
    let mut world = scoped("LocalPeerOnly");
    scope(&mut world, 1, "BigPeerOnly");
    world.pass(5_000);
    assert_eq!(held(&mut world, BIG, "a"), 1);
    world.ok(1, "ALTER SYSTEM RESET user_collection_sync_scopes");
    world.ok(1, "UPDATE a SET x = 1");
    assert_eq!(world.rows(2, "SELECT * FROM a"), world.rows(1, "SELECT * FROM a"));
}

#[test]
fn a_scope_that_is_none_is_refused_by_name() {
    let mut world = World::new(1);
    let text = "ALTER SYSTEM SET user_collection_sync_scopes = {'a': 'Everybody'}";
    assert_eq!(world.code(1, text), ErrorCode::QueryParameter);
}

#[test]
fn what_was_kept_back_is_not_taken_for_deleted_when_a_peer_returns_after_the_horizon() {
    let mut world = World::new(1);
    (0..=1).for_each(|number| world.input(number, Input::MayCompact(true)));
    scope(&mut world, 1, "LocalPeerOnly");
    world.online(1, "SELECT * FROM a");
    world.online(1, "SELECT * FROM b");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    world.ok(BIG, "DELETE FROM b WHERE _id = 2");
    world.ok(BIG, "INSERT INTO a DOCUMENTS ({'_id': 7})");
    world.pass(5_000);
    world.input(1, Input::SyncOn(false));
    for _ in 0..40 {
        world.now = world.now.plus(86_400_000);
        world.pass(120_000);
    }
    world.input(1, Input::SyncOn(true));
    world.pass(60_000);
    assert_eq!((held(&mut world, 1, "a"), held(&mut world, 1, "b")), (2, 1));
}
