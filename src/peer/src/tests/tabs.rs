//! Goal: tabs over one device agree, also when one of them slept while the others wrote more than the log keeps.

use store::Durability;
use value::{ErrorCode, Object, Value};

use super::shared::{Hold, Shared};
use crate::io::{Input, Reply, Ticket, TransactionId};

const BIG: usize = 0;
const SMALL: usize = 1;

/// Two tabs of one store; the second may compact, the first has slept since there was one document.
fn one_asleep() -> (Shared, usize, usize) {
    let mut shared = Shared::new(2);
    shared.open(0);
    let (sleeper, writer) = (shared.open(SMALL), shared.open(SMALL));
    shared.input(writer, Input::MayCompact(true));
    shared.ok(writer, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    shared.tabs[sleeper].deaf = true;
    (shared, sleeper, writer)
}

fn overtake(shared: &mut Shared, writer: usize) {
    shared.ok(writer, "UPDATE a SET n = 10");
    shared.fill(writer, "b", 0..60);
}

fn begin(shared: &mut Shared, tab: usize) -> TransactionId {
    let ticket = shared.ticket();
    shared.input(tab, Input::Begin { ticket, read_only: false });
    match shared.answer(tab, ticket) {
        Ok(Reply::Begun(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn inside(shared: &mut Shared, tab: usize, id: TransactionId, text: &str) -> Ticket {
    let ticket = shared.ticket();
    let (text, args, durability) = (text.to_owned(), Object::new(), Durability::Relaxed);
    shared.input(tab, Input::Execute { ticket, transaction: Some(id), text, args, durability });
    ticket
}

#[test]
fn a_tab_that_slept_past_the_log_writes_on_over_what_is_there_now() {
    let (mut shared, sleeper, writer) = one_asleep();
    overtake(&mut shared, writer);
    shared.ok(sleeper, "UPDATE a SET n = n + 1");
    assert_eq!(shared.tabs[sleeper].reboots, 1);
    for tab in [sleeper, writer] {
        assert_eq!(shared.number(tab, "SELECT n FROM a"), 11);
        assert_eq!(shared.number(tab, "SELECT COUNT(*) AS n FROM b"), 60);
    }
    shared.tabs[sleeper].deaf = false;
    shared.ok(writer, "UPDATE a SET n = n + 1");
    assert_eq!(shared.number(sleeper, "SELECT n FROM a"), 12);
    assert_eq!(shared.tabs[sleeper].reboots, 1);
}

#[test]
fn a_tab_that_slept_past_the_log_is_woken_by_the_next_write_of_another() {
    let (mut shared, sleeper, writer) = one_asleep();
    shared.observe(sleeper, "SELECT COUNT(*) AS n FROM b");
    overtake(&mut shared, writer);
    shared.hear(sleeper);
    let counts = [0, 60].map(|n| vec![Value::from([("n", Value::Int(n))])]);
    assert_eq!(shared.tabs[sleeper].told, counts);
    assert_eq!(shared.number(sleeper, "SELECT n FROM a"), 10);
}

#[test]
fn the_links_of_a_tab_that_boots_again_carry_what_its_log_no_longer_holds() {
    let (mut shared, sleeper, writer) = one_asleep();
    shared.input(BIG, Input::MayLink(true));
    shared.input(BIG, Input::SyncOn(true));
    shared.sync(sleeper, "SELECT * FROM a");
    assert_eq!(shared.number(BIG, "SELECT n FROM a"), 1);
    overtake(&mut shared, writer);
    shared.hear(sleeper);
    assert_eq!(shared.number(BIG, "SELECT n FROM a"), 10);
    assert_eq!(shared.number(BIG, "SELECT COUNT(*) AS n FROM b"), 60);
    shared.ok(BIG, "UPDATE a SET n = n + 1");
    assert_eq!(shared.number(sleeper, "SELECT n FROM a"), 11);
}

#[test]
fn statements_that_waited_behind_a_refused_commit_keep_their_order() {
    let (mut shared, sleeper, writer) = one_asleep();
    overtake(&mut shared, writer);
    shared.tabs[sleeper].holds = Hold::Everything;
    let add = shared.send(sleeper, "UPDATE a SET n = n + 1");
    let double = shared.send(sleeper, "UPDATE a SET n = n * 2");
    shared.release(sleeper);
    assert!(shared.answer(sleeper, add).is_ok() && shared.answer(sleeper, double).is_ok());
    assert_eq!(shared.number(writer, "SELECT n FROM a"), 22);
}

#[test]
fn a_transaction_that_slept_past_the_log_is_rejected_by_name() {
    let (mut shared, sleeper, writer) = one_asleep();
    let ends = begin(&mut shared, sleeper);
    let ticket = inside(&mut shared, sleeper, ends, "UPDATE a SET n = 99");
    assert!(shared.answer(sleeper, ticket).is_ok());
    overtake(&mut shared, writer);
    let ticket = shared.ticket();
    shared.input(sleeper, Input::End { ticket, transaction: ends, commit: true });
    assert_eq!(shared.code(sleeper, ticket), ErrorCode::StoreTransactionConflict);
    assert_eq!(shared.number(sleeper, "SELECT n FROM a"), 10);
}

#[test]
fn an_open_transaction_loses_its_snapshot_when_its_tab_boots_again() {
    let (mut shared, sleeper, writer) = one_asleep();
    let (first, second) = (begin(&mut shared, sleeper), TransactionId(2));
    let ticket = shared.ticket();
    shared.input(sleeper, Input::Begin { ticket, read_only: true });
    assert_eq!(shared.answer(sleeper, ticket), Ok(Reply::Begun(second)));
    overtake(&mut shared, writer);
    shared.hear(sleeper);
    let ticket = inside(&mut shared, sleeper, first, "SELECT * FROM a");
    assert_eq!(shared.code(sleeper, ticket), ErrorCode::StoreTransactionConflict);
    let ticket = shared.ticket();
    shared.input(sleeper, Input::End { ticket, transaction: first, commit: true });
    assert_eq!(shared.code(sleeper, ticket), ErrorCode::StoreTransactionConflict);
    let ticket = shared.ticket();
    shared.input(sleeper, Input::End { ticket, transaction: second, commit: false });
    assert_eq!(shared.answer(sleeper, ticket), Ok(Reply::Ended { commit: None }));
    shared.ok(sleeper, "UPDATE a SET n = n + 1");
    assert_eq!(shared.number(sleeper, "SELECT n FROM a"), 11);
}

#[test]
fn a_compaction_that_wakes_up_later_loses_against_the_one_that_took_over() {
    let (mut shared, sleeper, writer) = one_asleep();
    shared.input(writer, Input::MayCompact(false));
    shared.tabs[sleeper].deaf = false;
    shared.tabs[sleeper].holds = Hold::Everything;
    shared.input(sleeper, Input::MayCompact(true));
    shared.fill(writer, "b", 0..20);
    assert_eq!(shared.tabs[sleeper].held.len(), 1, "a flush that is on its way");
    shared.tabs[sleeper].deaf = true;
    shared.input(writer, Input::MayCompact(true));
    shared.fill(writer, "b", 20..60);
    shared.release(sleeper);
    shared.ok(sleeper, "UPDATE a SET n = n + 1");
    let fresh = shared.open(SMALL);
    for tab in [sleeper, writer, fresh] {
        shared.hear(tab);
        assert_eq!(shared.number(tab, "SELECT n FROM a"), 2);
        assert_eq!(shared.number(tab, "SELECT COUNT(*) AS n FROM b"), 60);
    }
}

#[test]
fn a_statement_evaluated_before_another_tabs_record_came_is_evaluated_again() {
    let (mut shared, _, writer) = one_asleep();
    shared.fill(writer, "b", 0..60);
    shared.ok(writer, "UPDATE a SET n = 5");
    let cold = shared.open(SMALL);
    assert_eq!(shared.number(cold, "SELECT n FROM a"), 5);
    shared.tabs[cold].deaf = true;
    shared.tabs[cold].holds = Hold::Everything;
    let before = shared.send(cold, "UPDATE a SET m = 1");
    let add = shared.send(cold, "UPDATE a SET n = n + 1");
    let parks = shared.send(cold, "UPDATE b SET y = 1 WHERE _id = 30");
    // The first is written; the group of the other two then waits for a block.
    shared.release_one(cold);
    assert!(shared.answer(cold, before).is_ok());
    assert!(matches!(shared.tabs[cold].held[..], [crate::io::Output::Load { .. }]), "{:?}", shared.tabs[cold].held);
    shared.hear(writer);
    shared.ok(writer, "UPDATE a SET n = 10");
    shared.hear(cold);
    shared.release(cold);
    assert!(shared.answer(cold, add).is_ok() && shared.answer(cold, parks).is_ok());
    assert_eq!(shared.number(cold, "SELECT n FROM a"), 11);
    shared.hear(writer);
    assert_eq!(shared.number(writer, "SELECT n FROM a"), 11);
}

#[test]
fn what_the_segments_hold_before_the_log_was_read_still_reaches_observers() {
    let mut shared = Shared::new(2);
    shared.open(0);
    let writer = shared.open(SMALL);
    shared.input(writer, Input::MayCompact(true));
    shared.ok(writer, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 9})");
    let small = |shared: &mut Shared, ids: std::ops::Range<i64>| {
        ids.for_each(|id| shared.ok(writer, &format!("INSERT INTO b DOCUMENTS ({{'_id': {id}}})")));
    };
    small(&mut shared, 0..85);
    let watcher = shared.open(SMALL);
    shared.observe(watcher, "SELECT n FROM a WHERE n > 5");
    shared.tabs[watcher].deaf = true;
    shared.ok(writer, "UPDATE a SET n = 1");
    small(&mut shared, 85..115);
    // Its block is gone: it adopts the manifest of the merge, and with it commits that it has not read from the log.
    assert!(shared.number(watcher, "SELECT COUNT(*) AS n FROM b") > 85);
    shared.hear(watcher);
    assert_eq!(shared.tabs[watcher].reboots, 0, "the log still reaches back");
    assert_eq!(shared.tabs[watcher].told, [vec![Value::from([("n", Value::Int(9))])], vec![]]);
}

#[test]
fn a_counter_that_grows_by_what_a_sub_query_finds_waits_until_that_is_read() {
    let (mut shared, _, writer) = one_asleep();
    shared.ok(writer, "INSERT INTO e DOCUMENTS ({'_id': 1, 'by': 3})");
    shared.fill(writer, "b", 0..60);
    // What changes is in the memtable of a fresh tab, what the sub-query reads is in a block.
    shared.ok(writer, "INSERT INTO f DOCUMENTS ({'_id': 1})");
    let cold = shared.open(SMALL);
    shared.ok(cold, "UPDATE COLLECTION f (k COUNTER) APPLY k INCREMENT BY (SELECT e.by FROM e WHERE e._id = 1)");
    assert_eq!(shared.number(cold, "SELECT k AS n FROM COLLECTION f (k COUNTER)"), 3);
}
