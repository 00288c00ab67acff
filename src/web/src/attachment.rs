//! Attachments as JavaScript uses them: created and read chunk by chunk, fetched by a number that the application chose.
//!
//! What is created goes from the application to the device and past the engine, which gets the hashes at the end. Chunks
//! are of 256 KiB but for the last, and each is hashed here. A tab that has no links has its fetches done by the tab that has
//! them, and sees in the shared store what has come.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Promise;
use peer::io::{BlobAnswer, BlobRequest, BlobTask, Input, Reply, Ticket};
use store::{BlobDevice, BlobPlace};
use value::blob::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES, chunk_hash};
use value::{BlobId, ChunkList, ErrorCode, Failure, Millis, SmallMap};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::driver::Driver;
use crate::exports::Peer;
use crate::{clock, js};

/// How often other tabs are told that more of a blob has come, milliseconds.
const TOLD_MS: u64 = 300;

/// What one store does with attachments.
#[derive(Default)]
pub struct Attachments {
    /// Those that are being created.
    writing: RefCell<SmallMap<u64, Writing>>,
    /// Fetches of this tab by its own numbers.
    fetching: RefCell<SmallMap<u64, Fetching>>,
    /// Fetches that another tab wants.
    for_others: RefCell<SmallMap<BlobId, ()>>,
    told: Cell<Millis>,
}

/// An attachment that is being created.
struct Writing {
    place: BlobPlace,
    len: u64,
    hashes: Vec<u8>,
    /// What it has to become.
    wanted: Option<Rc<ChunkList>>,
}

struct Fetching {
    ticket: Ticket,
    id: String,
    len: f64,
}

fn refused(code: ErrorCode, message: &str) -> JsValue {
    js::failure(&Failure::new(code, message))
}

pub fn parse(id: &str) -> Result<BlobId, JsValue> {
    let message = "the id of an attachment has 64 small hexadecimal digits";
    BlobId::parse(id.as_bytes()).ok_or_else(|| refused(ErrorCode::StoreAttachmentTokenInvalid, message))
}

#[wasm_bindgen]
impl Peer {
    /// Begins to create an attachment; returns a number for `blobWrite`, `blobFinish` and `blobDrop`.
    #[wasm_bindgen(js_name = blobBegin)]
    pub fn blob_begin(&self) -> f64 {
        self.driver.blob_begin(None)
    }

    /// Adds a chunk of 256 KiB, or the last one; resolves when it is on the device.
    #[wasm_bindgen(js_name = blobWrite)]
    pub fn blob_write(&self, number: f64, bytes: Vec<u8>) -> Result<Promise, JsValue> {
        self.driver.blob_write(number, bytes)
    }

    /// Names what was added; resolves to the id when it is durable.
    #[wasm_bindgen(js_name = blobFinish)]
    pub fn blob_finish(&self, number: f64) -> Result<Promise, JsValue> {
        let writing = self.driver.attachments.writing.borrow_mut().remove(&(number as u64)).ok_or_else(unknown)?;
        let Writing { place, len, hashes, wanted: _ } = writing;
        let list = ChunkList::new(len, hashes).ok_or_else(unknown)?;
        let promise = self.driver.write(|ticket| Input::Blob(BlobRequest::Keep { ticket, place, list }));
        let driver = self.driver.clone();
        Ok(future_to_promise(async move {
            let id = js::settled(&promise).await?;
            driver.tabs.post("blobs", JsValue::UNDEFINED);
            Ok(id)
        }))
    }

    /// Gives up what was added.
    #[wasm_bindgen(js_name = blobDrop)]
    pub fn blob_drop(&self, number: f64) {
        if let Some(Writing { place, .. }) = self.driver.attachments.writing.borrow_mut().remove(&(number as u64)) {
            self.driver.blob_task(BlobTask::Delete { place, part: None });
        }
    }

    /// Brings an attachment here, however long that takes; resolves to its length, or to `undefined` when no document names it
    /// any more. `key` is a number that the application has not used before.
    #[wasm_bindgen(js_name = blobFetch)]
    pub fn blob_fetch(&self, key: f64, id: String, len: f64) -> Result<Promise, JsValue> {
        let (driver, blob) = (self.driver.clone(), parse(&id)?);
        let (key, fetching) = (key as u64, &self.driver.attachments.fetching);
        let promise = self.driver.promise(|ticket| {
            fetching.borrow_mut().insert(key, Fetching { ticket, id, len });
            Input::Blob(BlobRequest::Fetch { ticket, id: blob, len: len as u64 })
        });
        tell_fetches(&driver);
        Ok(future_to_promise(async move {
            let result = js::settled(&promise).await;
            driver.attachments.fetching.borrow_mut().remove(&key);
            result
        }))
    }

    /// Gives a fetch up; its promise stays pending.
    #[wasm_bindgen(js_name = blobStop)]
    pub fn blob_stop(&self, key: f64) {
        let stopped = self.driver.attachments.fetching.borrow_mut().remove(&(key as u64));
        if let Some(Fetching { ticket, .. }) = stopped {
            self.driver.forget(ticket);
            self.driver.feed(Input::Blob(BlobRequest::Stop { ticket }));
        }
    }

    /// Reads a chunk of an attachment that is here; resolves to `{bytes}`.
    #[wasm_bindgen(js_name = blobRead)]
    pub fn blob_read(&self, id: &str, chunk: f64) -> Result<Promise, JsValue> {
        let (id, chunk) = (parse(id)?, chunk as u32);
        Ok(self.driver.promise(|ticket| Input::Blob(BlobRequest::Read { ticket, id, chunk })))
    }
}

