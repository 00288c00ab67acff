//! What verification asks: whether every part of a blob that is here is the right one.
//!
//! A walk in steps of one part, in the order of ids: the head is read and has to name the blob, then every chunk has to fit its
//! hash. No more than one part is in memory. What is damaged is told and given up, so that it is fetched again; a chunk that never
//! came is no damage. What is not there may have been removed by another tab: that is only told after the device was listed again.
//!
//! What is marked as cold is compiled for size: the device takes longer.
//!
//! Not checked: parts in places without a head, since nothing says what they should be.

use store::blob_device::{HEAD_PART, decode_head};
use store::{BlobPlace, Store};
use value::{BlobId, Failure};

use super::damage::part_name;
use crate::engine::Engine;
use crate::io::{BlobRequest, BlobTask, Reply, Ticket};

/// Something that is wrong with a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobFinding {
    /// `chunk 1 of ID`, counted from 1, or `chunk list of ID`.
    pub name: String,
    /// What is wrong.
    pub problem: String,
}

/// A check of all blobs, under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobWalk {
    stage: Stage,
    /// Parts that could not be read, and where they were.
    suspects: Vec<(BlobId, u32, BlobPlace)>,
    findings: Vec<BlobFinding>,
    blobs: u64,
    bytes: u64,
    parts: u64,
    parts_total: u64,
}

/// What comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    /// The first part that is here at this one or behind it.
    Part(BlobId, u32),
    /// The device was listed again.
    Settle,
    Done,
}

impl BlobWalk {
    /// Says whether everything was looked at.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Returns how many blobs were looked at, whole or not.
    pub fn blobs(&self) -> u64 {
        self.blobs
    }

    /// Returns the length of their chunks that are sound, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many parts were looked at, and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        (self.parts, self.parts_total.max(self.parts))
    }

    /// Takes out what was found since the last time.
    pub fn take_findings(&mut self) -> Vec<BlobFinding> {
        std::mem::take(&mut self.findings)
    }

    fn tell(&mut self, name: String, problem: impl ToString) {
        self.findings.push(BlobFinding { name, problem: problem.to_string() });
    }
}

impl<S: Store> Engine<S> {
    /// Returns how many parts of blobs are here.
    pub fn blob_parts(&self) -> u64 {
        self.blobs.held.values().map(|held| held.parts()).sum()
    }

    /// Makes a step of a walk.
    #[cold]
    pub(super) fn walk_blobs(&mut self, ticket: Ticket, mut walk: Box<BlobWalk>) {
        let (first, from) = match walk.stage {
            Stage::Start => {
                walk.parts_total = self.blob_parts();
                self.tell_strays(&mut walk);
                (BlobId([0; 32]), HEAD_PART)
            }
            Stage::Part(id, part) => (id, part),
            Stage::Settle | Stage::Done => {
                self.settle_walk(&mut walk);
                return self.reply(ticket, Ok(Reply::BlobsWalked(walk)));
            }
        };
        let next = self.blobs.held.range(first..).find_map(|(id, held)| {
            let part = held.next_part(if *id == first { from } else { HEAD_PART })?;
            Some((*id, part, held.place))
        });
        match next {
            Some((id, part, place)) => {
                walk.stage = Stage::Part(id, part + 1);
                walk.parts += 1;
                walk.blobs += u64::from(part == HEAD_PART);
                let task = super::Task::Walk { ticket, walk, id, part, place };
                self.blob_task(task, |ticket| BlobTask::Read { ticket, place, part });
            }
            None if walk.suspects.is_empty() => {
                walk.stage = Stage::Done;
                self.reply(ticket, Ok(Reply::BlobsWalked(walk)));
            }
            None => {
                walk.stage = Stage::Settle;
                self.blobs.list_due = true;
                self.blobs.waiting.push(BlobRequest::Walk { ticket, walk });
            }
        }
    }

    /// A part was read for a walk.
    #[cold]
    pub(super) fn part_walked(
        &mut self,
        ticket: Ticket,
        mut walk: Box<BlobWalk>,
        (id, part, place): (BlobId, u32, BlobPlace),
        bytes: Result<Option<Vec<u8>>, Failure>,
    ) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(failure) => return self.reply(ticket, Err(failure)),
        };
        // What was removed meanwhile is not looked at.
        if let Some(held) = self.blobs.held.get(&id).filter(|held| held.place == place) {
            match bytes {
                None => walk.suspects.push((id, part, place)),
                Some(bytes) if part == HEAD_PART => {
                    let problem = match decode_head(&bytes) {
                        Ok(list) if list.id() == id => None,
                        Ok(_) => Some("it is that of another attachment".to_owned()),
                        Err(error) => Some(error.to_string()),
                    };
                    if let Some(problem) = problem {
                        walk.tell(part_name(&id, part), problem);
                        self.mend_head(id);
                    }
                }
                Some(bytes) if held.list.is_chunk(part - 1, &bytes) => walk.bytes += bytes.len() as u64,
                Some(_) => {
                    walk.tell(part_name(&id, part), "it does not fit its hash");
                    self.give_up_chunk(id, part - 1);
                }
            }
        }
        self.reply(ticket, Ok(Reply::BlobsWalked(walk)));
    }

    /// Tells of places whose heads could not be read when the device was listed.
    #[cold]
    fn tell_strays(&self, walk: &mut BlobWalk) {
        for (place, _) in self.blobs.strays.iter().filter(|(_, stray)| stray.head_damaged) {
            let problem = "it cannot be read, so that nothing knows which attachment was here";
            walk.tell(format!("chunk list in place {:016x}", place.0), problem);
        }
    }

    /// The device was listed again: tells what is missing of blobs that are still there.
    #[cold]
    fn settle_walk(&mut self, walk: &mut BlobWalk) {
        walk.stage = Stage::Done;
        for (id, part, place) in std::mem::take(&mut walk.suspects) {
            if self.blobs.held.get(&id).is_none_or(|held| held.place != place) {
                continue;
            }
            walk.tell(part_name(&id, part), "it is not there, or cannot be read");
            match part.checked_sub(1) {
                None => self.mend_head(id),
                Some(chunk) => self.give_up_chunk(id, chunk),
            }
        }
    }
}
