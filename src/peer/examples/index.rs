//! Measures what indexes cost: `cargo run --release -p peer --example index`.
//!
//! One engine over a device in memory, so that the figures are the engine's own work.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod shared;

use std::time::Instant;

use peer::io::{CommitOutcome, IndexChange, IndexDefinition, IndexKey, Input, Output, Ticket};
use peer::{Boot, DocumentLayout, Engine};
use store::{Appended, DeviceNow, Durability, Lsm, LsmConfig, MemoryDevice};
use value::{CollectionName, Millis, Object, Value};

const NOW: Millis = Millis(1_000_000);
const FIELDS: [&str; 5] = ["n", "color", "title", "done", "text"];

/// An engine and its device, which answers at once.
struct Peer {
    engine: Engine<Lsm>,
    device: MemoryDevice,
    log_bytes: usize,
    longest_ms: f64,
}

impl Peer {
    fn new() -> Peer {
        let store = Lsm::open(None, LsmConfig::default()).expect("nothing is there").with_layout(&DocumentLayout);
        let engine = Engine::new(shared::config(), store, Boot::default(), 1, NOW);
        let mut peer = Peer { engine, device: MemoryDevice::default(), log_bytes: 0, longest_ms: 0.0 };
        peer.input(Input::MayCompact(true));
        peer
    }

    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let start = Instant::now();
            self.engine.handle(NOW, input);
            self.longest_ms = self.longest_ms.max(start.elapsed().as_secs_f64() * 1e3);
            while let Some(output) = self.engine.poll() {
                inputs.extend(self.answer(output));
            }
        }
    }

    fn answer(&mut self, output: Output) -> Option<Input> {
        const WORKS: &str = "a device in memory works";
        match output {
            Output::Commit { ticket, expected, record, durability, .. } => {
                self.log_bytes += record.len();
                let Appended::Done(seq) = self.device.append_now(expected, NOW, record, durability).expect(WORKS)
                else {
                    panic!("nobody else writes");
                };
                Some(Input::Committed { ticket, outcome: CommitOutcome::Durable(seq) })
            }
            Output::Load { ticket, blocks } => {
                let found = self.device.read_now(&blocks).expect(WORKS);
                Some(Input::Loaded { ticket, blocks: blocks.into_iter().zip(found).collect() })
            }
            Output::Maintain { ticket, batch } => {
                Some(Input::Maintained { ticket, result: self.device.write_now(batch) })
            }
            Output::Reply { result, .. } => {
                result.expect("the statement is right");
                None
            }
            _ => None,
        }
    }

    fn execute(&mut self, text: String, args: Object) {
        let durability = Durability::Relaxed;
        self.input(Input::Execute { ticket: Ticket(1), transaction: None, text, args, durability });
    }

    fn create_index(&mut self, field: &str) {
        let definition = IndexDefinition {
            collection: CollectionName::new("a").expect("it is short"),
            name: field.to_owned(),
            keys: vec![IndexKey { path: vec![field.to_owned()], descending: false }],
        };
        let change = IndexChange::Create { definition, if_not_exists: false };
        self.input(Input::ChangeIndex { ticket: Ticket(1), change, durability: Durability::Relaxed });
    }

    /// Inserts documents, so many a statement.
    fn insert(&mut self, ids: std::ops::Range<i64>, each: usize) {
        let ids: Vec<i64> = ids.collect();
        for ids in ids.chunks(each) {
            let names: Vec<String> = (0..ids.len()).map(|place| format!("(:d{place})")).collect();
            let args = ids.iter().enumerate().map(|(place, id)| (format!("d{place}"), document(*id))).collect();
            self.execute(format!("INSERT INTO a DOCUMENTS {}", names.join(", ")), args);
        }
    }
}

fn document(id: i64) -> Value {
    let color = ["red", "green", "blue", "black", "white"][id as usize % 5];
    let text = "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore";
    Value::from([
        ("_id", Value::from(format!("doc-{id:08}").as_str())),
        ("n", Value::Int(id * 7919 % 100_003)),
        ("color", Value::from(color)),
        ("title", Value::from(format!("title {}", id * 31 % 977).as_str())),
        ("done", Value::Bool(id % 3 == 0)),
        ("text", Value::from(text)),
    ])
}

/// Returns how long something takes, microseconds.
fn time(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e6
}

fn main() {
    for indexes in [0, 1, 5] {
        let mut peer = Peer::new();
        FIELDS[..indexes].iter().for_each(|field| peer.create_index(field));
        let many = time(|| peer.insert(0..10_000, 1_000)) / 10_000.0;
        let one = time(|| peer.insert(10_000..20_000, 1)) / 10_000.0;
        let mut update = |field: &str| {
            let text = |id| format!("UPDATE a SET {field} = {id} WHERE _id = 'doc-{id:08}'");
            time(|| (0..2_000).for_each(|id| peer.execute(text(id), Object::new()))) / 2_000.0
        };
        let (indexed, other) = (update("n"), update("z"));
        let bytes = peer.engine.store().stats().segment_bytes;
        println!(
            "{indexes} indexes: a document costs {many:.1} µs among 1,000, {one:.1} µs alone, an update of n {indexed:.1} µs, \
             of another field {other:.1} µs; {bytes} bytes in segments"
        );
    }
    for count in [10_000, 100_000] {
        let mut peer = Peer::new();
        peer.insert(0..count, 1_000);
        let (bytes, log) = (peer.engine.store().stats().segment_bytes, peer.log_bytes);
        peer.longest_ms = 0.0;
        let ms = time(|| peer.create_index("n")) / 1e3;
        let (longest, more) = (peer.longest_ms, peer.engine.store().stats().segment_bytes.saturating_sub(bytes));
        println!(
            "{count} documents: built in {ms:.0} ms, longest input {longest:.1} ms, {} bytes of log, {more} in segments",
            peer.log_bytes - log
        );
    }
}
