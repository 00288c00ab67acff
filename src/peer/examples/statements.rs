//! Measures the engine's own time of statements: `cargo run --release -p peer --example statements`.
//!
//! One engine over a store in memory. The figures in the browser are those of `cargo xtask bench dql`.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod shared;

use std::hint::black_box;
use std::time::Instant;

use peer::io::{CommitOutcome, Input, Output, Ticket};
use peer::{Boot, Engine};
use store::{Durability, MemoryStore};
use value::{Millis, Object, Seq, Value};

const NOW: Millis = Millis(1_000_000);

struct Peer {
    engine: Engine<MemoryStore>,
    head: u64,
    tickets: u64,
}

impl Peer {
    fn new() -> Peer {
        let engine = Engine::new(shared::config(), MemoryStore::default(), Boot::default(), 1, NOW);
        let mut peer = Peer { engine, head: 0, tickets: 0 };
        peer.engine.handle(NOW, Input::MayCompact(true));
        peer
    }

    fn execute(&mut self, text: &str, args: &Object) -> usize {
        self.tickets += 1;
        let input = Input::Execute {
            ticket: Ticket(self.tickets),
            transaction: None,
            text: text.to_owned(),
            args: args.clone(),
            durability: Durability::Memory,
        };
        self.engine.handle(NOW, input);
        let mut outputs = 0;
        while let Some(output) = self.engine.poll() {
            outputs += 1;
            match output {
                Output::Commit { ticket, .. } => {
                    self.head += 1;
                    let outcome = CommitOutcome::Durable(Seq(self.head));
                    self.engine.handle(NOW, Input::Committed { ticket, outcome });
                }
                Output::Reply { result, .. } => drop(black_box(result.expect("the statement is right"))),
                _ => {}
            }
        }
        outputs
    }

    fn time(&mut self, name: &str, text: &str, args: &Object) {
        let mut best = f64::MAX;
        for _ in 0..5 {
            let mut count = 0;
            let start = Instant::now();
            while start.elapsed().as_millis() < 60 {
                self.execute(text, args);
                count += 1;
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(count));
        }
        println!("{name:28} {best:12.2} µs");
    }
}

fn main() {
    let mut peer = Peer::new();
    for id in 0..10_000_i64 {
        let document = Value::from([
            ("_id", Value::from(format!("order-{id:06}").as_str())),
            ("status", Value::from(["open", "paid", "sent", "done"][(id % 4) as usize])),
            ("customer", Value::Int(id % 100)),
            ("total", Value::Float(id as f64 * 1.25)),
            ("note", Value::from("a line of text that is as long as such lines are in real documents")),
        ]);
        let args = [("d".to_owned(), document)].into();
        peer.execute("INSERT INTO orders DOCUMENTS (:d)", &args);
    }
    peer.execute("CREATE INDEX by_customer ON orders (customer)", &Object::new());
    let id = [("id".to_owned(), Value::from("order-004711"))].into();
    let customer = [("c".to_owned(), Value::Int(42))].into();
    let none = Object::new();
    peer.time("SELECT 1", "SELECT 1", &none);
    peer.time("point read", "SELECT * FROM orders WHERE _id = :id", &id);
    peer.time("1 % by an index", "SELECT * FROM orders WHERE customer = :c", &customer);
    peer.time("COUNT(*)", "SELECT COUNT(*) FROM orders", &none);
    let top = "SELECT * FROM orders WHERE status = 'open' ORDER BY total DESC LIMIT 20";
    peer.time("filter, sort, limit of 10,000", top, &none);
    peer.time("groups of 10,000", "SELECT status, COUNT(*) AS n, SUM(total) AS t FROM orders GROUP BY status", &none);
    let typical = "SELECT _id, total AS t FROM orders WHERE status = :s AND customer > 10 ORDER BY total DESC LIMIT 20";
    let statement = dql::parse(typical).expect("it is right");
    let args = [("s".to_owned(), Value::from("open"))].into();
    let context = dql::Context::default();
    let start = Instant::now();
    for _ in 0..100_000 {
        black_box(dql::parse(black_box(typical)).expect("it is right"));
    }
    println!("{:28} {:12.2} µs", "parse", start.elapsed().as_secs_f64() * 10.0);
    let start = Instant::now();
    for _ in 0..100_000 {
        black_box(dql::plan(black_box(&statement), &args, &context).expect("it is right"));
    }
    println!("{:28} {:12.2} µs", "plan", start.elapsed().as_secs_f64() * 10.0);
}
