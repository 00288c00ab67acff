//! What one peer does without links.

use store::Durability;
use value::{ErrorCode, Failure, Object, Value};

use super::harness::World;
use crate::io::{CommitOutcome, Input, ObserverId, Reply, Ticket, TransactionId};

fn world() -> World {
    World::new(1)
}

fn doc(id: i64, value: i64) -> Value {
    Value::from([("_id", Value::Int(id)), ("x", Value::Int(value))])
}

#[test]
fn a_document_evicted_and_inserted_in_one_transaction_is_there_after_a_restart() {
    let mut world = World::new(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    let ticket = world.ticket();
    world.input(1, Input::Begin { ticket, read_only: false });
    let transaction = TransactionId(1);
    for text in ["EVICT FROM a WHERE _id = 1", "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 2})"] {
        let (ticket, text) = (world.ticket(), text.to_owned());
        let (args, durability) = (Object::new(), Durability::Relaxed);
        world.input(1, Input::Execute { ticket, transaction: Some(transaction), text, args, durability });
    }
    let ticket = world.ticket();
    world.input(1, Input::End { ticket, transaction, commit: true });
    assert_eq!(world.rows(1, "SELECT n FROM a").len(), 1);
    world.restart(1);
    assert_eq!(world.rows(1, "SELECT n FROM a").len(), 1);
}

#[test]
fn an_inserted_document_is_selected() {
    let mut world = world();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 5)]);
    world.ok(1, "UPDATE a SET x = 6 WHERE _id = 1");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 6)]);
    world.ok(1, "DELETE FROM a WHERE x = 6");
    assert!(world.rows(1, "SELECT * FROM a").is_empty());
}

#[test]
fn conflict_policies_do_what_they_say() {
    let mut world = world();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    assert_eq!(world.code(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 6})"), ErrorCode::StoreIdentifierConflict);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 6}) ON ID CONFLICT DO NOTHING");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 5)]);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 6}) ON ID CONFLICT DO UPDATE");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 6)]);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 7}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF");
    world.ok(1, "INSERT INTO a INITIAL DOCUMENTS ({'_id': 1, 'x': 8})");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 7)]);
}

#[test]
fn a_statement_that_fails_changes_nothing() {
    let mut world = world();
    let twice = "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 1})";
    assert_eq!(world.code(1, twice), ErrorCode::StoreIdentifierConflict);
    assert_eq!(world.code(1, "INSERT INTO a DOCUMENTS ({'_id': 1.5})"), ErrorCode::StoreDocumentId);
    assert_eq!(world.code(1, "SELEKT 1"), ErrorCode::QueryInvalid);
    assert!(world.rows(1, "SELECT * FROM a").is_empty());
    assert_eq!(world.nodes[1].commits, 0);
}

#[test]
fn a_full_disk_is_told_and_nothing_is_shown() {
    let mut world = world();
    world.full = Some(1);
    assert_eq!(world.code(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})"), ErrorCode::StoreQuotaExceeded);
    assert!(world.rows(1, "SELECT * FROM a").is_empty());
    world.full = None;
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 5)]);
}

#[test]
fn a_restart_finds_everything_in_the_log() {
    let mut world = world();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5}), ({'_id': 2, 'x': 6})");
    world.ok(1, "UPDATE a SET x = 7 WHERE _id = 2");
    world.ok(1, "EVICT FROM a WHERE _id = 1");
    world.restart(1);
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(2, 7)]);
}

#[test]
fn an_observer_is_told_first_and_then_only_of_changes_to_its_answer() {
    let mut world = world();
    let (ticket, observer) = (world.ticket(), ObserverId(1));
    let text = "SELECT * FROM a WHERE x > 5".to_owned();
    world.input(1, Input::Observe { ticket, observer, text, args: Object::new() });
    assert_eq!(world.nodes[1].told[&observer], [Vec::<Value>::new()]);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 1, 'x': 9})");
    assert_eq!(world.nodes[1].told[&observer].len(), 1);
    world.ok(1, "UPDATE a SET x = 6");
    world.ok(1, "UPDATE a SET x = 4");
    assert_eq!(world.nodes[1].told[&observer], [vec![], vec![doc(1, 6)], vec![]]);
}

#[test]
fn an_observer_of_a_count_fires_again() {
    let mut world = world();
    let (ticket, observer) = (world.ticket(), ObserverId(1));
    let text = "SELECT COUNT(*) AS n FROM a".to_owned();
    world.input(1, Input::Observe { ticket, observer, text, args: Object::new() });
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    let counts = [0, 1].map(|n| vec![Value::from([("n", Value::Int(n))])]);
    assert_eq!(world.nodes[1].told[&observer], counts);
}

fn begin(world: &mut World, read_only: bool) -> TransactionId {
    let ticket = world.ticket();
    world.input(1, Input::Begin { ticket, read_only });
    match world.nodes[1].replies.remove(&ticket) {
        Some(Ok(Reply::Begun(id))) => id,
        other => panic!("{other:?}"),
    }
}

