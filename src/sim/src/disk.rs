//! The disk of one peer: the memory device of `store`, made slow and made to forget.
//!
//! Operations run one after the other, each after a latency, and are answered when they have run. The disk remembers its
//! writes in order and how much each must survive. A crash runs a random number of the operations under way without an
//! answer; then a killed process loses a random part of what was written for `Memory` only, and a power cut a random part of
//! what was written since the last `Strict` one. What is left is always a prefix, as in a journalled file system and in
//! IndexedDB.
//!
//! Not simulated: a clock that goes back across a power cut (sequences are only unique under a clock that does not), and
//! blocks that rot; the conformance suites of `store` have those.

use std::collections::VecDeque;

use peer::io::{BlobAnswer, BlobTask, CommitOutcome, Input, Ticket};
use store::{
    Appended, BlobDeviceNow, BlockId, BootImage, DeviceBatch, DeviceError, DeviceNow, Durability, MemoryDevice, Written,
};
use value::{Millis, Seq};

use crate::rng::Rng;

/// How a peer goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process ends; the operating system goes on.
    Kill,
    /// The machine ends.
    Power,
}

impl Crash {
    /// Says whether a write of that durability may be gone afterwards.
    pub fn forgives(self, durability: Durability) -> bool {
        match (self, durability) {
            (_, Durability::Memory) | (Crash::Power, Durability::Relaxed) => true,
            (Crash::Kill, Durability::Relaxed) | (_, Durability::Strict) => false,
        }
    }
}

/// How a disk misbehaves, apart from crashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Writes are refused for lack of space.
    Full,
    /// Every operation is carried out.
    #[default]
    Healthy,
    /// A planted bug: writes are acknowledged, and forgotten in the next crash.
    Lying,
    /// Reads and writes fail.
    Sick,
}

/// What an engine asks of its disk.
#[derive(Clone, Debug)]
pub enum Operation {
    /// `Output::Commit`.
    Append {
        /// Of the answer.
        ticket: Ticket,
        /// The head the engine knows.
        expected: Seq,
        /// What the clock reads at least.
        not_before: Millis,
        /// The record.
        record: Vec<u8>,
        /// What it must survive.
        durability: Durability,
    },
    /// `Output::Blob`, if it wants an answer.
    Blob {
        /// What.
        task: BlobTask,
    },
    /// `Output::Reboot`.
    Boot {
        /// Of the answer.
        ticket: Ticket,
    },
    /// `Output::Load`.
    Read {
        /// Of the answer.
        ticket: Ticket,
        /// Which.
        blocks: Vec<BlockId>,
    },
    /// `Output::Reload`.
    Reload {
        /// Of the answer.
        ticket: Ticket,
    },
    /// A look at what other tabs appended.
    Tail {
        /// The last position known.
        after: Seq,
    },
    /// `Output::Maintain`.
    Write {
        /// Of the answer.
        ticket: Ticket,
        /// What.
        batch: DeviceBatch,
    },
}

/// A write that has run.
#[derive(Clone, Debug)]
struct Done {
    operation: Operation,
    /// The engine's time of the write: sequences come from it.
    at: Millis,
    survives: Durability,
    seq: Option<Seq>,
}

/// The disk of one peer.
#[derive(Debug, Default)]
pub struct Disk {
    device: MemoryDevice,
    /// Where blobs are: a part that was acknowledged survives a kill, and perhaps a power cut, see `blobs_are_synced`.
    blobs: MemoryDevice,
    written: Vec<Done>,
    /// By tab, in the order in which they were asked for.
    under_way: VecDeque<(usize, Operation)>,
    busy_until: Millis,
    /// Whether a part that was acknowledged survives a power cut too, as on the Big Peer.
    pub blobs_are_synced: bool,
    /// How it behaves.
    pub mood: Mood,
}

impl Disk {
    /// Reads what a starting engine needs.
    pub fn boot(&self) -> Result<BootImage, DeviceError> {
        self.device.boot_now()
    }

