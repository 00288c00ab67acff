//! The binary form of a value: deterministic CBOR (RFC 8949, section 4.2), the subset that JSON plus binary needs.
//!
//! Layout: major types 0 and 1 for integers, 2 binary, 3 text, 4 array, 5 map with text keys, 7 for false, true, null and
//! floats. Integers and lengths take the shortest form. Map keys are written in byte-wise order of their text (RFC 8949 sorts
//! encoded keys, shorter first; we sort like the in-memory map, which is as deterministic and needs no second sort).
//! Floats are written as 64 bits. The decoder takes any well-formed subset of what other encoders write: half and single
//! floats, indefinite lengths excepted.

use crate::limits::DEPTH_MAX;
use crate::{DecodeError, Object, Reader, Value, Writer};

/// Returns the binary form of a value.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut writer = Writer::new();
    encode_into(value, &mut writer);
    writer.finish()
}

/// Appends the binary form of a value.
pub fn encode_into(value: &Value, writer: &mut Writer) {
    match value {
        Value::Array(items) => {
            encode_array_head(items.len(), writer);
            items.iter().for_each(|item| encode_into(item, writer));
        }
        Value::Bool(false) => {
            writer.u8(0xf4);
        }
        Value::Bool(true) => {
            writer.u8(0xf5);
        }
        Value::Bytes(bytes) => {
            head(2, bytes.len() as u64, writer);
            writer.raw(bytes);
        }
        Value::Float(float) => {
            writer.u8(0xfb).raw(&float.to_be_bytes());
        }
        Value::Int(int) if *int >= 0 => head(0, *int as u64, writer),
        Value::Int(int) => head(1, !*int as u64, writer),
        Value::Null => {
            writer.u8(0xf6);
        }
        Value::Object(fields) => {
            head(5, fields.len() as u64, writer);
            for (name, value) in fields {
                encode_str(name, writer);
                encode_into(value, writer);
            }
        }
        Value::Str(text) => encode_str(text, writer),
    }
}

/// Appends the head of an array; the caller appends that many items.
pub fn encode_array_head(count: usize, writer: &mut Writer) {
    head(4, count as u64, writer);
}

fn encode_str(text: &str, writer: &mut Writer) {
    head(3, text.len() as u64, writer);
    writer.raw(text.as_bytes());
}

fn head(major: u8, number: u64, writer: &mut Writer) {
    let major = major << 5;
    match number {
        0..24 => writer.u8(major | number as u8),
        24..0x100 => writer.u8(major | 24).u8(number as u8),
        0x100..0x1_0000 => writer.u8(major | 25).raw(&(number as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => writer.u8(major | 26).raw(&(number as u32).to_be_bytes()),
        _ => writer.u8(major | 27).raw(&number.to_be_bytes()),
    };
}

/// Reads one value that fills the bytes, at most `bytes_max` of them and 64 levels deep.
pub fn decode(bytes: &[u8], bytes_max: usize) -> Result<Value, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::Limit("value bytes"));
    }
    let mut reader = Reader::new(bytes);
    let value = decode_from(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Reads one value and leaves what follows it.
pub fn decode_from(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    decode_at(reader, DEPTH_MAX + 2)
}

/// Steps over one value without building it; a value that `decode_from` reads is as long as this says.
pub fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    // How many values are still to be stepped over: of a map, its keys too.
    let mut left = 1_u64;
    while left > 0 {
        left -= 1;
        let first = reader.u8()?;
        match first {
            // Small numbers and short texts, which most values are.
            0..24 | 0x20..0x38 => continue,
            0x60..0x78 => {
                reader.raw(usize::from(first & 0x1f))?;
                continue;
            }
            _ => {}
        }
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            let width = [1, 2, 4, 8].get(usize::from(info).wrapping_sub(24)).copied().unwrap_or(0);
            reader.raw(width)?;
            continue;
        }
        let number = argument(info, reader)?;
        match major {
            0 | 1 => {}
            2 | 3 => _ = take(reader, number)?,
            4 => left += count(number, 1, reader)? as u64,
            5 => left += 2 * count(number, 2, reader)? as u64,
            _ => return Err(DecodeError::Invalid("CBOR tag")),
        }
    }
    Ok(())
}

/// Items for which an array's claim alone makes room.
const ITEMS_RESERVED_MAX: usize = 64;

