//! The class that JavaScript sees. Short methods; no borrow across an await or a call into JavaScript.
//!
//! Rows and arguments cross as CBOR bytes, small objects as plain objects, failures as `{code, message}`. Numbers of
//! observers, subscriptions and transactions stay far below 2^53.

use std::rc::Rc;

use js_sys::{Array, Function, Promise};
use peer::io::{Input, ObserverId, SubscriptionId, TransactionId};
use store::{Device, Durability};
use value::{ErrorCode, Failure};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::driver::{Driver, arguments};
use crate::view::OpenOptions;
use crate::{js, open, tabs};

/// An open store with its engine.
#[wasm_bindgen]
pub struct Peer {
    pub(crate) driver: Rc<Driver>,
}

#[wasm_bindgen]
impl Peer {
    /// Opens a store. `events(kind, value)` is told what happens; it answers whether it took care of it.
    pub async fn open(options: JsValue, events: Function) -> Result<Peer, JsValue> {
        let options: OpenOptions = serde_wasm_bindgen::from_value(options)
            .map_err(|error| js::failure(&Failure::new(ErrorCode::ValidationInvalidDittoConfig, error.to_string())))?;
        let driver = open::open(options, events).await.map_err(|failure| js::failure(&failure))?;
        Ok(Peer { driver })
    }

    /// Runs a statement; resolves to `{bytes, ends, mutated, commit}`.
    pub fn execute(
        &self,
        transaction: Option<f64>,
        text: String,
        args: &[u8],
        durability: Option<String>,
    ) -> Result<Promise, JsValue> {
        let args = arguments(args)?;
        let durability = match durability.as_deref() {
            Some("memory") => Durability::Memory,
            Some("strict") => Durability::Strict,
            _ => Durability::Relaxed,
        };
        let transaction = transaction.map(|id| TransactionId(id as u64));
        Ok(self.driver.write(|ticket| Input::Execute { ticket, transaction, text, args, durability }))
    }

    /// Opens a transaction; resolves to its number.
    pub fn begin(&self, read_only: bool) -> Promise {
        self.driver.promise(|ticket| Input::Begin { ticket, read_only })
    }

    /// Ends a transaction; resolves to its place in the log, or `undefined`.
    pub fn end(&self, transaction: f64, commit: bool) -> Promise {
        let transaction = TransactionId(transaction as u64);
        self.driver.write(|ticket| Input::End { ticket, transaction, commit })
    }

    /// Registers a live query; `callback(rows)` gets every answer, the first one after this has returned.
    pub fn observe(&self, text: String, args: &[u8], callback: Function) -> Result<f64, JsValue> {
        let args = arguments(args)?;
        let id = self.driver.number();
        self.driver.observers.borrow_mut().insert(id, callback);
        let registered = self.driver.register(|ticket| Input::Observe { ticket, observer: ObserverId(id), text, args });
        if registered.is_err() {
            self.driver.observers.borrow_mut().remove(&id);
        }
        registered.map(|()| id as f64)
    }

    /// Asks for the next answer of a live query.
    #[wasm_bindgen(js_name = observerReady)]
    pub fn observer_ready(&self, id: f64) {
        self.driver.feed(Input::ObserverReady { observer: ObserverId(id as u64) });
    }

    /// Cancels a live query.
    pub fn unobserve(&self, id: f64) {
        self.driver.observers.borrow_mut().remove(&(id as u64));
        self.driver.feed(Input::Unobserve { observer: ObserverId(id as u64) });
    }

    /// Adds a subscription.
    pub fn subscribe(&self, text: String, args: &[u8]) -> Result<f64, JsValue> {
        let fields = arguments(args)?;
        let id = SubscriptionId(self.driver.number());
        let statement = text.clone();
        self.driver.register(|ticket| Input::Subscribe { ticket, subscription: id, text: statement, args: fields })?;
        tabs::subscribed(&self.driver, id, text, args.to_vec());
        Ok(id.0 as f64)
    }

    /// Cancels a subscription; the documents stay.
    pub fn unsubscribe(&self, id: f64) {
        let subscription = SubscriptionId(id as u64);
        self.driver.feed(Input::Unsubscribe { subscription });
        tabs::unsubscribed(&self.driver, subscription);
    }

    /// Starts or stops sync for this tab.
    #[wasm_bindgen(js_name = setSync)]
    pub fn set_sync(&self, on: bool) {
        tabs::set_own_sync(&self.driver, on);
    }

    /// Logs in at the Big Peer; resolves when it has accepted, rejects when it has refused.
    pub fn login(&self, provider: String, token: String) -> Promise {
        tabs::login(&self.driver, provider, token)
    }

    /// Forgets the credentials.
    pub fn logout(&self) {
        tabs::logout(&self.driver);
    }

    /// Sets name and metadata (CBOR) of this peer in presence.
    #[wasm_bindgen(js_name = setProfile)]
    pub fn set_profile(&self, name: String, metadata: &[u8]) -> Result<(), JsValue> {
        let fields = arguments(metadata)?;
        tabs::set_profile(&self.driver, name, fields, metadata);
        Ok(())
    }

    /// Sets the `RTCIceServer`s of connections that are made from now on.
    #[wasm_bindgen(js_name = setIceServers)]
    pub fn set_ice_servers(&self, servers: Array) {
        self.driver.links.ice_servers.replace(servers);
    }

    /// Resolves to the bytes that the store and its origin use.
    pub fn usage(&self) -> Promise {
        let driver = self.driver.clone();
        future_to_promise(async move {
            let usage = driver.storage.usage().await.map_err(|error| js::failure(&error.failure()))?;
            let estimate = js::call_async(&js::navigator("storage"), "estimate", &[]).await.unwrap_or(JsValue::NULL);
            let number = |name| match js::property(&estimate, name).as_f64() {
                Some(number) => JsValue::from_f64(number),
                None => JsValue::NULL,
            };
            Ok(js::object(&[
                ("logBytes", (usage.log_bytes as f64).into()),
                ("segmentBytes", (usage.segment_bytes as f64).into()),
                ("metaBytes", (usage.meta_bytes as f64).into()),
                ("blobBytes", (driver.blob_bytes() as f64).into()),
                ("originUsage", number("usage")),
                ("originQuota", number("quota")),
            ]))
        })
    }

    /// Locks an encrypted store with another secret, each `{passphrase}` or `{key}` as bytes.
    #[wasm_bindgen(js_name = changeEncryptionKey)]
    pub fn change_encryption_key(&self, current: JsValue, next: JsValue) -> Promise {
        let driver = self.driver.clone();
        future_to_promise(async move {
            let changed = driver.storage.change_key(&current, &next).await;
            changed.map(|()| JsValue::UNDEFINED).map_err(|failure| js::failure(&failure))
        })
    }

    /// Commits what is in flight, closes links and releases locks.
    pub fn close(&self) -> Promise {
        let driver = self.driver.clone();
        future_to_promise(async move {
            driver.close().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// Reports a panic before the instance is lost.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&JsValue::from_str(&format!("[shoal] {panic}; reload the page")));
    }));
}