    /// Takes an operation and returns when `complete` is to be called for it.
    pub fn submit(&mut self, tab: usize, operation: Operation, now: Millis, latency_ms: u64) -> Millis {
        self.under_way.push_back((tab, operation));
        self.busy_until = self.busy_until.max(now).plus(latency_ms);
        self.busy_until
    }

    /// Runs the oldest operation of a tab and returns its answer, with the record when one was appended. `local` is the time
    /// by the peer's own clock.
    pub fn complete(&mut self, tab: usize, local: Millis) -> (Operation, Input) {
        let oldest = self.under_way.iter().position(|(of, _)| *of == tab);
        let taken = oldest.and_then(|index| self.under_way.remove(index));
        let (_, operation) = taken.expect("one completion is scheduled per operation");
        (operation.clone(), self.run(operation, local))
    }

    fn run(&mut self, operation: Operation, local: Millis) -> Input {
        match operation {
            Operation::Append { ticket, .. } => {
                let outcome = match self.append(operation, local) {
                    Ok(Appended::Conflict(records)) => CommitOutcome::Conflict(records),
                    Ok(Appended::Done(seq)) => CommitOutcome::Durable(seq),
                    Err(DeviceError::Trimmed(_)) => CommitOutcome::Gap,
                    Err(error) => CommitOutcome::Failed(error.failure()),
                };
                Input::Committed { ticket, outcome }
            }
            Operation::Blob { task } => Input::BlobAnswered(self.blob(task)),
            Operation::Boot { ticket } => {
                let image = self.readable().and_then(|()| self.device.boot_now());
                Input::Rebooted { ticket, image: image.map_err(|error| error.failure()) }
            }
            Operation::Read { ticket, blocks } => match self.read(&blocks) {
                Ok(found) => Input::Loaded { ticket, blocks: blocks.into_iter().zip(found).collect() },
                Err(error) => Input::LoadFailed { ticket, failure: error.failure() },
            },
            Operation::Reload { ticket } => {
                let manifest = self.device.manifest_now().map_err(|error| error.failure());
                Input::Reloaded { ticket, manifest }
            }
            // A device that refuses to be read says so when a commit meets it.
            Operation::Tail { after } => match self.readable().and_then(|()| self.device.tail_now(after)) {
                Ok(entries) => Input::LogGrew { entries },
                Err(DeviceError::Trimmed(_)) => Input::LogGap,
                Err(_) => Input::LogGrew { entries: Vec::new() },
            },
            Operation::Write { ticket, .. } => Input::Maintained { ticket, result: self.write(operation, local) },
        }
    }

    /// Ends a tab while another of the store lives on: some of what it asked for is done, and nothing is forgotten.
    pub fn leave(&mut self, tab: usize, local: Millis, rng: &mut Rng) {
        let asked = self.under_way.iter().filter(|(of, _)| *of == tab).count();
        for _ in 0..rng.between(0, asked as u64) {
            self.complete(tab, local);
        }
        self.under_way.retain(|(of, _)| *of != tab);
    }

    /// Ends the process or the machine; returns the sequences of the commits that are gone.
    pub fn crash(&mut self, crash: Crash, local: Millis, rng: &mut Rng) -> Vec<Seq> {
        for _ in 0..rng.between(0, self.under_way.len() as u64) {
            if let Some((_, operation)) = self.under_way.pop_front() {
                self.run(operation, local);
            }
        }
        self.under_way.clear();
        self.busy_until = Millis(0);
        if crash == Crash::Power && !self.blobs_are_synced {
            self.lose_blobs(rng);
        }
        let safe = self.safe(crash);
        let kept = if rng.chance(300) { self.written.len() } else { safe + rng.index(self.written.len() - safe + 1) };
        self.keep(kept)
    }

    /// Returns how many writes a crash leaves at least.
    pub fn safe(&self, crash: Crash) -> usize {
        self.written.iter().rposition(|done| !crash.forgives(done.survives)).map_or(0, |last| last + 1)
    }

    /// Forgets all but the first writes; returns the sequences of the commits that are gone.
    pub fn keep(&mut self, kept: usize) -> Vec<Seq> {
        let lost: Vec<Seq> = self.written.drain(kept..).filter_map(|done| done.seq).collect();
        self.replay();
        lost
    }

