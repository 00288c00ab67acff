//! A leaf: everything that was ever written at one path, each type in its own slot.

use crate::counter::Counter;
use crate::register::Register;
use crate::rich::Rich;
use crate::stamp::Stamp;

/// The slots of one path. Several may be filled; the newest shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) register: Option<Register>,
    pub(crate) counter: Option<Box<Counter>>,
    pub(crate) rich: Option<Box<Rich>>,
}

impl Leaf {
    /// Joins slot by slot; says whether that changed anything.
    pub(crate) fn join(&mut self, other: &Leaf) -> bool {
        let register = join_slot(&mut self.register, &other.register, Register::join);
        let counter = join_slot(&mut self.counter, &other.counter, |own, other| own.join(other));
        let rich = join_slot(&mut self.rich, &other.rich, |own, other| own.join(other));
        register | counter | rich
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.register.is_none() && self.counter.is_none() && self.rich.is_none()
    }

    /// Says whether anything here shows, or marks a map.
    pub(crate) fn is_live(&self) -> bool {
        self.newest_live().is_some()
    }

    /// Returns the newest stamp among what is not removed.
    pub(crate) fn newest_live(&self) -> Option<Stamp> {
        let register = self.register.as_ref().filter(|register| register.is_live());
        register.map(|register| register.stamp).max(self.newest_hiding())
    }

    /// Returns the newest stamp among what would hide a map at this path: live slots other than the map's marker.
    pub(crate) fn newest_hiding(&self) -> Option<Stamp> {
        let register = self.register.as_ref().filter(|register| register.value().is_some());
        let register = register.map(|register| register.stamp);
        let counter = self.counter.as_ref().and_then(|counter| counter.newest_live());
        let rich = self.rich.as_ref().and_then(|rich| rich.newest_live());
        register.max(counter).max(rich)
    }

    /// Returns the newest stamp, of removals too.
    pub(crate) fn newest(&self) -> Option<Stamp> {
        let register = self.register.as_ref().map(|register| register.stamp);
        let counter = self.counter.as_ref().and_then(|counter| counter.newest());
        register.max(counter).max(self.rich.as_ref().map(|rich| rich.newest()))
    }

    /// Returns the delta that removes everything that shows here; `None` when nothing does.
    pub(crate) fn remove(&self) -> Option<Leaf> {
        let register = self.register.as_ref().filter(|register| register.is_live());
        let counter = self.counter.as_ref().filter(|counter| counter.newest_live().is_some());
        let rich = self.rich.as_ref().filter(|rich| rich.newest_live().is_some());
        let leaf = Leaf {
            register: register.map(|register| Register::new(register.stamp, crate::register::Entry::Removed)),
            counter: counter.map(|counter| Box::new(counter.remove())),
            rich: rich.map(|rich| Box::new(rich.remove())),
        };
        (!leaf.is_empty()).then_some(leaf)
    }
}

fn join_slot<T: Clone>(own: &mut Option<T>, other: &Option<T>, join: impl FnOnce(&mut T, &T) -> bool) -> bool {
    match (own, other) {
        (_, None) => false,
        (Some(own), Some(other)) => join(own, other),
        (own, Some(other)) => {
            *own = Some(other.clone());
            true
        }
    }
}
