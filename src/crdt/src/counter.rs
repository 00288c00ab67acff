//! The counter: slots that only grow, one for each writer, over a value that was set.
//!
//! The sum is `set + Σ (up - base_up) - Σ (down - base_down)`. An increment raises `up` or `down` of the writer's own slot.
//! SET, RESTART and removal raise the bases to what their writer had seen, and so cancel exactly that; an increment they had
//! not seen still counts. Which value was set last is decided by stamp. Every part joins by its maximum.
//!
//! A PN_COUNTER is a counter that is never set.
//!
//! A slot is named by the stamp of its first increment, not by its writer alone: a writer that forgot the document (EVICT)
//! starts a new slot, whose low numbers cannot be taken for old news of its former one.

use value::Hlc;

use crate::stamp::Stamp;

/// The value set last; `None` when that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setting {
    pub(crate) stamp: Stamp,
    pub(crate) value: Option<i64>,
}

/// What one writer added and took away, and how much of it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The tick of the first increment and its writer.
    pub(crate) id: Stamp,
    /// The clock of the latest increment.
    pub(crate) last: Hlc,
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) base_up: u64,
    pub(crate) base_down: u64,
}

impl Slot {
    pub(crate) fn is_live(&self) -> bool {
        self.up > self.base_up || self.down > self.base_down
    }

    pub(crate) fn newest(&self) -> Stamp {
        Stamp { hlc: self.last, actor: self.id.actor }
    }

    fn sum(&self) -> i128 {
        i128::from(self.up) - i128::from(self.base_up) - i128::from(self.down) + i128::from(self.base_down)
    }

    fn cancelled(&self) -> Slot {
        Slot { base_up: self.up, base_down: self.down, ..*self }
    }

    fn join(&mut self, other: &Slot) -> bool {
        let before = *self;
        self.last = self.last.max(other.last);
        self.up = self.up.max(other.up);
        self.down = self.down.max(other.down);
        self.base_up = self.base_up.max(other.base_up);
        self.base_down = self.base_down.max(other.base_down);
        *self != before
    }
}

/// A number that many writers change at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) set: Option<Setting>,
    /// Ascending by id.
    pub(crate) slots: Vec<Slot>,
}

impl Counter {
    /// Returns the sum, held within 64 bits.
    pub(crate) fn value(&self) -> i64 {
        let set = self.set.and_then(|set| set.value).unwrap_or(0);
        let sum = self.slots.iter().map(Slot::sum).sum::<i128>() + i128::from(set);
        sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// Returns the newest stamp that still counts; `None` when the counter is removed or only bases are known.
    pub(crate) fn newest_live(&self) -> Option<Stamp> {
        let set = self.set.filter(|set| set.value.is_some()).map(|set| set.stamp);
        self.slots.iter().filter(|slot| slot.is_live()).map(Slot::newest).chain(set).max()
    }

    /// Returns the newest stamp.
    pub(crate) fn newest(&self) -> Option<Stamp> {
        self.slots.iter().map(Slot::newest).chain(self.set.map(|set| set.stamp)).max()
    }

    /// Takes the maximum of every part; says whether that changed anything.
    pub(crate) fn join(&mut self, other: &Counter) -> bool {
        let mut changed = false;
        if let Some(set) = other.set
            && self.set.is_none_or(|known| setting_order(&known) < setting_order(&set))
        {
            self.set = Some(set);
            changed = true;
        }
        for slot in &other.slots {
            match self.slots.binary_search_by_key(&slot.id, |known| known.id) {
                Ok(at) => changed |= self.slots[at].join(slot),
                Err(at) => {
                    self.slots.insert(at, *slot);
                    changed = true;
                }
            }
        }
        changed
    }

    /// Returns the delta of an increment; `None` on overflow of the writer's slot.
    ///
    /// `tick` names a new slot; `stamp` is the tick, moved above what is overwritten.
    pub(crate) fn increment(&self, tick: Stamp, stamp: Stamp, by: i64) -> Option<Counter> {
        let own = self.slots.iter().rev().find(|slot| slot.id.actor == tick.actor).copied();
        let mut slot = own.unwrap_or(Slot { id: tick, last: stamp.hlc, up: 0, down: 0, base_up: 0, base_down: 0 });
        slot.last = slot.last.max(stamp.hlc);
        let side = if by < 0 { &mut slot.down } else { &mut slot.up };
        *side = side.checked_add(by.unsigned_abs())?;
        Some(Counter { set: None, slots: vec![slot] })
    }

    /// Returns the delta of SET and RESTART: the value, and all slots cancelled as far as they are known.
    pub(crate) fn restart(&self, stamp: Stamp, with: i64) -> Counter {
        let slots = self.slots.iter().filter(|slot| slot.is_live()).map(Slot::cancelled).collect();
        Counter { set: Some(Setting { stamp, value: Some(with) }), slots }
    }

    /// Returns the delta of a removal: it carries no stamp but those it observed.
    pub(crate) fn remove(&self) -> Counter {
        let set = self.set.map(|set| Setting { stamp: set.stamp, value: None });
        Counter { set, ..self.restart(Stamp::default(), 0) }
    }
}

/// A removal is greater than the value it observed.
fn setting_order(set: &Setting) -> (Stamp, bool, Option<i64>) {
    (set.stamp, set.value.is_none(), set.value)
}
