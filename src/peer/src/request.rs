//! What applications ask: statements, transactions, observers, subscriptions.

use std::cell::Cell;
use std::rc::Rc;

use dql::{Context, Plan};
use store::{Durability, ReadError, Store};
use sync::wire::SUBSCRIPTIONS_MAX;
use value::limits::STATEMENT_BYTES_MAX;
use value::{ErrorCode, Failure, Object, Value, cbor};

use crate::commit::lost_race;
use crate::documents;
use crate::draft::Change;
use crate::engine::Engine;
use crate::io::{ObserverId, Output, Reply, SubscriptionId, Ticket, TransactionId};
use crate::observer::{Observer, Scanned, Watched};
use crate::pipeline::{Completion, Group, Job, stronger};
use crate::statement::{Outcome, Prepared, Stop};
use crate::transaction::Transaction;
use crate::view::View;

impl<S: Store> Engine<S> {
    pub(crate) fn execute(
        &mut self,
        ticket: Ticket,
        transaction: Option<TransactionId>,
        text: String,
        args: Object,
        durability: Durability,
    ) {
        if let Some(failure) = &self.broken {
            let failure = failure.clone();
            return self.reply(ticket, Err(failure));
        }
        let prepared = match self.prepare(text, args) {
            Ok(prepared) => Rc::new(prepared),
            Err(failure) => return self.reply(ticket, Err(failure)),
        };
        if prepared.is_about_the_store() {
            return self.command(ticket, transaction.is_some(), &prepared, durability);
        }
        match transaction {
            Some(id) => self.execute_inside(ticket, id, prepared, durability),
            None if prepared.is_write() => {
                self.pipeline.add(Job::Statement { ticket, prepared, durability });
            }
            None => self.reads.push((ticket, prepared)),
        }
    }

    /// Parses and plans a statement.
    fn prepare(&mut self, text: String, args: Object) -> Result<Prepared, Failure> {
        let context = Context {
            now: self.now,
            zones: Rc::clone(&self.zones),
            indexes: self.indexes.ready(),
            strict: self.strict,
            directives: self.directives.clone(),
            asked_host: Cell::default(),
        };
        let mut prepared = Prepared::new(&mut self.parsed, text, args, &context, self.indexes.generation())?;
        prepared.deletes_fields =
            prepared.deletes_from().is_some_and(|collection| self.parameters.deletes_fields(collection));
        Ok(prepared)
    }

    fn execute_inside(&mut self, ticket: Ticket, id: TransactionId, prepared: Rc<Prepared>, durability: Durability) {
        match self.transactions.open.get_mut(&id) {
            None => {
                let lost = self.transactions.lost.contains_key(&id);
                self.reply(ticket, Err(if lost { lost_race() } else { no_transaction() }));
            }
            Some(transaction) if transaction.read_only && prepared.is_write() => {
                let message = "this transaction is read-only; open it with isReadOnly: false to write";
                self.reply(ticket, Err(Failure::new(ErrorCode::StoreTransactionReadOnly, message)));
            }
            Some(transaction) => {
                transaction.durability = stronger(transaction.durability, durability);
                transaction.waiting.push((ticket, prepared));
            }
        }
    }

    pub(crate) fn begin(&mut self, ticket: Ticket, read_only: bool) {
        if let Some(failure) = &self.broken {
            let failure = failure.clone();
            return self.reply(ticket, Err(failure));
        }
        let beside = read_only && !self.transactions.open.is_empty() && self.pipeline.committing.is_none();
        if beside {
            self.open_transaction(ticket, read_only);
        } else {
            self.pipeline.add(Job::Begin { ticket, read_only });
        }
    }

    pub(crate) fn open_transaction(&mut self, ticket: Ticket, read_only: bool) {
        self.transactions.opened += 1;
        let id = TransactionId(self.transactions.opened);
        let stamp = self.stamp();
        let transaction = Transaction {
            since: self.now,
            told: false,
            read_only,
            draft: crate::draft::Draft::default(),
            stamp,
            waiting: Vec::new(),
            durability: Durability::Memory,
            ending: None,
        };
        self.transactions.open.insert(id, transaction);
        self.reply(ticket, Ok(Reply::Begun(id)));
    }

    pub(crate) fn end(&mut self, ticket: Ticket, id: TransactionId, commit: bool) {
        let Some(transaction) = self.transactions.open.get_mut(&id) else {
            let lost = self.transactions.lost.remove(&id).is_some();
            let result = match (lost, commit) {
                (true, true) => Err(lost_race()),
                (true, false) => Ok(Reply::Ended { commit: None }),
                (false, _) => Err(no_transaction()),
            };
            return self.reply(ticket, result);
        };
        if commit && (!transaction.draft.is_empty() || !transaction.waiting.is_empty()) {
            transaction.ending = Some(ticket);
            return;
        }
        let transaction = self.transactions.open.remove(&id).expect("it was just found");
        let failure = Failure::new(ErrorCode::QueryExecution, "the transaction was rolled back");
        for (waiting, _) in transaction.waiting {
            self.reply(waiting, Err(failure.clone()));
        }
        self.reply(ticket, Ok(Reply::Ended { commit: None }));
    }

