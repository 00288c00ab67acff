//! The functions of one row. An argument that is missing or of a wrong type makes the result MISSING, but for the functions
//! that ask about absence. Positions and lengths in text count characters. Source: reference 2.7.

use std::borrow::Cow;

use value::limits::DOCUMENT_BYTES_MAX;
use value::order;
use value::{Object, Value};

use super::arithmetic::{absolute, finite, whole_count};
use super::cast::cast;
use super::{Answer, Code, Environment, Matcher, date, json};
use crate::context::{UtcOnly, Zones};
use crate::function::Function;

/// Calls a function; the parser has checked the number of arguments.
pub(super) fn call<'a>(function: Function, arguments: &'a [Code], environment: Environment<'a>) -> Answer<'a> {
    match function {
        Function::Coalesce
        | Function::Decode
        | Function::IfMissing
        | Function::IfMissingOrNull
        | Function::IfNull
        | Function::MissingIf
        | Function::NullIf
        | Function::Nvl => choose(function, arguments, environment),
        Function::IsBoolean
        | Function::IsMissing
        | Function::IsMissingOrNull
        | Function::IsNull
        | Function::IsNumber
        | Function::IsString
        | Function::Type => ask(function, arguments.first()?.evaluate(environment).as_deref()).map(Cow::Owned),
        Function::DateAdd
        | Function::DateCast
        | Function::DateDiff
        | Function::DateFormat
        | Function::DatePart
        | Function::DateRange
        | Function::DateSub
        | Function::DateTrunc
        | Function::DurationCast
        | Function::DurationFormat
        | Function::TzOffset => dated(function, arguments, environment, &UtcOnly),
        Function::Concat => concat(arguments, environment).map(Cow::Owned),
        Function::ObjectConcat => object_concat(arguments, environment).map(Cow::Owned),
        _ => {
            let first = arguments.first()?.evaluate(environment)?;
            let (second, third) = (rest(arguments, 1, environment)?, rest(arguments, 2, environment)?);
            plain(function, &first, second.as_deref(), third.as_deref()).map(Cow::Owned)
        }
    }
}

/// Calls a function of dates; none of its arguments may be missing.
pub(super) fn dated<'a>(
    function: Function,
    arguments: &[Code],
    environment: Environment<'_>,
    zones: &dyn Zones,
) -> Answer<'a> {
    let mut answers = Vec::new();
    for argument in arguments {
        answers.push(argument.evaluate(environment)?);
    }
    let values: Vec<&Value> = answers.iter().map(|answer| &**answer).collect();
    date::call(function, &values, zones).map(Cow::Owned)
}

/// Evaluates an argument that may be left out; nothing if it is there and missing.
fn rest<'a>(arguments: &'a [Code], index: usize, environment: Environment<'a>) -> Option<Answer<'a>> {
    match arguments.get(index) {
        Some(argument) => argument.evaluate(environment).map(Some),
        None => Some(None),
    }
}

/// The functions that return one of their arguments, and evaluate no more of them than they need.
fn choose<'a>(function: Function, arguments: &'a [Code], environment: Environment<'a>) -> Answer<'a> {
    let mut answers = arguments.iter().map(|argument| argument.evaluate(environment));
    let is_null = |answer: &Answer<'_>| matches!(answer.as_deref(), Some(Value::Null));
    let is_there = |answer: &Answer<'_>| answer.is_some() && !is_null(answer);
    match function {
        Function::IfMissing => answers.find(Option::is_some)?,
        Function::IfNull => answers.find(|answer| !is_null(answer)).unwrap_or(Some(Cow::Owned(Value::Null))),
        Function::Nvl if arguments.len() == 3 => {
            let there = answers.next().is_some_and(|answer| is_there(&answer));
            answers.nth(usize::from(!there))?
        }
        Function::MissingIf | Function::NullIf => {
            let (first, second) = (answers.next()??, answers.next()??);
            match order::equal(&first, &second) {
                false => Some(first),
                true if function == Function::NullIf => Some(Cow::Owned(Value::Null)),
                true => None,
            }
        }
        Function::Decode => decode(arguments, environment),
        _ => answers.find(is_there).unwrap_or(Some(Cow::Owned(Value::Null))),
    }
}

