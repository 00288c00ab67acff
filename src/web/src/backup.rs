//! The exported class, continued: export and import. Same rules as in `exports`.
//!
//! A page or a section crosses the border as bytes, once. How sections make a file is the facade's business, what is in them
//! is the engine's.

use std::rc::Rc;

use js_sys::{Promise, Uint8Array};
use peer::DocState;
use peer::backup::{START, Section};
use peer::io::{BlobRequest, Input, Page, PageDocuments, PageForm, PageRequest, Reply};
use store::Durability;
use value::{BlobId, ChunkList, CollectionName, ErrorCode, Failure};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::driver::Answer;
use crate::exports::Peer;
use crate::js::Deferred;
use crate::{attachment, clock, js, view};

#[wasm_bindgen]
impl Peer {
    /// Returns how a file begins; `version` is the package's.
    #[wasm_bindgen(js_name = exportHead)]
    pub fn export_head(&self, version: String) -> Uint8Array {
        let database = self.driver.identity.database.clone();
        let head = Section::Head { database, time: clock::now(), version }.encode();
        Uint8Array::from([START.as_slice(), &head].concat().as_slice())
    }

    /// Resolves to the documents after a place as a section, `{bytes, documents, after}`.
    #[wasm_bindgen(js_name = exportPage)]
    pub fn export_page(&self, after: Option<Vec<u8>>) -> Promise {
        let request = PageRequest { collection: None, after, form: PageForm::States };
        self.driver.promise(|ticket| Input::Page { ticket, request })
    }

    /// Returns how a file ends.
    #[wasm_bindgen(js_name = exportEnd)]
    pub fn export_end(&self, documents: f64, sections: f64) -> Uint8Array {
        let end = Section::End { documents: documents as u64, sections: sections as u64 };
        Uint8Array::from(end.encode().as_slice())
    }

    /// Resolves to the next attachment behind an id as a section, `{bytes, id, chunks}`; to `undefined` when there is none.
    #[wasm_bindgen(js_name = exportAttachment)]
    pub fn export_attachment(&self, after: Option<String>) -> Result<Promise, JsValue> {
        let after = after.as_deref().map(attachment::parse).transpose()?;
        Ok(self.driver.promise(|ticket| Input::Blob(BlobRequest::Next { ticket, after })))
    }

    /// Resolves to a chunk of an attachment as a section, `{bytes, lost}`; one that cannot be read is lost, and ends the attachment.
    #[wasm_bindgen(js_name = exportChunk)]
    pub fn export_chunk(&self, id: &str, chunk: f64) -> Result<Promise, JsValue> {
        let (id, chunk) = (attachment::parse(id)?, chunk as u32);
        let done = Deferred::new();
        let promise = done.promise();
        let settle = move |read: Answer| {
            let section = match read {
                Ok(Reply::BlobChunk(bytes)) => Section::Chunk(bytes),
                Err(failure) if failure.code != ErrorCode::StoreAttachmentNotFound => {
                    return done.reject(&js::failure(&failure));
                }
                _ => Section::Abandoned,
            };
            let lost = section == Section::Abandoned;
            done.resolve(&js::object(&[("bytes", js::bytes_to(&section.encode())), ("lost", lost.into())]));
        };
        self.driver.request(Box::new(settle), |ticket| Input::Blob(BlobRequest::Read { ticket, id, chunk }));
        Ok(promise)
    }

