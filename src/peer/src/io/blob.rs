//! What goes in and out about blobs: the bytes of attachments, which travel and are stored apart from documents.
//!
//! The engine never holds more of a blob than a few chunks. What an application creates is put into a place of the device by
//! the skin, chunk by chunk, and named at the end (`BlobRequest::Keep`).

use store::{BlobDeviceNow, BlobListing, BlobPlace, DeviceError};
use value::{BlobId, ChunkList, Failure};

use super::Ticket;
pub use crate::blob::BlobWalk;

/// What an application asks. Names in alphabetical order.
#[derive(Debug)]
pub enum BlobRequest {
    /// Brings a blob here from whichever peer has it, however long that takes. Reply: `Fetched`; before it `Output::BlobProgress`.
    Fetch {
        /// Of the reply.
        ticket: Ticket,
        /// Which.
        id: BlobId,
        /// Its length as the token has it, bytes.
        len: u64,
    },
    /// Asks for the length of a blob that is here. Reply: `BlobFound`.
    Find {
        /// Of the reply.
        ticket: Ticket,
        /// Which.
        id: BlobId,
    },
    /// Keeps what the skin has put into a place: parts 1 and on are the chunks of the list. Reply: `BlobKept`.
    Keep {
        /// Of the reply.
        ticket: Ticket,
        /// Where; a random number that was used for nothing else.
        place: BlobPlace,
        /// Length and hashes.
        list: ChunkList,
    },
    /// Asks for the next whole blob in the order of ids. Reply: `BlobNext`.
    Next {
        /// Of the reply.
        ticket: Ticket,
        /// Behind this one; `None` for the first.
        after: Option<BlobId>,
    },
    /// Reads a chunk of a blob that is here. Reply: `BlobChunk`.
    Read {
        /// Of the reply.
        ticket: Ticket,
        /// Of which blob.
        id: BlobId,
        /// Counted from 0.
        chunk: u32,
    },
    /// Another tab has written blobs: look at the device again.
    Refresh,
    /// Gives a `Fetch` up. No reply, to neither; what is here of the blob stays.
    Stop {
        /// Of the fetch.
        ticket: Ticket,
    },
    /// Checks the next part of all that is here. Reply: `BlobsWalked`.
    Walk {
        /// Of the reply.
        ticket: Ticket,
        /// How far it is.
        walk: Box<BlobWalk>,
    },
}

/// What the engine asks of the device of blobs. Names in alphabetical order.
#[derive(Clone, Debug)]
pub enum BlobTask {
    /// Delete a part, or with `None` a place. No answer.
    Delete {
        /// Where.
        place: BlobPlace,
        /// Which.
        part: Option<u32>,
    },
    /// Name all places. Answer: `Listed`.
    List {
        /// Of the answer.
        ticket: Ticket,
    },
    /// Read a part. Answer: `Read`.
    Read {
        /// Of the answer.
        ticket: Ticket,
        /// Where.
        place: BlobPlace,
        /// Which.
        part: u32,
    },
    /// Write a part. Answer: `Written`, once it is durable.
    Write {
        /// Of the answer.
        ticket: Ticket,
        /// Where.
        place: BlobPlace,
        /// Which.
        part: u32,
        /// At most 2 MiB.
        bytes: Vec<u8>,
    },
}

impl BlobTask {
    /// Carries the task out on a device that does not wait; for skins that have one.
    pub fn carry_out(self, device: &impl BlobDeviceNow) -> Option<BlobAnswer> {
        let failure = |error: DeviceError| error.failure();
        match self {
            BlobTask::Delete { place, part } => {
                // What stays is listed again later, as belonging to nothing.
                drop(device.blob_delete_now(place, part));
                None
            }
            BlobTask::List { ticket } => {
                Some(BlobAnswer::Listed { ticket, places: device.blob_list_now().map_err(failure) })
            }
            BlobTask::Read { ticket, place, part } => {
                Some(BlobAnswer::Read { ticket, bytes: device.blob_read_now(place, part).map_err(failure) })
            }
            BlobTask::Write { ticket, place, part, bytes } => {
                Some(BlobAnswer::Written { ticket, result: device.blob_put_now(place, part, bytes).map_err(failure) })
            }
        }
    }
}

/// Answers a `BlobTask`.
#[derive(Debug)]
pub enum BlobAnswer {
    /// All places.
    Listed {
        /// Of the task.
        ticket: Ticket,
        /// Ascending.
        places: Result<Vec<BlobListing>, Failure>,
    },
    /// A part; `None`: it is not there or cannot be read.
    Read {
        /// Of the task.
        ticket: Ticket,
        /// The part.
        bytes: Result<Option<Vec<u8>>, Failure>,
    },
    /// A part is durable, or was not written.
    Written {
        /// Of the task.
        ticket: Ticket,
        /// What became of it.
        result: Result<(), Failure>,
    },
}