/// `decode(x, a, r, b, s, …, default)`: `r` if x is a, `s` if x is b.
fn decode<'a>(arguments: &'a [Code], environment: Environment<'a>) -> Answer<'a> {
    let (subject, pairs) = arguments.split_first()?;
    let subject = subject.evaluate(environment)?;
    let pairs = pairs.chunks_exact(2);
    let otherwise = pairs.remainder().first();
    for pair in pairs {
        if pair[0].evaluate(environment).is_some_and(|value| order::equal(&subject, &value)) {
            return pair[1].evaluate(environment);
        }
    }
    otherwise.map_or(Some(Cow::Owned(Value::Null)), |otherwise| otherwise.evaluate(environment))
}

/// The functions that ask what an argument is, and have an answer for missing.
fn ask(function: Function, value: Option<&Value>) -> Option<Value> {
    let is = match function {
        Function::IsMissing => value.is_none(),
        Function::IsMissingOrNull => matches!(value, None | Some(Value::Null)),
        Function::IsNull => matches!(value, Some(Value::Null)),
        Function::IsBoolean => matches!(value?, Value::Bool(_)),
        Function::IsNumber => matches!(value?, Value::Int(_) | Value::Float(_)),
        Function::IsString => matches!(value?, Value::Str(_)),
        _ => return Some(Value::from(value.map_or("missing", Value::type_name))),
    };
    Some(Value::Bool(is))
}

fn concat(arguments: &[Code], environment: Environment<'_>) -> Option<Value> {
    let mut text = String::new();
    for argument in arguments {
        append(&mut text, argument.evaluate(environment)?.as_str()?)?;
    }
    Some(Value::Str(text))
}

/// Appends, or gives nothing when the text would be too long to be stored anyway.
pub(super) fn append(text: &mut String, more: &str) -> Option<()> {
    if text.len() + more.len() > DOCUMENT_BYTES_MAX {
        return None;
    }
    text.push_str(more);
    Some(())
}

fn object_concat(arguments: &[Code], environment: Environment<'_>) -> Option<Value> {
    let mut all = Object::new();
    for argument in arguments {
        all.extend(argument.value(environment)?.into_object()?);
    }
    Some(Value::Object(all))
}

/// The functions of one to three values that are all there.
fn plain(function: Function, first: &Value, second: Option<&Value>, third: Option<&Value>) -> Option<Value> {
    match function {
        Function::Abs => absolute(first),
        Function::Ceil => whole(first, f64::ceil),
        Function::Floor => whole(first, f64::floor),
        Function::ArrayContains => {
            Some(Value::Bool(first.as_array()?.iter().any(|item| order::equal(item, second.unwrap_or(&Value::Null)))))
        }
        Function::ArrayContainsNull => Some(Value::Bool(first.as_array()?.contains(&Value::Null))),
        Function::ArrayLength => count(first.as_array()?.len()),
        Function::Cast => cast(first, second?.as_str()?),
        Function::JoinStr => join(first.as_array()?, second?.as_str()?),
        Function::SerializeJson => json::write(first),
        Function::ObjectKeys => {
            Some(Value::Array(first.as_object()?.keys().map(|name| Value::from(name.as_str())).collect()))
        }
        Function::ObjectLength => count(first.as_object()?.len()),
        Function::ObjectValues => Some(Value::Array(first.as_object()?.values().cloned().collect())),
        Function::ObjectRename => {
            let (old, new) = (second?.as_str()?, third?.as_str()?);
            let mut object = first.as_object()?.clone();
            if let Some(value) = object.remove(old) {
                object.insert(new.to_owned(), value);
            }
            Some(Value::Object(object))
        }
        Function::ObjectSet => {
            let mut object = first.as_object()?.clone();
            object.insert(second?.as_str()?.to_owned(), third?.clone());
            Some(Value::Object(object))
        }
        Function::ObjectUnset => {
            let mut object = first.as_object()?.clone();
            object.remove(second?.as_str()?);
            Some(Value::Object(object))
        }
        _ => text(function, first.as_str()?, second, third),
    }
}

fn whole(value: &Value, round: fn(f64) -> f64) -> Option<Value> {
    match value {
        Value::Int(int) => Some(Value::Int(*int)),
        Value::Float(float) => {
            let rounded = round(*float);
            Value::Float(rounded).as_int().map(Value::Int).or_else(|| finite(rounded))
        }
        _ => None,
    }
}

