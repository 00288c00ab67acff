//! One peer: its engine when it runs, its disk, its clock, and the client that uses it.

use std::collections::{BTreeMap, VecDeque};

use peer::io::{Input, ObserverId, Status, SubscriptionId, Ticket, TransactionId};
use store::Durability;
use value::{Millis, Value};

use crate::contract::Contract;
use crate::disk::Disk;
use crate::machine::Machine;
use crate::tabs::{Holders, LogState};
use crate::workload::Statement;

/// The beginning of virtual time, by a clock that is right: 2027-01-15.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// What a client waits for.
#[derive(Clone, Debug)]
pub enum Request {
    /// A transaction to open.
    Begin,
    /// An index to be made or dropped.
    ChangeIndex,
    /// A transaction to end.
    End,
    /// A blob to be brought here.
    Fetch(usize),
    /// The documents of a collection at the end of the run.
    FinalRead(usize),
    /// The answer of an observer's query at the end of the run.
    FinalWatch(ObserverId),
    /// A blob to be kept.
    Keep(usize),
    /// Credentials to be accepted.
    Login,
    /// All documents of a collection, to look at.
    Read(usize),
    /// A chunk of a blob that was fetched.
    ReadChunk(usize, u32),
    /// Something that has to work.
    Setup,
    /// A statement in a transaction, with its number in the model.
    Transacted(Option<usize>),
    /// A statement on its own.
    Write(Option<usize>),
}

/// What a transaction has still to do.
#[derive(Clone, Debug)]
pub enum Planned {
    /// The second half of a write into a group, which belongs to that write of the model.
    Half(Box<Statement>, usize),
    /// A write into a collection.
    Write(usize),
}

/// A transaction of a client.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Once it is open.
    pub id: Option<TransactionId>,
    /// What is still to do.
    pub plan: VecDeque<Planned>,
    /// What its writes are to survive.
    pub durability: Durability,
    /// Whether its writes are to be kept.
    pub commit: bool,
    /// Its writes in the model.
    pub writes: Vec<usize>,
    /// What the model had seen when it was opened.
    pub mark: u64,
}

/// An observer of a client.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Index of the collection.
    pub collection: usize,
    /// Its query.
    pub text: String,
    /// Whether it covers the collection.
    pub whole: bool,
    /// Whether its rows are computed, and not documents of the model.
    pub computed: bool,
    /// The last answer.
    pub last: Option<Vec<Value>>,
}

/// A subscription of a client.
#[derive(Clone, Debug)]
pub struct Interest {
    /// Index of the collection.
    pub collection: usize,
    /// Its query.
    pub text: String,
    /// The part it covers; `None`: all.
    pub part: Option<i64>,
}

/// One peer.
#[derive(Default)]
pub struct Node {
    /// The engine, while the peer is up.
    pub machine: Option<Box<dyn Machine>>,
    /// The number of its Big Peer; of a second tab: unused.
    pub home: usize,
    /// Counts the starts.
    pub life: u64,
    /// Its disk; of a second tab: unused.
    pub disk: Disk,
    /// Which tabs of its store do what for all; of a second tab: unused.
    pub holders: Holders,
    /// What it knows of the log's end.
    pub log: LogState,
    /// It is told nothing until it wakes.
    pub asleep: bool,
    /// What it will be told then.
    pub backlog: Vec<Input>,
    /// By how much its clock is wrong, milliseconds.
    pub skew_ms: i64,
    /// What the engine owes.
    pub contract: Contract,
    /// Whether a read has failed: the engine gives up, and its last answers may be wrong about what was written.
    pub broken: bool,
    /// When the engine wants to be woken, by virtual time.
    pub wake: Option<Millis>,
    /// Inputs at this millisecond.
    pub inputs: (Millis, usize),
    /// Requests under way.
    pub pending: BTreeMap<Ticket, Request>,
    /// The open transaction.
    pub transaction: Option<Transaction>,
    /// Live queries.
    pub watches: BTreeMap<ObserverId, Watch>,
    /// Subscriptions; they outlive a crash, as an application makes them again.
    pub interests: BTreeMap<SubscriptionId, Interest>,
    /// The last status.
    pub status: Option<Status>,
    /// Rows of the final reads, by collection.
    pub final_rows: BTreeMap<usize, Vec<Value>>,
    /// Rows of the final reads, by observer.
    pub final_answers: BTreeMap<ObserverId, Vec<Value>>,
}

impl Node {
    /// Says whether the peer is up.
    pub fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// Returns the time by the peer's own clock.
    pub fn local(&self, now: Millis) -> Millis {
        Millis((EPOCH_MS + now.0).saturating_add_signed(self.skew_ms))
    }

    /// Returns the virtual time at which the peer's own clock shows a time.
    pub fn to_virtual(&self, local: Millis) -> Millis {
        Millis(local.0.saturating_add_signed(-self.skew_ms).saturating_sub(EPOCH_MS))
    }

    /// Forgets what dies with the process.
    pub fn forget(&mut self) {
        self.machine = None;
        self.contract = Contract::default();
        self.broken = false;
        self.wake = None;
        self.log = LogState::default();
        self.asleep = false;
        self.backlog.clear();
        self.pending.clear();
        self.transaction = None;
        self.status = None;
        self.watches.values_mut().for_each(|watch| watch.last = None);
    }

    /// Says whether the peer asks others for all documents of a collection.
    pub fn covers(&self, collection: usize) -> bool {
        self.interests.values().any(|interest| interest.collection == collection && interest.part.is_none())
    }
}
