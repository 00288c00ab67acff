//! Short stories of what the seeds have found, told step by step so that they stay the same when the simulator changes.

use value::Value;

use super::stage::{Stage, document};
use crate::disk::{Crash, Mood};

#[test]
fn a_write_reaches_everybody() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"], &["SELECT * FROM w"]]);
    stage.execute(1, "INSERT INTO w DOCUMENTS ({'_id': 1, 'f0': 1})");
    stage.agrees(1, 1);
    stage.agrees(2, 1);
}

#[test]
fn a_commit_that_was_sent_and_then_lost_in_a_power_cut_comes_back() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"]]);
    stage.save(1, "INSERT INTO w DOCUMENTS ({'_id': 0})");
    stage.execute(1, "INSERT INTO w DOCUMENTS ({'_id': 1, 'f0': 1})");
    stage.cut_power(1);
    stage.start(1);
    stage.agrees(1, 2);
}

#[test]
fn a_commit_lost_in_a_power_cut_comes_back_also_after_newer_ones() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"]]);
    stage.save(1, "INSERT INTO w DOCUMENTS ({'_id': 0})");
    stage.execute(1, "INSERT INTO w DOCUMENTS ({'_id': 1, 'f0': 1})");
    stage.cut_power(1);
    stage.isolate(1);
    stage.start(1);
    stage.execute(1, "INSERT INTO w DOCUMENTS ({'_id': 2, 'f0': 2})");
    stage.rejoin();
    stage.agrees(1, 3);
}

#[test]
fn a_write_that_makes_a_document_match_brings_the_rest_of_it() {
    // Peer 1 has never seen the document, and inserts one of the same id that matches its subscription.
    let mut stage = Stage::new(&[&["SELECT * FROM w WHERE k = 1"]]);
    stage.execute(0, "INSERT INTO w DOCUMENTS ({'_id': 1, 'k': 0, 'f0': 'other'})");
    stage.execute(1, "INSERT INTO w DOCUMENTS ({'_id': 1, 'k': 1}) ON ID CONFLICT DO UPDATE");
    let whole = document([("_id", Value::Int(1)), ("f0", Value::from("other")), ("k", Value::Int(1))]);
    assert_eq!(stage.rows(0), std::slice::from_ref(&whole));
    assert_eq!(stage.rows(1), [whole]);
}

#[test]
fn what_a_full_disk_refused_is_sent_again() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"]]);
    stage.disk(1, Mood::Full);
    stage.execute(0, "INSERT INTO w DOCUMENTS ({'_id': 1, 'f0': 1})");
    stage.execute(0, "INSERT INTO w DOCUMENTS ({'_id': 2, 'f0': 2})");
    stage.disk(1, Mood::Healthy);
    stage.wait(30_000);
    stage.agrees(1, 2);
}

#[test]
fn an_evicted_document_with_unsent_edits_comes_back_whole() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"]]);
    stage.execute(0, "INSERT INTO w DOCUMENTS ({'_id': 1, 'f0': 'old'})");
    stage.isolate(1);
    stage.execute(1, "UPDATE w SET f1 = 'new' WHERE _id = 1");
    stage.execute(1, "EVICT FROM w WHERE _id = 1");
    stage.rejoin();
    stage.agrees(1, 1);
}

#[test]
fn a_killed_process_has_lost_nothing() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"]]);
    stage.isolate(1);
    stage.execute(1, "INSERT INTO w DOCUMENTS ({'_id': 1, 'f0': 1})");
    stage.cluster.crash(1, Crash::Kill);
    stage.wait(61_000);
    stage.rejoin();
    stage.agrees(1, 1);
}

#[test]
fn a_transaction_survives_what_its_statements_asked_for() {
    let mut stage = Stage::new(&[&["SELECT * FROM w"]]);
    stage.isolate(1);
    stage.transact(1, &["INSERT INTO w DOCUMENTS ({'_id': 1})", "INSERT INTO w DOCUMENTS ({'_id': 2})"]);
    stage.cut_power(1);
    stage.start(1);
    stage.rejoin();
    stage.agrees(1, 2);
}
