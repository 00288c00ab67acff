//! The way of a write: evaluate a group, append it, publish it, answer; and the same for what others appended.

use crdt::Doc;
use store::{Durability, ReadError, Store};
use sync::Hello;
use value::{ErrorCode, Failure, Hlc, Millis, Seq, StoreId, hash64};

use crate::cursor::{Cursor, Cursors};
use crate::draft::{Draft, Effect, Write};
use crate::engine::Engine;
use crate::field::FieldJob;
use crate::index::{self, IndexJob};
use crate::io::{CommitOutcome, LinkId, Output, Reply, Ticket};
use crate::log_tail::{LogEntry, Via};
use crate::network::Link;
use crate::packed::Packed;
use crate::page::Import;
use crate::pipeline::{Committing, Completion, Group, Job, RemoteUnit, stronger};
use crate::reap::{EVICTED, REAPED};
use crate::reboot::Repair;
use crate::record::{DocState, LOCAL, Record};
use crate::request::answer;
use crate::statement::Stop;
use crate::view::View;

/// What a power cut takes off the end of the log was written within so long, milliseconds.
const LOST_MS_MAX: u64 = 60_000;

impl<S: Store> Engine<S> {
    /// Takes the next step of the pipeline; returns whether there was one.
    pub(crate) fn run_pipeline(&mut self) -> bool {
        let pipeline = &self.pipeline;
        let waits = self.reloading.is_some() || self.rebooting.is_some();
        if pipeline.committing.is_some() || pipeline.parked || waits || self.broken.is_some() {
            return false;
        }
        if !self.transactions.open.is_empty() {
            return self.group_of_transaction() && self.submit();
        }
        if !self.indexes.is_known() {
            return self.read_indexes();
        }
        if self.skip_gap() {
            return true;
        }
        if !self.pipeline.foreign.is_empty() {
            return self.apply_next_foreign();
        }
        if !self.booted {
            return self.finish_boot();
        }
        // Writes go before the steps of an index's build, but not for ever.
        let overdue = self.step_is_overdue() && self.pipeline.group.jobs.is_empty();
        if overdue {
            self.make_step();
        }
        if self.pipeline.committing.is_none() && self.fill_group() {
            return true;
        }
        if self.pipeline.group.jobs.is_empty() && self.pipeline.jobs.is_empty() {
            self.make_step();
        }
        false
    }

    /// Reads which indexes there are, before anything is applied over what the store holds.
    fn read_indexes(&mut self) -> bool {
        match self.indexes.load(&self.store) {
            Ok(()) => true,
            Err(error) => self.park_pipeline(error),
        }
    }

    fn finish_boot(&mut self) -> bool {
        match Cursors::load(&self.store) {
            Ok(cursors) => {
                self.cursors = cursors;
                if let Err(error) = self.load_acknowledged().and_then(|()| self.load_horizon()) {
                    return self.park_pipeline(error);
                }
                self.booted = true;
                self.look_for_damage();
                self.subscriptions_changed();
                true
            }
            Err(error) => self.park_pipeline(error),
        }
    }

    /// Applies one record that another writer of this log has appended.
    fn apply_next_foreign(&mut self) -> bool {
        let Some((seq, bytes)) = self.pipeline.foreign.front().cloned() else { return false };
        if seq <= self.log.head() {
            self.pipeline.foreign.pop_front();
            return true;
        }
        // Jobs that were evaluated before one of them met a missing block would overwrite what comes now.
        self.pipeline.regroup();
        let record = match Record::decode(&bytes) {
            Ok(record) => record,
            Err(error) => {
                let message = format!("record {} of the log cannot be read: {error}", seq.0);
                self.break_down(Failure::new(ErrorCode::StoreBackend, message));
                return true;
            }
        };
        match self.draft_of(seq, &record) {
            Ok(draft) => {
                self.pipeline.foreign.pop_front();
                self.clock.observe(record.hlc, self.now);
                for (name, bytes) in &record.metas {
                    self.cursors.replay(name, bytes.as_deref());
                }
                // Whoever changes the catalogue goes on with it.
                self.indexes.creator &= index::brought(&record.metas).is_none();
                self.publish(seq, draft, Vec::new(), bytes.len());
                true
            }
            Err(error) => self.park_pipeline(error),
        }
    }

