//! The last things that were named, so that they need not be spelled again: both ends of a link keep the same list.

/// A ring of at most 127 things, so that a place in it fits a varint of one byte.
///
/// Whoever writes and whoever reads must add the same things in the same order.
#[derive(Debug)]
pub struct Recent<T> {
    things: Vec<T>,
    /// The place that the next one takes, once the ring is full.
    next: usize,
}

/// Most things in a ring.
const THINGS_MAX: usize = 127;

impl<T: PartialEq> Recent<T> {
    /// Returns the place of a thing.
    pub fn place(&self, is: impl Fn(&T) -> bool) -> Option<usize> {
        self.things.iter().position(is)
    }

    /// Returns the thing at a place.
    pub fn at(&self, place: usize) -> Option<&T> {
        self.things.get(place)
    }

    /// Adds a thing over the one that was added longest ago.
    pub fn add(&mut self, thing: T) {
        if self.things.len() < THINGS_MAX {
            self.things.push(thing);
        } else {
            self.things[self.next] = thing;
            self.next = (self.next + 1) % THINGS_MAX;
        }
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Recent<T> {
        Recent { things: Vec::new(), next: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn the_oldest_gives_way_and_places_stay() {
        let mut recent = Recent::default();
        (0..127).for_each(|number| recent.add(number));
        assert_eq!((recent.at(0), recent.at(126), recent.at(127)), (Some(&0), Some(&126), None));
        recent.add(200);
        assert_eq!((recent.at(0), recent.at(1)), (Some(&200), Some(&1)));
        assert_eq!((recent.place(|thing| *thing == 0), recent.place(|thing| *thing == 200)), (None, Some(0)));
    }
}
