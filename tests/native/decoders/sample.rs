//! What is written in good faith: a few small things of every kind and form, from which mutation starts.

use crdt::{Doc, Op, Shorthand, Stamp, Type, Types, delete, edit, insert, insert_initial};
use peer::unit::{self, Words};
use peer::{DocState, Part, Record};
use store::Opaque;
use store::parcel::{inflate, length, pack_rows};
use sync::{Entry, Message};
use value::limits::FRAME_BYTES_MAX;
use value::{CollectionName, DocId, Hlc, Object, PeerKey, Reader, StoreId, Value, Writer};

fn path(name: &str) -> Vec<String> {
    name.split('.').map(str::to_owned).collect()
}

fn stamp(ms: u64, actor: u64) -> Stamp {
    Stamp { hlc: Hlc((1_790_000_000_000 + ms) << 16), actor: 0x9e37_79b9_7f4a_7c15 ^ actor }
}

/// Documents and deltas, with every kind of leaf.
fn docs() -> Vec<Doc> {
    let kinds =
        [("n", Type::Counter), ("t", Type::Text), ("l", Type::List), ("x", Type::Xml), ("m.p", Type::PnCounter)];
    let declared = kinds.map(|(name, kind)| (path(name), kind)).to_vec();
    let types = Types { declared, strict: false };
    let map = Value::from([("p", Value::Int(4)), ("é\0", Value::Null)]);
    let list = Value::Array(vec![Value::Int(1), Value::from([("k", Value::Bool(true))])]);
    let fields = [
        ("a", Value::Float(1.5)),
        ("b", Value::Bytes(vec![1, 2])),
        ("l", list),
        ("m", map),
        ("n", Value::Int(3)),
        ("t", Value::from("some text")),
        ("x", Value::from("<p a=\"1\">one</p>")),
    ];
    let fields: Object = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let base = insert(&Doc::default(), &fields, &types, stamp(0, 1)).expect("a valid document");
    let ops = [
        Op::Increment { path: path("n"), by: -5 },
        Op::PnIncrement { path: path("m.p"), by: 2 },
        Op::Unset { path: path("a") },
        Op::Set { path: path("t"), value: Value::from("some 😀 text") },
        Op::Splice { path: path("l"), start: 1, delete: 1, insert: None },
        Op::Unset { path: path("x") },
    ];
    let delta = edit(&base, &ops, &types, stamp(70, 2)).expect("a valid edit");
    let mut merged = base.clone();
    merged.join(&delta);
    let restart =
        edit(&merged, &[Op::Restart { path: path("n"), with: 9 }], &types, stamp(90, 3)).expect("a valid edit");
    let gone = delete(&merged, stamp(1000, 1));
    let again = insert(&gone, &Object::new(), &types, stamp(2000, 2)).expect("a valid document");
    let initial = insert_initial(&Doc::default(), &fields, &Types::default()).expect("a valid document");
    vec![Doc::default(), base, delta, merged, restart, gone, again, initial]
}

pub fn documents() -> Vec<Vec<u8>> {
    docs().iter().map(Doc::encode).collect()
}

fn states() -> Vec<DocState> {
    let state = |(number, doc): (usize, &Doc)| DocState {
        collection: CollectionName::new(["a", "b"][number % 2]).expect("a valid name"),
        id: DocId::new(&Value::Int(number as i64)).expect("a valid id"),
        delta: doc.encode(),
    };
    docs().iter().enumerate().map(state).collect()
}

pub fn records() -> Vec<Vec<u8>> {
    let (docs, evicted) = (states(), states().into_iter().map(|state| (state.collection, state.id)).collect());
    let metas = vec![("cursor".to_owned(), Some(vec![1, 2])), ("gone".to_owned(), None)];
    let parts =
        vec![Part { origin: StoreId(7), docs, evicted }, Part { origin: StoreId(0), docs: vec![], evicted: vec![] }];
    let full = Record { hlc: Hlc(5), parts, metas };
    [Record::default(), full].iter().map(Record::encode).collect()
}

pub fn shorthands() -> Vec<Vec<u8>> {
    let pair = |docs: &[Vec<u8>]| {
        let mut said = Shorthand::default();
        let short = docs.iter().map(|delta| said.shorten(delta).expect("a delta")).collect::<Vec<_>>();
        let length = short[0].len().min(255) as u8;
        [&[length], short[0].as_slice(), &short[1]].concat()
    };
    documents().windows(2).map(pair).collect()
}

/// Units in their three forms, and the insides of a list.
pub fn units() -> Vec<Vec<u8>> {
    let states = states();
    let all = unit::encode(&states, &mut Words::default());
    let twice = unit::encode(&[states.clone(), states.clone()].concat(), &mut Words::default());
    let mut list = Writer::new();
    for doc in &states {
        list.str(doc.collection.as_str()).bytes(doc.id.as_bytes()).bytes(&doc.delta);
    }
    let mut short: Vec<Vec<u8>> =
        states.iter().map(|state| unit::encode(std::slice::from_ref(state), &mut Words::default())).collect();
    short.extend([all, twice, list.finish()]);
    short
}

pub fn parcels() -> Vec<Vec<u8>> {
    let plain: Vec<(Vec<u8>, Vec<u8>)> =
        (0..40_u8).map(|number| (vec![b'k', number], [b"some value ", [number].as_slice()].concat())).collect();
    let all = plain.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let opaque = pack_rows(all, &Opaque).expect("ascending rows");
    // The form of columns is that of a parcel, behind a byte; its templates are those of documents.
    let columns = unit::encode(&states(), &mut Words::default());
    [opaque.as_slice(), &columns[1..]].map(unpacked).to_vec()
}

/// Inflates the packed rows of a parcel, behind the bytes that they take as rows.
fn unpacked(parcel: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(parcel);
    let mut length = || length(&mut reader, FRAME_BYTES_MAX).expect("a length");
    let (rows, packed) = (length(), length());
    let mut out = Writer::new();
    out.var(rows as u64).raw(&inflate(reader.rest(), packed).expect("a stream"));
    out.finish()
}

pub fn entries() -> Vec<Vec<u8>> {
    let frames = [vec![], vec![1, 2, 3]].map(|body| {
        Message::Presence { own: None, entries: vec![Entry { peer: PeerKey("p".into()), stamp: Hlc(5), body }] }
            .encode()
    });
    frames.iter().map(|frame| frame[3..].to_vec()).collect()
}

/// The vectors of the protocol: every kind of message.
pub fn messages() -> Vec<Vec<u8>> {
    let digits = |text: &str, at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    let frame = |line: &str| {
        let (_, frame) = line.split_once(' ').expect("a name and a frame");
        (0..frame.len()).step_by(2).map(|at| digits(frame, at)).collect()
    };
    include_str!("../../vectors/wire/frames.txt").lines().map(frame).collect()
}

/// The state of each rich field, after the byte that says its kind; and two that are no field of ours.
pub fn updates() -> Vec<Vec<u8>> {
    let mut updates =
        vec![vec![0, 0, 0], [&[1, 1, 1, 1, 0, 4, 1, 7][..], b"default", &[4, 0xf0, 0x9f, 0x98, 0x80, 0]].concat()];
    for doc in docs() {
        for name in ["l", "t", "x"] {
            if let Some((kind, state)) = doc.rich_state(&path(name)) {
                updates.push([&[kind as u8][..], &state].concat());
            }
        }
    }
    updates
}
