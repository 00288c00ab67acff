//! Reading through indexes: the rows of some ranges, or the documents they name, with the drafts laid over.
//!
//! Rows are gathered and then delivered, documents some hundred at a time, all their missing blocks asked for at once. A scan
//! that may end early gathers a page at a time. Drafted documents are taken from the draft, and their rows are passed over.
//! Where rows that were cut could be out of order, or lie outside of the bounds, their documents say where they belong. An
//! index that cannot be read is replaced by a walk over the collection that makes the rows it would have.

use dql::{Access, Index, IndexScan};
use store::{Key, KeyRange, ReadError, Store, Visit};
use value::{CollectionName, DocId};

use super::key::{self, Ranges};
use crate::packed::Packed;
use crate::view::{Extent, Row, Scan, View};

/// Documents whose missing blocks are asked for together where a scan may end early.
const DOCUMENTS: usize = 256;
/// Rows of the first page of a scan that may end early; each page is twice as long as the one before.
const PAGE_ROWS: usize = 32;
const PAGE_ROWS_MAX: usize = 1_024;

/// A row that a scan has found: its key, and its note.
type IndexRow = (Key, Vec<u8>);

/// Where a scan by pages stands.
struct Pages {
    /// What is still to be read; the next is the last.
    ranges: Vec<KeyRange>,
    /// Rows of the next page.
    rows: usize,
}

impl Pages {
    fn of(scan: &IndexScan) -> Pages {
        let mut ranges = Ranges::of(scan).ranges;
        if !scan.reverse {
            ranges.reverse();
        }
        Pages { ranges, rows: PAGE_ROWS }
    }
}

