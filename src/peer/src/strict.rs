//! `dql_strict_mode`: an object that no MAP is declared for is a REGISTER, one value that is written as a whole.
//!
//! The mode is carried out by declaring what the statement leaves open. Source: reference 2.6.

use crdt::{Op, Type, Types};
use value::{Object, Value};

/// Returns the declared types with a REGISTER for every object of a document that has no type.
pub fn of_document(declared: &Types, document: &Object) -> Types {
    let mut types = declared.clone();
    for (name, value) in document {
        declare(&mut types, &mut vec![name.clone()], value);
    }
    types
}

/// Adds a REGISTER for what an operation writes, and for what lies above it: a field below a register cannot be written.
pub fn of_op(types: &mut Types, op: &Op) {
    match op {
        Op::Set { path, value } => of_target(types, path, Some(value)),
        Op::Increment { path, .. } | Op::PnIncrement { path, .. } | Op::Restart { path, .. } | Op::Unset { path } => {
            of_target(types, path, None);
        }
    }
}

fn of_target(types: &mut Types, path: &[String], value: Option<&Value>) {
    for length in 1..path.len() {
        match type_of(types, &path[..length]) {
            Some(Type::Map) => {}
            Some(_) => return,
            None => return types.0.push((path[..length].to_vec(), Type::Register)),
        }
    }
    if let Some(value) = value {
        declare(types, &mut path.to_vec(), value);
    }
}

fn declare(types: &mut Types, path: &mut Vec<String>, value: &Value) {
    let Value::Object(fields) = value else { return };
    match type_of(types, path) {
        Some(Type::Map) => {
            for (name, value) in fields {
                path.push(name.clone());
                declare(types, path, value);
                path.pop();
            }
        }
        Some(_) => {}
        None => types.0.push((path.clone(), Type::Register)),
    }
}

fn type_of(types: &Types, path: &[String]) -> Option<Type> {
    types.0.iter().find(|(declared, _)| declared == path).map(|(_, of)| *of)
}
