//! Booting, booting again, and repair: how an engine takes over what its device holds, and lives with what it lost.
//!
//! A tab that slept while others wrote more than the log keeps finds a gap between the head it knows and the log. It boots
//! again: the store adopts the manifest, the log is applied from where it begins, jobs are evaluated again, observers look
//! again, links are served by a scan where the log no longer reaches.
//!
//! A block or a record that cannot be read is given up. One commit then forgets all cursors, so that every subscription is
//! scanned again from every peer, and breaks the log off, so that no peer is served across the gap. The manifest forgets the
//! block after that commit and never before: a crash in between finds the damage once more. `docs/storage.md` has the table.

use store::{Batch, BlockId, BootImage, Key, Store, manifest_head};
use value::{Failure, Hlc, Seq, SmallMap, Writer, hash64};

use crate::commit::lost_race;
use crate::config::Boot;
use crate::engine::Engine;
use crate::io::{Output, Ticket};
use crate::log_tail::{LogEntry, LogTail};
use crate::pipeline::{Completion, Job};
use crate::record::Record;

/// The small record that names the damage in the log that was repaired.
pub const REPAIRED: &str = "repaired";

/// Where a boot while running stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reboot {
    /// The device was asked.
    Asked(Ticket),
    /// Waits for the commit that is on its way.
    Due,
}

/// Where the commit that forgets the cursors stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// It was refused; it is tried again after the next commit that is not.
    Failed,
    /// Nothing is to be repaired.
    None,
    /// It waits in the pipeline or is on its way.
    UnderWay,
}

impl<S: Store> Engine<S> {
    /// Takes the retained log: what the store holds is kept for links, the rest waits to be applied.
    pub(crate) fn take_log(&mut self, boot: Boot) {
        self.log = LogTail::new(boot.log_start);
        self.pipeline.foreign.clear();
        let applied = self.store.applied();
        let ends = boot.log.last().map(|(seq, _)| *seq).into_iter().chain(boot.damaged.last().copied());
        self.started_at = ends.fold(applied.max(boot.log_start), Seq::max);
        for (seq, bytes) in boot.log {
            if seq > applied {
                self.pipeline.foreign.push_back((seq, bytes));
            } else if let Ok(record) = Record::decode(&bytes) {
                self.clock.observe(record.hlc, self.now);
                self.log.push(LogEntry::new(seq, record.parts, None, Vec::new(), bytes.len()));
            }
        }
        let (missing, stored): (Vec<Seq>, Vec<Seq>) = boot.damaged.into_iter().partition(|seq| *seq > applied);
        if let Some(last) = stored.last() {
            self.log.break_off(*last);
        }
        self.pipeline.gap = missing.last().copied();
        self.damaged = missing;
        if self.log.head() < applied && self.pipeline.foreign.is_empty() && self.pipeline.gap.is_none() {
            self.log = LogTail::new(applied);
        }
    }

    /// Steps over the records that cannot be read, once everything before them is applied; returns whether it did.
    pub(crate) fn skip_gap(&mut self) -> bool {
        let Some(gap) = self.pipeline.gap else { return false };
        if self.pipeline.foreign.front().is_some_and(|(seq, _)| *seq < gap) {
            return false;
        }
        self.pipeline.gap = None;
        if let Err(error) = self.store.apply(Batch::new(gap)) {
            self.break_down(error.failure());
            return true;
        }
        self.break_log_off(gap);
        true
    }

    /// What others appended cannot be read from the log; a commit that was to follow it wrote nothing.
    pub(crate) fn log_gap(&mut self) {
        if self.broken.is_none() {
            self.rebooting.get_or_insert(Reboot::Due);
        }
    }

    /// Asks for what the device holds. A commit on its way is answered first: nothing may move under it.
    pub(crate) fn ask_to_reboot(&mut self) {
        if self.rebooting == Some(Reboot::Due) && self.pipeline.committing.is_none() {
            let ticket = self.ticket();
            self.rebooting = Some(Reboot::Asked(ticket));
            self.outputs.push_back(Output::Reboot { ticket });
        }
    }

    pub(crate) fn rebooted(&mut self, ticket: Ticket, image: Result<BootImage, Failure>) {
        if self.rebooting != Some(Reboot::Asked(ticket)) {
            return;
        }
        self.rebooting = None;
        if self.broken.is_some() {
            return;
        }
        match image.and_then(|image| self.adopt_image(image)) {
            Ok(boot) => self.boot_again(boot),
            Err(failure) => self.break_down(failure),
        }
    }