    /// Joins a record's deltas over what is stored.
    fn draft_of(&self, seq: Seq, record: &Record) -> Result<Draft, ReadError> {
        let mut draft = Draft::default();
        for part in &record.parts {
            for doc in &part.docs {
                let before = View::new(&self.store, &self.indexes, vec![&draft]).doc(&doc.collection, &doc.id)?;
                // It was decoded before it was written; what cannot be read now was damaged, and is skipped rather than
                // losing the rest of the record.
                let Some((_, effect)) = joined(&before, &doc.delta)? else { continue };
                draft
                    .add(part.origin, Write { collection: doc.collection.clone(), id: doc.id.clone(), before, effect });
            }
            for (collection, id) in &part.evicted {
                let before = View::new(&self.store, &self.indexes, vec![&draft]).doc(collection, id)?;
                let effect = Effect::Evicted;
                draft.add(part.origin, Write { collection: collection.clone(), id: id.clone(), before, effect });
            }
        }
        for (name, bytes) in &record.metas {
            draft.put_meta(name, bytes.clone());
        }
        // What the store holds already has its rows.
        if let Some(next) = index::brought(&record.metas).filter(|_| seq > self.store.applied()) {
            draft.put_rows(self.indexes.rows_towards(&next, &self.store)?);
        }
        Ok(draft)
    }

    /// Evaluates waiting jobs into the group and sends it off.
    fn fill_group(&mut self) -> bool {
        if self.pipeline.group.jobs.is_empty() {
            self.pipeline.take_turns();
        }
        while self.pipeline.group.has_room_for(self.pipeline.jobs.front()) {
            let Some(job) = self.pipeline.jobs.pop_front() else { break };
            if let Job::Begin { ticket, read_only } = job {
                if self.pipeline.group.jobs.is_empty() {
                    self.open_transaction(ticket, read_only);
                    return true;
                }
                self.pipeline.jobs.push_front(job);
                break;
            }
            // An eviction or a repair forgets cursors, so no unit that moves them may share its commit. A change of the
            // indexes goes with no change of documents.
            let forgets = match &job {
                Job::Begin { .. } | Job::Field(_) | Job::Import(_) | Job::Remote(_) => false,
                Job::Index(_) | Job::Reap(_) | Job::Repair => true,
                Job::Statement { prepared, .. } => prepared.is_eviction(),
            };
            if forgets && !self.pipeline.group.jobs.is_empty() {
                self.pipeline.jobs.push_front(job);
                break;
            }
            match self.evaluate(&job) {
                Ok(()) => {
                    self.pipeline.group.jobs.push(job);
                    if forgets {
                        break;
                    }
                }
                Err(error) => {
                    self.pipeline.jobs.push_front(job);
                    return self.park_pipeline(error);
                }
            }
        }
        self.pipeline.note_turn();
        !self.pipeline.group.jobs.is_empty() && self.submit()
    }

