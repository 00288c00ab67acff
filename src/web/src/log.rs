//! The log shared with other tabs: appends, and reading what others appended.
//!
//! The engine never hears of foreign records while one of its commits is under way: the commit meets them itself, as a
//! conflict. A ping that arrives meanwhile is remembered, and the tail is read afterwards.

use std::cell::Cell;
use std::rc::Rc;

use peer::io::{CommitOutcome, Input, Ticket};
use store::{Appended, Device, DeviceError, Durability};
use value::Seq;
use wasm_bindgen_futures::spawn_local;

use crate::driver::Driver;
use crate::{clock, js};

/// What this tab knows of the log's end.
pub struct LogState {
    head: Cell<Seq>,
    committing: Cell<bool>,
    reading: Cell<bool>,
    stale: Cell<bool>,
    asked_to_persist: Cell<bool>,
}

impl LogState {
    /// Starts at the end that the boot found.
    pub fn new(head: Seq) -> LogState {
        LogState {
            head: Cell::new(head),
            committing: Cell::new(false),
            reading: Cell::new(false),
            stale: Cell::new(false),
            asked_to_persist: Cell::new(false),
        }
    }

    /// Says whether an append is under way.
    pub fn is_committing(&self) -> bool {
        self.committing.get()
    }

    fn advance(&self, seq: Seq) {
        self.head.set(self.head.get().max(seq));
    }
}

/// An append that the engine has asked for.
pub struct Append {
    /// Of the answer.
    pub ticket: Ticket,
    /// The head that the engine knows.
    pub expected: Seq,
    /// What to append.
    pub record: Vec<u8>,
    /// What it must survive.
    pub durability: Durability,
}

impl Driver {
    /// Appends a record and answers the engine.
    pub(crate) fn commit(self: &Rc<Self>, append: Append) {
        self.log.committing.set(true);
        let driver = self.clone();
        spawn_local(async move {
            let Append { ticket, expected, record, durability } = append;
            let result = driver.storage.append(expected, clock::now(), record, durability).await;
            driver.log.committing.set(false);
            let outcome = match result {
                Ok(Appended::Done(seq)) => {
                    driver.log.advance(seq);
                    driver.ask_to_persist();
                    CommitOutcome::Durable(seq)
                }
                Ok(Appended::Conflict(records)) => {
                    records.last().iter().for_each(|(seq, _)| driver.log.advance(*seq));
                    CommitOutcome::Conflict(records)
                }
                Err(error) => CommitOutcome::Failed(error.failure()),
            };
            driver.feed(Input::Committed { ticket, outcome });
            if driver.log.stale.get() {
                driver.log_grew();
            }
        });
    }

    /// Reads what others have appended, unless a commit is about to meet it.
    pub(crate) fn log_grew(self: &Rc<Self>) {
        self.log.stale.set(true);
        if self.log.committing.get() || self.log.reading.replace(true) {
            return;
        }
        let driver = self.clone();
        spawn_local(async move {
            while driver.log.stale.get() && !driver.log.committing.get() && !driver.closed.get() {
                driver.log.stale.set(false);
                driver.read_tail().await;
            }
            driver.log.reading.set(false);
        });
    }

    async fn read_tail(self: &Rc<Self>) {
        let after = self.log.head.get();
        match self.storage.tail(after).await {
            // A commit came between; it has met these records, or will.
            Ok(_) if self.log.committing.get() || self.log.head.get() != after => self.log.stale.set(true),
            Ok(entries) => {
                if let Some((last, _)) = entries.last() {
                    self.log.advance(*last);
                    self.feed(Input::LogGrew { entries });
                }
            }
            Err(DeviceError::Closed) if self.closed.get() => {}
            Err(error) => {
                let failure = error.failure();
                js::warn(&format!("[shoal] the log of the other tabs was not read: {failure}"));
                self.emit("failed", js::failure(&failure));
            }
        }
    }

    /// Asks the browser, once, not to evict what was just written.
    fn ask_to_persist(self: &Rc<Self>) {
        if !self.storage.is_shared() || self.log.asked_to_persist.replace(true) {
            return;
        }
        let driver = self.clone();
        spawn_local(async move {
            let answer = js::call_async(&js::navigator("storage"), "persist", &[]).await;
            driver.persistent.set(answer.is_ok_and(|granted| granted.is_truthy()));
            driver.tell_storage();
        });
    }
}
