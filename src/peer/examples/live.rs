//! What live queries cost the engine, natively: `cargo run --release -p peer --example live`.
//!
//! Each figure is the mean of writes of one field of one document, from the statement to the last output, with the named
//! observers beside; the first line is the same without observers.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod shared;

use std::time::Instant;

use peer::io::{CommitOutcome, Input, ObserverId, Output, Ticket};
use peer::{Boot, Engine};
use store::{Durability, MemoryStore};
use value::{Millis, Object, Seq};

struct Bench {
    engine: Engine<MemoryStore>,
    seq: u64,
    ticket: u64,
    notified: usize,
}

impl Bench {
    fn new(documents: u64) -> Bench {
        let boot = Boot { log: Vec::new(), log_start: Seq(0), damaged: Vec::new() };
        let engine = Engine::new(shared::config(), MemoryStore::default(), boot, 1, Millis(1_000_000));
        let mut bench = Bench { engine, seq: 1 << 40, ticket: 1 << 40, notified: 0 };
        let ids: Vec<u64> = (0..documents).collect();
        for ids in ids.chunks(500) {
            let row = |id: &u64| {
                format!(
                    "({{'_id': {id}, 'author': {}, 'year': {}, 'price': {}.5, 'title': 'number {id}', 'text': '{}'}})",
                    id % 100,
                    1900 + id % 120,
                    id % 1_000,
                    "x".repeat(200)
                )
            };
            let rows: Vec<String> = ids.iter().map(row).collect();
            bench.execute(&format!("INSERT INTO c DOCUMENTS {}", rows.join(", ")));
        }
        bench
    }

    fn execute(&mut self, text: &str) {
        self.ticket += 1;
        let (ticket, durability) = (Ticket(self.ticket), Durability::Relaxed);
        self.input(Input::Execute { ticket, transaction: None, text: text.into(), args: Object::new(), durability });
    }

    fn observe(&mut self, text: &str) {
        self.ticket += 1;
        let (ticket, observer) = (Ticket(self.ticket), ObserverId(self.ticket));
        self.input(Input::Observe { ticket, observer, text: text.into(), args: Object::new() });
    }

    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.engine.handle(Millis(1_000_000), input);
            while let Some(output) = self.engine.poll() {
                match output {
                    Output::Commit { ticket, .. } => {
                        self.seq += 1;
                        inputs.push(Input::Committed { ticket, outcome: CommitOutcome::Durable(Seq(self.seq)) });
                    }
                    Output::Notify { observer, .. } => {
                        self.notified += 1;
                        inputs.push(Input::ObserverReady { observer });
                    }
                    Output::Reply { result, .. } => {
                        result.expect("valid");
                    }
                    _ => {}
                }
            }
        }
    }

    /// Returns the mean of some writes, microseconds.
    fn measure(&mut self, name: &str, rounds: u64, write: impl Fn(u64) -> String) {
        (0..rounds.min(50)).for_each(|round| self.execute(&write(round)));
        self.notified = 0;
        let started = Instant::now();
        (0..rounds).for_each(|round| self.execute(&write(round + 1_000)));
        let micros = started.elapsed().as_secs_f64() * 1e6 / rounds as f64;
        println!("{micros:>10.1} µs  {:>5.2} notifications  {name}", self.notified as f64 / rounds as f64);
    }
}

fn main() {
    let miss = |round: u64| format!("UPDATE c SET price = {round} WHERE _id = {}", round % 10_000);
    let mut bench = Bench::new(10_000);
    bench.measure("no observers, 10,000 documents", 2_000, miss);
    for place in 0..100 {
        let text = match place % 5 {
            0 => format!("SELECT * FROM c WHERE year = {}", 3000 + place),
            1 => format!("SELECT _id, title FROM c WHERE author = {} AND year < 1000 ORDER BY title LIMIT 20", place),
            2 => format!("SELECT author, COUNT(*) AS n FROM c WHERE title LIKE 'none {place}%' GROUP BY author"),
            3 => format!("SELECT COUNT(*) AS n FROM c WHERE year BETWEEN {} AND {}", 4000 + place, 5000 + place),
            _ => format!("SELECT title FROM c WHERE author IN [{}, {}] ORDER BY title", 1000 + place, 2000 + place),
        };
        bench.observe(&text);
    }
    bench.measure("100 observers that are not touched", 2_000, miss);
    let of_author = |round: u64| format!("UPDATE c SET year = {} WHERE _id = {}", 1900 + round % 100, round % 10_000);
    bench.measure("the same, a field that predicates look at", 2_000, of_author);

    let mut bench = Bench::new(100_000);
    let write = |round: u64| format!("UPDATE c SET price = {} WHERE _id = {}", 2_000 + round, round % 10);
    bench.measure("no observers, 100,000 documents", 500, write);
    let started = Instant::now();
    bench.observe("SELECT _id, title, price FROM c ORDER BY price DESC LIMIT 20");
    println!("{:>10.1} µs  first answer of a top 20", started.elapsed().as_secs_f64() * 1e6);
    bench.measure("top 20, touched by each write", 500, write);
    bench.measure("top 20, not touched", 500, |round| {
        format!("UPDATE c SET price = 1.0 * {} WHERE _id = {}", round % 7, 50_000 + round)
    });

    let mut bench = Bench::new(100_000);
    bench.observe(
        "SELECT author, COUNT(*) AS n, SUM(price) AS s, MAX(year) AS y FROM c GROUP BY author ORDER BY s DESC",
    );
    bench.measure("GROUP BY with 100 groups, touched by each write", 500, write);
    let mut bench = Bench::new(100_000);
    bench.observe("SELECT COUNT(*) AS n FROM c WHERE price > 1000000");
    bench.measure("a count, touched by each write", 500, |round| {
        format!("UPDATE c SET price = {} WHERE _id = {}", if round % 4 < 2 { 2_000_000 } else { 1 }, round % 2)
    });
    let mut bench = Bench::new(10_000);
    (0..100).for_each(|id| {
        bench.execute(&format!("INSERT INTO authors DOCUMENTS ({{'_id': {id}, 'name': 'author {id}'}})"))
    });
    let join = "SELECT c._id, c.title, authors.name FROM c JOIN authors ON c.author = authors._id ORDER BY c.price DESC LIMIT 20";
    let started = Instant::now();
    bench.execute(join);
    println!("{:>10.1} µs  a join, a top 20 of 10,000, evaluated once", started.elapsed().as_secs_f64() * 1e6);
    bench.observe(join);
    let joined = |round: u64| format!("UPDATE c SET price = {} WHERE _id = {}", 2_000 + round, round % 10);
    bench.measure("the same kept up to date, touched by each write", 200, joined);
    bench.measure("the same, another side of 100 rows is touched", 100, |round| {
        format!("UPDATE authors SET name = 'renamed {round}' WHERE _id = {}", round % 100)
    });
    let mut bench = Bench::new(10_000);
    bench.observe("SELECT * FROM c");
    bench.measure("all of 10,000 documents, touched by each write", 200, write);
}
