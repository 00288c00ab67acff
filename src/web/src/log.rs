//! The log shared with other tabs: appends, and reading what others appended.
//!
//! The engine never hears of foreign records while one of its commits is under way: the commit meets them itself, as a
//! conflict. Who has committed tells the others, and sends a small record along: a tab that knows all before it need not
//! read the database. A message that does not fit is a ping: the tail is read, after the commit under way if there is one.
//! What can no longer be read from the log is a gap, over which the engine boots again.

use std::cell::Cell;
use std::rc::Rc;

use peer::io::{CommitOutcome, Input, Ticket};
use store::{Appended, BootImage, Device, DeviceError, Durability};
use value::{Millis, Seq};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::driver::Driver;
use crate::{clock, js};

/// A record up to this length travels with the news of it, bytes.
const TOLD_BYTES_MAX: usize = 64 * 1024;

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

/// Returns the position of the last record that a device holds, readable or not.
pub fn head_of(image: &BootImage) -> Seq {
    let last = image.log.last().map_or(Seq(0), |(seq, _)| *seq);
    image.damaged.last().copied().unwrap_or_default().max(last)
}

/// An append that the engine has asked for.
pub struct Append {
    /// Of the answer.
    pub ticket: Ticket,
    /// The head that the engine knows.
    pub expected: Seq,
    /// What the clock reads at least.
    pub not_before: Millis,
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
            let Append { ticket, expected, not_before, record, durability } = append;
            let told = (record.len() <= TOLD_BYTES_MAX).then(|| record.clone());
            let result = driver.storage.append(expected, clock::now().max(not_before), record, durability).await;
            driver.log.committing.set(false);
            let outcome = match result {
                Ok(Appended::Done(seq)) => {
                    driver.log.advance(seq);
                    driver.tell_record(expected, seq, told);
                    driver.ask_to_persist();
                    CommitOutcome::Durable(seq)
                }
                Ok(Appended::Conflict(records)) => {
                    records.last().iter().for_each(|(seq, _)| driver.log.advance(*seq));
                    // The device may have written the record and lost the answer; then nobody was told.
                    if records.first().is_some_and(|(_, first)| told.as_ref().is_none_or(|own| own == first)) {
                        driver.tabs.post("log", JsValue::UNDEFINED);
                    }
                    CommitOutcome::Conflict(records)
                }
                Err(DeviceError::Damaged(_) | DeviceError::Trimmed(_)) => CommitOutcome::Gap,
                Err(error) => CommitOutcome::Failed(error.failure()),
            };
            driver.feed(Input::Committed { ticket, outcome });
            if driver.log.stale.get() {
                driver.log_grew();
            }
        });
    }

    /// Tells the other tabs of a record: `after` (8 bytes, big-endian), `seq` (the same), the record; or nothing but that.
    /// While there are none, nothing is said: who comes later is told to read.
    fn tell_record(&self, after: Seq, seq: Seq, record: Option<Vec<u8>>) {
        if self.tabs.alone.get() {
            return;
        }
        let body = record.map_or(JsValue::UNDEFINED, |record| {
            js::bytes_to(&[&after.0.to_be_bytes()[..], &seq.0.to_be_bytes()[..], &record[..]].concat())
        });
        self.tabs.post("log", body);
    }

    /// Another tab has appended; takes its record when that is the next one, else reads.
    pub(crate) fn record_told(self: &Rc<Self>, body: &JsValue) {
        let bytes = if body.is_undefined() { Vec::new() } else { js::bytes_from(body) };
        let Some((numbers, record)) = bytes.split_at_checked(16) else { return self.log_grew() };
        let number = |bytes: &[u8]| Seq(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        let (after, seq) = (number(&numbers[..8]), number(&numbers[8..]));
        if self.log.head.get() != after || self.log.committing.get() {
            return self.log_grew();
        }
        self.log.advance(seq);
        self.feed(Input::LogGrew { entries: vec![(seq, record.to_vec())] });
    }

    /// Reads all that the device holds and answers the engine.
    pub(crate) fn reboot(self: &Rc<Self>, ticket: Ticket) {
        let driver = self.clone();
        spawn_local(async move {
            let image = driver.storage.boot().await;
            if let Ok(image) = &image {
                driver.log.advance(head_of(image));
            }
            driver.feed(Input::Rebooted { ticket, image: image.map_err(|error| error.failure()) });
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
            Err(_) if self.log.head.get() != after => self.log.stale.set(true),
            Err(DeviceError::Damaged(_) | DeviceError::Trimmed(_)) => self.feed(Input::LogGap),
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