fn unknown() -> JsValue {
    refused(ErrorCode::StoreFailedToCreateAttachment, "it was finished or given up before, or is larger than 16 GiB")
}

impl Attachments {
    /// Takes a chunk in; returns where to write it.
    fn add(&self, number: u64, bytes: &[u8]) -> Result<(BlobPlace, u32), JsValue> {
        let mut writing = self.writing.borrow_mut();
        let writing = writing.get_mut(&number).ok_or_else(unknown)?;
        let fits = bytes.len() <= BLOB_CHUNK_BYTES && writing.len % BLOB_CHUNK_BYTES as u64 == 0;
        if !fits || bytes.is_empty() || writing.len + bytes.len() as u64 > BLOB_BYTES_MAX {
            return Err(unknown());
        }
        let (hash, at) = (chunk_hash(bytes), writing.hashes.len());
        let chunk = value::blob::chunk_count(writing.len);
        let is_wanted = |list: &Rc<ChunkList>| {
            bytes.len() == list.chunk_bytes(chunk) && list.hashes()[at..].first_chunk() == Some(&hash)
        };
        if !writing.wanted.as_ref().is_none_or(is_wanted) {
            return Err(refused(
                ErrorCode::StoreImportInvalid,
                "a chunk does not fit the hash that its attachment has of it",
            ));
        }
        writing.len += bytes.len() as u64;
        writing.hashes.extend_from_slice(&hash);
        Ok((writing.place, value::blob::chunk_count(writing.len)))
    }
}

impl Driver {
    /// Begins to write an attachment; `wanted`: what it has to become. Returns its number.
    pub(crate) fn blob_begin(&self, wanted: Option<Rc<ChunkList>>) -> f64 {
        let number = self.number();
        let place = BlobPlace(clock::random_u64());
        let writing = Writing { place, len: 0, hashes: Vec::new(), wanted };
        self.attachments.writing.borrow_mut().insert(number, writing);
        number as f64
    }

    /// Adds a chunk; resolves when it is on the device, to what an import says of it.
    pub(crate) fn blob_write(self: &Rc<Self>, number: f64, bytes: Vec<u8>) -> Result<Promise, JsValue> {
        let driver = self.clone();
        let (place, part) = driver.attachments.add(number as u64, &bytes)?;
        Ok(future_to_promise(async move {
            let written = driver.storage.blob_put(place, part, bytes).await;
            written.map(|()| js::object(&[("kind", "chunk".into())])).map_err(|error| js::failure(&error.failure()))
        }))
    }

    /// Carries a task of the engine out.
    pub(crate) fn blob_task(self: &Rc<Self>, task: BlobTask) {
        let driver = self.clone();
        spawn_local(async move {
            let storage = &driver.storage;
            let answer = match task {
                BlobTask::Delete { place, part } => {
                    // What stays is found again when the device is next listed.
                    drop(storage.blob_delete(place, part).await);
                    if part.is_some() {
                        // It was damaged; other tabs count on it.
                        driver.tabs.post("blobs", JsValue::UNDEFINED);
                    }
                    return;
                }
                BlobTask::List { ticket } => {
                    BlobAnswer::Listed { ticket, places: storage.blob_list().await.map_err(|error| error.failure()) }
                }
                BlobTask::Read { ticket, place, part } => BlobAnswer::Read {
                    ticket,
                    bytes: storage.blob_read(place, part).await.map_err(|error| error.failure()),
                },
                BlobTask::Write { ticket, place, part, bytes } => BlobAnswer::Written {
                    ticket,
                    result: storage.blob_put(place, part, bytes).await.map_err(|error| error.failure()),
                },
            };
            driver.feed(Input::BlobAnswered(answer));
        });
    }

    /// More of an attachment is here.
    pub(crate) fn blob_progress(self: &Rc<Self>, id: BlobId, have_bytes: u64) {
        let fields = [("id", id.to_string().into()), ("haveBytes", (have_bytes as f64).into())];
        self.emit("blobProgress", js::object(&fields));
        let attachments = &self.attachments;
        if attachments.for_others.borrow().contains_key(&id) && clock::now().since(attachments.told.get()) >= TOLD_MS {
            attachments.told.set(clock::now());
            self.tabs.post("blobs", JsValue::UNDEFINED);
        }
    }
}

/// Has the fetches of this tab done by the one with the links, if that is another.
pub fn tell_fetches(driver: &Rc<Driver>) {
    if driver.tabs.holder.get() {
        return;
    }
    for Fetching { id, len, .. } in driver.attachments.fetching.borrow().values() {
        driver.tabs.post("fetch", js::object(&[("id", id.as_str().into()), ("len", (*len).into())]));
    }
}

/// Fetches for another tab, which sees by itself what has come.
pub fn fetch_for_other(driver: &Rc<Driver>, body: &JsValue) {
    let id = js::property(body, "id").as_string().and_then(|id| BlobId::parse(id.as_bytes()));
    let (Some(id), Some(len)) = (id, js::property(body, "len").as_f64()) else { return };
    if driver.attachments.for_others.borrow_mut().insert(id, ()).is_some() {
        return;
    }
    let weak = Rc::downgrade(driver);
    let settle = move |_: Result<Reply, Failure>| {
        if let Some(driver) = weak.upgrade() {
            driver.attachments.for_others.borrow_mut().remove(&id);
            driver.tabs.post("blobs", JsValue::UNDEFINED);
        }
    };
    driver.request(Box::new(settle), |ticket| Input::Blob(BlobRequest::Fetch { ticket, id, len: len as u64 }));
}
