//! The engine's contract: what goes in, what comes out.
//!
//! One rule: one [`Input`], then drain `Engine::poll` to `None`, then the next input. Outputs that need an answer carry a
//! [`Ticket`]; the answer comes back as an input with the same ticket. Nothing blocks, nothing is awaited, no callback runs.

use std::rc::Rc;

use crate::record::DocState;
use store::{BlockId, BootImage, DeviceBatch, DeviceError, Durability, Written};
use value::{BlobId, ChunkList, ErrorCode, Failure, Millis, Object, PeerKey, Seq, Value};

mod blob;
mod field;
mod shown;

pub use crdt::{Lacking, RichKind};
pub use dql::{Index, IndexKey};
pub use field::{Field, FieldWrite, WatchId};

pub use crate::index::{IndexChange, IndexDefinition, IndexListing, IndexWalk};
pub use crate::page::{Page, PageDocuments, PageForm, PageRequest};
pub use blob::{BlobAnswer, BlobRequest, BlobTask, BlobWalk};
pub use shown::{BigPeerState, LinkStatus, PeerInfo, PresenceGraph, Status};

/// Joins an output to the input that answers it, and a request to its reply.
///
/// Requests (`Execute`, `Begin`, …) carry tickets chosen by the skin; `Commit`, `Load` and `Maintain` carry tickets chosen by
/// the engine. The two never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names a link; chosen by the skin, never reused in one engine's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Names an observer; chosen by the skin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObserverId(pub u64);

/// Names a subscription of this store; chosen by the skin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// Names an open transaction; chosen by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// What carries a link's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// The simulator's network.
    Simulated,
    /// A WebRTC data channel: messages of at most 16 KiB.
    WebRtc,
    /// A WebSocket: messages of at most 64 KiB.
    WebSocket,
}

/// How two peers that want a WebRTC link exchange their offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalPath {
    /// A BroadcastChannel between tabs of one origin; the skin carries the signals.
    Broadcast,
    /// Through peers that are already linked; the engine carries the signals.
    Relay,
}

/// Whom the engine wants a link to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DialTarget {
    /// The Big Peer of the configuration.
    BigPeer {
        /// `ws:` or `wss:` address.
        url: String,
    },
    /// A nearby peer, over WebRTC.
    Peer {
        /// Who.
        peer: PeerKey,
        /// How signals travel.
        path: SignalPath,
    },
}

