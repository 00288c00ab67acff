//! Runs the named vectors of `tests/vectors/crdt`; the format is described at the top of `merge.txt`.

use std::collections::BTreeMap;

use super::{Random, from_json, path, stamp};
use crate::{Doc, Op, Type, Types, delete, delete_fields, edit, insert, insert_initial, upsert_changed};
use value::{Object, Value};

const FILES: [(&str, &str); 3] = [
    ("merge.txt", include_str!("../../../../tests/vectors/crdt/merge.txt")),
    ("more.txt", include_str!("../../../../tests/vectors/crdt/more.txt")),
    ("rich.txt", include_str!("../../../../tests/vectors/crdt/rich.txt")),
];

/// One replica of a vector: its state, and the deltas it made or saw.
#[derive(Clone, Default)]
struct Replica {
    doc: Doc,
    deltas: Vec<Doc>,
}

impl Replica {
    fn take(&mut self, delta: Doc) {
        self.doc.join(&delta);
        self.deltas.push(delta);
    }
}

#[derive(Default)]
struct Case {
    name: String,
    types: Types,
    replicas: BTreeMap<String, Replica>,
}

#[test]
fn every_vector_shows_what_it_says() {
    let mut count = 0;
    for (file, text) in FILES {
        let mut case = Case::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix("case ") {
                count += 1;
                case = Case { name: format!("{file}:{}: {name}", number + 1), ..Case::default() };
                continue;
            }
            run(&mut case, line);
        }
    }
    println!("{count} vectors");
    assert!(count >= 30);
}

fn run(case: &mut Case, line: &str) {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    match first {
        "types" => {
            case.types.declared = rest.split(", ").map(declaration).collect();
        }
        "shows" => check(case, rest),
        replica => {
            let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            step(case, replica, verb, rest);
        }
    }
}

fn declaration(text: &str) -> (Vec<String>, Type) {
    let (dotted, name) = text.split_once(' ').expect("a path and a type");
    let all = [
        Type::Attachment,
        Type::Counter,
        Type::List,
        Type::Map,
        Type::PnCounter,
        Type::Register,
        Type::Text,
        Type::Xml,
    ];
    (path(dotted), *all.iter().find(|kind| kind.name() == name).expect("the name of a type"))
}

/// Runs one line of a replica: `see`, `evict`, `shows`, or an edit with its clock.
fn step(case: &mut Case, name: &str, verb: &str, rest: &str) {
    let base = case.replicas.get("base").cloned().unwrap_or_default();
    let mut replica = case.replicas.get(name).cloned().unwrap_or(base);
    match verb {
        "evict" => replica = Replica::default(),
        "see" => {
            let other = case.replicas[rest].clone();
            other.deltas.into_iter().for_each(|delta| replica.take(delta));
        }
        "shows" => assert_eq!(outcome(&replica.doc, &case.types), expected(rest), "{} at {name}", case.name),
        hlc => {
            let actor = 1 + "base a b c".split(' ').position(|known| known == name).expect("base, a, b or c") as u64;
            let at = stamp(hlc.parse().expect("a clock reading"), actor);
            let (verb, argument) = rest.split_once(' ').unwrap_or((rest, ""));
            let delta = match verb {
                "delete" => delete(&replica.doc, at),
                "delete-fields" => delete_fields(&replica.doc),
                "initial" => insert_initial(&replica.doc, &fields(argument), &case.types).expect("valid"),
                "insert" => insert(&replica.doc, &fields(argument), &case.types, at).expect("valid"),
                "upsert-changed" => upsert_changed(&replica.doc, &fields(argument), &case.types, at).expect("valid"),
                "refused" => {
                    let (verb, argument) = argument.split_once(' ').expect("an operation");
                    let refused = edit(&replica.doc, &[operation(verb, argument)], &case.types, at);
                    assert!(refused.is_err(), "{}: {rest}", case.name);
                    Doc::default()
                }
                verb => edit(&replica.doc, &[operation(verb, argument)], &case.types, at).expect("valid"),
            };
            replica.take(delta);
        }
    }
    case.replicas.insert(name.to_owned(), replica);
}

fn operation(verb: &str, rest: &str) -> Op {
    let (dotted, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    let (path, number) = (path(dotted), || argument.parse().expect("a number"));
    match verb {
        "increment" => Op::Increment { path, by: number() },
        "pn-increment" => Op::PnIncrement { path, by: number() },
        "restart" => Op::Restart { path, with: number() },
        "set" => Op::Set { path, value: super::json(argument) },
        "splice" => {
            let mut parts = argument.splitn(3, ' ');
            let mut number = || parts.next().and_then(|part| part.parse().ok()).expect("start and number");
            Op::Splice { path, start: number(), delete: number(), insert: parts.next().map(super::json) }
        }
        "unset" => Op::Unset { path },
        other => panic!("no such verb: {other}"),
    }
}

fn fields(text: &str) -> Object {
    super::object(text)
}

/// Joins all replicas in every order that a shuffle finds, by states and by deltas, and compares what shows.
fn check(case: &Case, wanted: &str) {
    let mut names: Vec<&String> = case.replicas.keys().filter(|name| *name != "base").collect();
    let mut random = Random::new(7);
    let mut first: Option<Doc> = None;
    for round in 0..24 {
        random.shuffle(&mut names);
        let mut merged = Doc::default();
        if round % 2 == 0 {
            names.iter().for_each(|name| {
                merged.join(&case.replicas[*name].doc);
            });
        } else {
            let mut deltas: Vec<&Doc> = names.iter().flat_map(|name| &case.replicas[*name].deltas).collect();
            deltas.extend(deltas.clone());
            random.shuffle(&mut deltas);
            deltas.into_iter().for_each(|delta| {
                merged.join(delta);
            });
        }
        assert_eq!(outcome(&merged, &case.types), expected(wanted), "{} merged", case.name);
        let first = first.get_or_insert_with(|| merged.clone());
        assert_eq!(*first, merged, "{}: the order of joins matters", case.name);
        assert_eq!(Doc::decode(&merged.encode()), Ok(merged), "{}", case.name);
    }
}

fn expected(text: &str) -> Result<Value, String> {
    match text {
        "deleted" | "absent" => Err(text.to_owned()),
        text => Ok(from_json(&serde_json::from_str(text).expect("JSON"))),
    }
}

fn outcome(doc: &Doc, types: &Types) -> Result<Value, String> {
    match doc.to_object(types) {
        Some(object) => Ok(Value::Object(object)),
        None if doc.is_absent() => Err("absent".to_owned()),
        None => Err("deleted".to_owned()),
    }
}
