//! Export and import: stored documents a page at a time, and whole states joined back in.
//!
//! A page is read like a statement: when blocks are missing it parks, has them loaded and reads again. Pages follow each
//! other by key, so that reading everything costs one walk; each shows the store as it is when it is read, not as it was at
//! the first. An imported page is one job of the pipeline: joined over what is stored, durable in one commit, seen by
//! observers and sent to other peers like anything that was written here. A join that changes nothing is not written.

use std::rc::Rc;

use crate::record::DocState;
use crdt::Doc;
use dql::Needed;
use store::{Durability, Key, ReadError, Store};
use value::limits::CLOCK_SKEW_MS_MAX;
use value::{CollectionName, DecodeError, ErrorCode, Failure, Hlc, Value};

use crate::commit::joined;
use crate::draft::Write;
use crate::engine::Engine;
use crate::io::{Reply, Ticket};
use crate::packed::{self, Packed};
use crate::pipeline::{Completion, Job, stronger};
use crate::record::LOCAL;
use crate::view::{self, View};

/// A page is full at this size, bytes; one large document makes a larger page.
const PAGE_BYTES: usize = 512 * 1024;
/// Rows read from the store at a time, at most.
const ROWS_MAX: usize = 256;
/// Rows read when nothing is known of their size.
const ROWS_FIRST: usize = 8;

/// Which stored documents are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// One collection, or all of them.
    pub collection: Option<CollectionName>,
    /// Where the page before ended; `None` for the first.
    pub after: Option<Vec<u8>>,
    /// What of them.
    pub form: PageForm,
}

/// What is wanted of stored documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageForm {
    /// Their fields with `_id`, as a SELECT shows them.
    Objects,
    /// Their whole state, tombstones included.
    States,
}

/// Stored documents in the order of their keys, about 512 KiB of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The documents; there may be none although more follow.
    pub documents: PageDocuments,
    /// Where the next page starts; `None` after the last.
    pub after: Option<Vec<u8>>,
}

/// The documents of a page, in the form that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum PageDocuments {
    /// Objects.
    Objects(Vec<Value>),
    /// States.
    States(Vec<DocState>),
}

/// States that wait to be joined in.
#[derive(Debug)]
pub struct Import {
    /// Of the reply.
    pub ticket: Ticket,
    /// The states, decoded under limits when they came.
    pub docs: Rc<Vec<DocState>>,
    /// What they must survive.
    pub durability: Durability,
}

impl<S: Store> Engine<S> {
    pub(crate) fn page(&mut self, ticket: Ticket, request: PageRequest) {
        match &self.broken {
            Some(failure) => {
                let failure = failure.clone();
                self.reply(ticket, Err(failure));
            }
            None => self.pages.push((ticket, request)),
        }
    }

    /// Answers the pages that wait.
    pub(crate) fn run_pages(&mut self) {
        if !self.booted || self.parked {
            return;
        }
        for (ticket, request) in std::mem::take(&mut self.pages) {
            match read_page(&self.store, &request) {
                Ok(page) => self.reply(ticket, Ok(Reply::Page(page))),
                Err(error) => match self.park_on(error) {
                    Ok(()) => {
                        self.pages.push((ticket, request));
                        self.parked = true;
                    }
                    Err(failure) => self.reply(ticket, Err(failure)),
                },
            }
        }
    }

    pub(crate) fn import(&mut self, ticket: Ticket, docs: Vec<DocState>, durability: Durability) {
        if let Some(failure) = &self.broken {
            let failure = failure.clone();
            return self.reply(ticket, Err(failure));
        }
        let newest = |docs: &[DocState]| -> Result<Hlc, DecodeError> {
            docs.iter().try_fold(Hlc::ZERO, |newest, doc| Ok(newest.max(Doc::decode(&doc.delta)?.newest())))
        };
        let newest = match newest(&docs) {
            Ok(newest) => newest,
            Err(error) => {
                let message = format!("a document cannot be read: {error}");
                return self.reply(ticket, Err(Failure::new(ErrorCode::StoreImportInvalid, message)));
            }
        };
        if newest.millis().since(self.now) > CLOCK_SKEW_MS_MAX {
            let message = "it holds changes that were made more than a day from now, by this clock; set the clock";
            return self.reply(ticket, Err(Failure::new(ErrorCode::SyncClockSkew, message)));
        }
        self.clock.observe(newest, self.now);
        self.pipeline.jobs.push_back(Job::Import(Import { ticket, docs: Rc::new(docs), durability }));
    }

    /// Joins imported states into the group; an error means that blocks are missing.
    pub(crate) fn evaluate_import(&mut self, import: &Import) -> Result<(), ReadError> {
        let view = View::new(&self.store, &self.indexes, vec![&self.pipeline.group.draft]);
        let stored: Result<Vec<Packed>, ReadError> =
            import.docs.iter().map(|doc| view.doc(&doc.collection, &doc.id)).collect();
        // All blocks are there: the group changes from here on, and nothing fails any more.
        let (stored, group) = (stored?, &mut self.pipeline.group);
        let mut changed = 0;
        for (doc, stored) in import.docs.iter().zip(stored) {
            // A document may come twice; then the draft knows it better than the store.
            let drafted = group.draft.doc(&Key::document(&doc.collection, &doc.id)).map(|doc| doc.after.clone());
            let before = drafted.map_or(stored, Option::unwrap_or_default);
            if let Some((true, effect)) = joined(&before, &doc.delta)? {
                changed += 1;
                let write = Write { collection: doc.collection.clone(), id: doc.id.clone(), before, effect };
                group.draft.add(LOCAL, write);
            }
        }
        group.durability = stronger(group.durability, import.durability);
        let result = Ok(Reply::Imported { changed });
        group.completions.push(Completion::Reply { ticket: import.ticket, result, wrote: changed > 0 });
        Ok(())
    }
}

fn read_page<S: Store>(store: &S, request: &PageRequest) -> Result<Page, ReadError> {
    let mut range = match &request.collection {
        Some(collection) => Key::documents(collection),
        None => Key::all_documents(),
    };
    if let Some(after) = &request.after {
        range = range.after(&Key::from_bytes(after.clone()));
    }
    let mut documents = match request.form {
        PageForm::Objects => PageDocuments::Objects(Vec::new()),
        PageForm::States => PageDocuments::States(Vec::new()),
    };
    let (mut bytes, mut count) = (0, 0);
    loop {
        let limit = match bytes {
            0 => ROWS_FIRST,
            _ => ((PAGE_BYTES - bytes) * count / bytes).clamp(1, ROWS_MAX),
        };
        let rows = store.range(&range, limit)?;
        for (key, stored) in &rows {
            bytes += key.as_bytes().len() + stored.len();
            add(&mut documents, key, stored)?;
        }
        count += rows.len();
        match rows.last() {
            Some((key, _)) if rows.len() == limit => {
                if bytes >= PAGE_BYTES {
                    return Ok(Page { documents, after: Some(key.as_bytes().to_vec()) });
                }
                range = range.after(key);
            }
            _ => return Ok(Page { documents, after: None }),
        }
    }
}

fn add(documents: &mut PageDocuments, key: &Key, stored: &[u8]) -> Result<(), ReadError> {
    let (collection, id) = view::named(key)?;
    let (_, doc) = view::split(stored)?;
    match documents {
        // A tombstone has no fields to show.
        PageDocuments::Objects(objects) => {
            objects.extend(packed::fields(doc, &Needed::All, || id.clone())?.map(Value::Object));
        }
        PageDocuments::States(states) => states.push(DocState { collection, id, delta: doc.to_vec() }),
    }
    Ok(())
}
