//! Goal: what a device lost is given up, told once, and fetched again from a peer that has it.

use store::{BlockId, DeviceNow, Target};
use value::{Seq, Value};

use super::shared::{Hold, Shared};
use crate::io::Input;

const BIG: usize = 0;
const SMALL: usize = 1;

/// A Big Peer, and a tab that has pushed sixty documents to it.
fn synced() -> (Shared, usize) {
    let mut shared = Shared::new(2);
    let big = shared.open(BIG);
    shared.input(big, Input::MayLink(true));
    shared.input(big, Input::SyncOn(true));
    let tab = shared.open(SMALL);
    shared.input(tab, Input::MayCompact(true));
    shared.sync(tab, "SELECT * FROM b");
    shared.fill(tab, "b", 0..60);
    shared.ok(big, "INSERT INTO b DOCUMENTS ({'_id': 100, 'x': 'from afar'})");
    assert_eq!(shared.number(big, "SELECT COUNT(*) AS n FROM b"), 61);
    assert_eq!(shared.number(tab, "SELECT COUNT(*) AS n FROM b"), 61);
    (shared, tab)
}

fn all_there(shared: &mut Shared, tab: usize) {
    let query = "SELECT * FROM b ORDER BY _id";
    let (here, there) = (shared.rows(tab, query), shared.rows(BIG, query));
    assert_eq!(there.len(), 61);
    assert!(here == there, "everything is there again");
}

fn a_block(shared: &Shared) -> BlockId {
    shared.devices[SMALL].blocks()[1]
}

#[test]
fn a_damaged_block_is_given_up_and_its_rows_come_back_from_a_peer() {
    let (mut shared, tab) = synced();
    shared.input(tab, Input::MayLink(false));
    let block = a_block(&shared);
    shared.devices[SMALL].flip(&Target::Block(block), 200);
    let again = shared.open(SMALL);
    let there = shared.number(again, "SELECT COUNT(*) AS n FROM b");
    assert!(there < 61, "the store is usable, and rows are missing");
    assert_eq!(shared.tabs[again].damaged, [block.to_string()]);
    shared.ok(again, "INSERT INTO c DOCUMENTS ({'_id': 1})");
    shared.sync(again, "SELECT * FROM b");
    all_there(&mut shared, again);
    assert_eq!(shared.tabs[again].damaged.len(), 1);
}

#[test]
fn a_lost_block_found_while_linked_is_fetched_over_the_same_link() {
    let (mut shared, tab) = synced();
    shared.input(tab, Input::MayLink(false));
    let block = a_block(&shared);
    shared.devices[SMALL].lose(block);
    let again = shared.open(SMALL);
    shared.sync(again, "SELECT * FROM b");
    assert!(shared.tabs[again].damaged.is_empty(), "nobody has read it yet");
    shared.observe(again, "SELECT COUNT(*) AS n FROM b");
    assert_eq!(shared.tabs[again].damaged, [block.to_string()]);
    all_there(&mut shared, again);
    let last = shared.tabs[again].told.last().cloned();
    assert_eq!(last, Some(vec![Value::from([("n", Value::Int(61))])]));
}

#[test]
fn the_manifest_forgets_a_damaged_block_only_after_the_cursors_are_forgotten() {
    let (mut shared, tab) = synced();
    shared.input(tab, Input::MayLink(false));
    let block = a_block(&shared);
    shared.devices[SMALL].flip(&Target::Block(block), 200);
    let again = shared.open(SMALL);
    shared.input(again, Input::MayCompact(true));
    shared.tabs[again].holds = Hold::Commits;
    assert!(shared.number(again, "SELECT COUNT(*) AS n FROM b") < 61);
    assert_eq!(shared.tabs[again].held.len(), 1, "the commit that forgets the cursors");
    // It dies before the commit that forgets the cursors: the next one finds the damage again.
    let third = shared.open(SMALL);
    assert!(shared.number(third, "SELECT COUNT(*) AS n FROM b") < 61);
    assert_eq!(shared.tabs[third].damaged, [block.to_string()]);
    shared.sync(third, "SELECT * FROM b");
    all_there(&mut shared, third);
    // It is written down: nobody finds it once more.
    shared.input(third, Input::MayCompact(true));
    shared.ok(third, "INSERT INTO c DOCUMENTS ({'_id': 1})");
    let fourth = shared.open(SMALL);
    all_there(&mut shared, fourth);
    assert!(shared.tabs[fourth].damaged.is_empty());
}

#[test]
fn a_damaged_log_record_is_stepped_over_and_its_documents_come_back() {
    let (mut shared, tab) = synced();
    shared.ok(tab, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    shared.input(tab, Input::MayLink(false));
    for damage in [last_record(&shared), record_before(&shared)] {
        shared.devices[SMALL].flip(&Target::Log(damage), 200);
        let again = shared.open(SMALL);
        assert_eq!(shared.tabs[again].damaged, [format!("log record {}", damage.0)]);
        shared.sync(again, "SELECT * FROM b");
        shared.sync(again, "SELECT * FROM a");
        all_there(&mut shared, again);
        assert_eq!(shared.number(again, "SELECT n FROM a"), 1);
        shared.ok(again, "UPDATE a SET m = 2");
        assert_eq!(shared.number(BIG, "SELECT m AS n FROM a"), 2);
        shared.input(again, Input::MayLink(false));
        let later = shared.open(SMALL);
        assert!(shared.tabs[later].damaged.is_empty(), "it is repaired once");
        all_there(&mut shared, later);
        shared.devices[SMALL].flip(&Target::Log(damage), 200);
    }
}

#[test]
fn a_tab_that_meets_a_damaged_record_of_another_goes_on() {
    let (mut shared, tab) = synced();
    let other = shared.open(SMALL);
    shared.tabs[other].deaf = true;
    shared.ok(tab, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    let damage = last_record(&shared);
    shared.ok(tab, "INSERT INTO a DOCUMENTS ({'_id': 2, 'n': 2})");
    shared.devices[SMALL].flip(&Target::Log(damage), 200);
    shared.ok(other, "INSERT INTO a DOCUMENTS ({'_id': 3, 'n': 3})");
    assert_eq!(shared.tabs[other].damaged, [format!("log record {}", damage.0)]);
    assert_eq!(shared.rows(other, "SELECT * FROM a").len(), 2);
    shared.input(tab, Input::MayLink(false));
    shared.sync(other, "SELECT * FROM a");
    assert_eq!(shared.rows(other, "SELECT * FROM a").len(), 3);
}

fn log_of(shared: &Shared) -> Vec<Seq> {
    let image = shared.devices[SMALL].boot_now().expect("the device works");
    image.log.iter().map(|(seq, _)| *seq).collect()
}

fn last_record(shared: &Shared) -> Seq {
    *log_of(shared).last().expect("there is a record")
}

fn record_before(shared: &Shared) -> Seq {
    let log = log_of(shared);
    log[log.len() - 2]
}
