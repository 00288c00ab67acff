//! Writes in order: jobs are evaluated one after another over a shared draft, and the draft becomes one commit.
//!
//! While a commit is on its way to the device, further jobs wait; when it is durable they form the next group (group commit
//! without a timer). A group that lost a race with another writer of the same log is evaluated again, over what the other
//! wrote. Nothing is visible to readers, observers or links before it is durable.

use std::collections::VecDeque;
use std::rc::Rc;

use store::Durability;
use value::{Failure, Seq, StoreId};

use crate::cursor::Cursor;
use crate::draft::Draft;
use crate::field::FieldJob;
use crate::index::IndexJob;
use crate::io::{LinkId, Reply, Ticket};
use crate::log_tail::Via;
use crate::page::Import;
use crate::reap::Reap;
use crate::record::DocState;
use crate::statement::Prepared;

/// Jobs of one commit at most.
pub const GROUP_JOBS_MAX: usize = 4096;
/// Bytes of one commit, after which the group is closed. A single job may be larger.
pub const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one commit after which no more is added of what links bring: a live change, or a statement, waits for the commit.
const REMOTE_BYTES_MAX: usize = 256 * 1024;

/// Something that may write.
#[derive(Debug)]
pub enum Job {
    /// Opens a transaction once everything before it is durable.
    Begin {
        /// Of the reply.
        ticket: Ticket,
        /// Whether writes are refused.
        read_only: bool,
    },
    /// Takes in what a Yjs client wrote.
    Field(FieldJob),
    /// Joins imported states in.
    Import(Import),
    /// Makes or drops an index.
    Index(IndexJob),
    /// Drops tombstones whose time is over, or what was deleted elsewhere.
    Reap(Reap),
    /// Merges what a link brought.
    Remote(RemoteUnit),
    /// Forgets how far other stores were read, so that all of them are read again.
    Repair,
    /// A statement that can write.
    Statement {
        /// Of the reply.
        ticket: Ticket,
        /// The statement.
        prepared: Rc<Prepared>,
        /// What it must survive.
        durability: Durability,
    },
}

/// A unit of changes from another store; applied whole.
#[derive(Debug)]
pub struct RemoteUnit {
    /// The link that brought it.
    pub link: LinkId,
    /// The store it comes from.
    pub store: StoreId,
    /// The set of subscriptions that it answers; when the link has sent a newer one, the moves count no more.
    pub generation: u64,
    /// The set of the store's subscriptions that the link served when it came.
    pub serving: u64,
    /// The changes, in binary form; decoded under limits when they came.
    pub docs: Vec<DocState>,
    /// Cursors that move with it, by hash of the subscription.
    pub moves: Vec<(u64, Cursor)>,
    /// What its frame counts against the window, to acknowledge.
    pub bytes: u64,
    /// About what its documents take in memory, bytes.
    pub held: usize,
}

impl Job {
    /// Says whether it is part of a catch-up that is not over.
    pub fn is_catch_up(&self) -> bool {
        matches!(self, Job::Remote(unit) if unit.moves.is_empty())
    }
}

/// What to do when a group is durable.
#[derive(Debug)]
pub enum Completion {
    /// Acknowledge what a link brought.
    Acknowledge {
        /// The link.
        link: LinkId,
        /// The store at its other end.
        store: StoreId,
        /// The set of the store's subscriptions that the link served.
        serving: u64,
        /// Cursors that have moved.
        moves: Vec<(u64, Cursor)>,
        /// Documents that came.
        docs: u64,
        /// Bytes of frames.
        bytes: u64,
    },
    /// Indexes are built further.
    IndexStep,
    /// Everything will be read again.
    Repaired,
    /// Answer a statement or the end of a transaction.
    Reply {
        /// Of the reply.
        ticket: Ticket,
        /// What to say; the position is filled in.
        result: Result<Reply, Failure>,
        /// Whether it wrote something.
        wrote: bool,
    },
}

/// Evaluated jobs whose commit is on its way.
#[derive(Debug, Default)]
pub struct Group {
    /// The jobs, to be evaluated again after a conflict. Empty for a transaction, which is not.
    pub jobs: Vec<Job>,
    /// Their changes.
    pub draft: Draft,
    /// What to do when they are durable.
    pub completions: Vec<Completion>,
    /// The strongest that was asked for.
    pub durability: Durability,
    /// The ticket of a transaction's end.
    pub transaction: Option<Ticket>,
}

impl Group {
    /// Returns how far a store's cursors move with this group: what earlier units moved, then these.
    pub fn moves_of(&self, store: StoreId, last: &[(u64, Cursor)]) -> Vec<(u64, Cursor)> {
        let mut all = Vec::new();
        for completion in &self.completions {
            if let Completion::Acknowledge { store: other, moves, .. } = completion
                && *other == store
            {
                all.extend_from_slice(moves);
            }
        }
        all.extend_from_slice(last);
        all
    }

