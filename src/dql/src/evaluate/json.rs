//! JSON (RFC 8259), strictly: `serialize_json`, `deserialize_json`, and numbers as text.
//!
//! An integer of 64 bits is an integer; any other number is a float, and is written with a point or an exponent, so that it
//! comes back as one. Binary is written as base64 text. Of two fields of one name the last counts.
//!
//! Invariants: what is read nests at most `DEPTH_MAX` levels, what is written is at most `DOCUMENT_BYTES_MAX`.

use value::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX};
use value::{Object, Value};

use crate::token::unicode_escape;

/// Returns the text of a value without blanks; nothing if it is too long.
pub(super) fn write(value: &Value) -> Option<Value> {
    let mut text = String::new();
    write_into(&mut text, value)?;
    Some(Value::Str(text))
}

fn write_into(text: &mut String, value: &Value) -> Option<()> {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write_into(text, item)?;
            }
            text.push(']');
        }
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Bytes(bytes) => write_base64(text, bytes),
        Value::Float(float) => write_float(text, *float),
        Value::Int(int) => text.push_str(&int.to_string()),
        Value::Null => text.push_str("null"),
        Value::Object(fields) => {
            text.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write_string(text, name);
                text.push(':');
                write_into(text, value)?;
            }
            text.push('}');
        }
        Value::Str(string) => write_string(text, string),
    }
    (text.len() <= DOCUMENT_BYTES_MAX).then_some(())
}

/// Writes the shortest text that reads back as the same float, with an exponent where there would be many zeros. By hand:
/// the standard library's writer of exponents is some kilobytes of WebAssembly.
fn write_float(text: &mut String, float: f64) {
    let plain = float.to_string();
    let digits = plain.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let significant = [whole, fraction].concat();
    let zeros = significant.len() - significant.trim_start_matches('0').len();
    if whole.len() < 17 && zeros < 6 || significant.len() == zeros {
        text.push_str(&plain);
        return text.push_str(if fraction.is_empty() { ".0" } else { "" });
    }
    let exponent = whole.len() as i64 - 1 - zeros as i64;
    let significant = significant[zeros..].trim_end_matches('0');
    let (first, rest) = significant.split_at(1);
    text.push_str(if float < 0.0 { "-" } else { "" });
    text.push_str(first);
    text.push_str(if rest.is_empty() { "" } else { "." });
    text.push_str(rest);
    text.push('e');
    text.push_str(&exponent.to_string());
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => {
                text.push_str(if control < '\u{10}' { "\\u000" } else { "\\u001" });
                text.extend(char::from_digit(u32::from(control) & 0xf, 16));
            }
            character => text.push(character),
        }
    }
    text.push('"');
}

fn write_base64(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text.push('"');
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let sextet = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[sextet as usize]) } else { '=' });
        }
    }
    text.push('"');
}

/// Reads one value that fills the text but for blanks around it.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH_MAX)?;
    reader.blanks();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Moves past a token and the blanks before it if it is there.
    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn value(&mut self, depth_left: usize) -> Option<Value> {
        let depth_left = depth_left.checked_sub(1)?;
        for (token, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.eat(token) {
                return Some(value);
            }
        }
        if self.eat("[") {
            let mut items = Vec::new();
            if self.eat("]") {
                return Some(Value::Array(items));
            }
            loop {
                items.push(self.value(depth_left)?);
                if !self.eat(",") {
                    return self.eat("]").then_some(Value::Array(items));
                }
            }
        }
        if self.eat("{") {
            let mut fields = Object::new();
            if self.eat("}") {
                return Some(Value::Object(fields));
            }
            loop {
                let name = if self.eat("\"") { self.string()? } else { return None };
                let value = if self.eat(":") { self.value(depth_left)? } else { return None };
                fields.insert(name, value);
                if !self.eat(",") {
                    return self.eat("}").then_some(Value::Object(fields));
                }
            }
        }
        if self.eat("\"") { self.string().map(Value::Str) } else { self.number() }
    }

    /// Reads what follows the opening quote.
    fn string(&mut self) -> Option<String> {
        let mut string = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let length = rest.find(['"', '\\'])?;
            let (plain, after) = rest.split_at(length);
            if plain.bytes().any(|byte| byte < b' ') {
                return None;
            }
            string.push_str(plain);
            self.at += length + 1;
            if after.starts_with('"') {
                return Some(string);
            }
            let escape = self.rest().chars().next()?;
            self.at += escape.len_utf8();
            string.push(match escape {
                '"' | '\\' | '/' => escape,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => unicode_escape(self.text, &mut self.at)?,
                _ => return None,
            });
        }
    }

    fn number(&mut self) -> Option<Value> {
        let rest = self.rest();
        let length = rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(rest.len());
        let number = &rest[..length];
        let digits = number.strip_prefix('-').unwrap_or(number);
        let whole = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let fraction = digits[whole..].strip_prefix('.');
        // No leading zero, and a digit on both sides of the point; the rest is as the standard library reads it.
        if whole == 0
            || whole > 1 && digits.starts_with('0')
            || fraction.is_some_and(|fraction| !fraction.starts_with(|c: char| c.is_ascii_digit()))
        {
            return None;
        }
        let value = match number.parse() {
            Ok(int) if whole == digits.len() => Value::Int(int),
            _ => Value::Float(number.parse().ok().filter(|float: &f64| float.is_finite())?),
        };
        self.at += length;
        Some(value)
    }
}
