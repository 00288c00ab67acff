//! Goal: fields that are kept side by side change how fast an answer comes and nothing else.
//!
//! Method: random commits by two tabs, inside and outside of transactions; between them each random query is asked three
//! times, since the third is answered by what is kept. `SELECT *` reads every document, and so says what there is.

use std::collections::BTreeMap;

use store::Durability;
use value::{ErrorCode, Object, Value};

use super::language::query::{Asked, Data, ask, condition};
use super::language::random::{XorShift, seed};
use super::shared::Shared;
use crate::io::{Input, Reply, TransactionId};

const SMALL: usize = 1;

/// Two tabs of one store, and a transaction that one of them may have open.
struct Tabs {
    shared: Shared,
    tabs: [usize; 2],
    open: Option<(usize, TransactionId)>,
}

impl Tabs {
    fn new() -> Tabs {
        let mut shared = Shared::new(2);
        shared.open(0);
        let tabs = [shared.open(SMALL), shared.open(SMALL)];
        shared.input(tabs[0], Input::MayCompact(true));
        Tabs { shared, tabs, open: None }
    }

    /// Runs a statement; `None` if its transaction was lost, because its tab had slept for too long.
    fn execute(
        &mut self,
        tab: usize,
        transaction: Option<TransactionId>,
        text: &str,
        args: Object,
    ) -> Option<Vec<Value>> {
        let ticket = self.shared.ticket();
        let durability = Durability::Relaxed;
        self.shared.input(tab, Input::Execute { ticket, transaction, text: text.to_owned(), args, durability });
        match self.shared.answer(tab, ticket) {
            Ok(Reply::Rows { rows, .. }) => Some(rows),
            Err(failure) if failure.code == ErrorCode::StoreTransactionConflict && transaction.is_some() => {
                self.open = None;
                None
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn begin(&mut self, tab: usize) {
        let ticket = self.shared.ticket();
        self.shared.input(tab, Input::Begin { ticket, read_only: false });
        match self.shared.answer(tab, ticket) {
            Ok(Reply::Begun(id)) => self.open = Some((tab, id)),
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, commit: bool) {
        let Some((tab, transaction)) = self.open.take() else { return };
        let ticket = self.shared.ticket();
        self.shared.input(tab, Input::End { ticket, transaction, commit });
        // Another tab may have written first.
        _ = self.shared.answer(tab, ticket);
    }

    /// Changes documents in a tab, in its transaction if it has one open.
    fn change(&mut self, random: &mut XorShift, tab: usize, large: bool) {
        let inside = self.open.filter(|(of, _)| *of == tab).map(|(_, id)| id);
        let Some(data) = self.data(tab, inside) else { return };
        let (condition, _) = condition(random, &data);
        let fresh = Data::new(random);
        let mut args = Object::new();
        let text = match random.below(9) {
            0 | 1 => {
                let collection = random.one(&["c", "d"]);
                let all = fresh.documents[collection].iter().take(5).cloned().map(Value::Object).collect();
                args.insert("all".to_owned(), Value::Array(all));
                format!("INSERT INTO {collection} DOCUMENTS (:all) ON ID CONFLICT DO UPDATE")
            }
            2 if large => {
                let first = random.below(800) as i64;
                let one =
                    |id: i64| Value::from([("_id", Value::Int(id)), ("n", Value::Int(id % 7)), ("a", Value::Int(id))]);
                let last = first + random.below(400) as i64;
                args.insert("all".to_owned(), Value::Array((first..last).map(one).collect()));
                "INSERT INTO c DOCUMENTS (:all) ON ID CONFLICT DO UPDATE".to_owned()
            }
            2 | 3 => format!("UPDATE c SET a = {} WHERE {condition}", random.below(4)),
            4 => format!("UPDATE c SET o = 'text' UNSET n WHERE {condition}"),
            5 => format!("UPDATE c SET o.x = {} WHERE {condition}", random.below(4)),
            6 => format!("DELETE FROM c WHERE {condition}"),
            7 => format!("DELETE FROM c WHERE n = {} LIMIT {}", random.below(4), random.below(5)),
            _ => format!("EVICT FROM c WHERE {condition} LIMIT 3"),
        };
        self.execute(tab, inside, &text, args);
    }

    fn data(&mut self, tab: usize, inside: Option<TransactionId>) -> Option<Data> {
        let mut documents = BTreeMap::new();
        for name in ["c", "d"] {
            let rows = self.execute(tab, inside, &format!("SELECT * FROM {name}"), Object::new())?;
            documents.insert(name.to_owned(), rows.into_iter().filter_map(Value::into_object).collect());
        }
        Some(Data { documents, indexes: Vec::new() })
    }

    /// Asks one query three times.
    fn ask(&mut self, tab: usize, inside: Option<TransactionId>, data: &Data, query: &Asked) {
        for _ in 0..3 {
            let Some(rows) = self.execute(tab, inside, &query.planned, Object::new()) else { return };
            query.compare(data, Ok(rows));
        }
    }
}

/// Writes a query whose answer depends on the order in which equal documents come.
fn tied(random: &mut XorShift, data: &Data) -> Asked {
    let (condition, _) = condition(random, data);
    let filter = if random.percent(50) { format!(" WHERE {condition}") } else { String::new() };
    let path = |random: &mut XorShift| random.one(&["a", "n", "o.x", "b", "_id", "o"]).to_owned();
    let items = match random.below(5) {
        0 | 1 => "*".to_owned(),
        2 => "n, a, _id AS i".to_owned(),
        3 => format!("DISTINCT {} AS v", path(random)),
        _ => "c.*, ROW_NUMBER() OVER (ORDER BY n, _id) AS w".to_owned(),
    };
    let order = match random.below(4) {
        _ if items.starts_with("DISTINCT") => " ORDER BY v".to_owned(),
        0 => String::new(),
        _ => format!(" ORDER BY {}{}", path(random), random.one(&["", " DESC"])),
    };
    let limit = match random.below(4) {
        0 => String::new(),
        1 => format!(" LIMIT {}", random.below(4)),
        2 => format!(" LIMIT {} OFFSET {}", random.below(4), random.below(4)),
        _ => format!(" LIMIT {}", random.below(400)),
    };
    Asked::ordered(format!("SELECT {items} FROM c{filter}{order}{limit}"))
}

fn differ(seed: u64, rounds: usize) {
    let mut random = XorShift(seed);
    for round in 0..rounds {
        let large = round % 4 == 0;
        let mut tabs = Tabs::new();
        for _ in 0..20 {
            let tab = tabs.tabs[random.below(2)];
            match random.below(10) {
                0 if tabs.open.is_none() => tabs.begin(tab),
                1 | 2 => tabs.end(random.percent(70)),
                3 => tabs.shared.tabs[tab].deaf ^= true,
                _ => {}
            }
            // A write outside would wait for the transaction of its tab.
            let changed = tabs.tabs[random.below(2)];
            tabs.change(&mut random, changed, large);
            for tab in tabs.tabs {
                let inside = tabs.open.filter(|(of, _)| *of == tab).map(|(_, id)| id);
                for inside in [None, inside] {
                    let Some(data) = tabs.data(tab, inside) else { break };
                    for _ in 0..2 {
                        let query = if large || random.percent(40) {
                            tied(&mut random, &data)
                        } else {
                            ask(&mut random, &data)
                        };
                        tabs.ask(tab, inside, &data, &query);
                    }
                }
            }
        }
        tabs.end(true);
    }
}

#[test]
fn random_queries_asked_again_answer_as_a_walk_does() {
    differ(seed(0x5eed_0005), 12);
}