/// What the skin tells the engine. Names in alphabetical order.
#[derive(Debug)]
pub enum Input {
    /// Whether this engine is the only one that has the store open, as far as is known; it is not, until it is told.
    Alone(bool),
    /// Opens a transaction. Reply: `Begun`.
    Begin {
        /// Of the reply.
        ticket: Ticket,
        /// Whether writes are refused.
        read_only: bool,
    },
    /// Something about blobs; the reply is named there.
    Blob(BlobRequest),
    /// Answers `Output::Blob`.
    BlobAnswered(BlobAnswer),
    /// Makes or drops an index, in a commit of its own. Reply: `Rows`, without any, before the index is built.
    ChangeIndex {
        /// Of the reply.
        ticket: Ticket,
        /// What is asked.
        change: IndexChange,
        /// What it must survive before the reply.
        durability: Durability,
    },
    /// Answers `Commit`.
    Committed {
        /// Of the commit.
        ticket: Ticket,
        /// What became of it.
        outcome: CommitOutcome,
    },
    /// A dialled target could not be reached.
    DialFailed {
        /// Which.
        target: DialTarget,
        /// Why, for the status.
        code: ErrorCode,
    },
    /// Ends a transaction. Reply: `Ended`.
    End {
        /// Of the reply.
        ticket: Ticket,
        /// Which.
        transaction: TransactionId,
        /// Whether its writes are kept.
        commit: bool,
    },
    /// Runs a statement. Reply: `Rows`.
    Execute {
        /// Of the reply.
        ticket: Ticket,
        /// Inside a transaction, or on its own.
        transaction: Option<TransactionId>,
        /// The statement.
        text: String,
        /// Its parameters by name, without the colon.
        args: Object,
        /// What a write must survive before the reply.
        durability: Durability,
    },
    /// A message arrived on a link.
    Frame {
        /// Which.
        link: LinkId,
        /// One whole message of the transport.
        bytes: Vec<u8>,
    },
    /// Joins whole states of documents in, as one commit. Reply: `Imported`.
    Import {
        /// Of the reply.
        ticket: Ticket,
        /// The states.
        docs: Vec<DocState>,
        /// What they must survive before the reply.
        durability: Durability,
    },
    /// A link is gone.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// A link is up; frames may flow.
    LinkUp {
        /// Its id.
        link: LinkId,
        /// What carries it.
        kind: LinkKind,
        /// The target when this side dialled.
        target: Option<DialTarget>,
    },
    /// Answers `Load`. `None`: the block is not on the device any more.
    Loaded {
        /// Of the load.
        ticket: Ticket,
        /// In any order.
        blocks: Vec<(BlockId, Option<Vec<u8>>)>,
    },
    /// Answers `Load` when the device failed.
    LoadFailed {
        /// Of the load.
        ticket: Ticket,
        /// Why.
        failure: Failure,
    },
    /// What others appended after the head known here can no longer be read from the log: it was trimmed, or is damaged.
    LogGap,
    /// Others appended to the shared log (another tab, another node): their records, in order, after the head known here.
    LogGrew {
        /// Ascending.
        entries: Vec<(Seq, Vec<u8>)>,
    },
    /// The device is gone for good: nothing is read or written any more, and every request fails with this.
    Lost {
        /// What happened.
        failure: Failure,
    },
    /// Sets the credentials for the Big Peer and tries them. Reply: `LoggedIn`; `sync/unreachable` when this engine may not link,
    /// or no longer.
    Login {
        /// Of the reply.
        ticket: Ticket,
        /// Names the provider.
        provider: String,
        /// The secret; never logged.
        token: String,
    },
    /// Forgets the credentials and closes the link to the Big Peer.
    Logout,
    /// Answers `Maintain`.
    Maintained {
        /// Of the maintenance.
        ticket: Ticket,
        /// Whether the batch is durable.
        result: Result<Written, DeviceError>,
    },
    /// Whether this engine may compact (it holds the Web Lock `compact`, or is alone).
    MayCompact(bool),
    /// Whether this engine runs the links (it holds the Web Lock `net`, or is alone).
    MayLink(bool),
    /// Registers a live query. Reply: `Done`; then a first `Notify`, and one after every change of its answer.
    Observe {
        /// Of the reply.
        ticket: Ticket,
        /// Its id.
        observer: ObserverId,
        /// A SELECT.
        text: String,
        /// Its parameters.
        args: Object,
    },
    /// The observer took its last answer and may be sent the next.
    ObserverReady {
        /// Which.
        observer: ObserverId,
    },
    /// The host regained the network or the page became visible: dial now.
    Online,
    /// Reads stored documents. Reply: `Page`.
    Page {
        /// Of the reply.
        ticket: Ticket,
        /// Which.
        request: PageRequest,
    },
    /// A peer was heard on the BroadcastChannel.
    PeerSeen {
        /// Who.
        peer: PeerKey,
    },
    /// Asks what a Yjs client lacks of a field. Reply: `Field`.
    ReadField {
        /// Of the reply.
        ticket: Ticket,
        /// Which.
        field: Field,
        /// The client's state vector (V1); empty for a new client.
        known: Vec<u8>,
    },
    /// Answers `Reboot`.
    Rebooted {
        /// Of the reboot.
        ticket: Ticket,
        /// All that the device holds now.
        image: Result<BootImage, Failure>,
    },
    /// Answers `Reload`.
    Reloaded {
        /// Of the reload.
        ticket: Ticket,
        /// The manifest that the device holds now; `None`: it holds none.
        manifest: Result<Option<Vec<u8>>, Failure>,
    },
    /// Says something to whoever cares for a topic, without its being kept; only an engine with links does.
    Say {
        /// `Field::topic`.
        topic: u64,
        /// Opaque, at most 16 KiB.
        payload: Vec<u8>,
    },
    /// This tab came back and has another number among the co-writers of its store.
    Seated {
        /// As `Config::slot`.
        slot: u8,
    },
    /// Sets this peer's name and metadata in presence.
    SetProfile {
        /// At most 24 bytes.
        device_name: String,
        /// At most 4 KiB in binary form.
        metadata: Object,
    },
    /// A signal from the skin's WebRTC code for a peer, to be relayed.
    Signal {
        /// To whom.
        to: PeerKey,
        /// Opaque, at most 64 KiB.
        payload: Vec<u8>,
    },
    /// Adds a subscription. Reply: `Done`.
    Subscribe {
        /// Of the reply.
        ticket: Ticket,
        /// Its id.
        subscription: SubscriptionId,
        /// `SELECT * FROM c [WHERE …]`.
        text: String,
        /// Its parameters.
        args: Object,
    },
    /// Turns sync on or off.
    SyncOn(bool),
    /// The time asked for by `next_timeout` has come.
    Timeout,
    /// Cancels a live query.
    Unobserve {
        /// Which.
        observer: ObserverId,
    },
    /// Cancels a subscription; the documents stay.
    Unsubscribe {
        /// Which.
        subscription: SubscriptionId,
    },
    /// Ends a watch.
    UnwatchField {
        /// Which.
        watch: WatchId,
    },
    /// Compares some more index rows with the documents. Reply: `IndexesWalked`.
    WalkIndexes {
        /// Of the reply.
        ticket: Ticket,
        /// How far it is.
        walk: Box<IndexWalk>,
    },
    /// Tells from now on when the document of a field was changed.
    WatchField {
        /// Its id.
        watch: WatchId,
        /// Which.
        field: Field,
    },
    /// Takes in what a Yjs client wrote. Reply: `Field` with the life of the field and nothing that it lacks; `store/crdt`
    /// for what is no update and for a field that was deleted or replaced.
    WriteField {
        /// Of the reply.
        ticket: Ticket,
        /// What and where.
        write: FieldWrite,
        /// What it must survive before the reply.
        durability: Durability,
    },
}