    fn adopt_image(&mut self, image: BootImage) -> Result<Boot, Failure> {
        let mut log_start = Seq(0);
        if let Some(manifest) = &image.manifest {
            self.store.adopt(manifest).map_err(|error| error.failure())?;
            log_start = manifest_head(manifest).map_err(|error| store::OpenError::from(error).failure())?.log_start;
        }
        Ok(Boot { log: image.log, log_start, damaged: image.damaged })
    }

    fn boot_again(&mut self, boot: Boot) {
        self.lose_transactions();
        self.pipeline.regroup();
        self.booted = false;
        self.indexes.forget();
        self.blob_names_lost();
        self.clock.observe(Hlc(self.store.applied().0), self.now);
        self.take_log(boot);
        self.tell_links_floor();
        self.mark_observers();
        self.unpark();
    }

    /// The snapshots of open transactions are gone; each is told when it next asks something.
    fn lose_transactions(&mut self) {
        for (id, transaction) in std::mem::take(&mut self.transactions.open) {
            for (ticket, _) in transaction.waiting {
                self.reply(ticket, Err(lost_race()));
            }
            match transaction.ending {
                Some(ticket) => self.reply(ticket, Err(lost_race())),
                None => _ = self.transactions.lost.insert(id, ()),
            }
        }
    }

    /// A manifest was adopted. If it holds commits that were not read from the log yet, no observer has heard of them.
    pub(crate) fn look_at_state(&mut self) {
        if self.store.applied() > self.log.head() {
            self.indexes.forget();
            self.mark_observers();
        }
    }

    /// Gives up a block that cannot be read; `false` when the store cannot go on without it.
    pub(crate) fn give_up(&mut self, block: BlockId) -> bool {
        let gone = self.store.give_up(block);
        if gone {
            self.mended = true;
            self.mark_observers();
            self.begin_repair(block.to_string());
        }
        gone
    }

    /// Begins the repair of what the log lost, unless an earlier boot, or another tab, did that.
    pub(crate) fn look_for_damage(&mut self) {
        let Some(first) = self.damaged.first() else { return };
        let repaired = self.store.get(&Key::meta(REPAIRED)).ok().flatten();
        if repaired != Some(self.damage_record()) {
            self.begin_repair(format!("log record {}", first.0));
        }
    }

    fn begin_repair(&mut self, what: String) {
        self.outputs.push_back(Output::Damaged { what });
        self.indexes.distrust();
        self.queue_repair();
    }

    fn queue_repair(&mut self) {
        if self.repair != Repair::UnderWay {
            self.repair = Repair::UnderWay;
            self.pipeline.jobs.push_front(Job::Repair);
        }
    }

    /// Adds to the group that all cursors are forgotten.
    pub(crate) fn evaluate_repair(&mut self) {
        let record = self.damage_record();
        let group = &mut self.pipeline.group;
        self.cursors.names().iter().for_each(|name| group.draft.put_meta(name, None));
        group.draft.put_meta(REPAIRED, Some(record));
        group.completions.push(Completion::Repaired);
        self.begin_indexes_again();
    }

    /// Acts on a commit of this tab or of another that forgets the cursors: everything is asked for again, and peers are
    /// served by scans.
    pub(crate) fn take_repair(&mut self, seq: Seq, metas: &SmallMap<String, Option<Vec<u8>>>) {
        if metas.keys().any(|name| name == REPAIRED) {
            metas.iter().for_each(|(name, bytes)| self.cursors.replay(name, bytes.as_deref()));
            self.break_log_off(seq);
            self.subscriptions_changed();
        } else if self.repair == Repair::Failed {
            self.queue_repair();
        }
    }

    fn break_log_off(&mut self, at: Seq) {
        if self.log.break_off(at) {
            self.tell_links_floor();
        }
    }

    fn tell_links_floor(&mut self) {
        let (head, floor) = (self.log.head(), self.log.floor());
        self.network.links.values_mut().for_each(|link| link.outgoing.floor_rose(head, floor));
    }

    /// Returns what the small record says when the present damage of the log is repaired.
    fn damage_record(&self) -> Vec<u8> {
        let mut seqs = Writer::new();
        self.damaged.iter().for_each(|seq| _ = seqs.fixed64(seq.0));
        let mut out = Writer::new();
        out.fixed64(hash64(&seqs.finish()));
        out.finish()
    }
}
