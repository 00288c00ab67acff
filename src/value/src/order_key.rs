//! Values as bytes that compare as the values do: the keys of index rows.
//!
//! In go values, or MISSING, one field after another, each ascending or descending; out come bytes whose order is that of
//! `order::compare`, MISSING last. No field's bytes begin another's, so fields follow each other without a separator, and a
//! descending field is the same bytes inverted.
//!
//! Equal values have equal bytes: `1` and `1.0` differ only in the *note*, which lies beside the key and makes decoding exact.
//! A field longer than the caller's limit is *cut*: it keeps its first bytes, so keys stay in order but for keys that share
//! those bytes; who needs more looks at the document. What was cut cannot be decoded.
//!
//! Layout of a field: `10` false, `11` true; `20` number; `30` binary; `40` string; `50` array; `60` object; `70` null;
//! `78` missing. A number is the greatest float that is not above it, 8 bytes, so that bytes order them, and from 2^53 on 2
//! bytes by which an integer is above that float. Text and binary have `00` written as `00 ff` and end with `00 01`. An
//! array is its items and `00`. An object is `01` and a name for each field, `00`, and the fields' values.
//!
//! Note: nothing when all whole numbers in the range of integers are integers and nothing was cut; `01` and the length of the
//! key, varint, when something was cut; `02` and a varint for each whole float: twice its place among the numbers of the key,
//! plus 1 for the negative zero.
//!
//! Source: FoundationDB's tuple layer for the escapes; reference 2.3 of the language for the order.

use crate::bytes::{DecodeError, Reader, Writer};
use crate::limits::{DEPTH_MAX, FIELD_NAME_BYTES_MAX};
use crate::{Object, Value};

const END: u8 = 0x00;
const NAME: u8 = 0x01;
const FALSE: u8 = 0x10;
const TRUE: u8 = 0x11;
const NUMBER: u8 = 0x20;
const BYTES: u8 = 0x30;
const STRING: u8 = 0x40;
const ARRAY: u8 = 0x50;
const OBJECT: u8 = 0x60;
const NULL: u8 = 0x70;
const MISSING: u8 = 0x78;

const NOTE_CUT: u8 = 1;
const NOTE_FLOATS: u8 = 2;

/// From here on floats are further apart than integers.
const DENSE_MAX: f64 = 9_007_199_254_740_992.0;
/// The first float above all integers; its negative is the least integer.
const INT_END: f64 = 9_223_372_036_854_775_808.0;

/// Which way a field's values are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first, MISSING before all.
    Descending,
}

impl Direction {
    fn mask(self) -> u8 {
        match self {
            Direction::Ascending => 0,
            Direction::Descending => 0xff,
        }
    }
}

/// A key under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderKey {
    bytes: Vec<u8>,
    numbers: u64,
    floats: Vec<u64>,
    cut: bool,
}

impl OrderKey {
    /// Appends a field, `None` for MISSING, of which at most so many bytes are kept.
    pub fn push(&mut self, value: Option<&Value>, direction: Direction, bytes_max: usize) {
        let start = self.bytes.len();
        match value {
            None => self.bytes.push(MISSING),
            Some(value) => self.value(value),
        }
        if self.bytes.len() - start > bytes_max {
            self.bytes.truncate(start + bytes_max);
            self.cut = true;
        }
        let mask = direction.mask();
        if mask != 0 {
            self.bytes[start..].iter_mut().for_each(|byte| *byte ^= mask);
        }
    }

    /// Returns the bytes that order the key.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Says whether a field was cut.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns what has to lie beside the key.
    pub fn note(&self) -> Vec<u8> {
        let mut note = Writer::new();
        if self.cut {
            note.u8(NOTE_CUT).var(self.bytes.len() as u64);
        } else if !self.floats.is_empty() {
            note.u8(NOTE_FLOATS);
            self.floats.iter().for_each(|float| _ = note.var(*float));
        }
        note.finish()
    }

