//! What a query reads: stored documents through a view, and the rows that the peer itself makes.

use std::cell::RefCell;

use dql::{Access, Effect, Flow, Found, Live, LiveJoin, Look, Needed, ROWS_MAX, Reader, Request, Runner, Select};
use dql::{Source, Taker};
use store::{BlockId, ReadError, Store};
use value::{CollectionName, DocId, ErrorCode};

use crate::columns::{Kept, Wish};
use crate::observer;
use crate::statement::{Stop, failed, types_of};
use crate::system::{SYSTEM, SystemRows};
use crate::view::{Extent, Row, Scan, View};

/// Looking a document up costs about as much as scanning so many.
const SCAN_RATIO: usize = 8;

/// The reader of one run.
///
/// A block that is missing ends no read: the run goes on with what is there, all that it misses is asked for together, and
/// what it came to is thrown away. So a join that looks up a thousand documents waits once and not a thousand times.
pub struct Documents<'a, S> {
    view: &'a View<'a, S>,
    system: &'a SystemRows,
    missing: RefCell<Vec<BlockId>>,
}

impl<'a, S: Store> Documents<'a, S> {
    /// Reads through a view.
    pub fn new(view: &'a View<'a, S>, system: &'a SystemRows) -> Documents<'a, S> {
        Documents { view, system, missing: RefCell::default() }
    }

    /// Fails if a block was missing.
    pub fn all_read(&self) -> Result<(), Stop> {
        match self.missing.take() {
            missing if missing.is_empty() => Ok(()),
            missing => Err(Stop::Blocked(ReadError::NotResident(missing))),
        }
    }

    fn note(&self, error: ReadError) -> Result<(), Stop> {
        match error {
            ReadError::NotResident(blocks) => {
                self.missing.borrow_mut().extend(blocks);
                Ok(())
            }
            error => Err(Stop::Blocked(error)),
        }
    }
}

impl<S: Store> Documents<'_, S> {
    /// Reads a whole collection by the fields that are kept of it, gathering them first if they are wanted again; `false`
    /// if they are not kept.
    fn read_columns(&self, request: Request<'_>, taker: &mut dyn Taker) -> Result<bool, Stop> {
        let collection = &request.source.collection;
        // Where all fields are needed, those that decide are enough to find the few documents that count.
        let looked_at = match request.needed {
            Needed::All => request.deciding,
            named => Some(named),
        };
        let Some(looked_at) = looked_at.filter(|_| !self.view.is_drafted(collection)) else { return Ok(false) };
        match self.view.columns().wish(collection, looked_at) {
            Wish::None => return Ok(false),
            Wish::Keep(names) => {
                if !self.gather(collection, names)? {
                    return Ok(false);
                }
            }
            Wish::Kept => {}
        }
        let Some(kept) = self.view.columns().of(collection) else { return Ok(false) };
        if *request.needed == Needed::All {
            let previewed = request.few && kept.rows().enumerate().all(|(number, (_, row))| taker.preview(row, number));
            return match previewed {
                true => self.read_chosen(&kept, request, taker),
                false => self.read_wanted(&kept, request, taker),
            };
        }
        for (id, row) in kept.rows() {
            if request.deciding.is_some() && !taker.wants_fields(row) {
                continue;
            }
            let flow = match taker.take_fields(row) {
                Some(flow) => flow,
                None => self.take_document(id, request, taker)?,
            };
            if flow == Flow::Enough {
                break;
            }
        }
        Ok(true)
    }

    /// Reads the documents whose fields are wanted, unless they are so many that a scan is quicker.
    fn read_wanted(&self, kept: &Kept, request: Request<'_>, taker: &mut dyn Taker) -> Result<bool, Stop> {
        let wanted: Vec<&DocId> = kept.rows().filter(|(_, row)| taker.wants_fields(*row)).map(|(id, _)| id).collect();
        if wanted.len() * SCAN_RATIO > kept.len() {
            return Ok(false);
        }
        for id in wanted {
            if self.take_document(id, request, taker)? == Flow::Enough {
                break;
            }
        }
        Ok(true)
    }

    /// Reads the documents that have a place in the answer.
    fn read_chosen(&self, kept: &Kept, request: Request<'_>, taker: &mut dyn Taker) -> Result<bool, Stop> {
        let mut rows = kept.rows();
        let mut passed = 0;
        for number in taker.chosen() {
            let id = rows.nth(number - passed).map(|(id, _)| id).expect("it was previewed");
            passed = number + 1;
            if self.take_document(id, request, taker)? == Flow::Enough {
                break;
            }
        }
        Ok(true)
    }

    fn take_document(&self, id: &DocId, request: Request<'_>, taker: &mut dyn Taker) -> Result<Flow, Stop> {
        match self.view.doc(&request.source.collection, id) {
            Ok(document) => {
                let object = document.fields(id, request.needed);
                Ok(object.map_or(Flow::Continue, |object| taker.take_owned(object)))
            }
            Err(error) => self.note(error).map(|()| Flow::Continue),
        }
    }

