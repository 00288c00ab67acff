//! The applications: what they learn from the answers of their peers.
//!
//! Every row that a peer shows goes into the model; every write gets its fate. An error that the run does not explain is a
//! failure.

use std::collections::BTreeSet;

use peer::io::{Input, ObserverId, Reply, Ticket};
use value::{ErrorCode, Failure, Value};

use crate::check::{self, Checker};
use crate::cluster::{Cluster, Event};
use crate::document::{ATTACHED, GROUPED, OF_VALUES, RICH, WILD};
use crate::model::{Effect, Fate};
use crate::node::Request;
use crate::options::Class;
use crate::plant::Plant;

impl Cluster {
    /// Takes an observer's answer.
    pub fn notified(&mut self, node: usize, observer: ObserverId, mut rows: Vec<Value>) {
        self.stats.notifications += 1;
        let life = self.nodes[node].life;
        let slow = self.disks.chance(200);
        let pause = if slow { self.disks.between(1, 2_000) } else { 1 };
        self.after(pause, Event::Tell { node, life, input: Input::ObserverReady { observer } });
        let Some(watch) = self.nodes[node].watches.get_mut(&observer) else { return };
        let (collection, whole, computed) = (watch.collection, watch.whole, watch.computed);
        if self.plant == Some(Plant::LateNotify) && self.healed {
            return;
        }
        if self.plant == Some(Plant::HalfNotify) && collection == GROUPED && rows.len() > 1 {
            rows.pop();
        }
        watch.last = Some(rows.clone());
        if computed {
            return;
        }
        self.shown(node, collection, whole, &rows);
    }

    fn shown(&mut self, node: usize, collection: usize, whole: bool, rows: &[Value]) {
        if collection == RICH
            && let Err(fault) = self.rich.see(node, rows)
        {
            self.fail(Checker::Rich, format!("peer {node}: {fault}"));
        }
        if collection == ATTACHED {
            self.attachments.see(node, rows);
        }
        if collection < OF_VALUES
            && collection != WILD
            && let Err(fault) = self.model.see(node, collection, rows)
        {
            self.fail(Checker::Loss, format!("peer {node}: {fault}"));
        }
        if collection == GROUPED
            && whole
            && let Err(fault) = check::groups_are_whole(rows)
        {
            self.fail(Checker::Transactions, format!("peer {node}: {fault}"));
        }
    }

    /// Takes the answer to a request.
    pub fn replied(&mut self, node: usize, ticket: Ticket, result: Result<Reply, Failure>) {
        let Some(request) = self.nodes[node].pending.remove(&ticket) else { return };
        if self.healed {
            self.busy(|| format!("a reply of peer {node} to {request:?}"));
        }
        if let Err(failure) = &result
            && !self.excusable(node, &request, failure.code)
        {
            return self.fail(Checker::Answers, format!("peer {node}: {request:?} was answered by {failure}"));
        }
        match request {
            Request::Begin => self.begun(node, result),
            Request::End => self.ended(node, result),
            Request::Fetch(blob) => self.fetched(node, blob, result),
            Request::FinalRead(collection) => {
                if let Ok(Reply::Rows { rows, .. }) = result {
                    self.shown(node, collection, true, &rows);
                    self.nodes[node].final_rows.insert(collection, rows);
                }
            }
            Request::FinalWatch(observer) => {
                if let Ok(Reply::Rows { rows, .. }) = result {
                    self.nodes[node].final_answers.insert(observer, rows);
                }
            }
            Request::ChangeIndex | Request::Login | Request::Setup => {}
            Request::Keep(blob) => self.kept(node, blob, result),
            Request::Read(collection) => {
                if let Ok(Reply::Rows { rows, .. }) = result {
                    self.shown(node, collection, true, &rows);
                }
            }
            Request::ReadChunk(blob, chunk) => self.chunk_read(node, blob, chunk, result),
            Request::Transacted(number) => self.transacted(node, number, result),
            Request::Write(number) => self.written(node, number, result),
        }
    }

