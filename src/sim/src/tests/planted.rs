//! Planted bugs: each checker is seen to fail.

use crate::{Checker, Options, Plant, run, run_twice};

/// Runs seeds with a planted bug until one fails, and expects one of the checkers to have found it.
fn is_caught(plant: Plant, by: &[Checker]) {
    let options = Options { plant: Some(plant), ..Options::default() };
    let run = if matches!(plant, Plant::Chance(_)) { run_twice } else { run };
    let failure = (0..60).find_map(|seed| run(seed, &options).failure);
    let failure = failure.unwrap_or_else(|| panic!("{plant:?} went unnoticed"));
    assert!(by.contains(&failure.checker), "{plant:?} was found by {:?}: {}", failure.checker, failure.text);
}

#[test]
fn a_lost_row_of_an_index_is_caught() {
    // A live query may see the loss before the rows are compared; then another seed is tried.
    let options = Options { plant: Some(Plant::LostRow), ..Options::default() };
    let checkers: Vec<Checker> = (0..60).filter_map(|seed| run(seed, &options).failure).map(|it| it.checker).collect();
    assert!(checkers.contains(&Checker::Indexes), "{checkers:?}");
    assert!(checkers.iter().all(|checker| matches!(checker, Checker::Indexes | Checker::Observers)), "{checkers:?}");
}

#[test]
fn a_torn_insertion_into_a_text_is_caught() {
    is_caught(Plant::TornSplice, &[Checker::Rich]);
}

#[test]
fn a_blob_that_nobody_is_told_of_is_caught() {
    is_caught(Plant::LostHave, &[Checker::Blobs]);
}

#[test]
fn a_blob_with_another_byte_is_caught() {
    is_caught(Plant::SpoiltChunk, &[Checker::Blobs]);
}

#[test]
fn a_blob_that_goes_with_its_process_is_caught() {
    is_caught(Plant::ForgottenBlob, &[Checker::Blobs]);
}

#[test]
fn a_lost_frame_is_caught() {
    is_caught(Plant::LostFrame, &[Checker::Convergence, Checker::Loss, Checker::Liveness]);
}

#[test]
fn a_disk_that_lies_is_caught() {
    is_caught(Plant::LyingDisk, &[Checker::Loss]);
}

#[test]
fn a_commit_forgotten_at_a_restart_is_caught() {
    is_caught(Plant::ForgottenRecord, &[Checker::Convergence, Checker::Loss]);
}

#[test]
fn half_of_a_transaction_is_caught() {
    is_caught(Plant::HalfNotify, &[Checker::Transactions]);
}

#[test]
fn a_stale_observer_is_caught() {
    is_caught(Plant::LateNotify, &[Checker::Observers]);
}

#[test]
fn a_reply_that_never_comes_is_caught() {
    is_caught(Plant::LostReply, &[Checker::Contract]);
}

#[test]
fn writes_without_end_are_caught() {
    is_caught(Plant::Chatter, &[Checker::Silence]);
}

#[test]
fn two_runs_that_differ_are_caught() {
    is_caught(Plant::Chance(1), &[Checker::Determinism]);
}

#[test]
fn a_big_peer_that_stays_out_of_reach_is_caught() {
    is_caught(Plant::Cutoff, &[Checker::Liveness]);
}

#[test]
fn two_big_peers_without_a_bridge_are_caught() {
    is_caught(Plant::NoBridge, &[Checker::Convergence, Checker::Loss]);
}

#[test]
fn a_store_that_does_not_open_is_caught() {
    is_caught(Plant::Damage, &[Checker::Start]);
}

#[test]
fn a_panic_is_caught() {
    is_caught(Plant::Panic, &[Checker::Panic]);
}

#[test]
fn an_error_without_a_cause_is_caught() {
    is_caught(Plant::WrongError, &[Checker::Answers]);
}