    /// Returns how the parts of other stores came; a store whose parts came in two ways is left out.
    pub fn vias(&self) -> Vec<Via> {
        let (mut vias, mut mixed): (Vec<Via>, Vec<StoreId>) = (Vec::new(), Vec::new());
        for completion in &self.completions {
            let Completion::Acknowledge { link, store, serving, docs: 1.., .. } = completion else { continue };
            let via = Via { store: *store, link: *link, serving: *serving };
            match vias.iter().find(|known| known.store == *store) {
                Some(known) if *known != via => mixed.push(*store),
                Some(_) => {}
                None => vias.push(via),
            }
        }
        vias.retain(|via| !mixed.contains(&via.store));
        vias
    }

    /// Says whether another job fits. A catch-up does not go with what somebody waits for, which would wait for it.
    pub fn has_room_for(&self, job: Option<&Job>) -> bool {
        let bytes_max = if matches!(job, Some(Job::Remote(_))) { REMOTE_BYTES_MAX } else { GROUP_BYTES_MAX };
        let apart = job.is_some_and(Job::is_catch_up) && self.jobs.last().is_some_and(|last| !last.is_catch_up());
        self.jobs.len() < GROUP_JOBS_MAX && self.draft.bytes() < bytes_max && !apart
    }
}

/// A commit that is on its way to the device.
#[derive(Clone, Copy, Debug)]
pub struct Committing {
    /// Of the answer.
    pub ticket: Ticket,
    /// Length of the record.
    pub bytes: usize,
    /// Hash of the record, to know it again when a device wrote it and lost the answer.
    pub hash: u64,
}

/// The writes that wait and the commit that is on its way.
#[derive(Debug, Default)]
pub struct Pipeline {
    /// Waiting jobs, oldest first.
    pub jobs: VecDeque<Job>,
    /// Records that others appended, to be applied before anything else.
    pub foreign: VecDeque<(Seq, Vec<u8>)>,
    /// Position of the last record among them that is missing, because it cannot be read.
    pub gap: Option<Seq>,
    /// The group that is being evaluated or committed.
    pub group: Group,
    /// The commit that is on its way.
    pub committing: Option<Committing>,
    /// Waiting for blocks.
    pub parked: bool,
    /// The last group went before catch-ups that wait.
    pub passed: bool,
}

impl Pipeline {
    /// Returns the statements that wait or are being committed.
    pub fn statements(&self) -> impl Iterator<Item = &Rc<Prepared>> {
        self.group.jobs.iter().chain(&self.jobs).filter_map(|job| match job {
            Job::Statement { prepared, .. } => Some(prepared),
            _ => None,
        })
    }

    /// Adds a job that somebody waits for: at the end, but before the catch-ups there.
    ///
    /// Those move no cursor, so they belong to subscriptions that are not live, and the base of a live change is not among
    /// them. So a large first sync keeps neither a live change nor the application's own writes waiting.
    pub fn add(&mut self, job: Job) {
        let catch_ups = self.jobs.iter().rev().take_while(|job| job.is_catch_up()).count();
        self.jobs.insert(self.jobs.len() - catch_ups, job);
    }

    /// Puts a catch-up first if the last group went before it: where somebody always waits it has every other commit.
    pub fn take_turns(&mut self) {
        if std::mem::take(&mut self.passed)
            && let Some(place) = self.jobs.iter().position(Job::is_catch_up)
            && let Some(job) = self.jobs.remove(place)
        {
            self.jobs.push_front(job);
        }
    }

    /// A group is full: notes whether it goes before catch-ups.
    pub fn note_turn(&mut self) {
        self.passed = !self.group.jobs.iter().any(Job::is_catch_up) && self.jobs.iter().any(Job::is_catch_up);
    }

    /// Returns about how much memory waits that came from a store, bytes.
    pub fn held(&self, store: StoreId) -> usize {
        let held = |job: &Job| match job {
            Job::Remote(unit) if unit.store == store => unit.held,
            _ => 0,
        };
        self.group.jobs.iter().chain(&self.jobs).map(held).sum()
    }

    /// Puts the jobs of the group back: they are evaluated again, over another state.
    pub fn regroup(&mut self) {
        let group = std::mem::take(&mut self.group);
        group.jobs.into_iter().rev().for_each(|job| self.jobs.push_front(job));
    }
}

/// Returns the stronger of two.
pub fn stronger(a: Durability, b: Durability) -> Durability {
    match (a, b) {
        (Durability::Strict, _) | (_, Durability::Strict) => Durability::Strict,
        (Durability::Relaxed, _) | (_, Durability::Relaxed) => Durability::Relaxed,
        (Durability::Memory, Durability::Memory) => Durability::Memory,
    }
}
