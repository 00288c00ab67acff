//! Functions whose binding is more than that of their arguments: patterns are compiled, the time and the zones are taken in.
//!
//! Invariant: what depends on the host - its time, its zones - is noted in `Binder::host`, so that a subscription, which
//! means the same on every peer, can refuse it.

use value::{Object, Value};

use super::Binder;
use crate::ast::{Expr, Negation};
use crate::error::DqlError;
use crate::evaluate::{Code, Host, Matcher, date};
use crate::function::Function;

impl Binder<'_> {
    /// Resolves the call of a function.
    pub(super) fn function(&mut self, function: Function, arguments: &[Expr]) -> Result<Code, DqlError> {
        let mut arguments = self.bind_all(arguments)?;
        Ok(match function {
            Function::RegexpLike => match arguments.as_slice() {
                [_, Code::Constant(Some(Value::Str(pattern)))] => {
                    let matcher = compiled(Matcher::regular(pattern, ""))?;
                    Code::Matches(Box::new(arguments.swap_remove(0)), matcher, Negation::Plain)
                }
                [_, Code::Constant(Some(Value::Str(pattern))), Code::Constant(Some(Value::Str(flags)))] => {
                    let matcher = compiled(Matcher::regular(pattern, flags))?;
                    Code::Matches(Box::new(arguments.swap_remove(0)), matcher, Negation::Plain)
                }
                _ => Code::Function(function, arguments),
            },
            Function::Clock => {
                self.ask_host("clock()");
                let now = self.now();
                if arguments.is_empty() {
                    return Ok(Code::Constant(date::iso(now)));
                }
                arguments.insert(0, Code::Constant(Some(Value::Int(now))));
                self.zoned(Function::DateFormat, arguments)
            }
            Function::RequestInfo => {
                self.ask_host("request_info()");
                Code::Constant(Some(Value::Object(self.request_info())))
            }
            Function::TzOffset => {
                if arguments.is_empty() {
                    arguments.push(Code::Constant(Some(Value::from("local"))));
                }
                if arguments.len() == 1 {
                    self.ask_host("tz_offset() of now");
                    arguments.push(Code::Constant(Some(Value::Int(self.now()))));
                }
                self.zoned(function, arguments)
            }
            _ => self.zoned(function, arguments),
        })
    }

    /// Resolves SIMILAR TO.
    pub(super) fn similar(&mut self, operands: &[Expr; 2], negation: Negation) -> Result<Code, DqlError> {
        let operands = self.bind_each(operands)?;
        if let Code::Constant(Some(Value::Str(pattern))) = &operands[1] {
            let matcher = compiled(Matcher::similar(pattern))?;
            let [text, _] = *operands;
            return Ok(Code::Matches(Box::new(text), matcher, negation));
        }
        Ok(Code::Similar(operands, negation))
    }

    /// Gives a function of dates the host's zones if its zone is not fixed.
    fn zoned(&mut self, function: Function, arguments: Vec<Code>) -> Code {
        let zone = date::zone_argument(function).and_then(|index| arguments.get(index));
        let fixed = zone.is_none_or(|zone| match zone {
            Code::Constant(Some(Value::Str(zone))) => date::fixed_offset(zone).is_some(),
            Code::Constant(_) => true,
            _ => false,
        });
        if fixed {
            return Code::Function(function, arguments);
        }
        self.ask_host("a time zone by name");
        Code::Zoned(function, arguments, Host(self.context.zones.clone()))
    }

    fn ask_host(&mut self, what: &'static str) {
        self.context.asked_host.set(self.context.asked_host.get().or(Some(what)));
    }

    fn now(&self) -> i64 {
        i64::try_from(self.context.now.0).unwrap_or(i64::MAX)
    }

    fn request_info(&self) -> Object {
        let mut info = Object::new();
        info.insert("strict_mode".to_owned(), Value::Bool(self.context.strict));
        info.insert("time".to_owned(), date::iso(self.now()).unwrap_or(Value::Null));
        info.insert("time_zone".to_owned(), Value::Str(self.context.zones.local()));
        info
    }
}

fn compiled(matcher: Result<Matcher, String>) -> Result<Matcher, DqlError> {
    let invalid = |reason: String| ["the pattern is not valid: ", &reason].concat();
    matcher.map_err(|reason| DqlError::new(value::ErrorCode::QueryInvalid, invalid(reason), None))
}
