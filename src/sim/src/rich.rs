//! Texts and lists in a run: peers splice into the same few, and no insertion may be lost, doubled or torn.
//!
//! Everything that is inserted is made of *atoms*: characters of a text, items of a list, each of which is used once in a run.
//! So a checker that meets an atom knows which edit put it where. An edit that removes names the whole content that its
//! client knows as a condition, and therefore removes exactly what the model thinks. One that only inserts has no condition:
//! it lands wherever its place is by then, or is refused when there is no such place.
//!
//! Fates of edits are kept in `model` like those of all writes; chance has a stream of its own. Documents are never deleted
//! and fields never unset, since both may take what nobody had seen.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use peer::io::Input;
use store::Durability;
use value::{Millis, Object, Value};

use crate::cluster::Cluster;
use crate::document::{self, RICH, RICH_SOURCE};
use crate::model::{Effect, Fate, Model, Write};
use crate::node::Request;
use crate::plant::Plant;
use crate::rng::Rng;

/// The fields, by index: a text and a list.
const FIELDS: [&str; 2] = ["body", "items"];
const TEXT: usize = 0;
/// Documents in use.
const IDS: u64 = 2;
/// Where characters of one code unit begin, and those of two.
const NARROW: u32 = 0x4e00;
const WIDE: u32 = 0x2_0000;

/// What is inserted: a number that is used once.
type Atom = u32;

/// Which field of which document.
type Place = (i64, usize);

/// What a write does to one field.
#[derive(Clone, Debug)]
struct Edit {
    write: usize,
    place: Place,
    inserts: Range<Atom>,
    removes: Vec<Atom>,
}

/// What clients know of texts and lists.
#[derive(Debug)]
pub struct Rich {
    rng: Rng,
    edits: Vec<Edit>,
    /// The edit of each atom.
    author: Vec<usize>,
    shown: BTreeSet<Atom>,
    /// What each peer has shown last.
    known: BTreeMap<(usize, Place), Vec<Atom>>,
}

impl Rich {
    /// Starts with nothing written.
    pub fn new(seed: u64) -> Rich {
        let (edits, author, shown, known) = Default::default();
        Rich { rng: Rng::named(seed, "rich text"), edits, author, shown, known }
    }

    /// Returns the source of chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Forgets what a peer has shown, since it may have forgotten it too.
    pub fn forget(&mut self, node: usize) {
        self.known.retain(|(of, _), _| *of != node);
    }

    /// Takes the documents that a peer has shown; says what can never be.
    pub fn see(&mut self, node: usize, rows: &[Value]) -> Result<(), String> {
        for row in rows {
            let (Some(id), Some(object)) = (document::id(row), row.as_object()) else {
                return Err(format!("a row of r without an _id: {row:?}"));
            };
            for (field, name) in FIELDS.iter().enumerate() {
                let atoms = read(object.get(*name)).ok_or_else(|| format!("{name} of {id} is {:?}", object.get(*name)));
                let atoms = atoms?;
                self.sound((id, field), &atoms).map_err(|fault| format!("{name} of {id}: {fault} in {atoms:?}"))?;
                self.shown.extend(&atoms);
                self.known.insert((node, (id, field)), atoms);
            }
        }
        Ok(())
    }