impl<S: Store> View<'_, S> {
    /// Reads the documents that an access finds, each once: those of one index in its order, others in the order of keys.
    pub fn find<E: From<ReadError>>(
        &self,
        collection: &CollectionName,
        access: &Access,
        extent: Extent,
        mut visit: impl FnMut(Row<'_>) -> Result<Scan, E>,
    ) -> Result<(), E> {
        match access {
            Access::Index(scan) => self.find_by_index(scan, extent, &mut visit),
            Access::All | Access::Ids(_) | Access::Intersection(_) | Access::Union(_) => match self.ids(access)? {
                None => self.scan(collection, extent, visit),
                Some(ids) => self.visit_docs(collection, ids.iter().map(DocId::as_bytes), extent, &mut visit).map(drop),
            },
        }
    }

    /// Returns the `_id`s that an access finds in the order of their bytes; `None`: all of the collection.
    fn ids(&self, access: &Access) -> Result<Option<Vec<DocId>>, ReadError> {
        let mut ids = match access {
            Access::All => return Ok(None),
            // A value that cannot identify identifies nothing.
            Access::Ids(ids) => ids.iter().filter_map(|id| DocId::new(id).ok()).collect(),
            Access::Index(scan) => self.ids_by_index(scan)?,
            Access::Intersection(accesses) => {
                let mut common: Option<Vec<DocId>> = None;
                for access in accesses {
                    let Some(found) = self.ids(access)? else { continue };
                    let both = match common.take() {
                        None => found,
                        Some(common) => common.into_iter().filter(|id| found.binary_search(id).is_ok()).collect(),
                    };
                    common = Some(both);
                }
                return Ok(common);
            }
            Access::Union(accesses) => {
                let mut all = Vec::new();
                for access in accesses {
                    let Some(found) = self.ids(access)? else { return Ok(None) };
                    all.extend(found);
                }
                all
            }
        };
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }

    fn ids_by_index(&self, scan: &IndexScan) -> Result<Vec<DocId>, ReadError> {
        let rows = self.rows(scan)?;
        rows.iter().map(|(key, note)| id_of(&scan.index, key, note)).collect()
    }

    fn find_by_index<E: From<ReadError>>(
        &self,
        scan: &IndexScan,
        extent: Extent,
        visit: &mut impl FnMut(Row<'_>) -> Result<Scan, E>,
    ) -> Result<(), E> {
        if extent == Extent::Whole || !self.indexes().is_readable(scan.index.number) {
            let mut rows = self.ordered_rows(scan)?;
            if scan.reverse {
                rows.reverse();
            }
            return self.deliver(scan, &rows, extent, visit).map(drop);
        }
        let mut overlay = Overlay::new(self, scan);
        let mut pages = Pages::of(scan);
        loop {
            let (mut rows, reached) = self.page(&mut pages, &overlay, scan)?;
            let mut more = !pages.ranges.is_empty();
            rows.extend(overlay.rows_up_to(reached.filter(|_| more), scan, more));
            if rows.iter().any(|(_, note)| value::order_key::is_cut(note)) {
                // What was cut may belong behind rows that are not read yet.
                while !pages.ranges.is_empty() {
                    rows.append(&mut self.page(&mut pages, &overlay, scan)?.0);
                }
                rows.append(&mut overlay.rows);
                rows = self.straighten(scan, rows)?;
                more = false;
            }
            rows.sort_unstable();
            if scan.reverse {
                rows.reverse();
            }
            if self.deliver(scan, &rows, extent, visit)? == Scan::Stop || !more {
                return Ok(());
            }
        }
    }

    /// Returns the next rows of a scan by pages, and the last key that was reached on the way.
    fn page(
        &self,
        pages: &mut Pages,
        overlay: &Overlay,
        scan: &IndexScan,
    ) -> Result<(Vec<IndexRow>, Option<Key>), ReadError> {
        let Some(range) = pages.ranges.pop() else { return Ok((Vec::new(), None)) };
        let (mut rows, reached) = if scan.reverse {
            let tail = self.store().tail(&range, pages.rows)?;
            let rows = self.store().range(&KeyRange::new(tail.clone(), range.end), usize::MAX)?;
            if tail > range.start {
                pages.ranges.push(KeyRange::new(range.start, Some(tail.clone())));
            }
            (rows, Some(tail))
        } else {
            let rows = self.store().range(&range, pages.rows)?;
            let reached = rows.last().map(|(last, _)| last.clone());
            if let Some(last) = reached.as_ref().filter(|_| rows.len() == pages.rows) {
                pages.ranges.push(range.after(last));
            }
            (rows, reached)
        };
        pages.rows = (pages.rows * 2).min(PAGE_ROWS_MAX);
        overlay.hide(&scan.index, &mut rows)?;
        Ok((rows, reached))
    }

    /// Returns the rows of a scan, ascending as their documents' values are.
    fn ordered_rows(&self, scan: &IndexScan) -> Result<Vec<IndexRow>, ReadError> {
        let rows = self.gathered(scan)?;
        let cut = rows.iter().any(|(_, note)| value::order_key::is_cut(note));
        if cut { self.straighten(scan, rows) } else { Ok(rows) }
    }

    /// Returns the rows of a scan in some order.
    fn rows(&self, scan: &IndexScan) -> Result<Vec<IndexRow>, ReadError> {
        let rows = self.gathered(scan)?;
        if Ranges::of(scan).cut { self.straighten(scan, rows) } else { Ok(rows) }
    }

    fn gathered(&self, scan: &IndexScan) -> Result<Vec<IndexRow>, ReadError> {
        if !self.indexes().is_readable(scan.index.number) {
            return self.rows_of_documents(scan);
        }
        let overlay = Overlay::new(self, scan);
        let mut rows = Vec::new();
        for range in &Ranges::of(scan).ranges {
            self.store().resident(range)?;
            self.store().visit(range, &mut |key, note| {
                rows.push((Key::from_bytes(key.to_vec()), note.to_vec()));
                Visit::Continue
            })?;
        }
        overlay.hide(&scan.index, &mut rows)?;
        if !overlay.rows.is_empty() {
            rows.extend(overlay.rows);
            rows.sort_unstable();
        }
        Ok(rows)
    }

    /// Makes the rows that an index would have, whole.
    fn rows_of_documents(&self, scan: &IndexScan) -> Result<Vec<IndexRow>, ReadError> {
        let ranges = Ranges::whole(scan);
        let needed = key::needed(std::iter::once(&scan.index));
        let mut rows = Vec::new();
        self.scan(&scan.index.collection, Extent::Whole, |row| -> Result<Scan, ReadError> {
            if let Some(object) = row.fields(&needed)? {
                let row = key::whole_row(&scan.index, &object, &row.id());
                rows.extend(Some(row).filter(|(key, _)| ranges.contain(key)));
            }
            Ok(Scan::Continue)
        })?;
        rows.sort_unstable();
        Ok(rows)
    }

    /// Makes rows that were cut whole, drops those outside of the bounds, and puts all in order.
    fn straighten(&self, scan: &IndexScan, rows: Vec<IndexRow>) -> Result<Vec<IndexRow>, ReadError> {
        let ranges = Ranges::whole(scan);
        let needed = key::needed(std::iter::once(&scan.index));
        let (cut, mut whole): (Vec<IndexRow>, Vec<IndexRow>) =
            rows.into_iter().partition(|(_, note)| value::order_key::is_cut(note));
        let ids = ids_of(&scan.index, &cut)?;
        let ids = ids.into_iter();
        self.visit_docs(&scan.index.collection, ids, Extent::Whole, &mut |row: Row<'_>| -> Result<_, ReadError> {
            if let Some(object) = row.fields(&needed)? {
                whole.push(key::whole_row(&scan.index, &object, &row.id()));
            }
            Ok(Scan::Continue)
        })?;
        whole.retain(|(key, _)| ranges.contain(key));
        whole.sort_unstable();
        Ok(whole)
    }

    fn deliver<E: From<ReadError>>(
        &self,
        scan: &IndexScan,
        rows: &[IndexRow],
        extent: Extent,
        visit: &mut impl FnMut(Row<'_>) -> Result<Scan, E>,
    ) -> Result<Scan, E> {
        if !scan.covering {
            return self.visit_docs(&scan.index.collection, ids_of(&scan.index, rows)?.into_iter(), extent, visit);
        }
        for (key, note) in rows {
            let id = id_of(&scan.index, key, note)?;
            let flow = if value::order_key::is_cut(note) {
                self.visit_docs(&scan.index.collection, std::iter::once(id.as_bytes()), extent, visit)?
            } else {
                let object = key::object_of(&scan.index, key.as_bytes(), note, &id)?;
                visit(Row::covered(&id, &object))?
            };
            if flow == Scan::Stop {
                return Ok(Scan::Stop);
            }
        }
        Ok(Scan::Continue)
    }

    /// Reads documents in the given order, by the bytes of their `_id`s.
    ///
    /// Once a block is missing nothing more is shown, and the rest is gone through for all the blocks that are; of a scan
    /// that may end early some documents of it.
    fn visit_docs<'i, E: From<ReadError>>(
        &self,
        collection: &CollectionName,
        ids: impl Iterator<Item = &'i [u8]>,
        extent: Extent,
        visit: &mut impl FnMut(Row<'_>) -> Result<Scan, E>,
    ) -> Result<Scan, E> {
        let mut bytes = Key::documents(collection).start.into_bytes();
        let prefix = bytes.len();
        let mut missing = Vec::new();
        for (number, id) in ids.enumerate() {
            if extent == Extent::Some && number % DOCUMENTS == 0 && !missing.is_empty() {
                break;
            }
            bytes.truncate(prefix);
            bytes.extend_from_slice(id);
            let key = Key::from_bytes(bytes);
            let shown = self.look(&key, id, |row| if missing.is_empty() { visit(row) } else { Ok(Scan::Continue) });
            let flow = match shown {
                Ok(flow) => flow?,
                Err(ReadError::NotResident(blocks)) => {
                    missing.extend(blocks);
                    Scan::Continue
                }
                Err(error) => return Err(error.into()),
            };
            if flow == Scan::Stop {
                return Ok(Scan::Stop);
            }
            bytes = key.into_bytes();
        }
        if missing.is_empty() {
            return Ok(Scan::Continue);
        }
        missing.sort_unstable();
        missing.dedup();
        Err(ReadError::NotResident(missing).into())
    }

    /// Counts the live documents of a collection: reads once, and then knows until the store moves by itself.
    pub fn count(&self, collection: &CollectionName) -> Result<u64, ReadError> {
        let stored = match self.indexes().counts.known(collection) {
            Some(count) => count,
            None => {
                let count = View::new(self.store(), self.indexes(), Vec::new()).count_stored(collection)?;
                self.indexes().counts.learn(collection, count);
                count
            }
        };
        let mut count = stored;
        for (key, after) in self.drafted(collection) {
            let before = match self.store().get(key)? {
                Some(bytes) => Packed::of(crate::view::split(&bytes)?.1).is_live(),
                None => false,
            };
            count = count + u64::from(after.is_some_and(Packed::is_live)) - u64::from(before);
        }
        Ok(count)
    }
}

impl<S: Store> View<'_, S> {
    /// Counts the live documents of a collection by the rows of an index, if it has one, else by a walk. No drafts.
    fn count_stored(&self, collection: &CollectionName) -> Result<u64, ReadError> {
        let mut count = 0;
        let index = self.indexes().ready().iter().filter(|index| index.collection == *collection);
        if let Some(index) = index.min_by_key(|index| index.keys.len()) {
            let rows = Key::index_rows(index.number);
            self.store().resident(&rows)?;
            self.store().visit(&rows, &mut |_, _| {
                count += 1;
                Visit::Continue
            })?;
            return Ok(count);
        }
        self.scan(collection, Extent::Whole, |row| -> Result<Scan, ReadError> {
            count += u64::from(row.is_live()?);
            Ok(Scan::Continue)
        })?;
        Ok(count)
    }
}