fn inside(world: &mut World, id: TransactionId, text: &str) -> Result<Reply, Failure> {
    let ticket = world.ticket();
    let (text, args) = (text.to_owned(), Object::new());
    let durability = store::Durability::Relaxed;
    world.input(1, Input::Execute { ticket, transaction: Some(id), text, args, durability });
    world.nodes[1].replies.remove(&ticket).expect("it is answered")
}

fn end(world: &mut World, id: TransactionId, commit: bool) -> Result<Reply, Failure> {
    let ticket = world.ticket();
    world.input(1, Input::End { ticket, transaction: id, commit });
    world.nodes[1].replies.remove(&ticket).expect("it is answered")
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let mut world = world();
    let id = begin(&mut world, false);
    inside(&mut world, id, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1})").expect("valid");
    inside(&mut world, id, "UPDATE a SET x = x + 1").expect("valid");
    let Ok(Reply::Rows { rows, .. }) = inside(&mut world, id, "SELECT * FROM a") else { panic!("valid") };
    assert_eq!(rows, [doc(1, 2)]);
    assert!(world.rows(1, "SELECT * FROM a").is_empty());
    assert!(matches!(end(&mut world, id, true), Ok(Reply::Ended { commit: Some(_) })));
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 2)]);
    assert_eq!(world.nodes[1].commits, 1);

    let id = begin(&mut world, false);
    inside(&mut world, id, "DELETE FROM a").expect("valid");
    assert_eq!(end(&mut world, id, false), Ok(Reply::Ended { commit: None }));
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 2)]);
}

#[test]
fn a_read_only_transaction_refuses_writes() {
    let mut world = world();
    let id = begin(&mut world, true);
    let refused = inside(&mut world, id, "DELETE FROM a").expect_err("it writes");
    assert_eq!(refused.code, ErrorCode::StoreTransactionReadOnly);
}

#[test]
fn writes_outside_wait_for_an_open_transaction() {
    let mut world = world();
    let id = begin(&mut world, false);
    inside(&mut world, id, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1})").expect("valid");
    let ticket = world.ticket();
    let text = "UPDATE a SET x = 9".to_owned();
    let durability = store::Durability::Relaxed;
    world.input(1, Input::Execute { ticket, transaction: None, text, args: Object::new(), durability });
    assert!(!world.nodes[1].replies.contains_key(&ticket));
    end(&mut world, id, true).expect("valid");
    assert!(world.nodes[1].replies.contains_key(&ticket));
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 9)]);
}

/// Another tab's commit: a record made by a second engine over a copy of the log.
fn other_tab(world: &mut World, text: &str) {
    let mut other = World::new(1);
    other.now = world.now;
    other.nodes[1].log = world.nodes[1].log.clone();
    other.restart(1);
    other.ok(1, text);
    world.nodes[1].log = other.nodes[1].log.clone();
}

#[test]
fn a_commit_that_lost_a_race_is_evaluated_again_over_what_the_other_tab_wrote() {
    let mut world = world();
    other_tab(&mut world, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    let insert = "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 6})";
    assert_eq!(world.code(1, insert), ErrorCode::StoreIdentifierConflict);
    other_tab(&mut world, "UPDATE a SET x = 10");
    world.ok(1, "UPDATE a SET x = x + 1");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 11)]);
}

#[test]
fn a_transaction_that_lost_a_race_is_rejected_by_name() {
    let mut world = world();
    let id = begin(&mut world, false);
    inside(&mut world, id, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1})").expect("valid");
    other_tab(&mut world, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    let lost = end(&mut world, id, true).expect_err("it lost");
    assert_eq!(lost.code, ErrorCode::StoreTransactionConflict);
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 5)]);
}

#[test]
fn another_tabs_commit_is_seen_after_the_log_grew() {
    let mut world = world();
    other_tab(&mut world, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    let entries = world.nodes[1].log.clone();
    world.input(1, Input::LogGrew { entries: entries.clone() });
    world.input(1, Input::LogGrew { entries });
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 5)]);
}

#[test]
fn an_answer_to_no_question_is_ignored() {
    let mut world = world();
    world.input(1, Input::Committed { ticket: Ticket(77), outcome: CommitOutcome::Durable(value::Seq(7)) });
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1})");
}

#[test]
fn a_record_whose_answer_was_lost_is_not_written_twice() {
    let mut world = world();
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 5})");
    world.loses_answer = Some(1);
    world.ok(1, "UPDATE a SET x = x + 1");
    assert_eq!(world.rows(1, "SELECT * FROM a"), [doc(1, 6)]);
    world.loses_answer = Some(1);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2, 'x': 1})");
}

#[test]
fn transactions_that_end_together_do_not_wait_for_each_other() {
    let mut world = world();
    let writer = begin(&mut world, false);
    inside(&mut world, writer, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1})").expect("valid");
    let reader = begin(&mut world, true);
    let ticket = world.ticket();
    world.input(1, Input::End { ticket, transaction: writer, commit: true });
    assert!(!world.nodes[1].replies.contains_key(&ticket), "the reader still reads");
    end(&mut world, reader, true).expect("it wrote nothing");
    assert!(matches!(world.nodes[1].replies.remove(&ticket), Some(Ok(Reply::Ended { commit: Some(_) }))));
}