fn count(count: usize) -> Option<Value> {
    i64::try_from(count).ok().map(Value::Int)
}

/// The functions of text.
fn text(function: Function, text: &str, second: Option<&Value>, third: Option<&Value>) -> Option<Value> {
    let other = || second?.as_str();
    // What trimming takes away: the characters of the second argument, or blanks.
    let set = match second {
        Some(set) => set.as_str(),
        None => Some(""),
    };
    let trimmed = |c: char| if second.is_none() { c.is_whitespace() } else { set.is_some_and(|set| set.contains(c)) };
    Some(match function {
        Function::ByteLength => return count(text.len()),
        Function::CharLength => return count(text.chars().count()),
        Function::Contains => Value::Bool(text.contains(other()?)),
        Function::EndsWith => Value::Bool(text.ends_with(other()?)),
        Function::StartsWith => Value::Bool(text.starts_with(other()?)),
        Function::Lower => return short(text.to_lowercase()),
        Function::Upper => return short(text.to_uppercase()),
        Function::LTrim => set.map(|_| Value::from(text.trim_start_matches(trimmed)))?,
        Function::RTrim => set.map(|_| Value::from(text.trim_end_matches(trimmed)))?,
        Function::Trim => set.map(|_| Value::from(text.trim_matches(trimmed)))?,
        Function::Pos => match text.find(other()?) {
            Some(at) => return count(text[..at].chars().count()),
            None => Value::Int(-1),
        },
        Function::DeserializeJson => return json::read(text),
        Function::RegexpLike => {
            let flags = match third {
                Some(flags) => flags.as_str()?,
                None => "",
            };
            Value::Bool(Matcher::regular(other()?, flags).ok()?.is_match(text))
        }
        Function::Substr => return substring(text, second?.as_int()?, third),
        Function::Repeat => return repeat(text, second?.as_int()?),
        Function::Split => split(text, second)?,
        Function::LPad | Function::RPad => return pad(function, text, second?.as_int()?, third),
        _ => return None,
    })
}

/// Wraps a text that is short enough to be stored: some letters are longer in the other case.
fn short(text: String) -> Option<Value> {
    (text.len() <= DOCUMENT_BYTES_MAX).then_some(Value::Str(text))
}

/// Joins the strings of an array; nothing if another type is among them.
fn join(items: &[Value], separator: &str) -> Option<Value> {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        append(&mut text, if index == 0 { "" } else { separator })?;
        append(&mut text, item.as_str()?)?;
    }
    Some(Value::Str(text))
}

fn substring(text: &str, start: i64, length: Option<&Value>) -> Option<Value> {
    let rest = text.chars().skip(whole_count(start)?);
    Some(Value::Str(match length {
        Some(length) => rest.take(whole_count(length.as_int()?)?).collect(),
        None => rest.collect(),
    }))
}

fn repeat(text: &str, times: i64) -> Option<Value> {
    let times = whole_count(times)?;
    let fits = text.len().checked_mul(times).is_some_and(|length| length <= DOCUMENT_BYTES_MAX);
    fits.then(|| Value::Str(text.repeat(times)))
}

fn split(text: &str, separator: Option<&Value>) -> Option<Value> {
    let parts: Vec<Value> = match separator {
        Some(separator) if separator.as_str()?.is_empty() => return None,
        Some(separator) => text.split(separator.as_str()?).map(Value::from).collect(),
        None => text.split_whitespace().map(Value::from).collect(),
    };
    Some(Value::Array(parts))
}

/// Fills up to a length on one side, or cuts to it.
fn pad(function: Function, text: &str, length: i64, filler: Option<&Value>) -> Option<Value> {
    let length = whole_count(length).filter(|length| *length <= DOCUMENT_BYTES_MAX / 4)?;
    let filler = match filler {
        Some(filler) => filler.as_str()?,
        None => " ",
    };
    let lacking = length.saturating_sub(text.chars().count());
    if lacking > 0 && filler.is_empty() {
        return None;
    }
    let filling = filler.chars().cycle().take(lacking);
    let text = text.chars().take(length);
    Some(Value::Str(if function == Function::LPad {
        filling.chain(text).collect()
    } else {
        text.chain(filling).collect()
    }))
}
