//! The rows of a segment as columns: what makes them small before they are compressed.
//!
//! Layout, all numbers varints: count of rows; keys, each the bytes shared with the key before, the length of the rest, the
//! rest; the template of each row + 1, or 0 for a tombstone; count of templates; then for each template, in the order of
//! their first rows: count of its pieces and the pieces (length and bytes), and for each gap between pieces a column: the
//! lengths of the variable parts of its rows, then their bytes. A template of n pieces has n - 1 columns: a row is the first
//! piece, its part of the first column, the second piece, and so on.
//!
//! Equal things come to lie together, which is what a compressor can use. Source: PAX (Ailamaki et al. 2001) for columns
//! within a page; the split of names from values is the "field names interned per segment" of `docs/storage.md`.

use std::ops::Range;

use value::{DecodeError, Reader, Writer};

use crate::layout::ValueLayout;
use crate::rows::{Rows, RowsBuilder, shared_bytes};

/// The constant parts of some rows' values and the columns of their variable parts.
#[derive(Default)]
struct Template {
    pieces: Vec<Vec<u8>>,
    /// Between the pieces: lengths and bytes.
    columns: Vec<(Writer, Writer)>,
}

impl Template {
    fn of(value: &[u8], parts: &[Range<usize>]) -> Template {
        let columns = parts.iter().map(|_| (Writer::new(), Writer::new())).collect();
        Template { pieces: pieces(value, parts).map(<[u8]>::to_vec).collect(), columns }
    }

    fn fits(&self, value: &[u8], parts: &[Range<usize>]) -> bool {
        self.columns.len() == parts.len() && pieces(value, parts).zip(&self.pieces).all(|(a, b)| a == b)
    }

    fn add(&mut self, value: &[u8], parts: &[Range<usize>]) {
        for ((lengths, bytes), part) in self.columns.iter_mut().zip(parts) {
            lengths.var(part.len() as u64);
            bytes.raw(&value[part.clone()]);
        }
    }
}

/// Returns what lies before, between and behind the variable parts.
fn pieces<'a>(value: &'a [u8], parts: &'a [Range<usize>]) -> impl Iterator<Item = &'a [u8]> {
    let starts = std::iter::once(0).chain(parts.iter().map(|part| part.end));
    let ends = parts.iter().map(|part| part.start).chain([value.len()]);
    starts.zip(ends).map(|(start, end)| &value[start..end])
}

/// Templates of a segment at most; further rows are kept whole. Documents that are all different are not searched for long.
const TEMPLATES_MAX: usize = 64;
/// Pieces of all templates at most. A piece is a byte when it is packed and some words when it is read.
pub(crate) const PIECES_MAX: usize = 64 * 1024;

/// Writes rows as columns.
pub(crate) fn pack(rows: &Rows, layout: &dyn ValueLayout) -> Vec<u8> {
    let (mut keys, mut numbers) = (Writer::new(), Writer::new());
    let mut templates: Vec<Template> = vec![Template::of(&[], std::slice::from_ref(&(0..0)))];
    let (mut before, mut parts) = (Vec::new(), Vec::new());
    // Most rows look like the row before.
    let mut last = 0;
    let mut cursor = rows.cursor();
    while let Some((key, value)) = cursor.row() {
        let shared = shared_bytes(key, &before);
        keys.var(shared as u64).bytes(&key[shared..]);
        before.truncate(shared);
        before.extend_from_slice(&key[shared..]);
        match value {
            None => _ = numbers.var(0),
            Some(value) => {
                parts.clear();
                layout.variable_parts(key, value, &mut parts);
                last = template_of(&mut templates, last, value, &parts);
                if last == 0 {
                    templates[0].add(value, std::slice::from_ref(&(0..value.len())));
                } else {
                    templates[last].add(value, &parts);
                }
                numbers.var(last as u64 + 1);
            }
        }
        cursor.advance();
    }
    let mut out = Writer::new();
    out.var(u64::from(rows.count())).raw(&keys.finish()).raw(&numbers.finish()).var(templates.len() as u64);
    for template in templates {
        out.var(template.pieces.len() as u64);
        template.pieces.iter().for_each(|piece| _ = out.bytes(piece));
        for (lengths, bytes) in template.columns {
            out.raw(&lengths.finish()).raw(&bytes.finish());
        }
    }
    out.finish()
}

/// Finds or makes the template of a value; the first is the one of values that are kept whole.
fn template_of(templates: &mut Vec<Template>, last: usize, value: &[u8], parts: &[Range<usize>]) -> usize {
    if parts.is_empty() {
        return 0;
    }
    if last > 0 && templates[last].fits(value, parts) {
        return last;
    }
    if let Some(known) = templates.iter().skip(1).position(|template| template.fits(value, parts)) {
        return known + 1;
    }
    let pieces: usize = templates.iter().map(|template| template.pieces.len()).sum();
    if templates.len() > TEMPLATES_MAX || pieces + parts.len() + 1 > PIECES_MAX {
        return 0;
    }
    templates.push(Template::of(value, parts));
    templates.len() - 1
}

