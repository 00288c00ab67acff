//! Arithmetic: integers stay integers, everything is checked, and what has no finite result is MISSING.

use value::Value;

use crate::ast::Operator;

/// Computes with two numbers; nothing on a wrong type, an overflow or a division by zero.
pub(crate) fn compute(operator: Operator, left: &Value, right: &Value) -> Option<Value> {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        return integers(operator, *left, *right).map(Value::Int);
    }
    let (left, right) = (left.as_float()?, right.as_float()?);
    let result = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Remainder => left % right,
        _ => return None,
    };
    finite(result)
}

fn integers(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
        Operator::ShiftLeft => left.checked_shl(u32::try_from(right).ok()?),
        Operator::ShiftRight => left.checked_shr(u32::try_from(right).ok()?),
        _ => None,
    }
}

/// Returns the number with the other sign.
pub(crate) fn negate(value: &Value) -> Option<Value> {
    match value {
        Value::Int(int) => int.checked_neg().map(Value::Int),
        Value::Float(float) => Some(Value::Float(-float)),
        _ => None,
    }
}

/// Returns the magnitude of a number.
pub(crate) fn absolute(value: &Value) -> Option<Value> {
    match value {
        Value::Int(int) => int.checked_abs().map(Value::Int),
        Value::Float(float) => Some(Value::Float(float.abs())),
        _ => None,
    }
}

/// Wraps a float that is a number.
pub(crate) fn finite(float: f64) -> Option<Value> {
    float.is_finite().then_some(Value::Float(float))
}

/// Returns a count that is not negative. In WebAssembly numbers of things have 32 bits: a greater count is the greatest, and
/// there are never so many.
pub(crate) fn whole_count(int: i64) -> Option<usize> {
    u64::try_from(int).ok().map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}