/// What became of a commit.
#[derive(Debug)]
pub enum CommitOutcome {
    /// Others appended since `expected`: their records. Nothing was written; the engine evaluates again.
    Conflict(Vec<(Seq, Vec<u8>)>),
    /// It is as durable as was asked, at this place in the log.
    Durable(Seq),
    /// Nothing was written.
    Failed(Failure),
    /// Others appended since `expected`, and their records can no longer be read. Nothing was written; the engine boots
    /// again and then evaluates again.
    Gap,
}

/// What the engine asks of the skin. Names in alphabetical order.
#[derive(Debug)]
pub enum Output {
    /// The application must supply credentials (`Login`). 0: now.
    AuthenticationRequired {
        /// Until the present ones end.
        seconds_left: u64,
    },
    /// A task for the device of blobs; the answer is named there.
    Blob(BlobTask),
    /// A part of a blob cannot be read, and was given up. What other peers have of it is fetched again.
    BlobDamaged {
        /// Names the part.
        what: String,
    },
    /// More of a blob is here that an application has asked for.
    BlobProgress {
        /// Which.
        id: BlobId,
        /// What is here of it, durably, bytes.
        have_bytes: u64,
    },
    /// Close a link.
    Close {
        /// Which.
        link: LinkId,
        /// Why, for logs.
        code: Option<ErrorCode>,
    },
    /// Append a record to the log, durably, if its head is still `expected`. Answer: `Committed`.
    /// At most one is outstanding.
    Commit {
        /// Of the answer.
        ticket: Ticket,
        /// The last position this engine has seen.
        expected: Seq,
        /// The position is taken as if the clock read at least this. What a power cut has taken off the end of the log
        /// may have been sent: no later commit may have the position of one of those. A skin that loses no commit may
        /// leave it out.
        not_before: Millis,
        /// Opaque to the skin.
        record: Vec<u8>,
        /// What it must survive.
        durability: Durability,
    },
    /// Something that was stored cannot be read. What is left stays usable; what is missing is asked for from every peer.
    Damaged {
        /// Names the block or the record.
        what: String,
    },
    /// Make a link. Answer: `LinkUp` with the target, or `DialFailed`.
    Dial {
        /// To whom.
        target: DialTarget,
    },
    /// The document of a watched field was changed. What is lacking is told when it is asked for.
    FieldChanged {
        /// Which.
        watch: WatchId,
    },
    /// Read blocks. Answer: `Loaded` or `LoadFailed`.
    Load {
        /// Of the answer.
        ticket: Ticket,
        /// Which.
        blocks: Vec<BlockId>,
    },
    /// Write segments and a manifest atomically. Answer: `Maintained`.
    Maintain {
        /// Of the answer.
        ticket: Ticket,
        /// What.
        batch: DeviceBatch,
    },
    /// A live query has a new answer. Send `ObserverReady` to get the next.
    Notify {
        /// Which.
        observer: ObserverId,
        /// The whole answer. Rows that did not change are shared with the answer before.
        rows: Vec<Rc<Value>>,
    },
    /// Who is in reach changed.
    Presence(PresenceGraph),
    /// The log that readers rely on has a new head: tell the other tabs.
    Published {
        /// The new head.
        seq: Seq,
    },
    /// Read all that the device holds, as for a start: the log went on without this engine. Answer: `Rebooted`.
    Reboot {
        /// Of the answer.
        ticket: Ticket,
    },
    /// Read the manifest again: another tab has rewritten the segments. Answer: `Reloaded`.
    Reload {
        /// Of the answer.
        ticket: Ticket,
    },
    /// Answers a request.
    Reply {
        /// Of the request.
        ticket: Ticket,
        /// Its answer.
        result: Result<Reply, Failure>,
    },
    /// Something was said by another peer.
    Said {
        /// `Field::topic`.
        topic: u64,
        /// Opaque.
        payload: Vec<u8>,
    },
    /// Send a message on a link, in order.
    Send {
        /// Which.
        link: LinkId,
        /// One message of the transport.
        bytes: Vec<u8>,
    },
    /// A signal for the skin's WebRTC code.
    Signal {
        /// From whom.
        from: PeerKey,
        /// Opaque.
        payload: Vec<u8>,
    },
    /// The state of sync changed.
    Status(Status),
    /// A transaction is open for longer than `transaction_duration_before_logging_ms`: a line for the log.
    TransactionOpen {
        /// Which.
        transaction: TransactionId,
        /// How long, milliseconds.
        open_ms: u64,
    },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A transaction is open.
    Begun(TransactionId),
    /// A chunk of a blob, checked against its hash.
    BlobChunk(Vec<u8>),
    /// The length of a blob, bytes; `None`: it is not here, or not all of it.
    BlobFound(Option<u64>),
    /// A blob is durable under this name.
    BlobKept(BlobId),
    /// A whole blob; `None`: there is no more.
    BlobNext(Option<(BlobId, ChunkList)>),
    /// A walk over the blobs has made a step.
    BlobsWalked(Box<BlobWalk>),
    /// Nothing to tell.
    Done,
    /// A transaction ended.
    Ended {
        /// Where its writes are in the log; `None` when there were none or it was rolled back.
        commit: Option<Seq>,
    },
    /// What a Yjs client lacks of a field; `None`: there is no content.
    Field(Option<Lacking>),
    /// A blob is here; `None`: no document names it any more, so that it will not come.
    Fetched(Option<u64>),
    /// Imported states are as durable as was asked.
    Imported {
        /// Documents that the import has changed.
        changed: u64,
    },
    /// A walk over the indexes has made a step.
    IndexesWalked(Box<IndexWalk>),
    /// The credentials were accepted.
    LoggedIn,
    /// Stored documents.
    Page(Page),
    /// A statement's answer.
    Rows {
        /// Rows of a SELECT, in order; objects.
        rows: Vec<Value>,
        /// `_id`s of the documents a mutation touched.
        mutated: Vec<Value>,
        /// Where the write is in the log; `None` for a read, inside a transaction, or when nothing changed.
        commit: Option<Seq>,
    },
}