    /// Takes one whole section; resolves to what it was, `{kind, …}`, when what it holds is on the device. `attachment`: the number of
    /// the one that a chunk belongs to; none where that is here already.
    #[wasm_bindgen(js_name = importSection)]
    pub fn import_section(&self, bytes: &[u8], attachment: Option<f64>) -> Result<Promise, JsValue> {
        let section = Section::decode(bytes)
            .map_err(|error| js::failure(&Failure::new(ErrorCode::StoreImportInvalid, error.to_string())))?;
        let told = |fields: &[(&str, JsValue)]| Promise::resolve(&js::object(fields));
        Ok(match section {
            Section::Abandoned => told(&[("kind", "abandoned".into())]),
            Section::Attachment(list) => self.import_attachment(list),
            Section::Chunk(bytes) => match attachment {
                Some(number) => self.driver.blob_write(number, bytes)?,
                None => told(&[("kind", "chunk".into())]),
            },
            Section::Documents(docs) => self.import_documents(docs),
            Section::End { documents, sections } => told(&[
                ("kind", "end".into()),
                ("documents", (documents as f64).into()),
                ("sections", (sections as f64).into()),
            ]),
            Section::Head { database, time, version } => told(&[
                ("kind", "head".into()),
                ("database", database.into()),
                ("time", (time.0 as f64).into()),
                ("version", version.into()),
            ]),
        })
    }

    /// Resolves to a collection's documents after a place as rows, `{bytes, ends, after}`.
    #[wasm_bindgen(js_name = readPage)]
    pub fn read_page(&self, collection: String, after: Option<Vec<u8>>) -> Result<Promise, JsValue> {
        let collection = CollectionName::new(&collection)
            .map_err(|error| js::failure(&Failure::new(ErrorCode::QueryInvalid, error.to_string())))?;
        let request = PageRequest { collection: Some(collection), after, form: PageForm::Objects };
        Ok(self.driver.promise(|ticket| Input::Page { ticket, request }))
    }

    /// Says whether the event `space` is wanted: the space in use may have changed.
    #[wasm_bindgen(js_name = watchSpace)]
    pub fn watch_space(&self, on: bool) {
        self.driver.health.watched.set(on);
    }
}

impl Peer {
    fn import_documents(&self, docs: Vec<DocState>) -> Promise {
        let count = docs.len();
        let durability = Durability::Relaxed;
        let joined = self.driver.write(|ticket| Input::Import { ticket, docs, durability });
        future_to_promise(async move {
            let changed = JsFuture::from(joined).await?;
            let fields = [("kind", "documents".into()), ("documents", count.into()), ("changed", changed)];
            Ok(js::object(&fields))
        })
    }

    /// Begins an attachment, unless it is here.
    fn import_attachment(&self, list: ChunkList) -> Promise {
        let (driver, id, done) = (self.driver.clone(), list.id(), Deferred::new());
        let promise = done.promise();
        let settle = move |found: Answer| {
            let chunks = list.chunks().into();
            let number = match found {
                Ok(Reply::BlobFound(Some(_))) => JsValue::UNDEFINED,
                Ok(_) => driver.blob_begin(Some(Rc::new(list))).into(),
                Err(failure) => return done.reject(&js::failure(&failure)),
            };
            done.resolve(&js::object(&[("kind", "attachment".into()), ("chunks", chunks), ("number", number)]));
        };
        self.driver.request(Box::new(settle), |ticket| Input::Blob(BlobRequest::Find { ticket, id }));
        promise
    }
}

/// Returns an attachment that is exported as the facade gets it.
pub fn attachment(next: Option<(BlobId, ChunkList)>) -> JsValue {
    let Some((id, list)) = next else { return JsValue::UNDEFINED };
    let chunks = list.chunks();
    let bytes = js::bytes_to(&Section::Attachment(list).encode());
    js::object(&[("bytes", bytes), ("id", id.to_string().into()), ("chunks", chunks.into())])
}

/// Returns a page as the facade gets it.
pub fn page(page: Page) -> JsValue {
    let after = page.after.map_or(JsValue::UNDEFINED, |after| js::bytes_to(&after));
    match page.documents {
        PageDocuments::Objects(objects) => {
            let rows = view::rows(&objects, &[], None);
            js::set(&rows, "after", &after);
            rows
        }
        PageDocuments::States(states) => {
            let documents = states.len();
            let bytes = js::bytes_to(&Section::Documents(states).encode());
            js::object(&[("bytes", bytes), ("documents", documents.into()), ("after", after)])
        }
    }
}
