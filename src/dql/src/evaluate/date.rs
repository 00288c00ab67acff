//! The functions of dates, times and durations.
//!
//! A moment is an integer, milliseconds since 1970, or ISO 8601 text; text without an offset is UTC. A result is written as
//! the moment it was made from: an integer stays one, text keeps its offset. Years are 0 to 9999. What is no moment, no part
//! or no format is MISSING. Source: reference 2.7, and `docs/dql.md` for what it leaves open.
//!
//! Invariant: no clock and no table of zones here; a zone that is not fixed is the host's matter ([`Host`]).

mod calendar;
mod duration;
mod format;
mod moment;

use std::fmt;
use std::rc::Rc;

use value::{Millis, Value};

use crate::context::{UtcOnly, Zones};
use crate::function::Function;
use calendar::{Part, add, difference, part_of, truncate};
use moment::{Moment, Zoning, offset_text, read_offset};

/// The zones of the host, in a plan.
#[derive(Clone)]
pub(crate) struct Host(pub Rc<dyn Zones>);

impl PartialEq for Host {
    fn eq(&self, other: &Host) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("zones")
    }
}

/// Returns which argument of a function is a zone.
pub(crate) fn zone_argument(function: Function) -> Option<usize> {
    match function {
        Function::DateCast | Function::DateFormat | Function::DatePart | Function::DateTrunc => Some(2),
        Function::TzOffset => Some(0),
        _ => None,
    }
}

/// Returns the offset of a zone that is the same everywhere and always: UTC or `+02:00`; seconds.
pub(crate) fn fixed_offset(zone: &str) -> Option<i32> {
    UtcOnly
        .offset(zone, Millis(0))
        .or_else(|| read_offset(zone).filter(|(_, rest)| rest.is_empty()).map(|(zone, _)| zone))
}

/// Writes a moment in ISO 8601, in UTC and with milliseconds.
pub(crate) fn iso(ms: i64) -> Option<Value> {
    Moment { ms, offset: 0, form: moment::FULL }.text().map(Value::Str)
}

/// Calls one of the functions; all arguments are there.
pub(super) fn call(function: Function, arguments: &[&Value], zones: &dyn Zones) -> Option<Value> {
    let argument = |index: usize| arguments.get(index).copied();
    let text = |index: usize| argument(index).map(|value| value.as_str());
    let moment = |index: usize| Moment::of(argument(index)?);
    let part = |index: usize| Part::named(argument(index)?.as_str()?);
    let int = |index: usize| argument(index)?.as_int();
    match function {
        Function::DateAdd => add(&moment(0)?, int(1)?, part(2)?)?.value(),
        Function::DateSub => add(&moment(0)?, int(1)?.checked_neg()?, part(2)?)?.value(),
        Function::DateDiff => difference(&moment(0)?, &moment(1)?, part(2)?).map(Value::Int),
        Function::DatePart => {
            let name = argument(1)?.as_str()?;
            part_of(&moment(0)?.seen_from(text(2), zones)?, name)
        }
        Function::DateTrunc => {
            let truncated = truncate(&moment(0)?.seen_from(text(2), zones)?, part(1)?)?;
            match text(2) {
                // The offset may have changed since then.
                Some(zone) => in_zone(truncated.local(), zone?, zones)?.formed_as(&truncated).value(),
                None => truncated.value(),
            }
        }
        Function::DateFormat => {
            let format = argument(1)?.as_str()?;
            format::write(&moment(0)?.seen_from(text(2), zones)?, format).map(Value::Str)
        }
        Function::DateCast => date_cast(argument(0)?, text(1), text(2), zones).map(Value::Int),
        Function::DateRange => {
            let step = if arguments.len() > 3 { int(3)? } else { 1 };
            range(&moment(0)?, &moment(1)?, part(2)?, step)
        }
        Function::TzOffset => {
            let at = moment(1)?.seen_from(Some(argument(0)?.as_str()), zones)?;
            Some(Value::Str(offset_text(at.offset, ":")))
        }
        Function::DurationCast => duration::read(argument(0)?).map(Value::Int),
        Function::DurationFormat => duration::write(duration::read(argument(0)?)?).map(Value::Str),
        _ => None,
    }
}

/// Returns the milliseconds of a moment that is an integer, ISO 8601 text, or text in a format.
fn date_cast(
    value: &Value,
    format: Option<Option<&str>>,
    zone: Option<Option<&str>>,
    zones: &dyn Zones,
) -> Option<i64> {
    let Some(format) = format else { return Moment::of(value).map(|moment| moment.ms) };
    let (local, offset) = format::read(value.as_str()?, format?)?;
    match (offset, zone) {
        (Some(offset), _) => Some(local - i64::from(offset) * 1000),
        (None, Some(zone)) => in_zone(local, zone?, zones).map(|moment| moment.ms),
        (None, None) => Some(local),
    }
}

/// The moments from the first on, every so many parts, before the end; each is counted from the first, so that the 31st
/// comes back after a shorter month.
fn range(start: &Moment, end: &Moment, part: Part, step: i64) -> Option<Value> {
    const RANGE_MAX: i64 = 100_000;
    let mut moments = Vec::new();
    for index in 0..=RANGE_MAX {
        let moment = add(start, step.checked_mul(index).filter(|_| step != 0)?, part)?;
        if if step > 0 { moment.ms >= end.ms } else { moment.ms <= end.ms } {
            return Some(Value::Array(moments));
        }
        moments.push(moment.value()?);
    }
    None
}

/// Returns the offset of a zone at a moment, seconds.
fn offset_at(zone: &str, ms: i64, zones: &dyn Zones) -> Option<i32> {
    fixed_offset(zone).or_else(|| {
        let local = zone.eq_ignore_ascii_case("local").then(|| zones.local());
        let zone = local.as_deref().unwrap_or(zone);
        // No host knows the zones before 1970.
        zones.offset(zone, Millis(u64::try_from(ms).unwrap_or(0))).filter(|offset| offset.abs() < 86_400)
    })
}

/// Returns the moment at which clocks in a zone show a time, the later offset's where they show it twice or never.
fn in_zone(local: i64, zone: &str, zones: &dyn Zones) -> Option<Moment> {
    let guess = local - i64::from(offset_at(zone, local, zones)?) * 1000;
    let offset = offset_at(zone, guess, zones)?;
    Some(Moment { ms: local - i64::from(offset) * 1000, offset, form: moment::FULL })
}

impl Moment {
    /// Returns the same moment on the clocks of a zone; without one as it is.
    fn seen_from(self, zone: Option<Option<&str>>, zones: &dyn Zones) -> Option<Moment> {
        let Some(zone) = zone else { return Some(self) };
        let offset = offset_at(zone?, self.ms, zones)?;
        let mut moment = Moment { offset, ..self };
        if let Some(form) = &mut moment.form {
            form.zoning = if offset == 0 { Zoning::Utc } else { Zoning::Offset };
        }
        Some(moment)
    }

    fn formed_as(self, other: &Moment) -> Moment {
        Moment { form: other.form, ..self }
    }
}