fn decode_at(reader: &mut Reader<'_>, depth_left: usize) -> Result<Value, DecodeError> {
    if depth_left == 0 {
        return Err(DecodeError::Limit("depth"));
    }
    let first = reader.u8()?;
    let (major, info) = (first >> 5, first & 0x1f);
    if major == 7 {
        return simple(info, reader);
    }
    let number = argument(info, reader)?;
    match major {
        0 => i64::try_from(number).map(Value::Int).map_err(|_| DecodeError::Limit("integer")),
        1 => i64::try_from(number).map(|int| Value::Int(!int)).map_err(|_| DecodeError::Limit("integer")),
        2 => Ok(Value::Bytes(take(reader, number)?.to_vec())),
        3 => text(reader, number).map(Value::Str),
        4 => {
            let count = count(number, 1, reader)?;
            // Arrays in arrays can each claim all the bytes that are left.
            let mut items = Vec::with_capacity(count.min(ITEMS_RESERVED_MAX));
            for _ in 0..count {
                items.push(decode_at(reader, depth_left - 1)?);
            }
            Ok(Value::Array(items))
        }
        5 => {
            let mut fields = Object::new();
            for _ in 0..count(number, 2, reader)? {
                let name = name(reader)?;
                if fields.insert(name, decode_at(reader, depth_left - 1)?).is_some() {
                    return Err(DecodeError::Invalid("map (a key occurs twice)"));
                }
            }
            Ok(Value::Object(fields))
        }
        _ => Err(DecodeError::Invalid("CBOR tag")),
    }
}

fn argument(info: u8, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let width = match info {
        0..24 => return Ok(u64::from(info)),
        24 => return reader.u8().map(u64::from),
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(DecodeError::Invalid("CBOR length")),
    };
    Ok(reader.raw(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn simple(info: u8, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let float = match info {
        20 => return Ok(Value::Bool(false)),
        21 => return Ok(Value::Bool(true)),
        22 => return Ok(Value::Null),
        25 => half(argument(25, reader)? as u16),
        26 => f64::from(f32::from_bits(argument(26, reader)? as u32)),
        27 => f64::from_bits(argument(27, reader)?),
        _ => return Err(DecodeError::Invalid("CBOR simple value")),
    };
    if float.is_finite() { Ok(Value::Float(float)) } else { Err(DecodeError::Invalid("number (NaN or infinite)")) }
}

/// Widens an IEEE 754 half float.
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2.0_f64.powi(-24),
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2.0_f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

fn count(number: u64, bytes_each: u64, reader: &Reader<'_>) -> Result<usize, DecodeError> {
    if number.saturating_mul(bytes_each) > reader.remaining() as u64 {
        return Err(DecodeError::End);
    }
    Ok(number as usize)
}

fn take<'a>(reader: &mut Reader<'a>, length: u64) -> Result<&'a [u8], DecodeError> {
    reader.raw(usize::try_from(length).map_err(|_| DecodeError::End)?)
}

fn text(reader: &mut Reader<'_>, length: u64) -> Result<String, DecodeError> {
    let bytes = take(reader, length)?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Invalid("UTF-8"))
}

fn name(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let first = reader.u8()?;
    if first >> 5 != 3 {
        return Err(DecodeError::Invalid("map key (not text)"));
    }
    let length = argument(first & 0x1f, reader)?;
    text(reader, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        Value::from([
            ("a", Value::Array(vec![Value::Int(-1), Value::Int(23), Value::Int(24), Value::Int(i64::MIN)])),
            ("b", Value::Bytes(vec![1, 2, 3])),
            ("f", Value::Float(1.5)),
            ("n", Value::Null),
            ("o", Value::from([("t", Value::Bool(true))])),
            ("s", Value::from("żółw")),
        ])
    }

    #[test]
    fn values_read_back_as_written() {
        assert_eq!(decode(&encode(&sample()), 1000), Ok(sample()));
    }

    #[test]
    fn a_skipped_value_is_as_long_as_a_read_one() {
        let bytes = [encode(&sample()), vec![7]].concat();
        let mut reader = Reader::new(&bytes);
        assert_eq!(skip(&mut reader), Ok(()));
        assert_eq!(reader.rest(), [7]);
        for length in 0..bytes.len() - 1 {
            assert!(skip(&mut Reader::new(&bytes[..length])).is_err(), "{length} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = encode(&sample());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], 1000).is_err(), "{length} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn every_bit_flip_is_an_error_or_another_value_and_never_a_panic() {
        let bytes = encode(&sample());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decode(&flipped, 1000), Ok(sample()), "bit {bit}");
        }
    }

    #[test]
    fn deep_nesting_and_huge_counts_are_refused() {
        assert_eq!(decode(&[0x81; 1000], 2000), Err(DecodeError::Limit("depth")));
        assert_eq!(decode(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255], 100), Err(DecodeError::End));
    }

    #[test]
    fn half_floats_of_other_encoders_are_read() {
        assert_eq!(decode(&[0xf9, 0x3e, 0x00], 10), Ok(Value::Float(1.5)));
        assert_eq!(decode(&[0xf9, 0x7c, 0x00], 10), Err(DecodeError::Invalid("number (NaN or infinite)")));
    }
}
