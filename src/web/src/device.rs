//! `store::Device` on IndexedDB.
//!
//! Four generic object stores, version 1 for ever (rexie deletes what is not declared):
//!
//! | store | key | value |
//! |---|---|---|
//! | `wal` | sequence, 8 bytes big-endian | framed record |
//! | `seg` | `BlockId::to_bytes`, 9 bytes | block |
//! | `meta` | `manifest`, `state`, `format`, or `record/<name>` | bytes |
//! | `blob` | place and part, 12 bytes big-endian | a part of an attachment |
//!
//! `state` has the bytes of all blocks, so that usage reads none of them. An append asks for the head and writes behind it in one go: one
//! question, one write. Every call is one transaction. Inside one nothing is awaited but IndexedDB; a body that fails aborts.
//! Appends name their durability, which rexie cannot: they run on a
//! second connection, opened with web-sys, which also hears that the browser has closed the database. A call that finds
//! the connection gone reopens it and is done once more: a repeated append meets its own record as a conflict. A page that
//! wants to delete the database is let: both connections close at once, and the device answers `Closed` for ever after.

mod blob;
mod body;
mod error;
mod guard;
mod raw;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use rexie::{ObjectStore, Rexie, Transaction, TransactionMode};
use store::{Appended, BlockId, BootImage, Device, DeviceBatch, DeviceError, Durability, Records, Usage, Written};
use value::{Millis, Seq};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use body::{BLOB, META, RECORD, SEG, WAL, get, put};
use error::from_rexie;
use guard::{Guard, IDENTITY};
use raw::Raw;

use crate::js;

/// Of the four stores together. 1 kept the log's head in `state`; it is read, and marked as 2, so that a program that knows only 1
/// does not write beside this one.
const FORMAT: u8 = 2;
/// A database that another page deletes or upgrades cannot be opened until that page lets go; so long it is waited for.
const OPEN_WAIT_MS_MAX: u32 = 10_000;

/// One origin's store of a name.
pub struct IndexedDb {
    name: String,
    connection: RefCell<Option<Rc<Connection>>>,
    closed: Cell<bool>,
    guard: Rc<Guard>,
}

struct Connection {
    rexie: Rc<RefCell<Option<Rexie>>>,
    raw: Raw,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let_go(&self.rexie);
    }
}

fn let_go(rexie: &RefCell<Option<Rexie>>) {
    if let Some(rexie) = rexie.take() {
        rexie.close();
    }
}

impl IndexedDb {
    /// Opens the database, or makes it.
    pub async fn open(name: &str) -> Result<IndexedDb, DeviceError> {
        let device = IndexedDb {
            name: name.to_owned(),
            connection: RefCell::new(None),
            closed: Cell::new(false),
            guard: Rc::default(),
        };
        device.connection().await?;
        Ok(device)
    }

    /// Deletes a database that nobody has open.
    pub async fn delete(name: &str) -> Result<(), DeviceError> {
        Rexie::delete(name).await.map_err(from_rexie)
    }

    /// Names who is told when another page has taken the database away.
    pub fn on_lost(&self, told: impl FnOnce(String) + 'static) {
        self.guard.on_lost(told);
    }

    /// Closes the connection; later calls answer `Closed`.
    pub fn close(&self) {
        self.closed.set(true);
        self.connection.take();
    }

    /// Acts as the browser does when it loses the database; for tests.
    pub fn lose_connection(&self) {
        if let Some(connection) = self.connection.borrow().as_ref() {
            connection.raw.close();
        }
    }

    async fn connection(&self) -> Result<Rc<Connection>, DeviceError> {
        if self.is_over() {
            return Err(DeviceError::Closed);
        }
        let present = self.connection.borrow().clone();
        if let Some(connection) = present.filter(|connection| !connection.raw.is_lost()) {
            return Ok(connection);
        }
        self.connection.take();
        let connection = Rc::new(connect(&self.name, &self.guard).await?);
        self.connection.replace(Some(connection.clone()));
        Ok(connection)
    }

    /// Runs a call, and once more when the connection turns out to be gone.
    async fn retried<T>(&self, call: impl AsyncFn(&Connection) -> Result<T, DeviceError>) -> Result<T, DeviceError> {
        let connection = self.connection().await?;
        match call(&connection).await {
            Err(DeviceError::Closed) if !self.is_over() && self.forget(&connection) => {
                let connection = self.connection().await?;
                call(&connection).await
            }
            result => result,
        }
    }

