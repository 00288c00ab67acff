//! Tombstones are reaped when everybody has had time to hear of them.
//!
//! A tombstone that came here longer ago than its time to live is dropped from this store, without a word to others: a pass
//! over the documents in small steps, once a day, by the tab that compacts. A Small Peer of a Big Peer keeps those that the
//! Big Peer has not acknowledged. How far was reaped is a position, the *horizon*, kept in the commit that drops and told in
//! every Hello: a cursor before it may have missed a tombstone that is gone, so its owner is reconciled with instead of
//! served from the log (`docs/crdt.md`).
//!
//! A Small Peer that comes back after the horizon then holds documents that its Big Peer once had and has no trace of any
//! more: they were deleted and the tombstone reaped. Those that are unchanged since before the horizon and were acknowledged
//! go here too; what was written since, or never reached the Big Peer, stays and is sent. Where absence proves nothing (a
//! scope kept the collection back, the Big Peer has evicted or lost documents, it is another one) nothing goes.

use store::{Key, ReadError, Store};
use value::{Millis, Reader, Seq, Writer, hash128_of};

use crate::draft::{Effect, Write};
use crate::engine::Engine;
use crate::io::LinkId;
use crate::network::Link;
use crate::packed::{self, Packed};
use crate::parameters::{
    DAYS_BETWEEN_REAPING, REAP_BATCH_SIZE, SYNC_SCOPES, TOMBSTONE_TTL_ENABLED, TOMBSTONE_TTL_HOURS,
};
use crate::pipeline::Job;
use crate::reboot::REPAIRED;
use crate::record::LOCAL;
use crate::view;

/// The small record; a commit that has it drops documents without forgetting cursors.
pub const REAPED: &str = "reaped";
/// The small record of a store that has evicted documents: that it has no trace of one says nothing.
pub const EVICTED: &str = "evicted";
/// Documents looked at in one step.
const STEP_ROWS: usize = 512;
/// Between two steps, milliseconds.
const STEP_MS: u64 = 20;
/// After the start, milliseconds: an application has more urgent things to do first.
const START_MS: u64 = 60_000;
/// Hours of a tombstone at a Big Peer; elsewhere the default of the parameter holds.
pub const BIG_PEER_TTL_HOURS: i64 = 720;
const HOUR_MS: u64 = 3_600_000;

/// Where the pass stands.
#[derive(Debug)]
pub struct Reaper {
    /// When the next step is due.
    due: Millis,
    /// Where it goes on; `None` at the start of a pass.
    after: Option<Key>,
    /// Before this position tombstones were dropped.
    horizon: Seq,
    /// The small record was read.
    known: bool,
    /// It waits for blocks.
    pub parked: bool,
    /// Documents were evicted, or lost with a damaged block: what is not here was not necessarily deleted.
    pub is_incomplete: bool,
}

/// Documents to be dropped here.
#[derive(Debug)]
pub enum Reap {
    /// Documents of which the Big Peer has no trace.
    Alone {
        /// The documents, with the hashes they had.
        documents: Vec<(Key, u128)>,
        /// Before this position the Big Peer has dropped tombstones.
        horizon: Seq,
    },
    /// Tombstones that came before a position.
    Tombstones {
        /// The documents.
        keys: Vec<Key>,
        /// The position.
        before: Seq,
        /// The pass is over, at that time.
        done: Option<Millis>,
    },
}

impl Reaper {
    /// Starts a while after the engine.
    pub fn new(now: Millis) -> Reaper {
        Reaper {
            due: now.plus(START_MS),
            after: None,
            horizon: Seq(0),
            known: false,
            parked: false,
            is_incomplete: false,
        }
    }

    /// Returns the position before which tombstones were dropped.
    pub fn horizon(&self) -> Seq {
        self.horizon
    }

    /// Takes the small record that a commit has written.
    pub fn replay(&mut self, bytes: &[u8]) {
        let mut reader = Reader::new(bytes);
        self.horizon = self.horizon.max(Seq(reader.var().unwrap_or(0)));
    }
}

