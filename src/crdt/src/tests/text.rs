//! Rich text: gaps, order, damage, and what it costs.

use std::collections::BTreeSet;

use value::Value;

use super::{Random, edited, joined, object, path, set, stamp, types};
use crate::rich::{Edit, Known, Rich, RichKind, is_update};
use crate::{Doc, Stamp, Type, Types, edit, insert};

fn declared() -> Types {
    types(&[("t", Type::Text)])
}

fn base(text: &str) -> Doc {
    insert(&Doc::default(), &object(&format!(r#"{{"t":"{text}"}}"#)), &declared(), stamp(10, 1)).expect("valid")
}

fn text_of(doc: &Doc) -> String {
    let object = doc.to_object(&declared()).expect("live");
    object.get("t").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn write(doc: &Doc, text: &str, hlc: u64, actor: u64) -> Doc {
    edit(doc, &[set("t", &format!("\"{text}\""))], &declared(), stamp(hlc, actor)).expect("valid")
}

fn typed(known: Option<&Rich>, text: &str, tick: Stamp, stamp: Stamp) -> Rich {
    let known = Known { rich: known, kind: RichKind::Text, is_other: false };
    Rich::edit(known, Edit::Set(&Value::Str(text.to_owned())), tick, stamp).expect("valid")
}

#[test]
fn a_delta_with_a_gap_waits_for_its_predecessor() {
    let base = base("one");
    let first = write(&base, "one two", 20, 2);
    let middle = joined(&base, &first);
    let second = write(&middle, "one two three", 30, 2);
    assert_eq!(text_of(&joined(&base, &second)), "one");
    let early = joined(&second, &first);
    assert_eq!(
        early
            .leaf(&crate::path::Path::new(&path("t")))
            .and_then(|leaf| leaf.rich.as_ref())
            .map(|rich| rich.pending.len()),
        Some(2)
    );
    let whole = joined(&early, &base);
    assert_eq!(text_of(&whole), "one two three");
    assert_eq!(whole, joined(&joined(&base, &first), &second));
    assert_eq!(Doc::decode(&early.encode()), Ok(early));
}

#[test]
fn updates_that_need_each_other_in_turn_become_whole_together() {
    // Goal: groups of updates as a relay may form them. Method: joins of deltas in every order of a chain of five.
    let mut states = vec![base("0")];
    let mut deltas = Vec::new();
    for at in 1..=5_u64 {
        let known = states[at as usize - 1].clone();
        let delta = write(&known, &format!("{}{at}", text_of(&known)), 10 + at, 1 + at % 2);
        states.push(joined(&known, &delta));
        deltas.push(delta);
    }
    let random = &mut Random::new(5);
    for round in 0..60 {
        let mut parts: Vec<Doc> = deltas.iter().cloned().chain([states[0].clone()]).collect();
        random.shuffle(&mut parts);
        while parts.len() > 1 {
            let (a, b) = (random.below(parts.len() as u64) as usize, random.below(parts.len() as u64) as usize);
            if a != b {
                let merged = joined(&parts[a], &parts[b]);
                parts[a] = merged;
                parts.remove(b);
            }
        }
        assert_eq!(parts[0], states[5], "round {round}");
        assert_eq!(text_of(&parts[0]), "012345");
    }
}

#[test]
fn the_state_is_an_update_for_any_yjs_client() {
    let doc = edited(&base("hello"), &[set("t", "\"hello world\"")], &declared(), stamp(20, 2));
    let (kind, state) = doc.rich_state(&path("t")).expect("rich");
    assert_eq!((kind, is_update(kind, &state)), (RichKind::Text, true));
    assert_eq!(doc.rich_state(&path("missing")), None);
}

#[test]
fn damaged_updates_are_dropped_or_wait_and_never_panic() {
    // Goal: bytes that pass the checksum, as a hostile peer could make them. Method: damage them in memory.
    let start = base("some text to begin with");
    let first = edited(&start, &[set("t", "\"some other text to begin with\"")], &declared(), stamp(20, 2));
    let second = edited(&first, &[set("t", "\"text to 😀 begin\"")], &declared(), stamp(30, 3));
    let rich = |doc: &Doc| doc.leaves[1].1.rich.clone().expect("rich");
    let (known, update) = (rich(&start), rich(&second).state);
    let random = &mut Random::new(11);
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = update.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = if random.below(2) == 0 { random.below(256) as u8 } else { bytes[at] ^ 1 << random.below(8) };
        }
        if !is_update(RichKind::Text, &bytes) {
            continue;
        }
        read += 1;
        let other = Rich { pending: BTreeSet::from([bytes]), ..*known.clone() };
        let mut own = known.clone();
        own.join(&other);
        let _ = (own.value(), own.remove());
    }
    println!("{read} of 20,000 damaged updates were read");
}

#[test]
fn the_cost_of_edits_is_as_documented() {
    let mut doc = base("");
    let mut text = String::new();
    for at in 0..100_u64 {
        text.push_str("word ");
        doc = edited(&doc, &[set("t", &format!("\"{text}\""))], &declared(), stamp(100 + at, 2));
    }
    let bytes = doc.encode().len();
    let delta = write(&doc, &format!("{text}."), 1000, 3).encode().len();
    println!("500 characters in 100 edits: {bytes} bytes; delta of one character: {delta} bytes");
    assert!(bytes < 500 + 100 * 40 && delta <= 100);
}

#[test]
fn editors_that_type_many_updates_converge_to_the_same_bytes() {
    // Goal: one form of the state. Method: each replica types under one client id, as a Yjs editor does; deltas are lost,
    // doubled and reordered; insertions and deletions split blocks in another order everywhere.
    for seed in 1..=300 {
        let random = &mut Random::new(seed);
        let first = typed(None, "0123456789", stamp(1, 9), stamp(1, 9));
        let mut replicas = vec![first; 3];
        let mut sent: Vec<Rich> = Vec::new();
        for step in 0..30 {
            let at = random.below(3) as usize;
            let mut text: Vec<char> = replicas[at].value().as_str().expect("text").chars().collect();
            let place = random.below(text.len() as u64 + 1) as usize;
            if random.below(2) == 0 {
                text.drain(place..text.len().min(place + 1 + random.below(3) as usize));
            } else {
                text.splice(place..place, ['a', 'b', 'c'].into_iter().take(1 + random.below(3) as usize));
            }
            let text: String = text.into_iter().collect();
            let delta = typed(Some(&replicas[at]), &text, stamp(5, at as u64), stamp(10 + step, at as u64));
            replicas[at].join(&delta);
            assert_eq!(replicas[at].value(), Value::Str(text), "seed {seed}");
            sent.push(delta);
            for _ in 0..random.below(4) {
                let delta = random.pick(&sent).clone();
                replicas[random.below(3) as usize].join(&delta);
            }
        }
        let mut ends: Vec<Rich> = Vec::new();
        for _ in 0..4 {
            random.shuffle(&mut sent);
            random.shuffle(&mut replicas);
            let mut end = replicas[0].clone();
            if random.below(2) == 0 {
                sent.iter().for_each(|delta| {
                    end.join(delta);
                });
            }
            replicas.iter().for_each(|replica| {
                end.join(replica);
            });
            ends.push(end);
        }
        for end in &ends {
            assert!(end == &ends[0] && end.pending.is_empty(), "seed {seed}");
        }
    }
}

#[test]
fn text_in_the_place_of_a_list_is_refused_and_shown_as_nothing_elsewhere() {
    use crate::{Received, receive};
    // A Y.Text of one character beyond the basic plane, made by a client that took the field for a text.
    let update: Vec<u8> = [&[1, 1, 1, 0, 4, 1, 7][..], b"default", &[4, 0xf0, 0x9f, 0x98, 0x80, 0]].concat();
    let path = ["f".to_owned()];
    let to =
        |kind| receive(&Doc::default(), Received { path: &path, kind, life: None, update: &update }, stamp(1 << 16, 1));
    assert!(to(RichKind::List).is_err());
    for kind in [RichKind::Text, RichKind::Xml] {
        let doc = to(kind).expect("an update");
        assert_eq!(Doc::decode(&doc.encode()), Ok(doc.clone()));
        assert!(doc.to_object(&Types::default()).is_some());
    }
}
