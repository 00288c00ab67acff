//! The second connection to IndexedDB, made with web-sys: transactions whose durability is named by the caller, and the news
//! that the browser has closed the database.
//!
//! Only what appends need. The requests of a transaction are issued without waiting where the next does not depend on them.

use std::cell::Cell;
use std::rc::Rc;

use gloo::events::EventListener;
use store::{DeviceError, Durability};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbFactory, IdbRequest, IdbTransaction};

use super::error::from_exception;
use crate::js::{self, Deferred};

/// An open database.
pub struct Raw {
    database: IdbDatabase,
    lost: Rc<Cell<bool>>,
    _listeners: [EventListener; 2],
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.database.close();
    }
}

impl Raw {
    /// Opens a database that exists.
    ///
    /// `taken` is called once when another page wants to delete or upgrade it; this connection is closed by then.
    pub async fn open(name: &str, taken: impl FnOnce() + 'static) -> Result<Raw, DeviceError> {
        let factory: IdbFactory = js::global("indexedDB").unchecked_into();
        let request = factory.open(name).map_err(|exception| from_exception(&exception))?;
        let database: IdbDatabase = answer(&request).await?.unchecked_into();
        let lost = Rc::new(Cell::new(false));
        let (closed, changed, handle) = (lost.clone(), lost.clone(), database.clone());
        let listeners = [
            EventListener::once(&database, "close", move |_| closed.set(true)),
            EventListener::once(&database, "versionchange", move |_| {
                // Whoever holds on to a database that is to be deleted blocks the deletion.
                handle.close();
                changed.set(true);
                taken();
            }),
        ];
        Ok(Raw { database, lost, _listeners: listeners })
    }

    /// Says whether the connection can no longer be used.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Notes that the connection can no longer be used.
    pub fn mark_lost(&self) {
        self.lost.set(true);
    }

    /// Closes the connection without a word, as the browser does it.
    pub fn close(&self) {
        self.database.close();
    }

    /// Begins a write transaction of that durability.
    pub fn begin(&self, stores: &[&str], durability: Durability) -> Result<RawTransaction, DeviceError> {
        let names: js_sys::Array = stores.iter().copied().map(JsValue::from_str).collect();
        let durability = match durability {
            Durability::Memory | Durability::Relaxed => "relaxed",
            Durability::Strict => "strict",
        };
        let options = js::object(&[("durability", durability.into())]);
        let transaction = js::call(&self.database, "transaction", &[names.into(), "readwrite".into(), options])
            .map_err(|exception| {
                let error = from_exception(&exception);
                if error == DeviceError::Closed {
                    self.mark_lost();
                }
                error
            })?
            .unchecked_into::<IdbTransaction>();
        let done = Deferred::new();
        let listen = |event: &'static str| {
            let (done, transaction) = (done.clone(), transaction.clone());
            EventListener::once(&transaction.clone(), event, move |_| match event {
                "complete" => done.resolve(&JsValue::UNDEFINED),
                _ => done.reject(&transaction.error().map_or(JsValue::from_str("AbortError"), Into::into)),
            })
        };
        let listeners = [listen("complete"), listen("abort")];
        Ok(RawTransaction { transaction, done, _listeners: listeners })
    }
}

/// A write transaction.
pub struct RawTransaction {
    transaction: IdbTransaction,
    done: Deferred,
    _listeners: [EventListener; 2],
}

impl RawTransaction {
    /// Reads one value.
    pub async fn get(&self, store: &str, key: &JsValue) -> Result<Option<Vec<u8>>, DeviceError> {
        self.ask(store, key)?.bytes().await
    }

    /// Asks for one value without waiting for it; what is written after the question does not change the answer.
    pub fn ask(&self, store: &str, key: &JsValue) -> Result<Asked, DeviceError> {
        Ok(Asked(Answer::to(self.request(store, "get", std::slice::from_ref(key))?)))
    }