    /// Returns the bytes by value.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(false) => self.bytes.push(FALSE),
            Value::Bool(true) => self.bytes.push(TRUE),
            Value::Int(int) => {
                let (float, above) = floor(*int);
                self.number(float, above);
            }
            Value::Float(float) => {
                if is_integral(*float) {
                    let negative_zero = *float == 0.0 && float.is_sign_negative();
                    self.floats.push(self.numbers << 1 | u64::from(negative_zero));
                }
                self.number(*float, 0);
            }
            Value::Bytes(bytes) => {
                self.bytes.push(BYTES);
                self.text(bytes);
            }
            Value::Str(text) => {
                self.bytes.push(STRING);
                self.text(text.as_bytes());
            }
            Value::Array(items) => {
                self.bytes.push(ARRAY);
                items.iter().for_each(|item| self.value(item));
                self.bytes.push(END);
            }
            Value::Object(fields) => {
                self.bytes.push(OBJECT);
                for name in fields.keys() {
                    self.bytes.push(NAME);
                    self.text(name.as_bytes());
                }
                self.bytes.push(END);
                fields.values().for_each(|value| self.value(value));
            }
            Value::Null => self.bytes.push(NULL),
        }
    }

    fn number(&mut self, float: f64, above: u16) {
        self.numbers += 1;
        self.bytes.push(NUMBER);
        self.bytes.extend_from_slice(&ordered(float).to_be_bytes());
        if float.abs() >= DENSE_MAX {
            self.bytes.extend_from_slice(&above.to_be_bytes());
        }
    }

    fn text(&mut self, text: &[u8]) {
        for byte in text {
            self.bytes.push(*byte);
            if *byte == 0 {
                self.bytes.push(0xff);
            }
        }
        self.bytes.extend_from_slice(&[0, 1]);
    }
}

/// Returns the length of a key that other bytes follow. Errors: the bytes are no key of these fields.
pub fn length(
    bytes: &[u8],
    note: &[u8],
    directions: impl IntoIterator<Item = Direction>,
) -> Result<usize, DecodeError> {
    if let Some(cut) = cut_length(note)? {
        return if cut <= bytes.len() { Ok(cut) } else { Err(DecodeError::End) };
    }
    let mut source = Source { rest: bytes, mask: 0 };
    for direction in directions {
        source.mask = direction.mask();
        source.skip(DEPTH_MAX + 2)?;
    }
    Ok(bytes.len() - source.rest.len())
}

/// Says whether a note tells of a key that was cut.
pub fn is_cut(note: &[u8]) -> bool {
    note.first() == Some(&NOTE_CUT)
}

/// Returns the fields of a key that other bytes may follow, `None` for MISSING, exactly as they were.
///
/// Errors: the bytes are no key of these fields, or it was cut.
pub fn decode(
    bytes: &[u8],
    note: &[u8],
    directions: impl IntoIterator<Item = Direction>,
) -> Result<Vec<Option<Value>>, DecodeError> {
    let mut floats = match note.split_first() {
        None => Vec::new(),
        Some((&NOTE_FLOATS, rest)) => {
            let (mut reader, mut floats) = (Reader::new(rest), Vec::new());
            while !reader.is_empty() {
                floats.push(reader.var()?);
            }
            floats.reverse();
            floats
        }
        Some((&NOTE_CUT, _)) => return Err(DecodeError::Invalid("key of an index (it was cut)")),
        Some(_) => return Err(DecodeError::Invalid("note of an index row")),
    };
    let mut source = Source { rest: bytes, mask: 0 };
    let mut numbers = 0;
    let mut fields = Vec::new();
    for direction in directions {
        source.mask = direction.mask();
        if source.peek()? == MISSING {
            source.u8()?;
            fields.push(None);
        } else {
            fields.push(Some(source.value(DEPTH_MAX + 2, &mut numbers, &mut floats)?));
        }
    }
    if floats.is_empty() { Ok(fields) } else { Err(DecodeError::Invalid("note of an index row")) }
}

fn cut_length(note: &[u8]) -> Result<Option<usize>, DecodeError> {
    match note.split_first() {
        Some((&NOTE_CUT, rest)) => {
            let mut reader = Reader::new(rest);
            let length = usize::try_from(reader.var()?).map_err(|_| DecodeError::Limit("length"))?;
            reader.finish()?;
            Ok(Some(length))
        }
        None | Some((&NOTE_FLOATS, _)) => Ok(None),
        Some(_) => Err(DecodeError::Invalid("note of an index row")),
    }
}

/// Says whether a float could be mistaken for an integer.
fn is_integral(float: f64) -> bool {
    float.fract() == 0.0 && (-INT_END..INT_END).contains(&float)
}

/// Returns the greatest float that is not above an integer, and by how much the integer is above it.
fn floor(int: i64) -> (f64, u16) {
    let nearest = int as f64;
    let float = if nearest as i128 > i128::from(int) { nearest.next_down() } else { nearest };
    (float, (i128::from(int) - float as i128) as u16)
}

/// Returns the bits of a float so that they compare as floats do; all NaN are one, above infinity.
fn ordered(float: f64) -> u64 {
    let float = if float.is_nan() { f64::NAN } else { float };
    // Adding zero makes the negative zero the positive one.
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn unordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits })
}

/// Bytes of a key from outside; those of a descending field are inverted while they are read.
struct Source<'a> {
    rest: &'a [u8],
    mask: u8,
}

