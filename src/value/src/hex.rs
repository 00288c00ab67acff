//! Texts that are numbers in disguise: hexadecimal digits travel as the bytes they name.

use crate::bytes::{DecodeError, Reader, Writer};

/// What `read_hex_or` has read.
#[derive(Debug, PartialEq, Eq)]
pub enum HexOr<'a> {
    /// A text of hexadecimal digits.
    Hex(String),
    /// Other bytes, as they were written.
    Raw(&'a [u8]),
}

/// Writes a text of hexadecimal digits as the length of the bytes it names × 2 + 1 and those, anything else as the length of
/// its bytes × 2 and those.
pub fn write_hex_or(text: Option<&str>, raw: &[u8], out: &mut Writer) {
    match text.and_then(pack_hex) {
        Some(bytes) => _ = out.var((bytes.len() as u64) << 1 | 1).raw(&bytes),
        None => _ = out.var((raw.len() as u64) << 1).raw(raw),
    }
}

/// Reads what `write_hex_or` has written: at most `max` bytes, or digits.
pub fn read_hex_or<'a>(r: &mut Reader<'a>, max: usize) -> Result<HexOr<'a>, DecodeError> {
    let head = r.var()?;
    let is_hex = head & 1 == 1;
    let max = if is_hex { max / 2 } else { max };
    let length = usize::try_from(head >> 1).ok().filter(|length| *length <= max);
    let bytes = r.raw(length.ok_or(DecodeError::Limit("length"))?)?;
    Ok(if is_hex { HexOr::Hex(unpack_hex(bytes)) } else { HexOr::Raw(bytes) })
}

/// Returns the bytes that a text names, if it is an even number of lower-case hexadecimal digits, at least two.
fn pack_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Returns the digits that name some bytes.
fn unpack_hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(if half < 10 { b'0' + half } else { b'a' + half - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{pack_hex, unpack_hex};

    #[test]
    fn digits_become_bytes_and_come_back() {
        for text in ["00", "0123456789abcdef", "ff00"] {
            let bytes = pack_hex(text).expect("digits");
            assert_eq!((bytes.len() * 2, unpack_hex(&bytes)), (text.len(), text.to_owned()));
        }
        for text in ["", "0", "0g", "AB", "é"] {
            assert_eq!(pack_hex(text), None, "{text}");
        }
    }
}
