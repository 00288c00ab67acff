//! Random histories for proptest: what was declared, who wrote what, and what the network did with it.
//!
//! A history is data: proptest prints the smallest one that breaks a law, and with it everything that is needed to repeat it.
//! [`run`] plays it, the same way each time: stamps come from three clocks that are an hour apart and are never put right.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use value::{HlcClock, Millis, Object, Value};

use super::{joined, json, path};
use crate::{
    Doc, EditError, Op, Stamp, Type, Types, delete, delete_fields, edit, insert, insert_initial, upsert_changed,
};

const HOUR_MS: u64 = 3_600_000;
const REPLICAS: usize = 3;
const PATHS: [&str; 7] = ["a", "b", "m", "m.x", "m.y", "m.z.w", "n"];
const TYPES: [Type; 8] =
    [Type::Attachment, Type::Counter, Type::List, Type::Map, Type::PnCounter, Type::Register, Type::Text, Type::Xml];
const ANYTHING: [&str; 10] =
    ["null", "0", "7", "-3", "1.5", "\"one\"", "[]", "[1,{\"k\":\"v\"}]", "{}", r#"{"x":1,"z":{"w":2}}"#];

/// One statement.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    Delete,
    DeleteFields,
    Edit(Vec<Op>),
    Insert(Object),
    InsertInitial(Object),
    UpsertChanged(Object),
}

/// A statement at a replica, and what the network then carries: which delta, to whom, and which of its leaves arrive.
#[derive(Clone)]
pub(super) struct Turn {
    pub(super) replica: usize,
    pub(super) statement: Statement,
    /// Which of the two declarations it is made under.
    pub(super) second: bool,
    pub(super) carried: Vec<(Index, usize, u8)>,
}

#[derive(Clone)]
pub(super) struct History {
    /// Each statement declares types of its own: here one of two sets.
    pub(super) types: [Types; 2],
    pub(super) turns: Vec<Turn>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {} {:?} under types {}", self.replica, self.statement, u8::from(self.second))?;
        self.carried.iter().try_for_each(|(which, to, mask)| {
            // An index is a fraction of whatever length.
            write!(f, "; to {to} leaves {mask:#04x} of delta {:.2} of all", which.index(1000) as f64 / 1000.0)
        })
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (number, types) in self.types.iter().enumerate() {
            let declared = types.declared.iter().map(|(path, kind)| format!("{} {}", path.join("."), kind.name()));
            writeln!(f, "types {number}: {:?} strict: {}", declared.collect::<Vec<_>>(), types.strict)?;
        }
        self.turns.iter().try_for_each(|turn| writeln!(f, "{turn:?}"))
    }
}

/// What came of a history.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// Everything that was written, in the order of writing.
    pub(super) deltas: Vec<Doc>,
    /// What each replica has.
    pub(super) states: Vec<Doc>,
    /// What each statement did where it was made.
    pub(super) made: Vec<Made>,
}

/// A document before and after a statement.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) turn: usize,
    pub(super) before: Doc,
    pub(super) after: Doc,
}

impl History {
    pub(super) fn types_of(&self, turn: &Turn) -> &Types {
        &self.types[usize::from(turn.second)]
    }
}

impl Played {
    /// Returns a delta or a state.
    pub(super) fn pick(&self, index: Index) -> &Doc {
        let at = index.index(self.deltas.len() + self.states.len());
        self.deltas.get(at).unwrap_or_else(|| &self.states[at - self.deltas.len()])
    }
}

/// Leaves out the leaves whose bits are 0, in turns of eight.
pub(super) fn part(delta: &Doc, mask: u8) -> Doc {
    let mut part = delta.clone();
    let mut at = 0;
    part.leaves.retain(|_| {
        at += 1;
        mask >> ((at - 1) % 8) & 1 == 1
    });
    if part.is_absent() { Doc::default() } else { part }
}