impl Source<'_> {
    fn peek(&self) -> Result<u8, DecodeError> {
        self.rest.first().map(|byte| byte ^ self.mask).ok_or(DecodeError::End)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek()?;
        self.rest = &self.rest[1..];
        Ok(byte)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(taken.map(|byte| byte ^ self.mask))
    }

    /// Reads a number as the float that is not above it and the distance.
    fn number(&mut self) -> Result<(f64, u16), DecodeError> {
        let bits = u64::from_be_bytes(self.fixed()?);
        let float = unordered(bits);
        if ordered(float) != bits {
            return Err(DecodeError::Invalid("number"));
        }
        let above = if float.abs() >= DENSE_MAX { u16::from_be_bytes(self.fixed()?) } else { 0 };
        Ok((float, above))
    }

    /// Steps over text; gives its bytes to `take`.
    fn text(&mut self, mut take: impl FnMut(u8)) -> Result<(), DecodeError> {
        loop {
            match self.u8()? {
                0 => match self.u8()? {
                    0xff => take(0),
                    1 => return Ok(()),
                    _ => return Err(DecodeError::Invalid("escape")),
                },
                byte => take(byte),
            }
        }
    }

    /// Reads what begins a name or ends the names.
    fn name_follows(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            NAME => Ok(true),
            END => Ok(false),
            _ => Err(DecodeError::Invalid("names of an object")),
        }
    }

    fn string(&mut self) -> Result<String, DecodeError> {
        let mut bytes = Vec::new();
        self.text(|byte| bytes.push(byte))?;
        String::from_utf8(bytes).map_err(|_| DecodeError::Invalid("UTF-8"))
    }

    fn value(&mut self, depth: usize, numbers: &mut u64, floats: &mut Vec<u64>) -> Result<Value, DecodeError> {
        let deeper = depth.checked_sub(1).ok_or(DecodeError::Limit("depth"))?;
        match self.u8()? {
            FALSE => Ok(Value::Bool(false)),
            TRUE => Ok(Value::Bool(true)),
            NUMBER => {
                let (float, above) = self.number()?;
                let place = *numbers;
                *numbers += 1;
                let noted = floats.pop_if(|float| *float >> 1 == place);
                exact(float, above, noted.map(|noted| noted & 1 == 1))
            }
            BYTES => {
                let mut bytes = Vec::new();
                self.text(|byte| bytes.push(byte))?;
                Ok(Value::Bytes(bytes))
            }
            STRING => Ok(Value::Str(self.string()?)),
            ARRAY => {
                let mut items = Vec::new();
                while self.peek()? != END {
                    items.push(self.value(deeper, numbers, floats)?);
                }
                self.u8()?;
                Ok(Value::Array(items))
            }
            OBJECT => {
                let mut names = Vec::new();
                while self.name_follows()? {
                    let name = self.string()?;
                    if name.len() > FIELD_NAME_BYTES_MAX || names.last().is_some_and(|last| *last >= name) {
                        return Err(DecodeError::Invalid("order of names"));
                    }
                    names.push(name);
                }
                let mut fields = Object::new();
                for name in names {
                    fields.insert(name, self.value(deeper, numbers, floats)?);
                }
                Ok(Value::Object(fields))
            }
            NULL => Ok(Value::Null),
            _ => Err(DecodeError::Invalid("kind of value")),
        }
    }

    fn skip(&mut self, depth: usize) -> Result<(), DecodeError> {
        let deeper = depth.checked_sub(1).ok_or(DecodeError::Limit("depth"))?;
        match self.u8()? {
            FALSE | TRUE | NULL | MISSING => Ok(()),
            NUMBER => self.number().map(drop),
            BYTES | STRING => self.text(|_| ()),
            ARRAY => {
                while self.peek()? != END {
                    self.skip(deeper)?;
                }
                self.u8().map(drop)
            }
            OBJECT => {
                let mut fields = 0;
                while self.name_follows()? {
                    self.text(|_| ())?;
                    fields += 1;
                }
                (0..fields).try_for_each(|_| self.skip(deeper))
            }
            _ => Err(DecodeError::Invalid("kind of value")),
        }
    }
}

/// Returns a number as it was; `noted` is set for a whole float, true for the negative zero.
fn exact(float: f64, above: u16, noted: Option<bool>) -> Result<Value, DecodeError> {
    match noted {
        Some(negative_zero) if is_integral(float) && above == 0 && (!negative_zero || float == 0.0) => {
            Ok(Value::Float(if negative_zero { -0.0 } else { float }))
        }
        Some(_) => Err(DecodeError::Invalid("note of an index row")),
        None if is_integral(float) => {
            let int = i64::try_from(float as i128 + i128::from(above)).map_err(|_| DecodeError::Invalid("number"))?;
            if floor(int) == (float, above) { Ok(Value::Int(int)) } else { Err(DecodeError::Invalid("number")) }
        }
        None if above == 0 => Ok(Value::Float(float)),
        None => Err(DecodeError::Invalid("number")),
    }
}

#[cfg(test)]
mod tests;
