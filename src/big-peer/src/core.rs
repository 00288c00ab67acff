//! One database: its engine on a thread of its own, between the log, the links and the HTTP requests.
//!
//! In go requests over a bounded channel (so that a full engine stops the reading of sockets) and the log's answers over
//! another, which is served first. Every output of the engine is carried out here: a commit goes to the log and the engine
//! goes on while it becomes durable; a message goes to its link's outbox; a reply to its waiter. The thread decides nothing
//! about documents or the protocol.
//!
//! Invariants, as absences: the engine never waits for a socket or the disk; no output is dropped without its link being
//! closed; no statement is left without an answer.

mod boot;
mod fields;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use peer::io::{BlobRequest, LinkId, Reply, Ticket};
use store::BlobPlace;
use tokio::sync::{mpsc, oneshot, watch};
use value::{BlobId, ChunkList, ErrorCode, Failure, Object, Seq};

use crate::blob::BlobFolder;
use crate::link::Outbox;
use crate::view::Persister;

pub(crate) use fields::{FieldRequest, Subscriber};

pub use boot::{BootError, DatabaseFiles, Options};

/// What the rest of the server asks of a database's engine.
#[derive(Debug)]
pub(crate) enum Request {
    /// Something about a blob.
    Blob {
        /// What.
        ask: BlobAsk,
        /// Takes the answer.
        answer: oneshot::Sender<Result<Reply, Failure>>,
    },
    /// Run a statement.
    Execute {
        /// The statement.
        text: String,
        /// Its parameters.
        args: Object,
        /// Takes the answer.
        answer: oneshot::Sender<Result<Reply, Failure>>,
    },
    /// Something about a rich field.
    Field(FieldRequest),
    /// A message came.
    Frame(LinkId, Vec<u8>),
    /// A link is gone.
    LinkDown(LinkId),
    /// A link is there.
    LinkUp(LinkId, Outbox),
}

/// What a request asks about a blob.
#[derive(Debug)]
pub enum BlobAsk {
    /// Its length, if it is here.
    Find(BlobId),
    /// To name what was written into a place.
    Keep(BlobPlace, ChunkList),
    /// One chunk of it.
    Read(BlobId, u32),
}

impl BlobAsk {
    fn request(self, ticket: Ticket) -> BlobRequest {
        match self {
            BlobAsk::Find(id) => BlobRequest::Find { ticket, id },
            BlobAsk::Keep(place, list) => BlobRequest::Keep { ticket, place, list },
            BlobAsk::Read(id, chunk) => BlobRequest::Read { ticket, id, chunk },
        }
    }
}

/// A running database.
pub struct Core {
    requests: mpsc::Sender<Request>,
    events: mpsc::UnboundedSender<worker::Event>,
    applied: watch::Receiver<Seq>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    persister: Persister,
    blobs: BlobFolder,
    next_link: AtomicU64,
}

impl Core {
    /// Starts the engine of a database; returns when it has caught up with its log.
    pub fn start(options: Options) -> Result<Arc<Core>, BootError> {
        boot::start(options)
    }

    /// Runs a statement; fails with `sync/busy` at once when too many wait.
    pub async fn execute(&self, text: String, args: Object) -> Result<Reply, Failure> {
        let (answer, reply) = oneshot::channel();
        self.requests.try_send(Request::Execute { text, args, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => closed(),
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(ErrorCode::SyncBusy, "too many statements are waiting; try again later")
            }
        })?;
        reply.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks about a blob, waiting for room.
    pub async fn blob(&self, ask: BlobAsk) -> Result<Reply, Failure> {
        let (answer, reply) = oneshot::channel();
        if !self.send(Request::Blob { ask, answer }).await {
            return Err(closed());
        }
        reply.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Returns where blobs are written.
    pub fn blobs(&self) -> &BlobFolder {
        &self.blobs
    }

    /// Returns the position of the last commit that readers see.
    pub fn applied(&self) -> Seq {
        *self.applied.borrow()
    }

    /// Returns once readers see a commit; never if it is not of this log.
    pub async fn wait_applied(&self, seq: Seq) {
        let mut applied = self.applied.clone();
        if applied.wait_for(|applied| *applied >= seq).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Says whether the engine is there to answer.
    pub fn is_running(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Makes the view durable; blocks for milliseconds.
    pub fn persist(&self) {
        if let Err(error) = self.persister.persist() {
            tracing::error!(%error, "the view cannot be made durable; the log has everything");
        }
    }

    /// Names a new link.
    pub(crate) fn link_id(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands a request over, waiting for room; says whether the engine still takes requests.
    pub(crate) async fn send(&self, request: Request) -> bool {
        self.requests.send(request).await.is_ok()
    }

    /// Closes all links, waits for the commit that is on its way, and ends the thread.
    pub async fn stop(&self) {
        if self.events.send(worker::Event::Stop).is_err() {
            return;
        }
        let thread = self.thread.lock().expect("no thread panics while it holds the handle").take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the engine's thread panicked");
            }
        }
    }
}

fn closed() -> Failure {
    Failure::new(ErrorCode::StoreClosed, "the server is stopping")
}