    /// Adds one job's changes and its completion to the group; an error means that blocks are missing.
    fn evaluate(&mut self, job: &Job) -> Result<(), ReadError> {
        match job {
            Job::Begin { .. } => panic!("a transaction is opened before its turn to be evaluated"),
            Job::Field(job) => self.evaluate_field(job),
            Job::Import(import) => self.evaluate_import(import),
            Job::Index(job) => {
                self.evaluate_index(job);
                Ok(())
            }
            Job::Reap(reap) => self.evaluate_reap(reap),
            Job::Remote(unit) => self.evaluate_remote(unit),
            Job::Repair => {
                self.evaluate_repair();
                Ok(())
            }
            Job::Statement { ticket, prepared, durability } => {
                let stamp = self.stamp();
                let system = self.system_rows(prepared)?;
                let view = View::new(&self.store, &self.indexes, vec![&self.pipeline.group.draft]);
                let outcome = prepared.run(&view, &system, stamp, &mut self.random);
                self.history.take(&prepared.text, self.now, &outcome);
                let group = &mut self.pipeline.group;
                let (result, wrote) = match outcome {
                    Err(Stop::Blocked(error)) => return Err(error),
                    Err(Stop::Failed(failure)) => (Err(failure), false),
                    Ok(outcome) => {
                        let (rows, mutated) = answer(&outcome);
                        let wrote = !outcome.writes.is_empty();
                        for write in outcome.writes {
                            if matches!(write.effect, Effect::Evicted) {
                                let forgotten = self.cursors.forget(&write.collection);
                                forgotten.into_iter().for_each(|(name, bytes)| group.draft.put_meta(&name, bytes));
                                group.draft.put_meta(EVICTED, Some(vec![1]));
                            }
                            // An overwrite may have taken a later stamp than the tick; no tick may be used twice.
                            self.clock.observe(write.newest(), self.now);
                            group.draft.add(LOCAL, write);
                        }
                        group.durability = stronger(group.durability, *durability);
                        (Ok(Reply::Rows { rows, mutated, commit: None }), wrote)
                    }
                };
                group.completions.push(Completion::Reply { ticket: *ticket, result, wrote });
                Ok(())
            }
        }
    }

    fn evaluate_remote(&mut self, unit: &RemoteUnit) -> Result<(), ReadError> {
        let mut writes = Vec::new();
        let mut newest = Hlc::ZERO;
        // Documents of one unit may repeat; a draft of its own keeps the group clean if a block is missing.
        let mut own = Draft::default();
        for DocState { collection, id, delta } in &unit.docs {
            let drafts = vec![&self.pipeline.group.draft, &own];
            let before = View::new(&self.store, &self.indexes, drafts).doc(collection, id)?;
            let Some((changed, effect)) = joined(&before, delta)? else { continue };
            let write = Write { collection: collection.clone(), id: id.clone(), before, effect };
            newest = newest.max(write.newest());
            if changed {
                own.add(unit.store, write.clone());
                writes.push(write);
            }
        }
        self.clock.observe(newest, self.now);
        let group = &mut self.pipeline.group;
        let docs = writes.len() as u64;
        // A unit of known documents moves the cursor in memory only; a position told on its own is worth a small commit,
        // since it stands for many documents that would otherwise be sent again after a restart.
        // Cursors themselves move when the commit is durable; until then the group carries them. A unit that answers an
        // older set of subscriptions is merged, but moves nothing.
        let current =
            self.network.links.get(&unit.link).is_some_and(|link| link.incoming.generation == unit.generation);
        let moves: Vec<(u64, Cursor)> = if current { unit.moves.clone() } else { Vec::new() };
        let told = unit.docs.is_empty()
            && moves
                .iter()
                .any(|(hash, cursor)| self.cursors.cursor(unit.store, *hash).is_none_or(|known| known < cursor.seq));
        if told || !writes.is_empty() {
            let (name, bytes) = self.cursors.record(unit.store, &group.moves_of(unit.store, &moves));
            group.draft.put_meta(&name, Some(bytes));
            writes.into_iter().for_each(|write| group.draft.add(unit.store, write));
        }
        group.completions.push(Completion::Acknowledge {
            link: unit.link,
            store: unit.store,
            serving: unit.serving,
            moves,
            docs,
            bytes: unit.bytes,
        });
        Ok(())
    }

    /// Sends the group's record to the log, or completes at once when there is nothing to write.
    pub(crate) fn submit(&mut self) -> bool {
        if self.pipeline.group.draft.is_empty() {
            let group = std::mem::take(&mut self.pipeline.group);
            self.complete(group.completions, None);
            return true;
        }
        if let Some((name, bytes)) = self.acknowledged_record() {
            self.pipeline.group.draft.put_meta(&name, Some(bytes));
        }
        let record = self.pipeline.group.draft.record(self.clock.last()).encode();
        let ticket = self.ticket();
        self.pipeline.committing = Some(Committing { ticket, bytes: record.len(), hash: hash64(&record) });
        let (expected, not_before) = (self.log.head(), self.not_before());
        let durability = match not_before {
            Millis(0) => self.pipeline.group.durability,
            // It may not be lost itself: the next start would take the same position.
            _ => Durability::Strict,
        };
        self.outputs.push_back(Output::Commit { ticket, expected, not_before, record, durability });
        false
    }

