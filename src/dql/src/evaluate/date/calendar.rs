//! Parts of a moment, and calculation with them. Months have different lengths: the 31st of January and a month is the last
//! day of February. A week starts on Monday and counts as ISO 8601 counts it.

use value::Value;

use super::format::{DAY_NAMES, MONTH_NAMES};
use super::moment::{DAY_MS, Moment, day_of, offset_text};

/// A unit of the calendar or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So many milliseconds, the same everywhere: a week, and what is shorter.
    Fixed(i64),
    /// So many months.
    Months(i64),
}

const PARTS: [(&str, Part); 9] = [
    ("year", Part::Months(12)),
    ("quarter", Part::Months(3)),
    ("month", Part::Months(1)),
    ("week", Part::Fixed(WEEK_MS)),
    ("day", Part::Fixed(DAY_MS)),
    ("hour", Part::Fixed(3_600_000)),
    ("minute", Part::Fixed(60_000)),
    ("second", Part::Fixed(1000)),
    ("millisecond", Part::Fixed(1)),
];
const WEEK_MS: i64 = 7 * DAY_MS;
/// 1970-01-01 is a Thursday.
const MONDAY_MS: i64 = 4 * DAY_MS;

impl Part {
    /// Finds a part by its name, in any case of letters and with or without a plural s.
    pub fn named(name: &str) -> Option<Part> {
        PARTS.into_iter().find(|(known, _)| is_named(name, known)).map(|(_, part)| part)
    }
}

fn is_named(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known) || name.strip_suffix(['s', 'S']).is_some_and(|one| one.eq_ignore_ascii_case(known))
}

/// Adds so many parts.
pub(super) fn add(moment: &Moment, count: i64, part: Part) -> Option<Moment> {
    let months = match part {
        Part::Fixed(ms) => return moment.at_local(moment.local().checked_add(count.checked_mul(ms)?)?),
        Part::Months(months) => months,
    };
    let (month, day, of_day) = month_of(moment)?;
    let month = month.checked_add(count.checked_mul(months)?)?;
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let day = (28..=day).rev().chain([day]).find_map(|day| day_of(year, month, day))?;
    moment.at_local(day * DAY_MS + of_day)
}

/// Returns how many whole parts the first is after the second; negative if it is before.
pub(super) fn difference(moment: &Moment, other: &Moment, part: Part) -> Option<i64> {
    let months = match part {
        Part::Fixed(ms) => return Some(moment.ms.checked_sub(other.ms)? / ms),
        Part::Months(months) => months,
    };
    // Both on the clocks of the first.
    let other = Moment { offset: moment.offset, ..*other };
    let ((month, day, of_day), (other_month, other_day, other_of_day)) = (month_of(moment)?, month_of(&other)?);
    let whole = month - other_month;
    let order = (day, of_day).cmp(&(other_day, other_of_day));
    let incomplete = match whole.signum() {
        1 if order.is_lt() => 1,
        -1 if order.is_gt() => -1,
        _ => 0,
    };
    Some((whole - incomplete) / months)
}

/// Returns the start of the part that a moment is in.
pub(super) fn truncate(moment: &Moment, part: Part) -> Option<Moment> {
    let local = moment.local();
    let start = match part {
        Part::Fixed(WEEK_MS) => local - (local - MONDAY_MS).rem_euclid(WEEK_MS),
        Part::Fixed(ms) => local - local.rem_euclid(ms),
        Part::Months(months) => {
            let month = month_of(moment)?.0;
            let month = month - month.rem_euclid(months);
            day_of(month.div_euclid(12), month.rem_euclid(12) + 1, 1)? * DAY_MS
        }
    };
    moment.at_local(start)
}

/// Returns the months since year 0, the day of the month and the milliseconds of the day.
fn month_of(moment: &Moment) -> Option<(i64, i64, i64)> {
    let (date, of_day) = moment.date_and_time()?;
    let month = i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1;
    Some((month, i64::from(date.day()), of_day))
}

/// Returns a part by its name: a number, or the name of a month, a day or an offset.
pub(super) fn part_of(moment: &Moment, name: &str) -> Option<Value> {
    let (date, of_day) = moment.date_and_time()?;
    let month = u8::from(date.month());
    let weekday = date.weekday().number_from_monday();
    let is = |known: &str| is_named(name, known);
    let number = if is("year") {
        i64::from(date.year())
    } else if is("quarter") {
        i64::from(month.div_ceil(3))
    } else if is("month") {
        i64::from(month)
    } else if is("week") {
        i64::from(date.iso_week())
    } else if is("day") {
        i64::from(date.day())
    } else if is("hour") {
        of_day / 3_600_000
    } else if is("minute") {
        of_day / 60_000 % 60
    } else if is("second") {
        of_day / 1000 % 60
    } else if is("millisecond") {
        of_day % 1000
    } else if is("weekday") {
        i64::from(weekday)
    } else if is("dayofyear") {
        i64::from(date.ordinal())
    } else if is("isoyear") {
        i64::from(date.to_iso_week_date().0)
    } else {
        let text = if is("monthname") {
            MONTH_NAMES[usize::from(month) - 1].to_owned()
        } else if is("dayname") {
            DAY_NAMES[usize::from(weekday) - 1].to_owned()
        } else if is("tz") {
            offset_text(moment.offset, ":")
        } else {
            return None;
        };
        return Some(Value::Str(text));
    };
    Some(Value::Int(number))
}