impl<S: Store> Engine<S> {
    /// Reads the small record at boot.
    pub(crate) fn load_horizon(&mut self) -> Result<(), ReadError> {
        for name in [EVICTED, REPAIRED] {
            self.reaper.is_incomplete |= self.store.get(&Key::meta(name))?.is_some();
        }
        let stored = self.store.get(&Key::meta(REAPED))?;
        let Some(bytes) = stored.filter(|_| !self.reaper.known) else { return Ok(()) };
        self.reaper.known = true;
        self.reaper.replay(&bytes);
        let mut reader = Reader::new(&bytes);
        let done = reader.var().and_then(|_| reader.var()).map_or(Millis(0), Millis);
        self.reaper.due = self.reaper.due.max(done.plus(self.between_passes()));
        Ok(())
    }

    pub(crate) fn reaper_timeout(&self) -> Option<Millis> {
        // What is due already waits for something else than the time.
        Some(self.reaper.due).filter(|due| self.may_compact && *due > self.now)
    }

    fn between_passes(&self) -> u64 {
        self.parameters.count(DAYS_BETWEEN_REAPING) as u64 * 24 * HOUR_MS
    }

    /// Takes the next step of a pass when it is due.
    pub(crate) fn run_reaper(&mut self) {
        let waits = !self.booted || !self.may_compact || self.broken.is_some() || self.reaper.parked;
        if waits || self.reaper.due > self.now || self.pipeline.jobs.iter().any(|job| matches!(job, Job::Reap(_))) {
            return;
        }
        if !self.parameters.is(TOMBSTONE_TTL_ENABLED) {
            self.reaper.due = self.now.plus(self.between_passes());
            return;
        }
        let mut range = Key::all_documents();
        if let Some(after) = &self.reaper.after {
            range = range.after(after);
        }
        let ttl = self.parameters.count(TOMBSTONE_TTL_HOURS) as u64 * HOUR_MS;
        let before = Seq(self.now.0.saturating_sub(ttl) << 16);
        match self.expired(&range, before) {
            Ok((keys, next)) => {
                let done = next.is_none().then_some(self.now);
                self.reaper.due = self.now.plus(if done.is_some() { self.between_passes() } else { STEP_MS });
                self.reaper.after = next;
                if done.is_some() || !keys.is_empty() {
                    self.pipeline.jobs.push_back(Job::Reap(Reap::Tombstones { keys, before, done }));
                }
            }
            Err(error) => match self.park_on(error) {
                Ok(()) => self.reaper.parked = true,
                Err(failure) => self.break_down(failure),
            },
        }
    }

    /// Returns expired tombstones of the next documents, and where to go on.
    fn expired(&self, range: &store::KeyRange, before: Seq) -> Result<(Vec<Key>, Option<Key>), ReadError> {
        let batch = self.parameters.count(REAP_BATCH_SIZE);
        let rows = self.store.range(range, STEP_ROWS)?;
        let more = rows.len() == STEP_ROWS;
        let (mut keys, mut last) = (Vec::new(), None);
        for (key, stored) in rows {
            let (seq, doc) = view::split(&stored)?;
            if self.is_expired(seq, before) && !packed::is_live(doc)? {
                keys.push(key.clone());
            }
            last = Some(key);
            if keys.len() >= batch {
                return Ok((keys, last));
            }
        }
        Ok((keys, last.filter(|_| more)))
    }

    /// Says whether a tombstone that came at a position may go: it is old enough, and the Big Peer, if there is one, has it.
    fn is_expired(&self, seq: Seq, before: Seq) -> bool {
        let told = self.config.role.big_peer_url().is_none() || seq <= self.network.acknowledged;
        seq < before && told
    }

