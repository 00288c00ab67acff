//! Checks that no acknowledged write is lost, no refused one shows, and nothing overwritten comes back.
//!
//! For each document and field of the final state, from what the clients know: a value must come from a write that was not
//! refused and may have touched the document; it must not have been seen by the author of a later acknowledged write,
//! removal or deletion; and nothing may be missing that was acknowledged, unless somebody may have taken it away.

use std::collections::BTreeMap;

use value::{Object, Value};

use crate::document::{self, COLLECTIONS, Code, FIELDS};
use crate::model::{DocumentId, Effect, Fate, Model, Write};

/// The documents of one collection by id.
pub type Rows = BTreeMap<i64, Object>;

/// Returns rows by id.
pub fn by_id(rows: &[Value]) -> Rows {
    rows.iter().filter_map(|row| Some((document::id(row)?, row.as_object()?.clone()))).collect()
}

/// Checks the final documents of a collection; says what is wrong with the first that is.
pub fn check(model: &Model, collection: usize, rows: &Rows) -> Result<(), String> {
    if let Some(number) = model.refused_but_shown() {
        return Err(format!("a refused write was seen: {}", tell(model, number)));
    }
    let mut ids: Vec<i64> = rows.keys().copied().collect();
    for write in model.writes.iter().filter(|write| write.collection == collection) {
        ids.extend(write.touched.iter().flatten());
    }
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        check_document(model, (collection, id), rows.get(&id))
            .map_err(|fault| format!("document {id} of {}: {fault}", COLLECTIONS[collection]))?;
    }
    Ok(())
}

fn check_document(model: &Model, document: DocumentId, row: Option<&Object>) -> Result<(), String> {
    let writes: Vec<(usize, &Write)> =
        model.writes.iter().enumerate().filter(|(_, write)| write.may_touch(document)).collect();
    let removable = writes.iter().any(|(_, write)| matches!(write.effect, Effect::Delete | Effect::Evict));
    let certain = |write: &Write| model.is_certain(write, document.1);
    let Some(row) = row else {
        let born =
            writes.iter().find(|(_, write)| matches!(write.effect, Effect::Insert | Effect::Initial) && certain(write));
        return match born {
            Some((number, _)) if !removable => {
                Err(format!("it is gone, though nobody deleted it after {}", tell(model, *number)))
            }
            _ => Ok(()),
        };
    };
    for field in document::fields(document::ALL_FIELDS) {
        let verdict = match document::read(row, field) {
            Some(value) => check_value(model, document, field, value),
            None if removable => Ok(()),
            None => check_absence(model, document, field, &writes),
        };
        verdict.map_err(|fault| format!("{fault}{}", history(model, field, &writes)))?;
    }
    Ok(())
}

/// Tells the last writes that may have touched a field, for whoever has to find out what happened.
fn history(model: &Model, field: usize, writes: &[(usize, &Write)]) -> String {
    const TOLD: usize = 8;
    let covers = |write: &Write| write.effect == Effect::Delete || (write.sets | write.unsets) & 1 << field != 0;
    let numbers: Vec<usize> = writes.iter().filter(|(_, write)| covers(write)).map(|(number, _)| *number).collect();
    let told = numbers.iter().skip(numbers.len().saturating_sub(TOLD));
    told.map(|number| format!("\n    {}", tell(model, *number))).collect()
}

/// Checks that a value may be the last one.
fn check_value(model: &Model, document: DocumentId, field: usize, value: &Value) -> Result<(), String> {
    let name = FIELDS[field];
    let code = Code::of(value).filter(|code| code.write < model.writes.len() && code.field == field);
    let Some(code) = code else {
        return Err(format!("{name} is {value:?}, which nobody wrote"));
    };
    let author = &model.writes[code.write];
    if !author.may_touch(document) {
        return Err(format!("{name} shows a value of a write that was not made here: {}", tell(model, code.write)));
    }
    let later = model.writes.iter().enumerate().find(|(_, write)| {
        let covers = match write.effect {
            Effect::Delete => true,
            Effect::Evict | Effect::Initial => false,
            Effect::Insert | Effect::Update => (write.sets | write.unsets) & 1 << field != 0,
        };
        covers
            && write.may_touch(document)
            && model.is_certain(write, document.1)
            && write.had_seen.contains(&(document.1, code))
    });
    match later {
        None => Ok(()),
        Some((number, _)) => Err(format!(
            "{name} still shows the value of {}, which had been seen and overwritten by {}",
            tell(model, code.write),
            tell(model, number)
        )),
    }
}

/// Checks that a field may be missing from a document that nobody deleted.
fn check_absence(model: &Model, document: DocumentId, field: usize, writes: &[(usize, &Write)]) -> Result<(), String> {
    let bit = 1 << field;
    // A removal takes away what it had seen, and with it every concurrent value of an older stamp. A write is safe from a
    // removal that was over before it was made if its author had seen every value that the removal may have seen.
    let takes = |removal: &Write, write: &Write| {
        let Some(over) = removal.settled.filter(|over| *over < write.made) else { return true };
        writes.iter().any(|(number, other)| {
            let code = Code { write: *number, field };
            other.sets & bit != 0 && other.made <= over && !write.had_seen.contains(&(document.1, code))
        })
    };
    let set = writes.iter().find(|(_, write)| {
        let kept = write.sets & bit != 0 && write.effect != Effect::Initial && model.is_certain(write, document.1);
        kept && !writes.iter().any(|(_, other)| other.unsets & bit != 0 && takes(other, write))
    });
    match set {
        None => Ok(()),
        Some((number, _)) => {
            Err(format!("{} is missing, though nobody removed it after {}", FIELDS[field], tell(model, *number)))
        }
    }
}

/// Tells of a write in one line.
pub fn tell(model: &Model, number: usize) -> String {
    let write = &model.writes[number];
    let fate = match write.fate {
        Fate::Acknowledged(_) => "acknowledged",
        Fate::Idle => "without effect",
        Fate::Lost => "lost in a crash that it was not to survive",
        Fate::Refused => "refused",
        Fate::Unknown => "never answered",
    };
    let settled = write.settled.map_or_else(|| "never".to_owned(), |at| at.0.to_string());
    format!("write {number} (peer {}, made {}, settled {settled}, {fate}: {})", write.node, write.made.0, write.text)
}
