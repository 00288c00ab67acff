//! Random histories against models that keep every event: what the compact form forgets must never be needed.

use std::collections::{BTreeMap, BTreeSet};

use value::Value;

use super::{Random, edited, increment, inserted, joined, path, set, shown, stamp, types, unset};
use crate::{Doc, Op, Type, Types};

/// An increment, or a restart with everything it had seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Increment { id: u64, by: i64 },
    Restart { at: (u64, u64), with: i64, seen: BTreeSet<u64> },
}

fn expected(events: &BTreeSet<Event>) -> i64 {
    let (mut last, mut cancelled) = (((0, 0), 0), BTreeSet::<u64>::new());
    for event in events {
        if let Event::Restart { at, with, seen } = event {
            last = last.max((*at, *with));
            cancelled.extend(seen);
        }
    }
    let increments = events.iter().map(|event| match event {
        Event::Increment { id, by } if !cancelled.contains(id) => *by,
        Event::Increment { .. } | Event::Restart { .. } => 0,
    });
    last.1 + increments.sum::<i64>()
}

#[test]
fn a_counter_sums_exactly_the_increments_no_restart_had_seen() {
    // Goal: the sum. Method: replicas that merge whole states, against sets of all events.
    let declared = types(&[("n", Type::Counter)]);
    for seed in 1..=1500 {
        let random = &mut Random::new(seed);
        let base = inserted("{}", stamp(1, 9));
        let mut replicas: Vec<(Doc, BTreeSet<Event>)> = vec![(base, BTreeSet::new()); 3];
        for step in 0..30 {
            let (at, from) = (random.below(3) as usize, random.below(3) as usize);
            // Clocks of different speed; the bump makes a restart later than all it had seen.
            let clock = 10 + step * (1 + at as u64 * 3);
            let (doc, events) = replicas[at].clone();
            replicas[at] = match random.below(8) {
                0 => {
                    let with = random.below(50) as i64;
                    let op = Op::Restart { path: path("n"), with };
                    let doc = edited(&doc, &[op], &declared, stamp(clock, at as u64));
                    let set = doc.leaves[1].1.counter.as_ref().and_then(|counter| counter.set).expect("set");
                    let seen = events.iter().filter_map(|event| match event {
                        Event::Increment { id, .. } => Some(*id),
                        Event::Restart { .. } => None,
                    });
                    let restart = Event::Restart { at: (set.stamp.hlc.0, set.stamp.actor), with, seen: seen.collect() };
                    (doc, events.into_iter().chain([restart]).collect())
                }
                1..=4 => {
                    let by = random.below(20) as i64 - 8;
                    let doc = edited(&doc, &[increment("n", by)], &declared, stamp(clock, at as u64));
                    (doc, events.into_iter().chain([Event::Increment { id: step, by }]).collect())
                }
                _ => {
                    let (other, others) = &replicas[from];
                    (joined(&doc, other), events.union(others).cloned().collect())
                }
            };
            let (doc, events) = &replicas[at];
            let found = doc.to_object(&declared).expect("live").get("n").cloned().unwrap_or(Value::Int(0));
            assert_eq!(found, Value::Int(expected(events)), "seed {seed} step {step}");
        }
    }
}

/// A write, or the removals that had seen it.
#[derive(Clone, Default)]
struct Field {
    writes: BTreeMap<(u64, u64), u64>,
    removed: BTreeSet<(u64, u64)>,
}

impl Field {
    fn newest(&self) -> Option<((u64, u64), u64)> {
        self.writes.last_key_value().map(|(at, value)| (*at, *value)).filter(|(at, _)| !self.removed.contains(at))
    }
}

#[test]
fn the_newest_write_shows_unless_a_removal_had_seen_it() {
    // Goal: later stamp wins and add wins, exactly. Method: as above, fields of a nested map; removals of one and of all.
    let names = ["x", "y", "z"];
    for seed in 1..=1500 {
        let random = &mut Random::new(seed);
        let base = inserted(r#"{"m":{}}"#, stamp(1, 9));
        let mut replicas: Vec<(Doc, [Field; 3])> = vec![(base, Default::default()); 3];
        for step in 0..30_u64 {
            let (at, from) = (random.below(3) as usize, random.below(3) as usize);
            let clock = 10 + step * (1 + at as u64 * 5);
            let (mut doc, mut fields) = replicas[at].clone();
            let place = random.below(3) as usize;
            let dotted = format!("m.{}", names[place]);
            match random.below(8) {
                0 => {
                    doc = edited(&doc, &[unset("m")], &Types::default(), stamp(clock, at as u64));
                    doc = edited(&doc, &[set("m", "{}")], &Types::default(), stamp(clock, at as u64));
                    fields.iter_mut().for_each(|field| field.removed.extend(field.newest().map(|(at, _)| at)));
                }
                1 => {
                    doc = edited(&doc, &[unset(&dotted)], &Types::default(), stamp(clock, at as u64));
                    fields[place].removed.extend(fields[place].newest().map(|(at, _)| at));
                }
                2..=4 => {
                    let write = set(&dotted, &step.to_string());
                    doc = edited(&doc, &[write], &Types::default(), stamp(clock, at as u64));
                    let known = fields[place].writes.last_key_value().map(|(at, _)| at.0);
                    let hlc = known.map_or(clock, |known| clock.max(known + 1));
                    fields[place].writes.insert((hlc, at as u64), step);
                }
                _ => {
                    doc.join(&replicas[from].0);
                    for (field, other) in fields.iter_mut().zip(&replicas[from].1) {
                        field.writes.extend(&other.writes);
                        field.removed.extend(&other.removed);
                    }
                }
            }
            let shows = fields.iter().zip(names).filter_map(|(field, name)| Some((name, field.newest()?.1 as i64)));
            let shows = shows.map(|(name, value)| (name.to_owned(), Value::Int(value))).collect();
            let wanted = Value::from([("m", Value::Object(shows))]);
            assert_eq!(shown(&doc), Some(wanted), "seed {seed} step {step}");
            replicas[at] = (doc, fields);
        }
    }
}