/// Plays a history.
pub(super) fn run(history: &History) -> Played {
    let mut played = Played { states: vec![Doc::default(); REPLICAS], ..Played::default() };
    let mut clocks: Vec<HlcClock> = (0..REPLICAS).map(|_| HlcClock::default()).collect();
    for (now, turn) in history.turns.iter().enumerate() {
        let skew = turn.replica as u64 * HOUR_MS;
        let stamp = Stamp { hlc: clocks[turn.replica].tick(Millis(now as u64 + skew)), actor: turn.replica as u64 + 1 };
        let before = played.states[turn.replica].clone();
        // A statement that does not fit its types writes nothing.
        if let Ok(delta) = write(&before, &turn.statement, history.types_of(turn), stamp) {
            let after = joined(&before, &delta);
            played.states[turn.replica] = after.clone();
            played.made.push(Made { turn: now, before, after });
            played.deltas.push(delta);
        }
        for (which, to, mask) in turn.carried.iter().filter(|_| !played.deltas.is_empty()) {
            let delta = part(which.get(&played.deltas), *mask);
            played.states[*to].join(&delta);
        }
    }
    played
}

fn write(base: &Doc, statement: &Statement, types: &Types, stamp: Stamp) -> Result<Doc, EditError> {
    match statement {
        Statement::Delete => Ok(delete(base, stamp)),
        Statement::DeleteFields => Ok(delete_fields(base)),
        Statement::Edit(ops) => edit(base, ops, types, stamp),
        Statement::Insert(object) => insert(base, object, types, stamp),
        Statement::InsertInitial(object) => insert_initial(base, object, types),
        Statement::UpsertChanged(object) => upsert_changed(base, object, types, stamp),
    }
}

/// Any history of up to 24 statements.
pub(super) fn history() -> impl Strategy<Value = History> {
    [types(), types()].prop_flat_map(|types| {
        let first = turn(object(&types[0]).prop_map(Statement::Insert).boxed());
        let statements = prop_oneof![statement(&types[0]), statement(&types[1])].boxed();
        (first, prop::collection::vec(turn(statements), 0..24)).prop_map(move |(first, turns)| {
            let turns = std::iter::once(first).chain(turns).collect();
            History { types: types.clone(), turns }
        })
    })
}

fn types() -> impl Strategy<Value = Types> {
    let declared = prop::collection::btree_map(select(&PATHS[..]), select(&TYPES[..]), 0..5);
    (declared, prop::bool::weighted(0.3)).prop_map(|(declared, strict)| Types {
        declared: declared.into_iter().map(|(dotted, kind)| (path(dotted), kind)).collect(),
        strict,
    })
}

fn turn(statement: BoxedStrategy<Statement>) -> impl Strategy<Value = Turn> {
    let mask = prop_oneof![2 => Just(u8::MAX), 1 => any::<u8>()];
    let carried = prop::collection::vec((any::<Index>(), 0..REPLICAS, mask), 0..4);
    (0..REPLICAS, statement, any::<bool>(), carried).prop_map(|(replica, statement, second, carried)| Turn {
        replica,
        statement,
        second,
        carried,
    })
}

fn statement(types: &Types) -> BoxedStrategy<Statement> {
    prop_oneof![
        1 => Just(Statement::Delete),
        1 => Just(Statement::DeleteFields),
        14 => prop::collection::vec(op(types), 1..4).prop_map(Statement::Edit),
        2 => object(types).prop_map(Statement::Insert),
        2 => object(types).prop_map(Statement::InsertInitial),
        2 => object(types).prop_map(Statement::UpsertChanged),
    ]
    .boxed()
}

