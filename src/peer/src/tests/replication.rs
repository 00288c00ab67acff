//! What peers do together.

use store::Durability;
use sync::Message;
use value::{ErrorCode, Value};

use super::harness::{BIG, World};
use super::unit::state;
use crate::io::{Input, LinkId, LinkKind, Output};
use crate::unit::{Words, encode};

const ALL: &str = "SELECT * FROM a";

fn two_online() -> World {
    let mut world = World::new(2);
    world.online(1, ALL);
    world.online(2, ALL);
    world
}

#[test]
fn a_write_reaches_the_big_peer_and_the_other_small_peer() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    let rows = world.rows(1, ALL);
    assert_eq!(rows.len(), 1);
    assert_eq!(world.rows(BIG, ALL), rows);
    assert_eq!(world.rows(2, ALL), rows);
    world.ok(BIG, "UPDATE a SET x = 6");
    assert_eq!(world.rows(2, ALL), world.rows(BIG, ALL));
    assert_eq!(world.rows(1, ALL), world.rows(BIG, ALL));
}

#[test]
fn a_peer_that_comes_later_gets_everything() {
    let mut world = World::new(2);
    for id in 0..1000 {
        world
            .ok(BIG, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'text': 'some text to fill it up a little'}})"));
    }
    world.online(1, ALL);
    assert_eq!(world.rows(1, "SELECT COUNT(*) AS n FROM a"), [Value::from([("n", Value::Int(1000))])]);
}

#[test]
fn offline_writes_arrive_after_the_reconnect_and_converge() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5, 'y': 1})");
    world.big_peer_up = false;
    world.cut(BIG);
    world.pass(5_000);
    world.ok(1, "UPDATE a SET x = 6");
    world.pass(5_000);
    world.ok(2, "UPDATE a SET x = 7, y = 2");
    world.ok(2, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    world.big_peer_up = true;
    world.pass(60_000);
    let rows = world.rows(BIG, ALL);
    assert_eq!(rows[0], Value::from([("_id", Value::Int(1)), ("x", Value::Int(7)), ("y", Value::Int(2))]));
    assert_eq!(rows.len(), 2);
    assert_eq!(world.rows(1, ALL), rows);
    assert_eq!(world.rows(2, ALL), rows);
}

#[test]
fn a_reconnect_with_nothing_new_costs_little_and_a_restart_keeps_the_cursors() {
    let mut world = two_online();
    for id in 0..500 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'text': 'some text to fill it up a little'}})"));
    }
    world.pass(60_000);
    world.cut(BIG);
    // The restarted Big Peer counts from zero.
    let before: usize = world.nodes[1..].iter().map(|node| node.sent_bytes).sum();
    world.restart(BIG);
    world.pass(20_000);
    let after: usize = world.nodes.iter().map(|node| node.sent_bytes).sum();
    assert!(after - before < 3_000, "{} bytes for two reconnects", after - before);
    world.ok(1, "UPDATE a SET text = 'x' WHERE _id = 7");
    assert_eq!(world.rows(2, ALL), world.rows(1, ALL));
}

#[test]
fn a_quiet_network_falls_silent() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.pass(30_000);
    let commits: usize = world.nodes.iter().map(|node| node.commits).sum();
    let before: usize = world.nodes.iter().map(|node| node.sent_bytes).sum();
    world.pass(60_000);
    let after: usize = world.nodes.iter().map(|node| node.sent_bytes).sum();
    assert_eq!(world.nodes.iter().map(|node| node.commits).sum::<usize>(), commits);
    assert!(after - before < 2_000, "{} bytes in a minute of silence", after - before);
}

#[test]
fn a_subscription_brings_what_matches_and_the_change_that_made_it_leave() {
    let mut world = World::new(2);
    world.online(1, ALL);
    world.online(2, "SELECT * FROM a WHERE x > 5");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5, 'y': 1}), ({'_id': 2, 'x': 6, 'y': 1})");
    assert_eq!(world.rows(2, "SELECT _id FROM a"), [Value::from([("_id", Value::Int(2))])]);
    world.ok(1, "UPDATE a SET x = 7 WHERE _id = 1");
    assert_eq!(world.rows(2, "SELECT * FROM a WHERE _id = 1").len(), 1);
    let y = world.rows(2, "SELECT y FROM a WHERE _id = 1");
    assert_eq!(y, [Value::from([("y", Value::Int(1))])], "a document that enters comes whole");
    world.ok(1, "UPDATE a SET x = 0 WHERE _id = 2");
    let left = world.rows(2, "SELECT x FROM a WHERE _id = 2");
    assert_eq!(left, [Value::from([("x", Value::Int(0))])]);
    world.ok(1, "DELETE FROM a");
    assert!(world.rows(2, "SELECT * FROM a WHERE x > 5").is_empty());
}