    /// Makes the device again from the writes that were kept. The same writes at the same times give the same sequences.
    fn replay(&mut self) {
        self.device = MemoryDevice::new();
        for done in &self.written {
            let ran = match done.operation.clone() {
                Operation::Append { expected, record, durability, .. } => {
                    self.device.append_now(expected, done.at, record, durability).map(drop)
                }
                Operation::Blob { .. }
                | Operation::Boot { .. }
                | Operation::Read { .. }
                | Operation::Reload { .. }
                | Operation::Tail { .. } => Ok(()),
                Operation::Write { batch, .. } => self.device.write_now(batch).map(drop),
            };
            ran.expect("a write that ran once runs again on the same device");
        }
    }

    fn blob(&mut self, task: BlobTask) -> BlobAnswer {
        let failure = match &task {
            BlobTask::Write { .. } => self.check().err(),
            BlobTask::Delete { .. } | BlobTask::List { .. } | BlobTask::Read { .. } => self.readable().err(),
        };
        match (failure.map(|error| error.failure()), task) {
            (Some(failure), BlobTask::Write { ticket, .. }) => BlobAnswer::Written { ticket, result: Err(failure) },
            (Some(failure), BlobTask::List { ticket }) => BlobAnswer::Listed { ticket, places: Err(failure) },
            (Some(failure), BlobTask::Read { ticket, .. }) => BlobAnswer::Read { ticket, bytes: Err(failure) },
            (_, task) => task.carry_out(&self.blobs).expect("a deletion is not submitted, since nobody waits for it"),
        }
    }

    /// Returns where blobs are, for what needs no answer.
    pub fn blobs(&self) -> &MemoryDevice {
        &self.blobs
    }

    /// Forgets some parts of blobs, heads among them.
    pub fn lose_blobs(&mut self, rng: &mut Rng) {
        let places = self.blobs.blob_list_now().expect("a device in memory can be read");
        for place in places {
            for part in place.parts.into_iter().chain([0]).filter(|_| rng.chance(100)) {
                self.blobs.blob_delete_now(place.place, Some(part)).expect("a device in memory can be written");
            }
        }
    }

    fn append(&mut self, operation: Operation, at: Millis) -> Result<Appended, DeviceError> {
        self.check()?;
        let Operation::Append { expected, not_before, record, durability, .. } = operation.clone() else {
            unreachable!("the caller matched an append");
        };
        let at = at.max(not_before);
        let appended = self.device.append_now(expected, at, record, durability)?;
        if let Appended::Done(seq) = appended {
            let survives = if self.mood == Mood::Lying { Durability::Memory } else { durability };
            self.written.push(Done { operation, at, survives, seq: Some(seq) });
        }
        Ok(appended)
    }

    fn read(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        self.readable()?;
        self.device.read_now(blocks)
    }

    /// Reads blocks for a checker, whatever the mood.
    pub fn look(&self, blocks: &[BlockId]) -> Vec<Option<Vec<u8>>> {
        self.device.read_now(blocks).expect("a device in memory can be read")
    }

    fn readable(&self) -> Result<(), DeviceError> {
        match self.mood {
            Mood::Sick => Err(DeviceError::Other("planned by the simulator".to_owned())),
            Mood::Full | Mood::Healthy | Mood::Lying => Ok(()),
        }
    }

    fn write(&mut self, operation: Operation, at: Millis) -> Result<Written, DeviceError> {
        self.check()?;
        let Operation::Write { batch, .. } = operation.clone() else {
            unreachable!("the caller matched a write");
        };
        let written = self.device.write_now(batch)?;
        if written == Written::Done {
            self.written.push(Done { operation, at, survives: Durability::Relaxed, seq: None });
        }
        Ok(written)
    }

    fn check(&self) -> Result<(), DeviceError> {
        match self.mood {
            Mood::Full => Err(DeviceError::QuotaExceeded),
            Mood::Healthy | Mood::Lying => Ok(()),
            Mood::Sick => Err(DeviceError::Other("planned by the simulator".to_owned())),
        }
    }
}
