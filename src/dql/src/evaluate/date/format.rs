//! Formats of dates: a picture (`YYYY-MM-DD hh:mm:ss.sss TZD`), or, where there is a `%`, the specifiers of strftime.
//!
//! Both become one list of items, by which text is written and read.

use super::moment::{DAY_MS, Moment, day_of, digits, fraction, offset_text, put, read_offset, time_of};

pub(super) const DAY_NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(super) const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// One piece of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Char(char),
    Day,
    /// The day with a blank for a zero in front.
    DayBlank,
    DayName,
    DayNameShort,
    DayOfYear,
    EpochMillis,
    EpochSeconds,
    /// AM or PM.
    Half,
    Hour,
    Hour12,
    IsoWeek,
    IsoYear,
    Millis,
    Minute,
    Month,
    MonthName,
    MonthNameShort,
    /// `+02:00`
    Offset,
    /// `+0200`
    OffsetPlain,
    /// `Z` or `+02:00`
    OffsetOrZ,
    Second,
    /// 1 is Monday.
    Weekday,
    /// 0 is Sunday.
    WeekdayFromSunday,
    Year,
    /// The last two digits.
    YearShort,
}

/// Longer words before their prefixes.
const PICTURE: [(&str, Item); 10] = [
    ("YYYY", Item::Year),
    ("YY", Item::YearShort),
    ("MM", Item::Month),
    ("DD", Item::Day),
    ("hh", Item::Hour),
    ("HH", Item::Hour),
    ("mm", Item::Minute),
    ("sss", Item::Millis),
    ("ss", Item::Second),
    ("TZD", Item::OffsetOrZ),
];

const SPECIFIERS: [(char, &[Item]); 33] = [
    ('%', &[Item::Char('%')]),
    ('A', &[Item::DayName]),
    ('B', &[Item::MonthName]),
    ('D', &[Item::Month, Item::Char('/'), Item::Day, Item::Char('/'), Item::YearShort]),
    ('F', &[Item::Year, Item::Char('-'), Item::Month, Item::Char('-'), Item::Day]),
    ('G', &[Item::IsoYear]),
    ('H', &[Item::Hour]),
    ('I', &[Item::Hour12]),
    ('L', &[Item::Millis]),
    ('M', &[Item::Minute]),
    ('N', &[Item::Millis]),
    ('Q', &[Item::EpochMillis]),
    ('R', &[Item::Hour, Item::Char(':'), Item::Minute]),
    ('S', &[Item::Second]),
    ('T', &[Item::Hour, Item::Char(':'), Item::Minute, Item::Char(':'), Item::Second]),
    ('V', &[Item::IsoWeek]),
    ('X', &[Item::Hour, Item::Char(':'), Item::Minute, Item::Char(':'), Item::Second]),
    ('Y', &[Item::Year]),
    ('Z', &[Item::OffsetOrZ]),
    ('a', &[Item::DayNameShort]),
    ('b', &[Item::MonthNameShort]),
    ('d', &[Item::Day]),
    ('e', &[Item::DayBlank]),
    ('h', &[Item::MonthNameShort]),
    ('j', &[Item::DayOfYear]),
    ('m', &[Item::Month]),
    ('n', &[Item::Char('\n')]),
    ('p', &[Item::Half]),
    ('s', &[Item::EpochSeconds]),
    ('u', &[Item::Weekday]),
    ('w', &[Item::WeekdayFromSunday]),
    ('y', &[Item::YearShort]),
    ('z', &[Item::OffsetPlain]),
];

/// Reads a format; nothing for a specifier that there is not.
fn items(format: &str) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = format;
    let specified = format.contains('%');
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if !specified {
            let before = &format[format.len() - rest.len() - character.len_utf8()..];
            match PICTURE.into_iter().find(|(word, _)| before.starts_with(word)) {
                Some((word, item)) => {
                    rest = &before[word.len()..];
                    items.push(item);
                }
                None => items.push(Item::Char(character)),
            }
        } else if character != '%' {
            items.push(Item::Char(character));
        } else if let Some(after) = rest.strip_prefix(":z") {
            rest = after;
            items.push(Item::Offset);
        } else {
            let specifier = rest.chars().next()?;
            rest = &rest[specifier.len_utf8()..];
            items.extend_from_slice(SPECIFIERS.iter().find(|(known, _)| *known == specifier)?.1);
        }
    }
    Some(items)
}