    /// Asks for the first keys of a range without waiting for them, as `ask`.
    pub fn ask_keys(&self, store: &str, range: &JsValue, count: u32) -> Result<AskedKeys, DeviceError> {
        Ok(AskedKeys(Answer::to(self.request(store, "getAllKeys", &[range.clone(), count.into()])?)))
    }

    /// Reads all values of a range.
    pub async fn get_all(&self, store: &str, range: &JsValue) -> Result<Vec<JsValue>, DeviceError> {
        let request = self.request(store, "getAll", std::slice::from_ref(range))?;
        Ok(js_sys::Array::from(&answer(&request).await?).to_vec())
    }

    /// Writes one value; a failure shows when the transaction is finished.
    pub fn put(&self, store: &str, key: &JsValue, bytes: &[u8]) -> Result<(), DeviceError> {
        self.request(store, "put", &[js::bytes_to(bytes), key.clone()]).map(drop)
    }

    /// Waits until the transaction is as durable as was asked; takes everything back when the body failed.
    pub async fn finish<T>(self, result: Result<T, DeviceError>) -> Result<T, DeviceError> {
        if let Err(error) = result {
            self.abort().await;
            return Err(error);
        }
        match self.done.wait().await {
            Ok(_) => result,
            Err(exception) => Err(from_exception(&exception)),
        }
    }

    /// Takes everything back.
    pub async fn abort(self) {
        // A transaction that cannot be aborted has aborted itself.
        drop(self.transaction.abort());
        drop(self.done.wait().await);
    }

    fn request(&self, store: &str, method: &str, arguments: &[JsValue]) -> Result<IdbRequest, DeviceError> {
        let store = self.transaction.object_store(store).map_err(|exception| from_exception(&exception))?;
        let request = js::call(&store, method, arguments).map_err(|exception| from_exception(&exception))?;
        Ok(request.unchecked_into())
    }
}

/// Keys that were asked for.
pub struct AskedKeys(Answer);

impl AskedKeys {
    /// Waits for them.
    pub async fn keys(self) -> Result<Vec<JsValue>, DeviceError> {
        Ok(js_sys::Array::from(&self.0.wait().await?).to_vec())
    }
}

/// A value that was asked for.
pub struct Asked(Answer);

impl Asked {
    /// Waits for it; `None` when there is no such key.
    pub async fn bytes(self) -> Result<Option<Vec<u8>>, DeviceError> {
        let value = self.0.wait().await?;
        Ok((!value.is_undefined()).then(|| js::bytes_from(&value)))
    }
}

/// Waits for a request.
async fn answer(request: &IdbRequest) -> Result<JsValue, DeviceError> {
    Answer::to(request.clone()).wait().await
}

/// What a request will come to; listens from the moment it is made.
struct Answer {
    done: Deferred,
    _listeners: [EventListener; 3],
}

impl Answer {
    fn to(request: IdbRequest) -> Answer {
        let done = Deferred::new();
        let (succeeded, failed, blocked) = (done.clone(), done.clone(), done.clone());
        let (of_success, of_error) = (request.clone(), request.clone());
        let listeners = [
            EventListener::once(&request, "success", move |_| {
                succeeded.resolve(&of_success.result().unwrap_or(JsValue::UNDEFINED));
            }),
            EventListener::once(&request, "error", move |_| {
                let exception = of_error.error().ok().flatten().map_or(JsValue::UNDEFINED, Into::into);
                failed.reject(&exception);
            }),
            EventListener::once(&request, "blocked", move |_| blocked.reject(&JsValue::from_str("blocked"))),
        ];
        Answer { done, _listeners: listeners }
    }

    async fn wait(self) -> Result<JsValue, DeviceError> {
        self.done.wait().await.map_err(|exception| match exception.as_string().as_deref() {
            Some("blocked") => DeviceError::Blocked,
            _ => from_exception(&exception),
        })
    }
}
