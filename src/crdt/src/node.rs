//! Reading: a place in the document with all leaves at and below it, and which of its types shows.

use value::{Object, Value};

use crate::leaf::Leaf;
use crate::path::{Path, first_name};
use crate::stamp::Stamp;
use crate::types::{Declared, Type};

/// A type of content that a path can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shown {
    Counter,
    Map,
    Register,
    Rich,
}

/// The leaves at and below one path.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    own: Option<&'a Leaf>,
    below: &'a [(Path, Leaf)],
    /// Bytes of the path that all leaves have in common.
    at: usize,
}

impl<'a> Node<'a> {
    /// Takes the leaves whose paths start with the same `at` bytes, ascending.
    pub(crate) fn new(leaves: &'a [(Path, Leaf)], at: usize) -> Node<'a> {
        match leaves.split_first() {
            Some(((path, leaf), below)) if path.as_str().len() == at => Node { own: Some(leaf), below, at },
            _ => Node { own: None, below: leaves, at },
        }
    }

    /// Returns what the newest live stamp at or below the path belongs to; `None` when nothing is live.
    pub(crate) fn shown(&self) -> Option<Shown> {
        let own = self.own;
        let register = own.and_then(|leaf| leaf.register.as_ref()).filter(|register| register.value().is_some());
        let counter = own.and_then(|leaf| leaf.counter.as_ref()).and_then(|counter| counter.newest_live());
        let rich = own.and_then(|leaf| leaf.rich.as_ref()).and_then(|rich| rich.newest_live());
        let candidates = [
            (counter, Shown::Counter),
            (self.newest_map(), Shown::Map),
            (register.map(|register| register.stamp), Shown::Register),
            (rich, Shown::Rich),
        ];
        candidates.into_iter().filter_map(|(stamp, shown)| Some((stamp?, shown))).max().map(|(_, shown)| shown)
    }

    /// Returns the newest live stamp of the map here: of its marker and of everything below.
    fn newest_map(&self) -> Option<Stamp> {
        let marker = self.own.and_then(|leaf| leaf.register.as_ref()).filter(|register| register.is_map());
        let below = self.below.iter().filter_map(|(_, leaf)| leaf.newest_live()).max();
        marker.map(|register| register.stamp).max(below)
    }

    /// Returns what shows: the type of the path if it holds anything, else the newest; nothing else where types are strict.
    pub(crate) fn value(&self, prefix: &str, declared: Option<&Declared>) -> Option<Value> {
        let wanted = declared.and_then(|declared| declared.find(prefix)).map(slot_of);
        let held = wanted.filter(|wanted| self.holds(*wanted));
        let newest = || if declared.is_some_and(|declared| declared.strict) { None } else { self.shown() };
        match held.or_else(newest)? {
            Shown::Counter => Some(Value::Int(self.own?.counter.as_ref()?.value())),
            Shown::Map => Some(Value::Object(self.fields(declared))),
            Shown::Register => self.own?.register.as_ref()?.value().cloned(),
            Shown::Rich => Some(self.own?.rich.as_ref()?.value()),
        }
    }

    /// Returns the fields of the map here.
    pub(crate) fn fields(&self, declared: Option<&Declared>) -> Object {
        let mut fields = Object::new();
        let mut rest = self.below;
        while let Some((path, _)) = rest.first() {
            let text = path.as_str();
            let Some((name, length)) = first_name(&text[self.at..]) else {
                break;
            };
            let prefix = &text[..self.at + length];
            let count = 1 + rest[1..].partition_point(|(path, _)| path.as_str().starts_with(prefix));
            let (group, others) = rest.split_at(count);
            if let Some(value) = Node::new(group, prefix.len()).value(prefix, declared) {
                fields.insert(name.into_owned(), value);
            }
            rest = others;
        }
        fields
    }

    fn holds(&self, wanted: Shown) -> bool {
        let own = self.own;
        match wanted {
            Shown::Counter => own.and_then(|leaf| leaf.counter.as_ref()?.newest_live()).is_some(),
            Shown::Map => self.newest_map().is_some(),
            Shown::Register => own.and_then(|leaf| leaf.register.as_ref()?.value()).is_some(),
            Shown::Rich => own.and_then(|leaf| leaf.rich.as_ref()?.newest_live()).is_some(),
        }
    }
}

fn slot_of(declared: Type) -> Shown {
    match declared {
        Type::Attachment | Type::Register => Shown::Register,
        Type::Counter | Type::PnCounter => Shown::Counter,
        Type::List | Type::Text | Type::Xml => Shown::Rich,
        Type::Map => Shown::Map,
    }
}