    /// Reads fields of all documents, to keep them; `false` if something is missing or they are too large.
    fn gather(&self, collection: &CollectionName, names: Vec<String>) -> Result<bool, Stop> {
        let mut kept = Kept::new(names);
        let needed = kept.needed();
        let read = self.view.scan(collection, Extent::Whole, |row| -> Result<Scan, ReadError> {
            if let Some(object) = row.fields(&needed)? {
                kept.push(row.id(), object);
            }
            Ok(if kept.is_too_much() { Scan::Stop } else { Scan::Continue })
        });
        if let Err(error) = read {
            return self.note(error).map(|()| false);
        }
        let fits = !kept.is_too_much();
        self.view.columns().keep(collection, kept);
        Ok(fits)
    }
}

impl<S: Store> Reader for Documents<'_, S> {
    type Stop = Stop;

    fn read(&self, request: Request<'_>, taker: &mut dyn Taker) -> Result<(), Stop> {
        let source = request.source;
        if let Some(name) = source.collection.as_str().strip_prefix(SYSTEM) {
            for row in self.system.rows(name) {
                if taker.take(row) == Flow::Enough {
                    break;
                }
            }
            return Ok(());
        }
        let types = types_of(&source.types);
        let extent = if request.whole { Extent::Whole } else { Extent::Some };
        let by_fields = request.whole && source.access == Access::All && types.is_empty();
        if by_fields && self.read_columns(request, taker)? {
            return Ok(());
        }
        let visit = |row: Row<'_>| -> Result<Scan, ReadError> {
            if let Some(deciding) = request.deciding
                && !row.fields(deciding)?.is_some_and(|object| taker.wants(&object))
            {
                return Ok(Scan::Continue);
            }
            let object = if types.is_empty() { row.fields(request.needed)? } else { row.typed(&types)? };
            let Some(object) = object else { return Ok(Scan::Continue) };
            Ok(if taker.take_owned(object) == Flow::Enough { Scan::Stop } else { Scan::Continue })
        };
        let read = match &source.access {
            Access::All => self.view.scan(&source.collection, extent, visit),
            access => self.view.find(&source.collection, access, extent, visit),
        };
        read.or_else(|error| self.note(error))
    }

    fn too_many_rows(&self) -> Option<Stop> {
        let message = format!(
            "the statement makes more than {ROWS_MAX} rows on its way to the answer; join by _id or an indexed field, or \
             filter what is joined and united first"
        );
        Some(failed(ErrorCode::QueryExecution, message))
    }

    fn count(&self, source: &Source) -> Result<Option<u64>, Stop> {
        if source.collection.as_str().starts_with(SYSTEM) {
            return Ok(None);
        }
        match self.view.count(&source.collection) {
            Ok(count) => Ok(Some(count)),
            Err(error) => self.note(error).map(|()| Some(0)),
        }
    }
}

/// Reads the rows of some documents of the first side of a join, or of all; `None` where they are too many.
pub fn read_joined<S: Store>(
    select: &Select,
    ids: Option<&[DocId]>,
    view: &View<'_, S>,
) -> Result<Option<Vec<Found>>, ReadError> {
    let system = SystemRows::default();
    let documents = Documents::new(view, &system);
    let found = Runner::new(&documents).joined(select, ids);
    match documents.all_read().and(found) {
        Ok(found) => Ok(Some(found)),
        Err(Stop::Blocked(error)) => Err(error),
        Err(Stop::Failed(_)) => Ok(None),
    }
}

/// Reads what a live query is kept from.
pub fn read_kept<S: Store>(select: &Select, view: &View<'_, S>) -> Result<observer::Scanned, ReadError> {
    match select.source() {
        Some(source) => read_live(select, source, view).map(observer::Scanned::Documents),
        None => {
            let found = read_joined(select, None, view)?;
            Ok(observer::Scanned::Join(found.and_then(|found| LiveJoin::new(select, found))))
        }
    }
}

/// Reads the documents of a live query; `None` where its state would be too large to be kept.
fn read_live<S: Store>(select: &Select, source: &Source, view: &View<'_, S>) -> Result<Option<Live>, ReadError> {
    let mut live = Live::new(select);
    if Live::is_count(select) {
        live.take_count(view.count(&source.collection)?);
        return Ok(Some(live));
    }
    let types = types_of(&source.types);
    let (deciding, needed) = (Live::deciding(select), select.needed());
    let twice = types.is_empty() && deciding != needed && deciding != Needed::Named(Vec::new());
    let extent = if select.stops_early() { Extent::Some } else { Extent::Whole };
    let mut too_large = false;
    let visit = |row: Row<'_>| -> Result<Scan, ReadError> {
        let first =
            if types.is_empty() { row.fields(if twice { &deciding } else { &needed })? } else { row.typed(&types)? };
        let Some(first) = first else { return Ok(Scan::Continue) };
        match live.look(select, &first) {
            Look::Enough => return Ok(Scan::Stop),
            Look::Skip => return Ok(Scan::Continue),
            Look::Take => {}
        }
        let object = if twice { row.fields(&needed)? } else { Some(first) };
        let Some(object) = object else { return Ok(Scan::Continue) };
        too_large = live.take(select, row.id(), &object) == Effect::TooLarge;
        Ok(if too_large { Scan::Stop } else { Scan::Continue })
    };
    match &source.access {
        Access::All => view.scan(&source.collection, extent, visit)?,
        access => view.find(&source.collection, access, extent, visit)?,
    }
    Ok((!too_large && !live.is_too_large()).then_some(live))
}