/// Writes what the clocks of a moment show.
pub(super) fn write(moment: &Moment, format: &str) -> Option<String> {
    let (date, of_day) = moment.date_and_time()?;
    let (iso_year, iso_week, weekday) = date.to_iso_week_date();
    let month = usize::from(u8::from(date.month()));
    let day_name = DAY_NAMES[usize::from(weekday.number_days_from_monday())];
    let (year, hour) = (i64::from(date.year()), of_day / 3_600_000);
    let mut text = String::new();
    for item in items(format)? {
        let (number, width) = match item {
            Item::Day => (i64::from(date.day()), 2),
            Item::DayOfYear => (i64::from(date.ordinal()), 3),
            Item::EpochMillis => (moment.ms, 1),
            Item::EpochSeconds => (moment.ms.div_euclid(1000), 1),
            Item::Hour => (hour, 2),
            Item::Hour12 => ((hour + 11) % 12 + 1, 2),
            Item::IsoWeek => (i64::from(iso_week), 2),
            Item::IsoYear => (i64::from(iso_year), 4),
            Item::Millis => (of_day % 1000, 3),
            Item::Minute => (of_day / 60_000 % 60, 2),
            Item::Month => (month as i64, 2),
            Item::Second => (of_day / 1000 % 60, 2),
            Item::Weekday => (i64::from(weekday.number_from_monday()), 1),
            Item::WeekdayFromSunday => (i64::from(weekday.number_days_from_sunday()), 1),
            Item::Year => (year, 4),
            Item::YearShort => (year % 100, 2),
            Item::Char(character) => {
                text.push(character);
                continue;
            }
            Item::DayBlank => {
                text.push_str(if date.day() < 10 { " " } else { "" });
                (i64::from(date.day()), 1)
            }
            worded => {
                text.push_str(&match worded {
                    Item::DayName => day_name.to_owned(),
                    Item::DayNameShort => day_name[..3].to_owned(),
                    Item::Half => if hour < 12 { "AM" } else { "PM" }.to_owned(),
                    Item::MonthName => MONTH_NAMES[month - 1].to_owned(),
                    Item::MonthNameShort => MONTH_NAMES[month - 1][..3].to_owned(),
                    Item::OffsetOrZ if moment.offset == 0 => "Z".to_owned(),
                    Item::OffsetPlain => offset_text(moment.offset, ""),
                    _ => offset_text(moment.offset, ":"),
                });
                continue;
            }
        };
        put(&mut text, number, width);
    }
    (text.len() <= value::limits::DOCUMENT_BYTES_MAX).then_some(text)
}

/// Reads text by a format: what the clocks show, as milliseconds since 1970, and the offset if there is one. What the format
/// leaves out is that of 1970-01-01T00:00; the names and numbers of days of the week are read and not compared.
pub(super) fn read(text: &str, format: &str) -> Option<(i64, Option<i32>)> {
    let (mut year, mut month, mut day, mut hour, mut minute, mut second, mut ms) = (1970, 1, 1, 0, 0, 0, 0);
    let (mut afternoon, mut offset, mut epoch) = (None, None, None);
    let mut rest = text.trim();
    for item in items(format)? {
        match item {
            Item::Char(character) => rest = rest.strip_prefix(character)?,
            Item::Day => (day, rest) = digits(rest, 2)?,
            Item::DayBlank => (day, rest) = digits(rest, 2).or_else(|| digits(rest.trim_start(), 1))?,
            Item::DayName => rest = named(rest, &DAY_NAMES, usize::MAX)?.1,
            Item::DayNameShort => rest = named(rest, &DAY_NAMES, 3)?.1,
            Item::EpochMillis => (epoch, rest) = signed(rest).map(|(ms, rest)| (Some(ms), rest))?,
            Item::EpochSeconds => (epoch, rest) = signed(rest).map(|(s, rest)| (s.checked_mul(1000), rest))?,
            Item::Half => {
                let (half, after) = named(rest, &["AM", "PM"], 2)?;
                (afternoon, rest) = (Some(half == 2), after);
            }
            Item::Hour | Item::Hour12 => (hour, rest) = digits(rest, 2)?,
            Item::Millis => (ms, rest) = fraction(rest)?,
            Item::Minute => (minute, rest) = digits(rest, 2)?,
            Item::Month => (month, rest) = digits(rest, 2)?,
            Item::MonthName => (month, rest) = named(rest, &MONTH_NAMES, usize::MAX)?,
            Item::MonthNameShort => (month, rest) = named(rest, &MONTH_NAMES, 3)?,
            Item::Offset | Item::OffsetOrZ | Item::OffsetPlain => {
                let (found, after) = read_offset(rest)?;
                (offset, rest) = (Some(found), after);
            }
            Item::Second => (second, rest) = digits(rest, 2)?,
            Item::Weekday | Item::WeekdayFromSunday => rest = digits(rest, 1)?.1,
            Item::Year => (year, rest) = digits(rest, 4)?,
            Item::YearShort => {
                (year, rest) = digits(rest, 2)?;
                year += if year < 69 { 2000 } else { 1900 };
            }
            // A day does not follow from these alone.
            Item::DayOfYear | Item::IsoWeek | Item::IsoYear => return None,
        }
    }
    if !rest.is_empty() {
        return None;
    }
    if let Some(afternoon) = afternoon {
        hour = Some(hour).filter(|hour| (1..=12).contains(hour))? % 12 + if afternoon { 12 } else { 0 };
    }
    if let Some(epoch) = epoch {
        return Some((epoch, Some(0)));
    }
    Some((day_of(year, month, day)? * DAY_MS + time_of(hour, minute, second)? + ms, offset))
}

/// Reads one of some names off a text, or its first letters, in any case; its number from 1.
fn named<'t>(text: &'t str, names: &[&str], letters: usize) -> Option<(i64, &'t str)> {
    (1..).zip(names).find_map(|(number, name)| {
        let length = name.len().min(letters);
        let (found, rest) = text.split_at_checked(length)?;
        found.eq_ignore_ascii_case(&name[..length]).then_some((number, rest))
    })
}

fn signed(text: &str) -> Option<(i64, &str)> {
    let after = text.strip_prefix('-').unwrap_or(text);
    let length = text.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((text[..length].parse().ok()?, &text[length..]))
}