#[test]
fn an_evicted_document_comes_back_while_the_subscription_matches() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    world.ok(2, "EVICT FROM a");
    world.pass(1_000);
    assert_eq!(world.rows(2, ALL).len(), 1);
    assert_eq!(world.rows(BIG, ALL).len(), 1);
}

#[test]
fn a_wrong_token_is_told_and_the_right_one_then_works() {
    let mut world = World::new(1);
    let refused = world.login(1, "wrong").expect_err("it is wrong");
    assert_eq!(refused.code, ErrorCode::AuthenticationFailedToAuthenticate);
    world.online(1, ALL);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    assert_eq!(world.rows(BIG, ALL).len(), 1);
}

#[test]
fn a_login_with_no_big_peer_in_reach_is_answered() {
    let mut world = World::new(1);
    world.big_peer_up = false;
    assert_eq!(world.login(1, "x").expect_err("unreachable").code, ErrorCode::SyncUnreachable);
}

/// Found by seeds 490 and 1532 of the simulator: a tab that another one robs of the links while it dials, or before.
#[test]
fn a_login_is_answered_when_the_links_are_taken_away() {
    let mut world = World::new(1);
    let (ticket, now) = (world.ticket(), world.now);
    let engine = &mut world.nodes[1].engine;
    engine.handle(now, Input::Login { ticket, provider: "p".into(), token: "x".into() });
    let dials = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Dial { .. }));
    assert!(dials(&std::iter::from_fn(|| engine.poll()).collect::<Vec<_>>()));
    engine.handle(now, Input::MayLink(false));
    let answer = std::iter::from_fn(|| engine.poll()).find_map(|output| match output {
        Output::Reply { ticket: answered, result } if answered == ticket => Some(result),
        _ => None,
    });
    assert_eq!(answer.and_then(Result::err).map(|failure| failure.code), Some(ErrorCode::SyncUnreachable));
    assert_eq!(world.login(1, "x").expect_err("it may not link").code, ErrorCode::SyncUnreachable);
}

#[test]
fn a_login_while_the_link_of_an_older_one_shakes_hands_is_tried() {
    let mut world = World::new(1);
    let (older, newer, now) = (world.ticket(), world.ticket(), world.now);
    let engine = &mut world.nodes[1].engine;
    let login = |ticket| Input::Login { ticket, provider: "p".into(), token: "x".into() };
    engine.handle(now, login(older));
    let target = std::iter::from_fn(|| engine.poll()).find_map(|output| match output {
        Output::Dial { target } => Some(target),
        _ => None,
    });
    engine.handle(now, Input::LinkUp { link: LinkId(7), kind: LinkKind::Simulated, target });
    std::iter::from_fn(|| engine.poll()).for_each(drop);
    engine.handle(now, login(newer));
    let answered: Vec<_> = std::iter::from_fn(|| engine.poll())
        .filter_map(|output| match output {
            Output::Reply { ticket, result } => Some((ticket, result.err().map(|failure| failure.code))),
            _ => None,
        })
        .collect();
    assert_eq!(answered, [(older, Some(ErrorCode::AuthenticationFailedToAuthenticate))]);
}

#[test]
fn sync_without_credentials_asks_for_them_once() {
    let mut world = World::new(1);
    world.input(1, Input::SyncOn(true));
    world.pass(60_000);
    assert_eq!(world.nodes[1].asked_for_credentials, 1);
}

#[test]
fn two_small_peers_sync_without_the_big_peer() {
    let mut world = two_online();
    world.big_peer_up = false;
    world.cut(BIG);
    world.link(1, 2, None);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    assert_eq!(world.rows(2, ALL).len(), 1);
    world.big_peer_up = true;
    world.pass(60_000);
    assert_eq!(world.rows(BIG, ALL).len(), 1);
}