    /// Makes the ending transaction the next group; it is not evaluated again after a conflict.
    pub(crate) fn group_of_transaction(&mut self) -> bool {
        let Some(id) = self.transactions.ready_to_commit() else { return false };
        let mut transaction = self.transactions.open.remove(&id).expect("it was just found");
        for collection in transaction.draft.evicted_collections() {
            let forgotten = self.cursors.forget(&collection);
            forgotten.into_iter().for_each(|(name, bytes)| transaction.draft.put_meta(&name, bytes));
        }
        let ticket = transaction.ending.expect("it was found by its ending");
        let completion = Completion::Reply { ticket, result: Ok(Reply::Ended { commit: None }), wrote: true };
        self.pipeline.group = Group {
            jobs: Vec::new(),
            draft: transaction.draft,
            completions: vec![completion],
            durability: transaction.durability,
            transaction: Some(ticket),
        };
        true
    }

    /// Runs the statements that wait inside transactions.
    pub(crate) fn run_transactions(&mut self) {
        let ids: Vec<TransactionId> = self.transactions.open.keys().copied().collect();
        for id in ids {
            while !self.parked && self.run_next_inside(id) {}
        }
        self.finish_readers();
        // An ending transaction may just have become ready.
        while self.run_pipeline() {}
    }

    /// Ends the transactions that want to end and have written nothing; they wait for nobody.
    fn finish_readers(&mut self) {
        let mut ended = Vec::new();
        self.transactions.open.retain(|_, transaction| {
            let done = transaction.waiting.is_empty() && transaction.draft.is_empty();
            ended.extend(transaction.ending.filter(|_| done));
            transaction.ending.is_none() || !done
        });
        ended.into_iter().for_each(|ticket| self.reply(ticket, Ok(Reply::Ended { commit: None })));
    }

    fn run_next_inside(&mut self, id: TransactionId) -> bool {
        let Some(transaction) = self.transactions.open.get_mut(&id) else { return false };
        if transaction.waiting.is_empty() {
            return false;
        }
        let (ticket, prepared) = transaction.waiting[0].clone();
        let system = self.system_rows(&prepared);
        let transaction = self.transactions.open.get_mut(&id).expect("it was just found");
        let view = View::new(&self.store, &self.indexes, vec![&transaction.draft]);
        let outcome = system
            .map_err(Stop::Blocked)
            .and_then(|system| prepared.run(&view, &system, transaction.stamp, &mut self.random));
        self.history.take(&prepared.text, self.now, &outcome);
        match outcome {
            Ok(outcome) => {
                transaction.waiting.remove(0);
                let (rows, mutated) = answer(&outcome);
                for write in outcome.writes {
                    self.clock.observe(write.newest(), self.now);
                    transaction.draft.add(crate::record::LOCAL, write);
                }
                self.reply(ticket, Ok(Reply::Rows { rows, mutated, commit: None }));
                true
            }
            Err(Stop::Failed(failure)) => {
                transaction.waiting.remove(0);
                self.reply(ticket, Err(failure));
                true
            }
            Err(Stop::Blocked(error)) => match self.park_on(error) {
                Ok(()) => {
                    self.parked = true;
                    false
                }
                Err(failure) => {
                    self.break_down(failure);
                    false
                }
            },
        }
    }

    pub(crate) fn fail_transactions(&mut self, failure: &Failure) {
        for (_, transaction) in std::mem::take(&mut self.transactions.open) {
            let waiting = transaction.waiting.into_iter().map(|(ticket, _)| ticket);
            for ticket in waiting.chain(transaction.ending) {
                self.reply(ticket, Err(failure.clone()));
            }
        }
    }

    /// Answers the statements that only read.
    pub(crate) fn run_reads(&mut self) {
        if !self.booted || self.parked {
            return;
        }
        for (ticket, prepared) in std::mem::take(&mut self.reads) {
            let stamp = crdt::Stamp { hlc: self.clock.last(), actor: 0 };
            let outcome = self.system_rows(&prepared).map_err(Stop::Blocked).and_then(|system| {
                let view = View::new(&self.store, &self.indexes, Vec::new());
                prepared.run(&view, &system, stamp, &mut self.random)
            });
            self.history.take(&prepared.text, self.now, &outcome);
            match outcome {
                Ok(outcome) => {
                    self.reply(ticket, Ok(Reply::Rows { rows: outcome.rows, mutated: Vec::new(), commit: None }));
                }
                Err(Stop::Failed(failure)) => self.reply(ticket, Err(failure)),
                Err(Stop::Blocked(error)) => match self.park_on(error) {
                    Ok(()) => {
                        self.reads.push((ticket, prepared));
                        self.parked = true;
                    }
                    Err(failure) => self.reply(ticket, Err(failure)),
                },
            }
        }
    }