    /// Returns what the first commit since the start counts as the time at least, when the clock stands behind the log: later
    /// than whatever was lost.
    fn not_before(&self) -> Millis {
        let head = self.log.head();
        let at = Hlc(head.0).millis();
        if head == self.started_at && at >= self.now { at.plus(LOST_MS_MAX) } else { Millis(0) }
    }

    /// Takes the answer of a commit.
    pub(crate) fn committed(&mut self, ticket: Ticket, outcome: CommitOutcome) {
        let Some(sent) = self.pipeline.committing.take_if(|committing| committing.ticket == ticket) else { return };
        let group = std::mem::take(&mut self.pipeline.group);
        let vias = group.vias();
        match outcome {
            CommitOutcome::Durable(seq) => {
                self.publish(seq, group.draft, vias, sent.bytes);
                self.complete(group.completions, Some(seq));
            }
            CommitOutcome::Conflict(mut entries) => {
                // A device that wrote the record and lost the answer finds it when it tries again.
                let own = entries.first().is_some_and(|(_, bytes)| hash64(bytes) == sent.hash);
                if own {
                    let (seq, _) = entries.remove(0);
                    self.publish(seq, group.draft, vias, sent.bytes);
                    self.complete(group.completions, Some(seq));
                    self.queue_foreign(entries);
                    return;
                }
                self.queue_foreign(entries);
                self.give_back(group);
            }
            CommitOutcome::Failed(failure) => self.fail_group(group, &failure),
            CommitOutcome::Gap => {
                self.give_back(group);
                self.log_gap();
            }
        }
    }

    /// What lost a race is evaluated again; a transaction, which cannot be, is told.
    pub(crate) fn give_back(&mut self, group: Group) {
        match group.transaction {
            Some(ticket) => self.reply(ticket, Err(lost_race())),
            None => group.jobs.into_iter().rev().for_each(|job| self.pipeline.jobs.push_front(job)),
        }
    }

    /// Takes records from the head known here to the present one; what another ping brought is among them or after.
    fn queue_foreign(&mut self, entries: Vec<(Seq, Vec<u8>)>) {
        entries.into_iter().rev().for_each(|entry| self.pipeline.foreign.push_front(entry));
    }

    /// Makes a durable commit visible: to readers, observers, links and other tabs.
    fn publish(&mut self, seq: Seq, draft: Draft, vias: Vec<Via>, record_bytes: usize) {
        // Another tab's segments may hold the commit already; then nobody knows what it did.
        let changes = (seq > self.store.applied()).then(|| draft.changes());
        let mut evicted = draft.evicted_collections();
        let mut batch = draft.batch(seq, record_bytes as u64);
        if changes.is_some() {
            self.indexes.maintain(&draft, &mut batch);
        }
        if let Err(error) = self.store.apply(batch) {
            return self.break_down(error.failure());
        }
        self.names_changed(changes.as_deref());
        match &changes {
            Some(changes) => {
                self.tell_observers(changes);
                self.tell_watches(Some(changes));
            }
            None => self.mark_observers(),
        }
        let (parts, metas) = draft.into_parts();
        if let Some(changes) = &changes {
            self.indexes.published(changes, &metas);
        }
        if let Some((_, Some(record))) = metas.iter().find(|(name, _)| *name == REAPED) {
            self.reaper.replay(record);
            evicted.clear();
        }
        self.reaper.is_incomplete |= !evicted.is_empty();
        evicted.iter().for_each(|collection| self.cursors.drop_collection(collection));
        let floor_rose = self.log.push(LogEntry::new(seq, parts, changes, vias, record_bytes));
        self.published(seq, floor_rose);
        self.take_repair(seq, &metas);
        if !evicted.is_empty() {
            self.subscriptions_changed();
        }
        self.maintenance_due = true;
        self.outputs.push_back(Output::Published { seq });
    }

