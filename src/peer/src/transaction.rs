//! Interactive transactions: statements over one snapshot, whose writes become one commit or none.
//!
//! The snapshot costs nothing: while a transaction is open, nothing is published (jobs wait in the pipeline), so the store
//! itself stands still. One read-write transaction at a time; read-only ones beside it.

use std::rc::Rc;

use crdt::Stamp;
use store::Durability;

use value::{Millis, SmallMap};

use crate::draft::Draft;
use crate::io::{Ticket, TransactionId};
use crate::statement::Prepared;

/// An open transaction.
#[derive(Debug)]
pub struct Transaction {
    /// When it was opened.
    pub since: Millis,
    /// The log was told that it is open for long.
    pub told: bool,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Its writes so far.
    pub draft: Draft,
    /// One stamp for all of them.
    pub stamp: Stamp,
    /// A statement that waits for blocks, or has not run yet.
    pub waiting: Vec<(Ticket, Rc<Prepared>)>,
    /// The strongest that its statements asked for.
    pub durability: Durability,
    /// It is ending with a commit, once it is alone.
    pub ending: Option<Ticket>,
}

/// The open transactions.
#[derive(Debug, Default)]
pub struct Transactions {
    /// By id.
    pub open: SmallMap<TransactionId, Transaction>,
    /// Counts them.
    pub opened: u64,
    /// Those whose snapshot is gone, until their application hears of it.
    pub lost: SmallMap<TransactionId, ()>,
}

impl Transactions {
    /// Returns the transaction that wants to commit and is alone.
    pub fn ready_to_commit(&self) -> Option<TransactionId> {
        let (id, transaction) = self.open.first()?;
        (self.open.len() == 1 && transaction.ending.is_some() && transaction.waiting.is_empty()).then_some(*id)
    }
}