/// Reads columns back to rows that take `rows_bytes`, of templates of at most `pieces_max` pieces together.
///
/// Errors: the bytes are not such columns, or make other rows; the claim itself allocates no more than the bytes warrant.
pub(crate) fn unpack(packed: &[u8], rows_bytes: usize, pieces_max: usize) -> Result<Rows, DecodeError> {
    let mut reader = Reader::new(packed);
    let count = reader.count(usize::MAX)?;
    let mut keys = reader.clone();
    for _ in 0..count {
        reader.var()?;
        reader.bytes(usize::MAX)?;
    }
    let mut numbers = reader.clone();
    let counts = count_rows(&mut reader, count)?;
    let mut templates = Vec::new();
    if reader.count(usize::MAX)? != counts.len() {
        return Err(DecodeError::Invalid("templates"));
    }
    let mut pieces_left = pieces_max;
    for rows in counts {
        templates.push(Columns::read(&mut reader, rows, &mut pieces_left)?);
    }
    reader.finish()?;
    let mut rows = RowsBuilder::with_capacity(rows_bytes.min(packed.len().saturating_mul(16)));
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let shared = usize::try_from(keys.var()?).ok().filter(|shared| *shared <= key.len());
        key.truncate(shared.ok_or(DecodeError::Invalid("shared key bytes"))?);
        key.extend_from_slice(keys.bytes(usize::MAX)?);
        match numbers.var()? {
            0 => rows.push_checked(&key, None)?,
            number => {
                value.clear();
                // The number was checked when its rows were counted.
                templates[number as usize - 1].next(&mut value)?;
                rows.push_checked(&key, Some(&value))?;
            }
        }
        if rows.len() > rows_bytes {
            return Err(DecodeError::Limit("segment bytes"));
        }
    }
    let rows = rows.finish();
    if rows.len() == rows_bytes { Ok(rows) } else { Err(DecodeError::Invalid("length of the rows")) }
}

/// Counts how many rows each template has; numbers of templates come without gaps.
fn count_rows(numbers: &mut Reader<'_>, rows: usize) -> Result<Vec<usize>, DecodeError> {
    let mut counts = vec![0];
    for _ in 0..rows {
        let number = usize::try_from(numbers.var()?).map_err(|_| DecodeError::Invalid("template"))?;
        if number > counts.len() {
            counts.push(0);
        }
        if number > 0 {
            *counts.get_mut(number - 1).ok_or(DecodeError::Invalid("template"))? += 1;
        }
    }
    Ok(counts)
}

/// A template as it is read.
struct Columns<'a> {
    pieces: Vec<&'a [u8]>,
    columns: Vec<(Reader<'a>, Reader<'a>)>,
}

impl<'a> Columns<'a> {
    fn read(reader: &mut Reader<'a>, rows: usize, pieces_left: &mut usize) -> Result<Columns<'a>, DecodeError> {
        let mut pieces = Vec::new();
        let count = reader.count(*pieces_left)?;
        *pieces_left -= count;
        for _ in 0..count {
            pieces.push(reader.bytes(usize::MAX)?);
        }
        // A template is made for a row; only the first, of values that are kept whole, may have none, and it has two pieces.
        if rows == 0 && pieces.len() > 2 {
            return Err(DecodeError::Invalid("template without rows"));
        }
        let mut columns = Vec::new();
        for _ in 1..pieces.len() {
            let lengths = reader.clone();
            let mut total = 0_usize;
            for _ in 0..rows {
                let length = usize::try_from(reader.var()?).map_err(|_| DecodeError::End)?;
                total = total.checked_add(length).ok_or(DecodeError::End)?;
            }
            columns.push((lengths, Reader::new(reader.raw(total)?)));
        }
        if pieces.is_empty() {
            return Err(DecodeError::Invalid("template"));
        }
        Ok(Columns { pieces, columns })
    }

    /// Appends the next row's value.
    fn next(&mut self, value: &mut Vec<u8>) -> Result<(), DecodeError> {
        value.extend_from_slice(self.pieces[0]);
        for ((lengths, bytes), piece) in self.columns.iter_mut().zip(&self.pieces[1..]) {
            let length = usize::try_from(lengths.var()?).map_err(|_| DecodeError::End)?;
            value.extend_from_slice(bytes.raw(length)?);
            value.extend_from_slice(piece);
        }
        Ok(())
    }
}
