//! The exported class, continued: export, import and verification. Same rules as in `exports`.
//!
//! A page or a section crosses the border as bytes, once. How sections make a file is the facade's business, what is in them
//! is the engine's.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::timers::callback::Timeout;
use js_sys::{Promise, Uint8Array};
use peer::backup::{START, Section};
use peer::io::{Input, Page, PageDocuments, PageForm, PageRequest, Reply};
use peer::{EngineContent, IndexWalk};
use store::{Device, Durability, FindingKind, Verification, VerifyReport};
use value::{CollectionName, ErrorCode, Failure};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::driver::{Driver, closed};
use crate::exports::Peer;
use crate::identity::Identity;
use crate::js::Deferred;
use crate::{clock, js, view};

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

    /// Takes one whole section; resolves to what it was, `{kind, documents, …}`, when its documents are durable.
    #[wasm_bindgen(js_name = importSection)]
    pub fn import_section(&self, bytes: &[u8]) -> Result<Promise, JsValue> {
        let section = Section::decode(bytes)
            .map_err(|error| js::failure(&Failure::new(ErrorCode::StoreImportInvalid, error.to_string())))?;
        let told = |fields: &[(&str, JsValue)]| Promise::resolve(&js::object(fields));
        Ok(match section {
            Section::Head { database, time, version } => told(&[
                ("kind", "head".into()),
                ("database", database.into()),
                ("time", (time.0 as f64).into()),
                ("version", version.into()),
            ]),
            Section::End { documents, sections } => told(&[
                ("kind", "end".into()),
                ("documents", (documents as f64).into()),
                ("sections", (sections as f64).into()),
            ]),
            Section::Documents(docs) => {
                let count = docs.len();
                let durability = Durability::Relaxed;
                let joined = self.driver.write(|ticket| Input::Import { ticket, docs, durability });
                future_to_promise(async move {
                    let changed = JsFuture::from(joined).await?;
                    let fields = [("kind", "documents".into()), ("documents", count.into()), ("changed", changed)];
                    Ok(js::object(&fields))
                })
            }
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

    /// Walks everything that the store holds; resolves to a report. Tells the event `verifying`, `{done, total}`.
    pub fn verify(&self) -> Promise {
        let driver = self.driver.clone();
        future_to_promise(async move {
            let storage = &driver.storage;
            let failed = |error: store::DeviceError| js::failure(&error.failure());
            let listed = storage.blocks().await.map_err(failed)?;
            let image = storage.boot().await.map_err(failed)?;
            if !image.meta.is_empty() {
                Identity::find(&image, &driver.identity.database).map_err(|failure| js::failure(&failure))?;
            }
            let mut walk = Verification::new(EngineContent, &image, listed.as_deref());
            drop(image);
            loop {
                let wanted = walk.wanted();
                if wanted.is_empty() {
                    let manifest = storage.manifest().await.map_err(failed)?;
                    let listed = storage.blocks().await.map_err(failed)?;
                    if walk.settle(manifest.as_deref(), listed.as_deref()) {
                        continue;
                    }
                    break;
                }
                let read = storage.read(&wanted).await.map_err(failed)?;
                walk.take(wanted.into_iter().zip(read).collect());
                let (done, total) = walk.progress();
                driver.emit("verifying", js::object(&[("done", done.into()), ("total", total.into())]));
            }
            let mut report = walk.finish();
            // The engine gives up what it cannot read, and verification changes nothing.
            if report.is_ok() {
                let indexes = walk_indexes(&driver).await.map_err(|failure| js::failure(&failure))?;
                report.counts.index_rows = indexes.rows();
                indexes
                    .findings()
                    .iter()
                    .for_each(|found| report.tell(FindingKind::Index, &found.index, &found.problem));
            }
            Ok(report_view(&report))
        })
    }
}

/// Compares the rows of all indexes with the documents; between steps the host does what waits.
async fn walk_indexes(driver: &Rc<Driver>) -> Result<Box<IndexWalk>, Failure> {
    let mut walk = Box::<IndexWalk>::default();
    while !walk.is_done() {
        let answer = Rc::new(RefCell::new(Err(closed())));
        let (slot, done) = (answer.clone(), Deferred::new());
        let woken = done.clone();
        let settle = move |result: Result<Reply, Failure>| {
            *slot.borrow_mut() = result;
            Timeout::new(0, move || woken.resolve(&JsValue::UNDEFINED)).forget();
        };
        driver.request(Box::new(settle), |ticket| Input::WalkIndexes { ticket, walk });
        drop(done.wait().await);
        walk = match answer.replace(Err(closed()))? {
            Reply::IndexesWalked(walk) => walk,
            other => return Err(Failure::new(ErrorCode::Internal, format!("a walk is not answered by {other:?}"))),
        };
    }
    Ok(walk)
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

fn report_view(report: &VerifyReport) -> JsValue {
    let findings: js_sys::Array = report
        .findings
        .iter()
        .map(|finding| {
            js::object(&[
                ("kind", finding.kind.as_str().into()),
                ("name", finding.name.as_str().into()),
                ("problem", finding.problem.as_str().into()),
            ])
        })
        .collect();
    let counts = &report.counts;
    let number = |number: u64| JsValue::from_f64(number as f64);
    let counted = [
        ("logRecords", number(counts.log_records)),
        ("segments", number(counts.segments)),
        ("segmentBytes", number(counts.segment_bytes)),
        ("rows", number(counts.rows)),
        ("orphans", number(counts.orphans)),
        ("indexRows", number(counts.index_rows)),
        ("untold", number(report.untold)),
    ];
    js::object(&[("ok", report.is_ok().into()), ("findings", findings.into()), ("counts", js::object(&counted))])
}
