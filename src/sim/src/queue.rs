//! Virtual time: events in the order of their time, and of their making within one millisecond.

use std::collections::BTreeMap;

use value::Millis;

/// What is still to happen.
#[derive(Debug)]
pub struct Queue<T> {
    events: BTreeMap<(Millis, u64), T>,
    made: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { events: BTreeMap::new(), made: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts an event at a time.
    pub fn push(&mut self, at: Millis, event: T) {
        self.made += 1;
        self.events.insert((at, self.made), event);
    }

    /// Takes the next event, unless it is later than the limit.
    pub fn pop(&mut self, until: Millis) -> Option<(Millis, T)> {
        let (&(at, _), _) = self.events.first_key_value()?;
        if at > until {
            return None;
        }
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_making() {
        let mut queue = Queue::default();
        queue.push(Millis(5), "c");
        queue.push(Millis(1), "a");
        queue.push(Millis(5), "d");
        queue.push(Millis(1), "b");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(Millis(4)).map(|(_, name)| name)).collect();
        assert_eq!(order, ["a", "b"]);
        assert_eq!(queue.pop(Millis(5)), Some((Millis(5), "c")));
    }
}