fn op(types: &Types) -> BoxedStrategy<Op> {
    let types = types.clone();
    select(&PATHS[..])
        .prop_flat_map(move |dotted| {
            let at = path(dotted);
            let kind = declared(&types, dotted);
            let [set, unset, counter, splice] = [(); 4].map(|()| at.clone());
            let set = value(kind).prop_map(move |value| Op::Set { path: set.clone(), value });
            let unset = Just(Op::Unset { path: unset });
            let counter = (-9..10_i64, any::<bool>()).prop_map(move |(number, restarts)| match (kind, restarts) {
                (Some(Type::PnCounter), _) => Op::PnIncrement { path: counter.clone(), by: number },
                (_, true) => Op::Restart { path: counter.clone(), with: number },
                (_, false) => Op::Increment { path: counter.clone(), by: number },
            });
            let splice = (0..3_u64, 0..3_u64, prop::option::of(value(kind)))
                .prop_map(move |(start, delete, insert)| Op::Splice { path: splice.clone(), start, delete, insert });
            match kind {
                Some(Type::Counter | Type::PnCounter) => prop_oneof![1 => set, 1 => unset, 6 => counter].boxed(),
                Some(Type::List | Type::Text | Type::Xml) => prop_oneof![4 => set, 1 => unset, 4 => splice].boxed(),
                _ => prop_oneof![6 => set, 3 => unset, 1 => counter].boxed(),
            }
        })
        .boxed()
}

pub(super) fn declared(types: &Types, dotted: &str) -> Option<Type> {
    types.declared.iter().find(|(known, _)| *known == path(dotted)).map(|(_, kind)| *kind)
}

/// The fields of a document that fits the types, now and then with one that does not.
fn object(types: &Types) -> BoxedStrategy<Object> {
    let kind = |dotted| value(declared(types, dotted));
    let inside =
        (prop::option::of(kind("m.x")), prop::option::of(kind("m.y"))).prop_map(|(x, y)| fields([("x", x), ("y", y)]));
    let map = match declared(types, "m") {
        None | Some(Type::Map) => inside.prop_map(Value::Object).boxed(),
        other => value(other),
    };
    let option = prop::option::of::<BoxedStrategy<Value>>;
    let all = (option(kind("a")), option(kind("b")), option(map), option(kind("n")));
    all.prop_map(|(a, b, m, n)| fields([("a", a), ("b", b), ("m", m), ("n", n)])).boxed()
}

fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Object {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A value, nine times out of ten one that fits the type.
fn value(kind: Option<Type>) -> BoxedStrategy<Value> {
    let texts: &'static [&'static str] = match kind {
        Some(Type::Attachment) => &["null", r#"{"id":"1","len":2}"#, r#"{"id":"2","len":3}"#],
        Some(Type::Counter | Type::PnCounter) => &["0", "1", "-4", "9", "100"],
        Some(Type::List) => &["[]", "[1]", "[1,2]", "[2,1,\"x\"]", r#"[{"k":[0]},1]"#],
        Some(Type::Map) => &["{}", r#"{"x":1}"#, r#"{"y":2,"z":{"w":3}}"#],
        Some(Type::Text) => &[r#""""#, r#""one""#, r#""one two""#, r#""two one""#, r#""on😀e""#],
        Some(Type::Xml) => &[r#""""#, r#""<p>one</p>""#, r#""<p a='1'>one</p><br/>""#, r#""two <b>three</b>""#],
        Some(Type::Register) | None => &ANYTHING,
    };
    prop_oneof![9 => select(texts), 1 => select(&ANYTHING[..])].prop_map(json).boxed()
}

/// Checks a law on random cases. The cases are the same in every run, unless `SHOAL_LAWS_SEED` says otherwise.
///
/// What fails is made small, and printed with the seed.
pub(super) fn check<S: Strategy>(cases: u32, strategy: S, law: impl Fn(S::Value) -> TestCaseResult) {
    let seed: u64 =
        std::env::var("SHOAL_LAWS_SEED").map_or(1, |text| text.parse().expect("SHOAL_LAWS_SEED is a number"));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    if let Err(error) = runner.run(&strategy, law) {
        panic!("SHOAL_LAWS_SEED={seed}: {error}");
    }
}
