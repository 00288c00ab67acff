//! The union of updates: what of them has no gap, in one canonical form.

use std::collections::BTreeSet;

use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{ReadTxn, StateVector, Transact, Update};

use super::content::load;
use crate::yjs_sorted::sorted;

/// Applies to a state every update that then has no gap; returns the new state and the rest, `None` if the state is broken.
///
/// An update that is not whole after *all* were applied is not whole after any part of them, so dropping those and trying
/// again ends at the one greatest part, whatever the order of arrival.
pub(super) fn settle(state: &[u8], all: &BTreeSet<Vec<u8>>) -> Option<(Vec<u8>, BTreeSet<Vec<u8>>)> {
    let mut whole: BTreeSet<&Vec<u8>> = all.iter().collect();
    while !whole.is_empty() {
        let doc = load(state, 0)?;
        let mut gaps: Vec<&Vec<u8>> = whole.iter().copied().filter(|update| !apply(&doc, update)).collect();
        if gaps.is_empty() {
            let reached = doc.try_transact().ok()?.state_vector();
            gaps = whole.iter().copied().filter(|update| !is_covered(update, &reached)).collect();
        }
        if gaps.is_empty() {
            let pending = all.iter().filter(|update| !whole.contains(update)).cloned().collect();
            return Some((canonical(&doc)?, pending));
        }
        gaps.iter().for_each(|gap| {
            whole.remove(*gap);
        });
    }
    Some((state.to_vec(), all.clone()))
}

/// Returns what a Yjs client lacks of a state, and the state vector that it has then; `None` if one cannot be read.
pub(super) fn lacking(state: &[u8], known: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let known = StateVector::decode_v1(known).ok()?;
    let doc = load(state, 0)?;
    let txn = doc.try_transact().ok()?;
    Some((txn.encode_diff_v1(&known), txn.state_vector().encode_v1()))
}

fn apply(doc: &yrs::Doc, update: &[u8]) -> bool {
    let Ok(update) = Update::decode_v1(update) else { return false };
    doc.try_transact_mut().is_ok_and(|mut txn| txn.apply_update(update).is_ok())
}

/// Says whether everything an update inserts or deletes was reached: yrs holds a client's clock at its first gap.
fn is_covered(update: &[u8], reached: &StateVector) -> bool {
    let Ok(update) = Update::decode_v1(update) else { return false };
    let inserts = update.insertions(true);
    let mut ids = inserts.iter().chain(update.delete_set().iter());
    ids.all(|(client, ranges)| ranges.iter().all(|range| range.end <= reached.get(client)))
}

/// Returns the state in the one form that does not depend on the order of updates.
///
/// Blocks that arrived apart stay apart until a fresh document joins all neighbours, so the state goes through one; and yrs
/// writes the fields of objects in any order, so they are sorted.
fn canonical(doc: &yrs::Doc) -> Option<Vec<u8>> {
    let state = doc.try_transact().ok()?.encode_diff_v1(&StateVector::default());
    let state = load(&state, 0)?.try_transact().ok()?.encode_diff_v1(&StateVector::default());
    if state == Update::EMPTY_V1 { Some(Vec::new()) } else { sorted(&state) }
}