    fn complete(&mut self, completions: Vec<Completion>, seq: Option<Seq>) {
        for completion in completions {
            match completion {
                Completion::Acknowledge { link, store, moves, docs, bytes, .. } => {
                    self.taken(link, store, &moves, docs, bytes);
                }
                Completion::IndexStep => {}
                Completion::Repaired => self.repair = Repair::None,
                Completion::Reply { ticket, mut result, wrote } => {
                    if let (Ok(Reply::Rows { commit, .. } | Reply::Ended { commit }), true) = (&mut result, wrote) {
                        *commit = seq;
                    }
                    self.reply(ticket, result);
                }
            }
        }
    }

    /// Nothing of the group was written: its callers are told, its links are dropped, since they must send again.
    fn fail_group(&mut self, group: Group, failure: &Failure) {
        for completion in group.completions {
            match completion {
                Completion::Acknowledge { store, .. } => self.drop_store(store, failure.code),
                Completion::IndexStep => self.indexes.refused = true,
                Completion::Repaired => self.repair = Repair::Failed,
                Completion::Reply { ticket, result: Err(own), .. } => self.reply(ticket, Err(own)),
                Completion::Reply { ticket, result: Ok(_), .. } => self.reply(ticket, Err(failure.clone())),
            }
        }
    }

    /// What came from a store cannot be kept: later units of it would leave a hole, so its links start over.
    fn drop_store(&mut self, store: StoreId, code: ErrorCode) {
        self.pipeline.jobs.retain(|job| !matches!(job, Job::Remote(unit) if unit.store == store));
        let of_store = |(id, _, remote): (LinkId, &Link, &Hello)| (remote.store == store).then_some(id);
        let links: Vec<LinkId> = self.network.established().filter_map(of_store).collect();
        links.into_iter().for_each(|link| self.drop_link(link, code));
    }

    pub(crate) fn fail_pipeline(&mut self, failure: &Failure) {
        let group = std::mem::take(&mut self.pipeline.group);
        // A commit that is on its way may still succeed; its callers are told that it is not known.
        self.pipeline.committing = None;
        self.fail_group(group, failure);
        for job in std::mem::take(&mut self.pipeline.jobs) {
            match job {
                Job::Begin { ticket, .. }
                | Job::Field(FieldJob { ticket, .. })
                | Job::Import(Import { ticket, .. })
                | Job::Index(IndexJob { ticket: Some(ticket), .. })
                | Job::Statement { ticket, .. } => self.reply(ticket, Err(failure.clone())),
                Job::Index(IndexJob { ticket: None, .. }) | Job::Reap(_) => {}
                Job::Remote(unit) => self.drop_link(unit.link, failure.code),
                Job::Repair => self.repair = Repair::Failed,
            }
        }
    }

    fn park_pipeline(&mut self, error: ReadError) -> bool {
        match self.park_on(error) {
            Ok(()) => self.pipeline.parked = true,
            Err(failure) => self.break_down(failure),
        }
        false
    }
}

/// Merges a delta's bytes into a document; says also whether that changed it. `None`: the delta cannot be read.
pub(crate) fn joined(before: &Packed, delta: &[u8]) -> Result<Option<(bool, Effect)>, ReadError> {
    let Ok(doc) = Doc::read(delta) else { return Ok(None) };
    let (newest, delta) = (doc.newest(), Packed::of(delta));
    if before.is_absent() && !doc.is_absent() {
        return Ok(Some((true, Effect::Joined { after: delta.clone(), delta, newest })));
    }
    let mut after = before.doc()?;
    let changed = after.join(&doc);
    let after = if changed { Packed::new(&after) } else { before.clone() };
    Ok(Some((changed, Effect::Joined { delta, after, newest })))
}

pub(crate) fn lost_race() -> Failure {
    Failure::new(ErrorCode::StoreTransactionConflict, "another tab wrote first; run the transaction again")
}
