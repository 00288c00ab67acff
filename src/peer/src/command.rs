//! Statements about the store: indexes, parameters, advice; and what time does to statements.

use dql::{NewIndex, Plan};
use store::{Durability, Store};
use value::{ErrorCode, Failure, Millis, Value};

use crate::engine::Engine;
use crate::index::{IndexChange, IndexDefinition, IndexJob};
use crate::io::{Output, Reply, Ticket, TransactionId};
use crate::parameters::{DEFAULT_DIRECTIVES, HISTORY_SIZE, STATEMENT_CACHE_SIZE, STRICT_MODE, TRANSACTION_LOGGING_MS};
use crate::statement::Prepared;
use crate::system::TICK_MS;

impl<S: Store> Engine<S> {
    /// Carries out a statement about the store. None of them is part of a transaction.
    pub(crate) fn command(&mut self, ticket: Ticket, inside: bool, prepared: &Prepared, durability: Durability) {
        if inside {
            let message =
                "statements about indexes and parameters are no part of a transaction; run them with store.execute";
            return self.reply(ticket, Err(Failure::new(ErrorCode::QueryUnsupported, message)));
        }
        let rows = match &*prepared.plan {
            Plan::Advise(advice) => {
                let rows = vec![advice.row.clone()];
                let Some((last, others)) = advice.provision.split_last() else { return self.answer_rows(ticket, rows) };
                for index in others {
                    let ticket = None;
                    self.change_index(IndexJob { ticket, change: creation(index), durability, rows: Vec::new() });
                }
                return self.change_index(IndexJob { ticket: Some(ticket), change: creation(last), durability, rows });
            }
            Plan::AlterSystem(alteration) => self.parameters.alter(alteration).map(|()| {
                self.parsed.limit(self.parameters.count(STATEMENT_CACHE_SIZE));
                self.history.limit(self.parameters.count(HISTORY_SIZE));
                self.blob_parameters_changed();
                self.strict = self.parameters.is(STRICT_MODE);
                self.scopes_changed();
                self.directives = self.parameters.map(DEFAULT_DIRECTIVES);
                self.parsed.forget_plans();
                Vec::new()
            }),
            Plan::CreateIndex(index) => {
                let change = creation(index);
                return self.change_index(IndexJob { ticket: Some(ticket), change, durability, rows: Vec::new() });
            }
            Plan::DropIndex(index) => {
                let (collection, name) = (index.collection.clone(), index.name.clone());
                let change = IndexChange::Drop { collection, name, if_exists: index.if_exists };
                return self.change_index(IndexJob { ticket: Some(ticket), change, durability, rows: Vec::new() });
            }
            Plan::Show(shown) => self.parameters.show(shown),
            _ => panic!("a statement about documents is carried out in its turn"),
        };
        match rows {
            Ok(rows) => self.answer_rows(ticket, rows),
            Err(failure) => self.reply(ticket, Err(failure)),
        }
    }

    fn answer_rows(&mut self, ticket: Ticket, rows: Vec<Value>) {
        self.reply(ticket, Ok(Reply::Rows { rows, mutated: Vec::new(), commit: None }));
    }

    /// Returns when a transaction is open for so long that the log is told, or a live query over what the peer makes is due.
    pub(crate) fn statement_timeout(&self) -> Option<Millis> {
        let mut untold = self.transactions.open.values().filter(|transaction| !transaction.told);
        let since = untold.next().map(|first| untold.map(|other| other.since).fold(first.since, Millis::min));
        let transactions = since.map(|since| since.plus(self.parameters.count(TRANSACTION_LOGGING_MS) as u64));
        let ticks = self.observers.values().any(|observer| observer.prepared.reads_system).then_some(self.system_tick);
        transactions.into_iter().chain(ticks).min()
    }

    pub(crate) fn statement_time_passed(&mut self) {
        let patience = self.parameters.count(TRANSACTION_LOGGING_MS) as u64;
        let ids: Vec<TransactionId> = self.transactions.open.keys().copied().collect();
        for id in ids {
            let transaction = self.transactions.open.get_mut(&id).expect("it was just listed");
            if !transaction.told && transaction.since.plus(patience) <= self.now {
                transaction.told = true;
                let open_ms = self.now.0 - transaction.since.0;
                self.outputs.push_back(Output::TransactionOpen { transaction: id, open_ms });
            }
        }
        if self.system_tick <= self.now {
            self.system_tick = self.now.plus(TICK_MS);
            let all = self.observers.values_mut().filter(|observer| observer.prepared.reads_system);
            all.for_each(crate::observer::Observer::mark_anyway);
        }
    }
}

fn creation(index: &NewIndex) -> IndexChange {
    let NewIndex { collection, name, keys, if_absent } = index.clone();
    IndexChange::Create { definition: IndexDefinition { collection, name, keys }, if_not_exists: if_absent }
}
