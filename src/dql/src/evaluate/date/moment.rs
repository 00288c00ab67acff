//! A moment, and ISO 8601 in and out: `2024-02-29`, `2024-02-29T12:30Z`, `2024-02-29 12:30:15.250+02:00`.

use time::Date;
use value::Value;

pub(super) const DAY_MS: i64 = 86_400_000;
/// The Julian day of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;

/// A moment and how it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since 1970 in UTC.
    pub ms: i64,
    /// How far the clocks it was written by are ahead of UTC, seconds.
    pub offset: i32,
    /// The form of text; nothing for an integer.
    pub form: Option<Form>,
}

/// What the text of a moment had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub time: bool,
    pub fraction: bool,
    pub zoning: Zoning,
}

/// How the text of a moment names its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zoning {
    None,
    Offset,
    Utc,
}

/// Everything.
pub(super) const FULL: Option<Form> = Some(Form { time: true, fraction: true, zoning: Zoning::Utc });

impl Moment {
    /// Reads a value.
    pub fn of(value: &Value) -> Option<Moment> {
        match value {
            Value::Str(text) => Moment::read(text),
            Value::Float(_) | Value::Int(_) => {
                let moment = Moment { ms: value.as_int()?, offset: 0, form: None };
                moment.date_and_time().map(|_| moment)
            }
            _ => None,
        }
    }

    fn read(text: &str) -> Option<Moment> {
        let (year, rest) = digits(text.trim(), 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
        let mut local = day_of(year, month, day)? * DAY_MS;
        let mut form = Form { time: false, fraction: false, zoning: Zoning::None };
        let mut rest = rest;
        if let Some(time) = rest.strip_prefix(['T', 't', ' ']) {
            form.time = true;
            let (hour, time) = digits(time, 2)?;
            let (minute, time) = digits(time.strip_prefix(':')?, 2)?;
            let (second, time) = match time.strip_prefix(':') {
                Some(time) => digits(time, 2)?,
                None => (0, time),
            };
            let (ms, time) = match time.strip_prefix(['.', ',']) {
                Some(time) => {
                    form.fraction = true;
                    fraction(time)?
                }
                None => (0, time),
            };
            local += time_of(hour, minute, second)? + ms;
            rest = time;
        }
        let mut offset = 0;
        if !rest.is_empty() {
            form.zoning = if rest.starts_with(['Z', 'z']) { Zoning::Utc } else { Zoning::Offset };
            (offset, rest) = read_offset(rest)?;
        }
        let moment = Moment { ms: local - i64::from(offset) * 1000, offset, form: Some(form) };
        rest.is_empty().then_some(moment)
    }

    /// Returns what the clocks show, as milliseconds since 1970.
    pub fn local(&self) -> i64 {
        self.ms.saturating_add(i64::from(self.offset) * 1000)
    }

    /// Returns the date and the milliseconds of the day that the clocks show; nothing outside of the years 0 to 9999.
    pub fn date_and_time(&self) -> Option<(Date, i64)> {
        let local = self.local();
        let day = i32::try_from(local.div_euclid(DAY_MS) + EPOCH_DAY).ok()?;
        let date = Date::from_julian_day(day).ok().filter(|date| date.year() >= 0)?;
        Some((date, local.rem_euclid(DAY_MS)))
    }

    /// Returns the moment at which the same clocks show another time.
    pub fn at_local(&self, local: i64) -> Option<Moment> {
        let moment = Moment { ms: local.checked_sub(i64::from(self.offset) * 1000)?, ..*self };
        moment.date_and_time().map(|_| moment)
    }

    /// Writes the moment in its own form.
    pub fn value(&self) -> Option<Value> {
        match self.form {
            None => Some(Value::Int(self.ms)),
            Some(_) => self.text().map(Value::Str),
        }
    }

    /// Writes ISO 8601 as the form says, and more where nothing else would be the moment.
    pub fn text(&self) -> Option<String> {
        let form = self.form.or(FULL)?;
        let (date, of_day) = self.date_and_time()?;
        let mut text = String::new();
        put_date(&mut text, date);
        if form.time || of_day != 0 {
            text.push('T');
            put_time(&mut text, of_day);
            if form.fraction || of_day % 1000 != 0 {
                text.push('.');
                put(&mut text, of_day % 1000, 3);
            }
        }
        match form.zoning {
            Zoning::None => {}
            Zoning::Offset => text.push_str(&offset_text(self.offset, ":")),
            Zoning::Utc => text.push('Z'),
        }
        Some(text)
    }
}

/// Appends `2024-02-29`.
pub(super) fn put_date(text: &mut String, date: Date) {
    put(text, i64::from(date.year()), 4);
    text.push('-');
    put(text, i64::from(u8::from(date.month())), 2);
    text.push('-');
    put(text, i64::from(date.day()), 2);
}

/// Appends `12:30:15`.
pub(super) fn put_time(text: &mut String, of_day: i64) {
    put(text, of_day / 3_600_000, 2);
    text.push(':');
    put(text, of_day / 60_000 % 60, 2);
    text.push(':');
    put(text, of_day / 1000 % 60, 2);
}

/// Appends a number with leading zeros.
pub(super) fn put(text: &mut String, number: i64, width: usize) {
    let digits = number.to_string();
    text.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
    text.push_str(&digits);
}

/// Returns the days since 1970 of a date that there is.
pub(super) fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let year = i32::try_from(year).ok().filter(|year| *year >= 0)?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    Some(i64::from(date.to_julian_day()) - EPOCH_DAY)
}

/// Returns the milliseconds of a time of day that there is.
pub(super) fn time_of(hour: i64, minute: i64, second: i64) -> Option<i64> {
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

/// Reads so many digits off a text.
pub(super) fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let valid = digits.bytes().all(|byte| byte.is_ascii_digit());
    if valid { Some((digits.parse().ok()?, rest)) } else { None }
}

/// Reads the digits of a fraction of a second off a text, one to nine; milliseconds, cut off.
pub(super) fn fraction(text: &str) -> Option<(i64, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (first, _) = digits(text, count.min(3)).filter(|_| (1..=9).contains(&count))?;
    let scale = [100, 10, 1][count.min(3) - 1];
    Some((first * scale, &text[count..]))
}

/// Reads `Z`, `+02:00`, `+0200` or `+02` off a text; seconds.
pub(super) fn read_offset(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let (sign, rest) = if let Some(rest) = text.strip_prefix('+') { (1, rest) } else { (-1, text.strip_prefix('-')?) };
    let (hours, rest) = digits(rest, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2)
        .unwrap_or_else(|| (0, rest.strip_prefix(':').unwrap_or(rest)));
    let seconds = i32::try_from(time_of(hours, minutes, 0)? / 1000).ok()?;
    Some((sign * seconds, rest))
}

/// Writes an offset, `+02:00` with a colon between; seconds are cut off.
pub(super) fn offset_text(offset: i32, between: &str) -> String {
    let minutes = i64::from(offset.abs() / 60);
    let mut text = String::from(if offset < 0 { "-" } else { "+" });
    put(&mut text, minutes / 60, 2);
    text.push_str(between);
    put(&mut text, minutes % 60, 2);
    text
}