#[test]
fn a_large_commit_arrives_whole() {
    let mut world = two_online();
    let before = world.nodes[2].commits;
    let docs: Vec<String> =
        (0..5000).map(|id| format!("({{'_id': {id}, 'text': 'some text to fill it up'}})")).collect();
    world.ok(1, &format!("INSERT INTO a DOCUMENTS {}", docs.join(", ")));
    assert_eq!(world.rows(2, "SELECT COUNT(*) AS n FROM a"), [Value::from([("n", Value::Int(5000))])]);
    // One commit at the receiver: never half of it was visible.
    assert_eq!(world.nodes[2].commits, before + 1);
}

#[test]
fn what_a_full_disk_refused_is_sent_again() {
    let mut world = two_online();
    world.full = Some(2);
    for id in 0..20 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': 1}})"));
    }
    assert!(world.rows(2, ALL).is_empty());
    world.full = None;
    world.pass(60_000);
    assert_eq!(world.rows(2, ALL), world.rows(1, ALL));
}

#[test]
fn an_eviction_in_a_transaction_comes_back_after_a_restart_too() {
    let mut world = two_online();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    world.cut(2);
    world.ok(2, "EVICT FROM a");
    world.restart(2);
    assert!(world.rows(2, ALL).is_empty());
    world.online(2, ALL);
    world.pass(5_000);
    assert_eq!(world.rows(2, ALL).len(), 1);
}

#[test]
fn many_clients_neither_break_nor_flap_their_links() {
    let mut world = World::new(40);
    (1..=40).for_each(|number| world.online(number, ALL));
    world.pass(20_000);
    let up = world.links();
    world.pass(120_000);
    assert_eq!(world.links(), up, "the same links as two minutes ago");
    assert_eq!(up.len(), 80);
}

#[test]
fn progress_is_told_by_subscription_and_peers_that_are_gone_are_remembered() {
    let mut world = World::new(1);
    for id in 0..30 {
        world.ok(BIG, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'x': {id}}})"));
    }
    world.online(1, "SELECT * FROM a WHERE x < 20");
    let progress =
        "SELECT state, documents, documents_expected, bytes = bytes_expected AS whole FROM system:subscriptions";
    let told = Value::from([
        ("documents", Value::Int(20)),
        ("documents_expected", Value::Int(20)),
        ("state", Value::Str("live".into())),
        ("whole", Value::Bool(true)),
    ]);
    assert_eq!(world.rows(1, progress), [told]);
    let status = |world: &mut World| {
        let text = "SELECT documents.sync_session_status AS s, documents.synced_up_to_local_commit_id > 0 AS up FROM system:data_sync_info";
        world.rows(1, text)
    };
    let row = |s: &str| Value::from([("s", Value::Str(s.into())), ("up", Value::Bool(true))]);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 99, 'x': 1})");
    world.pass(3_000);
    assert_eq!(status(&mut world), [row("Connected")]);
    world.big_peer_up = false;
    world.cut(BIG);
    assert_eq!(status(&mut world), [row("Not Connected")]);
    world.input(1, Input::SyncOn(false));
    assert_eq!(status(&mut world), [row("Disabled")]);
}

#[test]
fn a_live_change_does_not_wait_behind_a_first_sync() {
    let mut world = World::new(1);
    world.online(1, ALL);
    world.ok(BIG, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 0})");
    for id in 0..3000 {
        // Text that does not compress, so that several windows are needed.
        let text: String = (0..20).map(|n| format!("{:x}", value::hash64(&[id as u8, (id >> 8) as u8, n]))).collect();
        world.ok(BIG, &format!("INSERT INTO b DOCUMENTS ({{'_id': {id}, 'text': '{text}'}})"));
    }
    world.slow = Some(1);
    let ticket = world.ticket();
    let subscription = crate::io::SubscriptionId(ticket.0);
    let text = "SELECT * FROM b".into();
    world.input(1, Input::Subscribe { ticket, subscription, text, args: value::Object::new() });
    world.ok(BIG, "UPDATE a SET x = 1");
    // The commit that is on its way holds documents of b; the next begins with the change.
    let mut commits = 0;
    while world.rows(1, ALL) != world.rows(BIG, ALL) {
        world.commit_one();
        commits += 1;
    }
    let count = |world: &mut World| world.rows(1, "SELECT COUNT(*) AS n FROM b");
    assert!(commits <= 2 && count(&mut world) != world.rows(BIG, "SELECT COUNT(*) AS n FROM b"), "{commits} commits");
    // Nor does a write of the application, whose commit holds nothing else.
    let ticket = world.ticket();
    let (text, durability) = ("INSERT INTO a DOCUMENTS ({'_id': 2})".into(), Durability::Relaxed);
    world.input(1, Input::Execute { ticket, transaction: None, text, args: value::Object::new(), durability });
    let (mut commits, mut shown) = (0, Vec::new());
    while !world.nodes[1].replies.contains_key(&ticket) {
        shown = count(&mut world);
        world.commit_one();
        commits += 1;
    }
    assert!(commits <= 2 && count(&mut world) == shown, "{commits} commits, {shown:?} before the last");
    assert_ne!(shown, world.rows(BIG, "SELECT COUNT(*) AS n FROM b"), "the first sync is not over");
    world.slow = None;
}