/// The drafted documents of a scan's collection.
struct Overlay {
    /// All of them, ascending.
    ids: Vec<DocId>,
    /// Their rows in the ranges of the scan, ascending.
    rows: Vec<IndexRow>,
}

impl Overlay {
    fn new<S: Store>(view: &View<'_, S>, scan: &IndexScan) -> Overlay {
        let ranges = Ranges::of(scan);
        let needed = key::needed(std::iter::once(&scan.index));
        let mut overlay = Overlay { ids: Vec::new(), rows: Vec::new() };
        for (id, after) in view.drafted_ids(&scan.index.collection) {
            if let Some(object) = after.and_then(|after| after.fields(id, &needed)) {
                let row = key::row(&scan.index, &object, id);
                overlay.rows.extend(Some(row).filter(|(key, _)| ranges.contain(key)));
            }
            overlay.ids.push(id.clone());
        }
        overlay.rows.sort_unstable();
        overlay
    }

    /// Takes out the drafted rows that a scan has come past; all of them when there is no more to read.
    fn rows_up_to(&mut self, reached: Option<Key>, scan: &IndexScan, more: bool) -> Vec<IndexRow> {
        match reached {
            None if more => Vec::new(),
            None => std::mem::take(&mut self.rows),
            Some(reached) => {
                let place = self.rows.partition_point(|(key, _)| *key < reached);
                let behind = self.rows.split_off(place);
                if scan.reverse { behind } else { std::mem::replace(&mut self.rows, behind) }
            }
        }
    }

    /// Takes the rows of drafted documents out.
    fn hide(&self, index: &Index, rows: &mut Vec<IndexRow>) -> Result<(), ReadError> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        rows.retain(|(key, note)| match id_of(index, key, note) {
            Ok(id) => self.ids.binary_search(&id).is_err(),
            Err(error) => {
                outcome = Err(error);
                true
            }
        });
        outcome
    }
}

/// Returns the bytes of the `_id`s that rows hold.
fn ids_of<'r>(index: &Index, rows: &'r [IndexRow]) -> Result<Vec<&'r [u8]>, ReadError> {
    rows.iter().map(|(key, note)| key::id_of(index, key.as_bytes(), note)).collect()
}

fn id_of(index: &Index, key: &Key, note: &[u8]) -> Result<DocId, ReadError> {
    key::id_of(index, key.as_bytes(), note).map(DocId::from_stored)
}