    fn is_over(&self) -> bool {
        self.closed.get() || self.guard.is_lost()
    }

    /// Lets go of a connection that does not answer; `false` when it is alive and the answer was the device's own.
    fn forget(&self, connection: &Rc<Connection>) -> bool {
        if !connection.raw.is_lost() {
            return false;
        }
        let mut current = self.connection.borrow_mut();
        if current.as_ref().is_some_and(|current| Rc::ptr_eq(current, connection)) {
            current.take();
        }
        true
    }
}

async fn connect(name: &str, guard: &Rc<Guard>) -> Result<Connection, DeviceError> {
    if js::global("indexedDB").is_falsy() {
        return Err(DeviceError::PermissionDenied("there is no IndexedDB here".into()));
    }
    let rexie = Rc::new(RefCell::new(Some(build(name).await?)));
    let (handle, told) = (rexie.clone(), guard.clone());
    let raw = Raw::open(name, move || {
        let_go(&handle);
        told.lose("another page has deleted or changed this database; open it again to start with a fresh replica");
    })
    .await
    .inspect_err(|_| let_go(&rexie))?;
    let connection = Connection { rexie, raw };
    let transaction = connection.begin(&[META], TransactionMode::ReadWrite)?;
    finish(transaction, async |transaction| {
        let meta = transaction.store(META).map_err(from_rexie)?;
        guard.check(get(&meta, &format!("{RECORD}{IDENTITY}")).await?.as_deref())?;
        match get(&meta, "format").await?.as_deref() {
            None | Some([1]) => put(&meta, "format", &[FORMAT]).await,
            Some([FORMAT]) => Ok(()),
            Some(other) => Err(DeviceError::NewerFormat(other.first().copied().unwrap_or(0).into())),
        }
    })
    .await?;
    Ok(connection)
}

/// Opens the database, or makes it; gives up on one that another page keeps from being opened.
async fn build(name: &str) -> Result<Rexie, DeviceError> {
    let stores = [WAL, SEG, META, BLOB].map(ObjectStore::new);
    let builder =
        stores.into_iter().fold(Rexie::builder(name).version(1), |builder, store| builder.add_object_store(store));
    let (done, built) = (js::Deferred::new(), Rc::new(RefCell::new(Build::Waiting)));
    let (opened, slot) = (done.clone(), built.clone());
    spawn_local(async move {
        let result = builder.build().await;
        let given_up = matches!(slot.replace(Build::Given), Build::Given);
        match result {
            // It comes too late: nobody may hold on to it.
            Ok(rexie) if given_up => rexie.close(),
            result => _ = slot.replace(Build::Done(result)),
        }
        opened.resolve(&JsValue::UNDEFINED);
    });
    let late = done.clone();
    let _timer = Timeout::new(OPEN_WAIT_MS_MAX, move || late.resolve(&JsValue::UNDEFINED));
    drop(done.wait().await);
    match built.replace(Build::Given) {
        Build::Done(result) => result.map_err(from_rexie),
        Build::Given | Build::Waiting => Err(DeviceError::Blocked),
    }
}

/// What has become of opening the database.
enum Build {
    Done(Result<Rexie, rexie::Error>),
    /// Whoever waited has it, or has given up.
    Given,
    Waiting,
}

impl Connection {
    fn begin(&self, stores: &[&str], mode: TransactionMode) -> Result<Transaction, DeviceError> {
        let rexie = self.rexie.borrow();
        let rexie = rexie.as_ref().ok_or(DeviceError::Closed)?;
        if self.raw.is_lost() {
            return Err(DeviceError::Closed);
        }
        rexie.transaction(stores, mode).map_err(|error| {
            let error = from_rexie(error);
            // `transaction()` throws InvalidStateError when the browser has closed the connection.
            if error == DeviceError::Closed {
                self.raw.mark_lost();
            }
            error
        })
    }
}

