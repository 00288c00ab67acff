//! Durations: an integer is milliseconds; text is `1d2h30m15.5s`, with a sign in front, or ISO 8601 without years and months
//! (`P1DT2H30M15.5S`). A day is 24 hours here. What is shorter than a millisecond is cut off.

use value::Value;

/// Microseconds of the units; longer names before their prefixes. Nanoseconds are less than one.
const UNITS: [(&str, i64); 8] = [
    ("ns", 0),
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

/// Reads a duration; milliseconds.
pub(super) fn read(value: &Value) -> Option<i64> {
    let Value::Str(text) = value else { return value.as_int() };
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let microseconds = match text.strip_prefix(['P', 'p']) {
        Some(iso) => read_iso(iso)?,
        None => read_units(text, &UNITS)?,
    };
    let ms = microseconds / 1_000;
    Some(if negative { -ms } else { ms })
}

/// Reads `1DT2H30M`: the same letter means months before the T and minutes after it, and there are no months here.
fn read_iso(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let (days, time) = match text.split_once('t') {
        Some((days, time)) => (days, Some(time)),
        None => (text.as_str(), None),
    };
    let days = if days.is_empty() && time.is_some() { 0 } else { read_units(days, &UNITS[6..])? };
    days.checked_add(time.map_or(Some(0), |time| read_units(time, &UNITS[3..6]))?)
}

/// Reads numbers, each with its unit; at least one.
fn read_units(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(length);
        let (unit, microseconds) = units.iter().find(|(unit, _)| after.starts_with(unit))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // Six digits of a fraction of a week still fit into 64 bits.
        let fraction = fraction.get(..fraction.len().min(6))?;
        let scale = 10_i64.pow(u32::try_from(fraction.len()).ok()?);
        let (whole, fraction): (i64, i64) = (whole.parse().ok()?, fraction.parse().ok()?);
        let whole = if *unit == "ns" { whole / 1_000 } else { whole.checked_mul(*microseconds)? };
        total = total.checked_add(whole)?.checked_add(fraction * microseconds / scale)?;
        rest = &after[unit.len()..];
    }
    Some(total)
}

/// Writes milliseconds as `1d2h30m15.5s`, without the units of which there are none.
pub(super) fn write(ms: i64) -> Option<String> {
    let mut text = String::from(if ms < 0 { "-" } else { "" });
    let mut left = ms.unsigned_abs();
    for (unit, each) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)] {
        if left >= each {
            text.push_str(&(left / each).to_string());
            text.push_str(unit);
            left %= each;
        }
    }
    if left > 0 || ms == 0 {
        text.push_str(&(left / 1000).to_string());
        let fraction = left % 1000;
        if fraction > 0 {
            text.push('.');
            super::moment::put(&mut text, fraction as i64, 3);
            text.truncate(text.trim_end_matches('0').len());
        }
        text.push('s');
    }
    Some(text)
}
