//! Random replicas with wrong clocks and a network that loses, doubles, reorders and splits deltas: all end equal.

use value::{HlcClock, Millis};

use super::{Random, increment, joined, object, path, set, types, unset};
use crate::{Doc, Op, Stamp, Type, Types, delete, delete_fields, edit, insert, insert_initial, upsert_changed};

struct Replica {
    doc: Doc,
    clock: HlcClock,
    skew: u64,
    actor: u64,
}

const PATHS: [&str; 8] = ["a", "b", "m", "m.x", "m.y", "m.z.w", "n", "m.n"];

fn declared() -> Types {
    types(&[("n", Type::Counter), ("m.n", Type::PnCounter), ("t", Type::Text)])
}

/// Makes one random delta.
fn change(replica: &mut Replica, now: u64, with_text: bool, random: &mut Random) -> Doc {
    let hlc = replica.clock.tick(Millis(now + replica.skew));
    let at = Stamp { hlc, actor: replica.actor };
    let seed = object(&format!(r#"{{"a":{},"m":{{"x":1}},"n":2}}"#, random.below(2)));
    let delta = match random.below(24) {
        0 => Ok(delete(&replica.doc, at)),
        1 => Ok(delete_fields(&replica.doc)),
        2 => insert_initial(&replica.doc, &seed, &declared()),
        3 => upsert_changed(&replica.doc, &seed, &declared(), at),
        4 => {
            replica.doc = Doc::default();
            Ok(Doc::default())
        }
        _ if !replica.doc.is_live() => insert(&replica.doc, &seed, &declared(), at),
        _ => {
            let ops: Vec<Op> = (0..1 + random.below(3)).map(|_| operation(with_text, random)).collect();
            edit(&replica.doc, &ops, &declared(), at)
        }
    };
    let delta = delta.expect("a valid edit");
    replica.doc.join(&delta);
    delta
}

fn operation(with_text: bool, random: &mut Random) -> Op {
    if with_text && random.below(2) == 0 {
        let words = ["", "one", "one two", "two one", "on😀e", "none"];
        return set("t", &format!("\"{}\"", random.pick(&words)));
    }
    let dotted = *random.pick(&PATHS);
    let counter = dotted == "n" || dotted == "m.n";
    match random.below(6) {
        0 | 1 => unset(dotted),
        2 if dotted == "n" => Op::Restart { path: path(dotted), with: random.below(9) as i64 },
        _ if counter => increment(dotted, random.below(9) as i64 - 4),
        3 => set(dotted, "{}"),
        4 => set(dotted, r#"{"k":1}"#),
        _ => set(dotted, &random.below(100).to_string()),
    }
}

/// Leaves out some leaves of a delta: any subset is a delta.
fn part(delta: &Doc, random: &mut Random) -> Doc {
    let mut part = delta.clone();
    part.leaves.retain(|_| random.below(3) > 0);
    if part.is_absent() { Doc::default() } else { part }
}

fn round(seed: u64, with_text: bool) {
    let random = &mut Random::new(seed);
    let count = 2 + random.below(3);
    let mut replicas: Vec<Replica> = (0..count)
        .map(|actor| Replica {
            doc: Doc::default(),
            clock: HlcClock::default(),
            skew: random.below(3) * random.below(1000),
            actor: actor + 1,
        })
        .collect();
    let mut sent: Vec<Doc> = Vec::new();
    for now in 0..20 + random.below(10) {
        let at = random.below(count) as usize;
        let delta = change(&mut replicas[at], 1000 + now, with_text, random);
        sent.push(delta);
        for _ in 0..random.below(4) {
            let to = random.below(count) as usize;
            let delta = random.pick(&sent).clone();
            let delta = if random.below(3) == 0 { part(&delta, random) } else { delta };
            replicas[to].doc.join(&delta);
        }
    }
    check_laws(&sent, &replicas, seed, random);
    // In the end every pair meets, in two orders, by states; no delta is sent again.
    let states: Vec<Doc> = replicas.iter().map(|replica| replica.doc.clone()).collect();
    let mut orders: Vec<usize> = (0..states.len()).collect();
    let mut ends: Vec<Doc> = Vec::new();
    for _ in 0..3 {
        random.shuffle(&mut orders);
        ends.push(orders.iter().fold(Doc::default(), |merged, at| joined(&merged, &states[*at])));
    }
    for end in &ends {
        assert_eq!(end, &ends[0], "seed {seed}: replicas differ");
        assert_eq!(end.encode(), ends[0].encode(), "seed {seed}");
        assert_eq!(end.to_object(&declared()), ends[0].to_object(&declared()), "seed {seed}");
    }
    let bytes = ends[0].encode();
    assert_eq!(Doc::decode(&bytes).as_ref(), Ok(&ends[0]), "seed {seed}");
    for state in &states {
        super::bytes::check_projection(state, &format!("seed {seed}"));
        assert!(!ends[0].clone().join(state), "seed {seed}: the end lacks something");
    }
}

/// Idempotence, commutativity and associativity on three random deltas and states.
fn check_laws(sent: &[Doc], replicas: &[Replica], seed: u64, random: &mut Random) {
    let pick = |random: &mut Random| match random.below(2) {
        0 => random.pick(sent).clone(),
        _ => random.pick(replicas).doc.clone(),
    };
    let (a, b, c) = (pick(random), pick(random), pick(random));
    assert_eq!(joined(&a, &a), a, "seed {seed}: not idempotent");
    assert_eq!(joined(&a, &b), joined(&b, &a), "seed {seed}: not commutative");
    assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)), "seed {seed}: not associative");
    let mut changed = a.clone();
    assert_eq!(changed.join(&b), changed != a, "seed {seed}: join reports the wrong answer");
}

#[test]
fn replicas_converge_whatever_the_network_does() {
    for seed in 1..=5000 {
        round(seed, false);
    }
    println!("seeds 1..=5000");
}

#[test]
fn replicas_with_text_converge_whatever_the_network_does() {
    for seed in 1..=400 {
        round(seed, true);
    }
    println!("seeds 1..=400");
}