    /// Checks that every atom was put there, once, and that those of one edit have kept their order.
    fn sound(&self, place: Place, atoms: &[Atom]) -> Result<(), String> {
        let mut last: BTreeMap<usize, Atom> = BTreeMap::new();
        for atom in atoms {
            let author = self.author.get(*atom as usize).filter(|author| self.edits[**author].place == place);
            let Some(author) = author else { return Err(format!("{atom} was never put there")) };
            match last.insert(*author, *atom) {
                Some(before) if before == *atom => return Err(format!("{atom} is there twice")),
                Some(before) if before > *atom => return Err(format!("{atom} stands behind {before}")),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Judges the documents of the end.
    pub fn check(&self, model: &Model, rows: &[Value]) -> Result<(), String> {
        let tell = |edit: &Edit| crate::check_loss::tell(model, edit.write);
        let mut there: BTreeSet<Atom> = BTreeSet::new();
        for row in rows.iter().filter_map(Value::as_object) {
            FIELDS.iter().for_each(|name| there.extend(read(row.get(*name)).unwrap_or_default()));
        }
        for edit in &self.edits {
            let write = &model.writes[edit.write];
            let void = matches!(write.fate, Fate::Idle | Fate::Refused);
            if let Some(atom) = edit.inserts.clone().find(|atom| void && self.shown.contains(atom)) {
                return Err(format!("{atom} was seen, which {} had inserted", tell(edit)));
            }
            let certain = model.is_certain(write, edit.place.0);
            if let Some(atom) = edit.removes.iter().find(|atom| certain && there.contains(atom)) {
                return Err(format!("{atom} is there again, which {} had removed", tell(edit)));
            }
            let removed = |atom: &Atom| {
                let removes = |other: &&Edit| other.place == edit.place && other.removes.contains(atom);
                let may = |other: &Edit| model.writes[other.write].may_touch((RICH, edit.place.0));
                self.edits.iter().filter(removes).any(may)
            };
            if let Some(atom) = edit.inserts.clone().find(|atom| certain && !there.contains(atom) && !removed(atom)) {
                return Err(format!("{atom} is missing, which {} had inserted", tell(edit)));
            }
        }
        Ok(())
    }

    /// Makes atoms for an edit.
    fn insert(&mut self, write: usize, place: Place, removes: Vec<Atom>) -> Range<Atom> {
        let start = self.author.len() as Atom;
        let inserts = start..start + self.rng.between(1, 4) as Atom;
        self.author.resize(inserts.end as usize, self.edits.len());
        self.edits.push(Edit { write, place, inserts: inserts.clone(), removes });
        inserts
    }

    fn known(&self, node: usize, place: Place) -> &[Atom] {
        self.known.get(&(node, place)).map_or(&[], |atoms| atoms)
    }

    /// Makes a statement: its text and arguments.
    fn statement(&mut self, node: usize, write: usize, id: i64) -> (String, Object) {
        let mut args = Object::from([("id".to_owned(), Value::Int(id))]);
        let field = self.rng.index(FIELDS.len());
        match self.rng.weighted(&[15, 35, 20, 15, 10]) {
            0 => {
                let fields = [0, 1].map(|field| show(field, self.insert(write, (id, field), Vec::new())));
                let names = FIELDS.iter().map(|name| (*name).to_owned());
                let row = names.zip(fields).chain([("_id".to_owned(), Value::Int(id))]).collect();
                args = Object::from([("row".to_owned(), Value::Object(row))]);
                (format!("INSERT INTO {RICH_SOURCE} DOCUMENTS (:row) ON ID CONFLICT DO NOTHING"), args)
            }
            1 => {
                let splice = self.splice(node, write, (id, field), &mut args);
                (format!("UPDATE {RICH_SOURCE} APPLY {splice} WHERE _id = :id"), args)
            }
            2 => {
                let splices = [0, 1].map(|field| self.splice(node, write, (id, field), &mut args));
                (format!("UPDATE {RICH_SOURCE} APPLY {} WHERE _id = :id", splices.join(", ")), args)
            }
            shape => {
                let name = FIELDS[field];
                let change = self.replace(node, write, (id, field), (shape == 3, &mut args));
                (format!("UPDATE {RICH_SOURCE} {change} WHERE _id = :id AND {name} = :known"), args)
            }
        }
    }

    /// Inserts at some place, whatever is there by then.
    fn splice(&mut self, node: usize, write: usize, place: Place, args: &mut Object) -> String {
        let known = self.known(node, place).to_vec();
        let at = units(place.1, &known[..self.rng.index(known.len() + 1)]);
        let inserts = self.insert(write, place, Vec::new());
        let name = FIELDS[place.1];
        args.insert(format!("new_{name}"), show(place.1, inserts));
        format!("{name} SPLICE ({at}, 0, :new_{name})")
    }

    /// Replaces a part of the known content, by a splice or as a whole.
    fn replace(&mut self, node: usize, write: usize, place: Place, (spliced, args): (bool, &mut Object)) -> String {
        let (known, name) = (self.known(node, place).to_vec(), FIELDS[place.1]);
        let start = self.rng.index(known.len() + 1);
        let end = (start + self.rng.index(4)).min(known.len());
        let inserts = self.insert(write, place, known[start..end].to_vec());
        args.insert("known".to_owned(), show(place.1, known.iter().copied()));
        if spliced {
            args.insert("new".to_owned(), show(place.1, inserts));
            let (at, length) = (units(place.1, &known[..start]), units(place.1, &known[start..end]));
            return format!("APPLY {name} SPLICE ({at}, {length}, :new)");
        }
        let whole = known[..start].iter().copied().chain(inserts).chain(known[end..].iter().copied());
        args.insert("new".to_owned(), show(place.1, whole));
        format!("SET {name} = :new")
    }
}

impl Cluster {
    /// Lets the client of a peer edit a text or a list now and then.
    pub fn step_rich(&mut self, node: usize) {
        if !self.profile.rich || !self.rich.rng.chance(350) {
            return;
        }
        if self.rich.rng.chance(500) {
            self.look(node, RICH);
        }
        let (number, id) = (self.model.writes.len(), self.rich.rng.below(IDS) as i64);
        let (text, mut args) = self.rich.statement(node, number, id);
        let durability = [Durability::Memory, Durability::Relaxed, Durability::Strict];
        let durability = durability[self.rich.rng.weighted(&[10, 60, 30])];
        let write = Write {
            node,
            collection: RICH,
            targets: Some(BTreeSet::from([id])),
            effect: Effect::Update,
            sets: 0,
            unsets: 0,
            durability,
            text: format!("{text}, {args:?}"),
            made: self.now,
            settled: None::<Millis>,
            fate: Fate::Unknown,
            touched: None,
            had_seen: BTreeSet::new(),
        };
        let mark = self.model.mark();
        self.model.make(write, mark);
        if self.plant == Some(Plant::TornSplice)
            && let Some(Value::Str(new)) = args.get_mut("new_body")
            && self.strikes()
        {
            new.pop();
        }
        let ticket = self.ticket(node, Request::Write(Some(number)));
        self.deliver(node, Input::Execute { ticket, transaction: None, text, args, durability });
    }
}

/// Returns atoms as a field holds them.
fn show(field: usize, atoms: impl Iterator<Item = Atom>) -> Value {
    match field {
        TEXT => Value::Str(atoms.map(character).collect()),
        _ => Value::Array(atoms.map(|atom| Value::Int(i64::from(atom))).collect()),
    }
}

/// Reads the atoms of a field; a missing one has none.
fn read(value: Option<&Value>) -> Option<Vec<Atom>> {
    let of = |character: char| {
        let code = character as u32;
        code.checked_sub(WIDE).or(code.checked_sub(NARROW))
    };
    match value {
        None => Some(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_int().and_then(|int| int.try_into().ok())).collect()
        }
        Some(Value::Str(text)) => text.chars().map(of).collect(),
        Some(_) => None,
    }
}

/// Every third character has two code units.
fn character(atom: Atom) -> char {
    let first = if atom.is_multiple_of(3) { WIDE } else { NARROW };
    char::from_u32(first + atom).expect("a run has a few hundred atoms")
}

/// Returns how long atoms are as places count.
fn units(field: usize, atoms: &[Atom]) -> usize {
    match field {
        TEXT => atoms.iter().map(|atom| character(*atom).len_utf16()).sum(),
        _ => atoms.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rich() -> Rich {
        let mut rich = Rich::new(1);
        for write in 0..4 {
            rich.insert(write, (1, write % 2), Vec::new());
        }
        rich
    }

    fn row(atoms: &[Atom]) -> [Value; 1] {
        [Value::from([("_id", Value::Int(1)), ("body", show(TEXT, atoms.iter().copied()))])]
    }

    #[test]
    fn atoms_are_read_as_they_were_shown() {
        for field in [0, 1] {
            assert_eq!(read(Some(&show(field, 0..500))), Some((0..500).collect()));
        }
        assert_eq!(units(TEXT, &[0, 1, 2, 3]), 6);
    }

    #[test]
    fn a_torn_doubled_or_foreign_insertion_is_seen() {
        let mut rich = rich();
        let first = rich.edits[0].inserts.clone();
        let second = rich.edits[2].inserts.clone();
        rich.author.push(0);
        let mut one: Vec<Atom> = first.clone().chain(second.clone()).collect();
        assert_eq!(rich.see(0, &row(&one)), Ok(()));
        one.push(first.start);
        assert!(rich.see(0, &row(&one)).is_err(), "doubled or out of order");
        assert!(rich.see(0, &row(&[rich.edits[1].inserts.start])).is_err(), "of another field");
        assert!(rich.see(0, &row(&[9_999])).is_err(), "never made");
    }
}
