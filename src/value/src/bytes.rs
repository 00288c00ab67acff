//! Primitives of every binary format in the house: a writer that appends and a reader that checks.
//!
//! Integers are LEB128 varints unless a layout asks for fixed width; fixed width is big-endian, so that keys sort.

use std::fmt;

/// Appends primitives to a byte buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts an empty buffer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Starts an empty buffer with room for that many bytes.
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends one byte.
    pub fn u8(&mut self, byte: u8) -> &mut Writer {
        self.bytes.push(byte);
        self
    }

    /// Appends a varint, 1 to 10 bytes.
    pub fn var(&mut self, mut number: u64) -> &mut Writer {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
        self
    }

    /// Appends a signed varint (zigzag).
    pub fn var_signed(&mut self, number: i64) -> &mut Writer {
        self.var(((number << 1) ^ (number >> 63)) as u64)
    }

    /// Appends 8 bytes, big-endian.
    pub fn fixed64(&mut self, number: u64) -> &mut Writer {
        self.raw(&number.to_be_bytes())
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends a length and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        self.var(bytes.len() as u64).raw(bytes)
    }

    /// Appends a length and the text as UTF-8.
    pub fn str(&mut self, text: &str) -> &mut Writer {
        self.bytes(text.as_bytes())
    }

    /// Returns how many bytes there are so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Says whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the buffer.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// What is wrong with bytes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A checksum does not match its bytes.
    Checksum,
    /// The bytes end inside a value.
    End,
    /// A byte pattern the layout does not know; names what was being read.
    Invalid(&'static str),
    /// A size, count or depth over its limit; names the limit.
    Limit(&'static str),
    /// Bytes are left over after the last value.
    Trailing,
    /// A newer version of the layout.
    Version(u64),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Checksum => write!(f, "the checksum does not match"),
            DecodeError::End => write!(f, "the bytes end too early"),
            DecodeError::Invalid(what) => write!(f, "{what} is not valid"),
            DecodeError::Limit(what) => write!(f, "{what} is over its limit"),
            DecodeError::Trailing => write!(f, "bytes are left over"),
            DecodeError::Version(version) => write!(f, "version {version} is newer than this program"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads primitives and never past the end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// Returns how many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Says whether all bytes were read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Fails with `Trailing` unless all bytes were read.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// Reads one byte.
    #[inline(always)]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.bytes.split_first().ok_or(DecodeError::End)?;
        self.bytes = rest;
        Ok(*first)
    }

    /// Returns the next byte without reading it.
    pub fn peek(&self) -> Result<u8, DecodeError> {
        self.bytes.first().copied().ok_or(DecodeError::End)
    }

    /// Reads a varint.
    #[inline(always)]
    pub fn var(&mut self) -> Result<u64, DecodeError> {
        // Nearly all are one byte long.
        if let Some((first, rest)) = self.bytes.split_first()
            && *first < 0x80
        {
            self.bytes = rest;
            return Ok(u64::from(*first));
        }
        self.long_var()
    }

    #[inline(never)]
    fn long_var(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Invalid("varint"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::Invalid("varint"))
    }

    /// Reads a signed varint (zigzag).
    pub fn var_signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.var()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Reads a count of items that are each at least one byte, so that it can be trusted for an allocation.
    #[inline(always)]
    pub fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.var()?).map_err(|_| DecodeError::Limit("count"))?;
        if count > max || count > self.remaining() {
            return Err(DecodeError::Limit("count"));
        }
        Ok(count)
    }

    /// Reads 8 bytes, big-endian.
    pub fn fixed64(&mut self) -> Result<u64, DecodeError> {
        let mut number = [0; 8];
        number.copy_from_slice(self.raw(8)?);
        Ok(u64::from_be_bytes(number))
    }

    /// Reads that many bytes.
    #[inline(always)]
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        if length > self.bytes.len() {
            return Err(DecodeError::End);
        }
        let (taken, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Ok(taken)
    }

    /// Reads a length and that many bytes, at most `max`.
    #[inline(always)]
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.var()?).map_err(|_| DecodeError::Limit("length"))?;
        if length > max {
            return Err(DecodeError::Limit("length"));
        }
        self.raw(length)
    }

    /// Reads a length and that much UTF-8, at most `max` bytes.
    pub fn str(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| DecodeError::Invalid("UTF-8"))
    }

    /// Returns everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primitives_read_back_as_written() {
        let mut writer = Writer::new();
        writer.var(0).var(127).var(128).var(u64::MAX).var_signed(i64::MIN).var_signed(-1).fixed64(7).str("é").u8(9);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        for number in [0, 127, 128, u64::MAX] {
            assert_eq!(reader.var(), Ok(number));
        }
        assert_eq!(reader.var_signed(), Ok(i64::MIN));
        assert_eq!(reader.var_signed(), Ok(-1));
        assert_eq!(reader.fixed64(), Ok(7));
        assert_eq!(reader.str(10), Ok("é"));
        assert_eq!(reader.u8(), Ok(9));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_length_over_the_limit_or_past_the_end_is_refused() {
        assert_eq!(Reader::new(&[5, 1]).bytes(10), Err(DecodeError::End));
        assert_eq!(Reader::new(&[5, 1]).bytes(4), Err(DecodeError::Limit("length")));
        assert_eq!(Reader::new(&[0xff; 11]).var(), Err(DecodeError::Invalid("varint")));
        assert_eq!(Reader::new(&[200, 1, 0]).count(1000), Err(DecodeError::Limit("count")));
    }
}