    pub(crate) fn observe(&mut self, ticket: Ticket, id: ObserverId, text: String, args: Object) {
        let prepared = match self.prepare(text, args) {
            Ok(prepared) => prepared,
            Err(failure) => return self.reply(ticket, Err(failure)),
        };
        if !matches!(*prepared.plan, Plan::Select(_)) {
            let message = "an observer takes a SELECT statement; run the others with store.execute";
            return self.reply(ticket, Err(Failure::new(ErrorCode::QueryUnsupported, message)));
        }
        self.observers.insert(id, Observer::new(Rc::new(prepared)));
        self.watched = None;
        self.reply(ticket, Ok(Reply::Done));
    }

    /// Hands the changes of a commit to the observers.
    pub(crate) fn tell_observers(&mut self, changes: &[Change]) {
        if self.observers.is_empty() {
            return;
        }
        let watched = self.watched.get_or_insert_with(|| Watched::of(&self.observers));
        let seen = watched.look(changes);
        if !seen.is_empty() {
            self.observers.values_mut().for_each(|observer| observer.take(&seen));
        }
    }

    /// Looks at the answers of the observers that are due and tells those whose answer changed.
    pub(crate) fn run_observers(&mut self) {
        if !self.booted || self.parked || self.broken.is_some() {
            return;
        }
        let due: Vec<ObserverId> =
            self.observers.iter().filter(|(_, observer)| observer.is_due()).map(|(id, _)| *id).collect();
        for id in due {
            match self.observed(id) {
                Ok(Some(rows)) => self.outputs.push_back(Output::Notify { observer: id, rows }),
                Ok(None) => {}
                Err(error) => {
                    match self.park_on(error) {
                        Ok(()) => self.parked = true,
                        Err(failure) => self.break_down(failure),
                    }
                    return;
                }
            }
        }
    }

    /// Returns the answer of an observer if its application must be told.
    fn observed(&mut self, id: ObserverId) -> Result<Option<Vec<Rc<Value>>>, ReadError> {
        let observer = self.observers.get_mut(&id).expect("it was listed as due");
        if let Some(select) = observer.unread() {
            let view = View::new(&self.store, &self.indexes, Vec::new());
            let kept = documents::read_kept(select, &view)?;
            observer.keep(kept);
        } else if let Some((select, dirty)) = observer.dirty() {
            let view = View::new(&self.store, &self.indexes, Vec::new());
            match documents::read_joined(select, Some(dirty), &view)? {
                Some(found) => observer.settle(found),
                None => observer.keep(Scanned::Join(None)),
            }
        }
        if let Some(answer) = observer.kept() {
            return Ok(answer);
        }
        let prepared = Rc::clone(&observer.prepared);
        let stamp = crdt::Stamp { hlc: self.clock.last(), actor: 0 };
        let outcome = self.system_rows(&prepared).map_err(Stop::Blocked).and_then(|system| {
            let view = View::new(&self.store, &self.indexes, Vec::new());
            prepared.run(&view, &system, stamp, &mut self.random)
        });
        let rows = match outcome {
            Ok(outcome) => outcome.rows,
            // An expression that fails on this data has no rows to show; the next change tries again.
            Err(Stop::Failed(_)) => Vec::new(),
            Err(Stop::Blocked(error)) => return Err(error),
        };
        let observer = self.observers.get_mut(&id).expect("it was listed as due");
        Ok(observer.evaluated(&rows).then(|| rows.into_iter().map(Rc::new).collect()))
    }

    pub(crate) fn subscribe(&mut self, ticket: Ticket, id: SubscriptionId, text: &str, args: &Object) {
        // The other side refuses a larger set, and with it the whole link.
        let oversized = cbor::encode(&Value::Object(args.clone())).len() > STATEMENT_BYTES_MAX;
        match dql::subscription(text, args, &Context::default()) {
            Ok(_) if self.subscriptions.len() >= SUBSCRIPTIONS_MAX || oversized => {
                let message = format!(
                    "a store has at most {SUBSCRIPTIONS_MAX} subscriptions, each with arguments of at most 1 MiB; \
                     cancel some, or use one with a wider WHERE"
                );
                self.reply(ticket, Err(Failure::new(ErrorCode::ValidationSizeLimitExceeded, message)));
            }
            Ok(subscription) => {
                self.subscriptions.insert(id, (subscription, args.clone()));
                self.subscriptions_changed();
                self.reply(ticket, Ok(Reply::Done));
            }
            Err(error) => {
                let failure = error.failure(text);
                self.reply(ticket, Err(failure));
            }
        }
    }

    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId) {
        if self.subscriptions.remove(&id).is_some() {
            self.subscriptions_changed();
        }
    }
}

/// Returns the rows and `_id`s of an outcome.
pub(crate) fn answer(outcome: &Outcome) -> (Vec<Value>, Vec<Value>) {
    (outcome.rows.clone(), outcome.mutated.iter().map(value::DocId::to_value).collect())
}

fn no_transaction() -> Failure {
    Failure::new(ErrorCode::QueryExecution, "the transaction has ended; begin another")
}