#[test]
fn a_collection_may_choose_that_concurrent_updates_survive_a_delete() {
    for (chosen, survivors) in [("delete", 0), ("field", 1)] {
        let mut world = two_online();
        world.ok(1, &format!("ALTER SYSTEM SET on_delete_conflict = {{'a': '{chosen}'}}"));
        world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1, 'y': 1})");
        world.input(2, Input::SyncOn(false));
        world.ok(2, "UPDATE a SET x = 2");
        world.ok(1, "DELETE FROM a");
        assert!(world.rows(1, ALL).is_empty());
        world.input(2, Input::SyncOn(true));
        world.pass(5_000);
        let left = Value::from([("_id", Value::Int(1)), ("x", Value::Int(2))]);
        for number in 0..=2 {
            assert_eq!(world.rows(number, ALL), vec![left.clone(); survivors], "{chosen} at {number}");
        }
    }
    let mut world = World::new(1);
    assert_eq!(world.code(1, "ALTER SYSTEM SET on_delete_conflict = {'a': 'maybe'}"), ErrorCode::QueryParameter);
}

#[test]
fn a_reconnect_with_nothing_new_costs_few_bytes_and_says_what_is_saved() {
    let mut world = World::new(1);
    world.online(1, ALL);
    world.ok(BIG, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    world.pass(3_000);
    let before = world.sent_bytes();
    world.cut(1);
    world.pass(3_000);
    // Two each of Hello, Welcome, Subs, Presence and SubLive, with keys of four bytes.
    let bytes = world.sent_bytes() - before;
    assert!((150..195).contains(&bytes), "{bytes} bytes");
    for node in [BIG, 1] {
        let (head, links) = (world.nodes[node].engine.log.head(), &world.nodes[node].engine.network.links);
        let acknowledged = links.values().map(|link| link.acknowledged).max();
        assert!(acknowledged.is_some_and(|seq| seq.0 > 0 && seq <= head), "{acknowledged:?} of {head:?}");
    }
}

#[test]
fn a_small_peer_that_leaves_is_out_of_reach_at_once_and_in_reach_again_when_it_comes_back() {
    let mut world = World::new(2);
    world.online(1, ALL);
    world.online(2, ALL);
    world.pass(1_000);
    let key = world.nodes[1].engine.config.peer_key.clone();
    let known = |world: &World, node: usize| world.nodes[node].engine.network.presence.entry(&key).is_some();
    assert!(known(&world, BIG) && known(&world, 2));
    world.input(1, Input::SyncOn(false));
    world.pass(1_000);
    assert!(!known(&world, BIG), "its entry named nobody else");
    world.cut(2);
    world.pass(20_000);
    assert!(!known(&world, BIG), "what others have heard of it is older than its leaving");
    world.input(1, Input::SyncOn(true));
    world.pass(9_000);
    assert!(known(&world, BIG) && known(&world, 2));
}

#[test]
fn a_short_visit_leaves_a_cursor_at_the_big_peer() {
    let mut world = World::new(1);
    world.ok(BIG, "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})");
    // Saving takes longer than an answer of the other side, so that both directions begin with what is there.
    world.slow = Some(1);
    world.online(1, ALL);
    while world.commit_waiting() {
        world.commit_one();
    }
    world.slow = None;
    world.pass(5);
    assert_eq!(world.rows(1, ALL).len(), 2);
    let store = world.nodes[1].engine.config.store;
    let cursor = world.nodes[BIG].engine.cursors.cursor(store, value::hash64(b"*"));
    assert_eq!(cursor, Some(world.nodes[1].engine.log.head()), "it need not compare next time");
}

#[test]
fn a_cursor_into_a_log_without_commits_is_a_cursor() {
    let mut world = World::new(1);
    world.online(1, ALL);
    world.pass(1_000);
    let before = world.sent_bytes();
    world.cut(1);
    world.pass(3_000);
    // A reconnect with nothing new, and a scan of nothing; a comparison takes some 90 bytes more.
    let bytes = world.sent_bytes() - before;
    assert!(bytes < 220, "{bytes} bytes");
}

#[test]
fn a_peer_that_sends_what_becomes_much_without_waiting_is_let_go() {
    let mut world = two_online();
    let (_, link) = world.links().into_iter().find(|(node, _)| *node == BIG).expect("it is linked");
    let docs: Vec<_> = (0..900).map(|id| state("a", id, &"a".repeat(1000))).collect();
    let unit = encode(&docs, &mut Words::default());
    assert!(unit.len() < 20_000, "{} bytes", unit.len());
    let generation = world.nodes[BIG].engine.network.links[&link].incoming.generation;
    let message = Message::Docs { generation, sub: 0, complete: None, unit };
    let frame = [&[0], message.encode().as_slice()].concat();
    world.slow = Some(BIG);
    let mut sent = 0;
    while world.nodes[BIG].engine.network.links.contains_key(&link) {
        assert!(sent < 60, "about 60 MB wait");
        world.input(BIG, Input::Frame { link, bytes: frame.clone() });
        sent += 1;
    }
    assert!(sent > 20, "a window and more is taken: {sent} messages");
}

#[test]
fn the_first_commit_with_a_clock_behind_the_log_lies_beyond_what_a_power_cut_may_have_lost() {
    let mut world = World::new(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    let head = |world: &World| world.nodes[1].engine.log.head();
    let before = head(&world);
    world.restart(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    let with_the_same_clock = head(&world);
    assert!(with_the_same_clock.0 >= before.0 + (60_000 << 16), "the Big Peer may know positions that are gone");
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 3})");
    assert_eq!(head(&world).0, with_the_same_clock.0 + 1, "only the first");
    world.now = world.now.plus(120_000);
    world.restart(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 4})");
    assert_eq!(head(&world).0, world.now.0 << 16, "a clock that goes on says what is later");
}