    /// Says whether a request may fail like that.
    fn excusable(&self, node: usize, request: &Request, code: ErrorCode) -> bool {
        let disk = self.has(Class::Disks) && matches!(code, ErrorCode::StoreBackend | ErrorCode::StoreQuotaExceeded);
        disk || self.nodes[node].broken
            || match request {
                Request::Fetch(_) | Request::Keep(_) | Request::ReadChunk(..) => self.excuses_blob(request, code),
                Request::Login => true,
                // The place of a splice may be gone by then.
                Request::Write(Some(number))
                    if code == ErrorCode::StoreCrdt && self.model.writes[*number].collection == RICH =>
                {
                    true
                }
                Request::Transacted(_) | Request::Write(_) => {
                    matches!(code, ErrorCode::StoreIdentifierConflict | ErrorCode::StoreTransactionConflict)
                }
                Request::End => code == ErrorCode::StoreTransactionConflict,
                Request::Begin
                | Request::ChangeIndex
                | Request::FinalRead(_)
                | Request::FinalWatch(_)
                | Request::Read(_)
                | Request::Setup => false,
            }
    }

    fn begun(&mut self, node: usize, result: Result<Reply, Failure>) {
        let life = self.nodes[node].life;
        match (result, &mut self.nodes[node].transaction) {
            (Ok(Reply::Begun(id)), Some(transaction)) => {
                transaction.id = Some(id);
                self.after(1, Event::ClientNext { node, life });
            }
            _ => self.nodes[node].transaction = None,
        }
    }

    fn transacted(&mut self, node: usize, number: Option<usize>, result: Result<Reply, Failure>) {
        let life = self.nodes[node].life;
        match (result, number) {
            (Ok(Reply::Rows { mutated, .. }), Some(number)) => self.model.touch(number, ids(&mutated)),
            (Ok(_), _) => {}
            (Err(_), _) => {
                if let Some(transaction) = &mut self.nodes[node].transaction {
                    transaction.commit = false;
                    transaction.plan.clear();
                }
            }
        }
        let pause = self.disks.between(1, 30);
        self.after(pause, Event::ClientNext { node, life });
    }

    fn ended(&mut self, node: usize, result: Result<Reply, Failure>) {
        let Some(transaction) = self.nodes[node].transaction.take() else { return };
        self.stats.transactions += 1;
        for number in transaction.writes {
            let touched = self.model.writes[number].touched.as_ref().is_some_and(|ids| !ids.is_empty());
            let fate = match &result {
                Ok(Reply::Ended { commit }) if transaction.commit && touched => Fate::Acknowledged(*commit),
                Ok(_) if transaction.commit => Fate::Idle,
                Err(_) if self.nodes[node].broken => Fate::Unknown,
                Ok(_) | Err(_) => Fate::Refused,
            };
            self.model.settle(number, fate, None, self.now);
        }
    }

    fn written(&mut self, node: usize, number: Option<usize>, result: Result<Reply, Failure>) {
        let Some(number) = number else { return };
        let (fate, touched) = match result {
            Ok(Reply::Rows { mutated, commit, .. }) if mutated.is_empty() || commit.is_none() => (Fate::Idle, None),
            Ok(Reply::Rows { mutated, commit, .. }) => (Fate::Acknowledged(commit), Some(ids(&mutated))),
            Err(_) if self.nodes[node].broken => (Fate::Unknown, None),
            Ok(_) | Err(_) => (Fate::Refused, None),
        };
        if matches!(fate, Fate::Acknowledged(_)) && self.model.writes[number].effect != Effect::Evict {
            self.stats.writes += 1;
            self.stats.edits += u64::from(self.model.writes[number].collection == RICH);
        }
        self.model.settle(number, fate, touched, self.now);
    }
}

fn ids(mutated: &[Value]) -> BTreeSet<i64> {
    mutated.iter().filter_map(Value::as_int).collect()
}