    /// Adds to the group, which is otherwise empty, that documents are dropped.
    pub(crate) fn evaluate_reap(&mut self, reap: &Reap) -> Result<(), ReadError> {
        let mut writes = Vec::new();
        match reap {
            Reap::Alone { documents, horizon } => {
                for (key, hash) in documents {
                    writes.extend(self.deleted_elsewhere(key, *hash, *horizon)?);
                }
            }
            Reap::Tombstones { keys, before, .. } => {
                for key in keys {
                    // It may have been written again since it was found.
                    let found = self.document(key)?;
                    let expired = found.filter(|(seq, doc)| self.is_expired(*seq, *before) && !doc.is_live());
                    writes.extend(expired.map(|(_, doc)| dropped(key, doc)).transpose()?);
                }
            }
        }
        let (horizon, done) = match reap {
            Reap::Alone { .. } => (self.reaper.horizon, None),
            Reap::Tombstones { done, .. } if writes.is_empty() => (self.reaper.horizon, *done),
            Reap::Tombstones { before, done, .. } => (self.reaper.horizon.max(*before), *done),
        };
        let group = &mut self.pipeline.group;
        if writes.is_empty() && done.is_none() {
            return Ok(());
        }
        writes.into_iter().for_each(|write| group.draft.add(LOCAL, write));
        let mut record = Writer::new();
        record.var(horizon.0).var(done.map_or(0, |done| done.0));
        group.draft.put_meta(REAPED, Some(record.finish()));
        Ok(())
    }

    /// Returns a document and the position of its last change.
    fn document(&self, key: &Key) -> Result<Option<(Seq, Packed)>, ReadError> {
        let Some(stored) = self.store.get(key)? else { return Ok(None) };
        let (seq, doc) = view::split(&stored)?;
        Ok(Some((seq, Packed::of(doc))))
    }

    /// Returns the drop of a document that the Big Peer had and has no trace of. Whoever wrote it since has decided otherwise.
    fn deleted_elsewhere(&self, key: &Key, hash: u128, horizon: Seq) -> Result<Option<Write>, ReadError> {
        let Some((seq, doc)) = self.document(key)? else { return Ok(None) };
        let unchanged = hash128_of(key.as_bytes(), doc.bytes()) == hash;
        let drops = unchanged && self.was_deleted_at(horizon, seq, (key, doc.bytes()))?;
        drops.then(|| dropped(key, doc)).transpose()
    }

    /// Says whether a document that the Big Peer has no trace of was deleted there: it once had it, and it is unchanged since
    /// before its horizon.
    pub(crate) fn was_deleted_at(&self, horizon: Seq, seq: Seq, (key, doc): (&Key, &[u8])) -> Result<bool, ReadError> {
        if horizon == Seq(0) || seq > self.network.acknowledged {
            return Ok(false);
        }
        let kept_back = &self.network.ever_kept_back;
        if !kept_back.is_empty() && kept_back.contains_key(&view::named(key)?.0) {
            return Ok(false);
        }
        let newest = crdt::newest(doc).map_err(|error| ReadError::Backend(error.to_string()))?;
        Ok(newest.0 < horizon.0)
    }

    /// A reconciliation is over: what this peer alone holds, and the Big Peer once had, was deleted there.
    pub(crate) fn drop_what_is_alone(&mut self, id: LinkId, documents: Vec<(Key, u128)>) {
        let remote = self.network.links.get(&id).and_then(|link| link.remote.as_ref());
        let Some(horizon) = remote.map(|remote| Seq(remote.horizon)).filter(|_| !documents.is_empty()) else { return };
        self.pipeline.jobs.push_back(Job::Reap(Reap::Alone { documents, horizon }));
    }

    /// Returns the horizon of the Big Peer at the other end where this peer returns after it; else 0.
    pub(crate) fn horizon_of_big_peer(&self, link: &Link) -> Seq {
        let returns = link.incoming.subs.iter().any(|sub| sub.returns);
        link.remote.as_ref().filter(|_| returns).map_or(Seq(0), |remote| Seq(remote.horizon))
    }

    /// Returns the horizon that others are told: none where what is not here need not have been deleted.
    pub(crate) fn told_horizon(&self) -> u64 {
        let keeps_back = !self.parameters.map(SYNC_SCOPES).is_empty();
        if self.reaper.is_incomplete || keeps_back { 0 } else { self.reaper.horizon.0 }
    }
}

fn dropped(key: &Key, before: Packed) -> Result<Write, ReadError> {
    let (collection, id) = view::named(key)?;
    Ok(Write { collection, id, before, effect: Effect::Evicted })
}
