//! The exported class, continued: export and import. Same rules as in `exports`.
//!
//! A page or a section crosses the border as bytes, once. How sections make a file is the facade's business, what is in them
//! is the engine's.

use js_sys::{Promise, Uint8Array};
use peer::backup::{START, Section};
use peer::io::{Input, Page, PageDocuments, PageForm, PageRequest};
use store::Durability;
use value::{CollectionName, ErrorCode, Failure};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::exports::Peer;
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