/// Runs the body of a transaction and waits until it is durable; a body that fails takes everything back.
async fn finish<T>(
    transaction: Transaction,
    body: impl AsyncFnOnce(&Transaction) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    match body(&transaction).await {
        Ok(value) => match transaction.done().await.map_err(from_rexie)? {
            rexie::TransactionResult::Committed => Ok(value),
            rexie::TransactionResult::Aborted => Err(DeviceError::Other("the transaction was aborted".into())),
        },
        Err(error) => {
            // The error that matters is the body's; a transaction that cannot be aborted has aborted itself.
            drop(transaction.abort().await);
            Err(error)
        }
    }
}

impl Device for IndexedDb {
    async fn boot(&self) -> Result<BootImage, DeviceError> {
        let image = self
            .retried(async |connection| {
                finish(connection.begin(&[WAL, META], TransactionMode::ReadOnly)?, body::boot).await
            })
            .await?;
        if let Some((_, identity)) = image.meta.iter().find(|(name, _)| name == IDENTITY) {
            self.guard.belongs_to(identity);
        }
        Ok(image)
    }

    async fn append(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError> {
        let record = &record;
        self.retried(async |connection| {
            let transaction = connection.raw.begin(&[WAL], durability)?;
            match body::append_to(&transaction, expected, now, record).await {
                Ok(None) => transaction.abort().await,
                Ok(Some(seq)) => return transaction.finish(Ok(Appended::Done(seq))).await,
                Err(error) => return transaction.finish(Err(error)).await,
            }
            let transaction = connection.raw.begin(&[WAL, META], durability)?;
            let result = body::append(&transaction, expected, now, record).await;
            transaction.finish(result).await
        })
        .await
    }

    async fn tail(&self, after: Seq) -> Result<Records, DeviceError> {
        self.retried(async |connection| {
            let transaction = connection.begin(&[WAL, META], TransactionMode::ReadOnly)?;
            finish(transaction, async |transaction| body::tail(transaction, after).await).await
        })
        .await
    }

    async fn read(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        self.retried(async |connection| {
            let transaction = connection.begin(&[SEG], TransactionMode::ReadOnly)?;
            finish(transaction, async |transaction| body::read(transaction, blocks).await).await
        })
        .await
    }

    async fn manifest(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        self.retried(async |connection| {
            let transaction = connection.begin(&[META], TransactionMode::ReadOnly)?;
            finish(transaction, async |transaction| {
                get(&transaction.store(META).map_err(from_rexie)?, "manifest").await
            })
            .await
        })
        .await
    }

    async fn write(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        let batch = &batch;
        self.retried(async |connection| {
            let transaction = connection.begin(&[WAL, SEG, META], TransactionMode::ReadWrite)?;
            finish(transaction, async |transaction| body::write(transaction, batch).await).await
        })
        .await
    }

    async fn put_meta(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        let (key, bytes) = (&format!("{RECORD}{name}"), &bytes);
        self.retried(async |connection| {
            let transaction = connection.begin(&[META], TransactionMode::ReadWrite)?;
            finish(transaction, async |transaction| {
                put(&transaction.store(META).map_err(from_rexie)?, key, bytes).await
            })
            .await
        })
        .await?;
        if name == IDENTITY {
            self.guard.belongs_to(bytes);
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), DeviceError> {
        self.retried(async |connection| {
            let transaction = connection.begin(&[WAL, SEG, META, BLOB], TransactionMode::ReadWrite)?;
            finish(transaction, async |transaction| {
                for name in [WAL, SEG, META, BLOB] {
                    transaction.store(name).map_err(from_rexie)?.clear().await.map_err(from_rexie)?;
                }
                put(&transaction.store(META).map_err(from_rexie)?, "format", &[FORMAT]).await
            })
            .await
        })
        .await
    }

    async fn usage(&self) -> Result<Usage, DeviceError> {
        self.retried(async |connection| {
            let transaction = connection.begin(&[WAL, SEG, META], TransactionMode::ReadOnly)?;
            finish(transaction, body::usage).await
        })
        .await
    }

    async fn blocks(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        self.retried(async |connection| {
            let transaction = connection.begin(&[SEG], TransactionMode::ReadOnly)?;
            finish(transaction, async |transaction| {
                let seg = transaction.store(SEG).map_err(from_rexie)?;
                let keys = seg.get_all_keys(None, None).await.map_err(from_rexie)?;
                Ok(Some(keys.iter().filter_map(|key| BlockId::from_bytes(&js::bytes_from(key))).collect()))
            })
            .await
        })
        .await
    }
}