#[test]
fn a_catch_up_takes_turns_with_those_who_always_wait() {
    let mut world = World::new(2);
    for id in 0..3000 {
        let text: String = (0..20).map(|n| format!("{:x}", value::hash64(&[id as u8, (id >> 8) as u8, n]))).collect();
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}, 'text': '{text}'}})"));
    }
    world.slow = Some(BIG);
    world.online(1, ALL);
    // One client writes on, the other brings what it has: the Big Peer has always something to do that is not a catch-up.
    let count = |world: &mut World| world.rows(BIG, "SELECT COUNT(*) AS n FROM a");
    let all = [Value::from([("n", Value::Int(3000))])];
    for commits in 0.. {
        assert!(commits < 400, "{:?} after {commits} commits", count(&mut world));
        let ticket = world.ticket();
        let text = format!("INSERT INTO b DOCUMENTS ({{'_id': {commits}}})");
        let (args, durability) = (value::Object::new(), Durability::Relaxed);
        world.input(BIG, Input::Execute { ticket, transaction: None, text, args, durability });
        if world.commit_waiting() {
            world.commit_one();
        }
        if count(&mut world) == all {
            break;
        }
    }
    world.slow = None;
}

#[test]
fn a_link_that_brings_a_great_commit_is_kept_when_more_follows() {
    let mut world = two_online();
    for id in 0..140 {
        world.ok(1, &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})"));
    }
    world.pass(1_000);
    let links = world.links();
    world.slow = Some(BIG);
    world.ok(1, &format!("UPDATE a SET text = '{}'", "x".repeat(256 * 1024)));
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 'last'})");
    assert_eq!(world.links(), links, "what a commit holds is not held against its sender");
    while world.commit_waiting() {
        world.commit_one();
    }
    world.slow = None;
    assert_eq!(world.rows(BIG, "SELECT COUNT(*) AS n FROM a"), [Value::from([("n", Value::Int(141))])]);
}
