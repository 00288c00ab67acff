//! The applications: what they ask of their peers. What they learn from the answers is in `answer`.
//!
//! Before most writes a client looks at the collection, so that the model knows what the write had seen. An application that
//! starts again makes its subscriptions and observers again, as a page does when it is loaded.

use std::collections::VecDeque;

use peer::io::{Input, ObserverId, SubscriptionId, Ticket};
use store::Durability;
use value::Object;

use crate::cluster::{Cluster, Event};
use crate::document::{self, ATTACHED, COLLECTIONS, GROUPED, OF_VALUES, PARTIAL, PLAIN, RICH, WILD};
use crate::machine::TOKEN;
use crate::node::{Interest, Planned, Request, Transaction, Watch};
use crate::options::Class;
use crate::workload::{PARTS, Statement};

impl Cluster {
    /// Lets the application of a peer that has just started make its subscriptions and observers, and turn sync on.
    pub fn set_up(&mut self, node: usize) {
        // Without steps the run is scripted by a test, which chooses itself.
        let store = self.store_of(node);
        if self.nodes[node].life == 1 && self.steps_left > 0 {
            // The tabs of a store want the same of the network, whichever was opened first; that may be nothing.
            let first = self.tabs_of(node).into_iter().all(|tab| tab == node || self.nodes[tab].life == 0);
            if first && self.nodes[store].interests.is_empty() {
                self.choose_interests(store);
            }
            if store != node {
                self.nodes[node].interests = self.nodes[store].interests.clone();
            }
            self.choose_watches(node);
        }
        self.elect(self.store_of(node));
        self.set_blobs_up(node);
        let early = self.workload.rng().chance(500);
        if early {
            self.deliver(node, Input::SyncOn(true));
        }
        for (subscription, interest) in self.nodes[node].interests.clone() {
            self.subscribe(node, subscription, &interest);
        }
        for (observer, watch) in self.nodes[node].watches.clone() {
            self.observe(node, observer, &watch);
        }
        if !early {
            self.deliver(node, Input::SyncOn(true));
        }
    }

    /// Says how long blobs live, and whether they are fetched unasked; a setting ends with the process.
    fn set_blobs_up(&mut self, node: usize) {
        if !self.profile.blobs {
            return;
        }
        let mut settings = Vec::new();
        if self.profile.blob_gc_secs > 0 {
            settings.push(format!("attachments_gc_interval_secs = {}", self.profile.blob_gc_secs));
        }
        if self.profile.blob_auto_fetch == Some(self.store_of(node)) {
            settings.push("attachments_auto_fetch = true".to_owned());
        }
        for setting in settings {
            let ticket = self.ticket(node, Request::Setup);
            self.select(node, ticket, format!("ALTER SYSTEM SET {setting}"));
        }
    }

    /// Shows the token to the Big Peer.
    pub fn log_in(&mut self, node: usize) {
        if self.nodes[node].pending.values().any(|request| matches!(request, Request::Login)) {
            return;
        }
        let ticket = self.ticket(node, Request::Login);
        let input = Input::Login { ticket, provider: "development".to_owned(), token: TOKEN.to_owned() };
        self.after(3, Event::Tell { node, life: self.nodes[node].life, input });
    }

    /// Lets some client do something.
    pub fn step(&mut self) {
        if self.steps_left == 0 {
            return;
        }
        self.steps_left -= 1;
        let gap = self.workload.rng().between(1, self.profile.step_ms_max);
        self.after(gap, Event::Step);
        let count = self.nodes.len();
        let node = self.workload.rng().index(count);
        let collection = self.some_collection();
        let allowed = |class, weight| if self.profile.has(class) { weight } else { 0 };
        let changes = if self.profile.everything { 0 } else { 4 };
        let weights = [60, allowed(Class::Transactions, 15), 10, changes, 3];
        let action = self.workload.rng().weighted(&weights);
        if !self.nodes[node].is_up() || self.nodes[node].asleep {
            return;
        }
        self.stats.statements += 1;
        self.step_index(node);
        self.step_rich(node);
        self.step_attachment(node);
        match action {
            0 => self.write(node, collection),
            1 => self.begin(node),
            2 => self.look(node, collection),
            3 => self.change_interest(node, collection),
            _ => self.observe_again(node),
        }
    }

    /// Goes on with the open transaction of a client.
    pub fn go_on(&mut self, node: usize) {
        let Some(transaction) = &mut self.nodes[node].transaction else { return };
        let Some(id) = transaction.id else { return };
        let (mark, durability) = (transaction.mark, transaction.durability);
        let Some(planned) = transaction.plan.pop_front() else {
            let commit = transaction.commit;
            let ticket = self.ticket(node, Request::End);
            return self.deliver(node, Input::End { ticket, transaction: id, commit });
        };
        let (mut statement, number) = match planned {
            Planned::Half(statement, number) => (*statement, Some(number)),
            Planned::Write(collection) => self.planned_write(node, collection, mark),
        };
        statement.durability = durability;
        let ticket = self.ticket(node, Request::Transacted(number));
        let Statement { text, args, durability, .. } = statement;
        self.deliver(node, Input::Execute { ticket, transaction: Some(id), text, args, durability });
    }

    fn planned_write(&mut self, node: usize, collection: usize, mark: u64) -> (Statement, Option<usize>) {
        let next = self.model.writes.len();
        let halved = collection == GROUPED && self.workload.rng().chance(600);
        let (mut statement, second) = if halved {
            let (first, second) = self.workload.halves(node, next);
            (first, Some(second))
        } else {
            (self.workload.write(node, collection, next), None)
        };
        let number = statement.write.take().map(|mut write| {
            write.made = self.now;
            self.model.make(write, mark)
        });
        if let Some(transaction) = &mut self.nodes[node].transaction {
            for write in self.model.writes.iter_mut().skip(next) {
                write.durability = transaction.durability;
            }
            transaction.writes.extend(number);
            if let (Some(second), Some(number)) = (second, number) {
                transaction.plan.push_front(Planned::Half(Box::new(second), number));
            }
        }
        (statement, number)
    }

    fn write(&mut self, node: usize, collection: usize) {
        if self.workload.rng().chance(700) {
            self.look(node, collection);
        }
        let statement = self.workload.write(node, collection, self.model.writes.len());
        let mark = self.model.mark();
        let number = statement.write.map(|mut write| {
            write.made = self.now;
            self.model.make(write, mark)
        });
        let ticket = self.ticket(node, Request::Write(number));
        let (text, args, durability) = (statement.text, statement.args, statement.durability);
        self.deliver(node, Input::Execute { ticket, transaction: None, text, args, durability });
    }

    fn begin(&mut self, node: usize) {
        if self.nodes[node].transaction.is_some() {
            return;
        }
        let count = self.workload.rng().between(1, 3);
        let plan: VecDeque<Planned> = (0..count).map(|_| Planned::Write(self.some_collection())).collect();
        let commit = self.workload.rng().chance(800);
        let durability = *self.workload.rng().pick(&[Durability::Relaxed, Durability::Strict]);
        let mark = self.model.mark();
        self.nodes[node].transaction =
            Some(Transaction { id: None, plan, durability, commit, writes: Vec::new(), mark });
        let ticket = self.ticket(node, Request::Begin);
        self.deliver(node, Input::Begin { ticket, read_only: false });
    }

    /// Reads all documents of a collection.
    pub fn look(&mut self, node: usize, collection: usize) {
        let ticket = self.ticket(node, Request::Read(collection));
        self.select(node, ticket, format!("SELECT * FROM {}", document::source(collection)));
    }

    /// Runs a query.
    pub fn select(&mut self, node: usize, ticket: Ticket, text: String) {
        let durability = Durability::Relaxed;
        self.deliver(node, Input::Execute { ticket, transaction: None, text, args: Object::new(), durability });
    }

    /// Returns a ticket for a request of a client.
    pub fn ticket(&mut self, node: usize, request: Request) -> Ticket {
        let ticket = Ticket(self.next_id());
        self.nodes[node].pending.insert(ticket, request);
        ticket
    }

    fn some_collection(&mut self) -> usize {
        let wild = if self.profile.has(Class::Wild) { 15 } else { 0 };
        [PLAIN, PARTIAL, GROUPED, WILD][self.workload.rng().weighted(&[35, 25, 25, wild])]
    }

    fn choose_interests(&mut self, node: usize) {
        if self.profile.is_big_peer(node) {
            return;
        }
        for collection in 0..OF_VALUES {
            if self.profile.everything || self.workload.rng().chance(800) {
                let interest = self.some_interest(collection);
                let subscription = SubscriptionId(self.next_id());
                self.nodes[node].interests.insert(subscription, interest);
            }
        }
        let everything = self.profile.everything;
        let rich = self.profile.rich && (everything || self.rich.rng().chance(800));
        let attached = self.profile.blobs && (everything || self.attachments.rng().chance(800));
        for (collection, wanted) in [(RICH, rich), (ATTACHED, attached)] {
            if wanted {
                let subscription = SubscriptionId(self.next_id());
                let interest = Interest { collection, text: query(collection, None), part: None };
                self.nodes[node].interests.insert(subscription, interest);
            }
        }
    }

    fn some_interest(&mut self, collection: usize) -> Interest {
        let divided = collection == PARTIAL && !self.profile.everything && self.workload.rng().chance(700);
        let part = divided.then(|| self.workload.rng().below(PARTS as u64) as i64);
        Interest { collection, text: query(collection, part), part }
    }

    fn choose_watches(&mut self, node: usize) {
        for (collection, name) in COLLECTIONS.iter().enumerate().take(OF_VALUES) {
            let part = (collection == PARTIAL && self.workload.rng().chance(400)).then_some(1);
            if self.workload.rng().chance(800) {
                let observer = ObserverId(self.next_id());
                let (text, whole) = (query(collection, part), part.is_none());
                let watch = Watch { collection, text, whole, computed: false, last: None };
                self.nodes[node].watches.insert(observer, watch);
            }
            if self.workload.rng().chance(800) {
                let observer = ObserverId(self.next_id());
                let shape = self.workload.rng().below(COMPUTED.len() as u64) as usize;
                let text = COMPUTED[shape].replace("{c}", name);
                let watch = Watch { collection, text, whole: false, computed: true, last: None };
                self.nodes[node].watches.insert(observer, watch);
            }
        }
        let shapes = [(false, "SELECT * FROM {c}"), (true, "SELECT _id, items, body FROM {c} ORDER BY body DESC, _id")];
        for (computed, text) in shapes {
            if self.profile.rich && self.rich.rng().chance(600) {
                let observer = ObserverId(self.next_id());
                let text = text.replace("{c}", document::source(RICH));
                let watch = Watch { collection: RICH, text, whole: false, computed, last: None };
                self.nodes[node].watches.insert(observer, watch);
            }
        }
    }

    fn change_interest(&mut self, node: usize, collection: usize) {
        if self.profile.is_big_peer(node) {
            return;
        }
        let found = self.nodes[node].interests.iter().find(|(_, interest)| interest.collection == collection);
        if let Some(subscription) = found.map(|(subscription, _)| *subscription) {
            for tab in self.tabs_of(node) {
                self.nodes[tab].interests.remove(&subscription);
                self.deliver(tab, Input::Unsubscribe { subscription });
            }
        } else {
            let interest = self.some_interest(collection);
            let subscription = SubscriptionId(self.next_id());
            for tab in self.tabs_of(node) {
                self.nodes[tab].interests.insert(subscription, interest.clone());
                if self.nodes[tab].is_up() {
                    self.subscribe(tab, subscription, &interest);
                }
            }
        }
    }

    fn observe_again(&mut self, node: usize) {
        let Some((observer, mut watch)) = self.nodes[node].watches.pop_first() else { return };
        self.deliver(node, Input::Unobserve { observer });
        watch.last = None;
        let observer = ObserverId(self.next_id());
        self.nodes[node].watches.insert(observer, watch.clone());
        self.observe(node, observer, &watch);
    }

    fn subscribe(&mut self, node: usize, subscription: SubscriptionId, interest: &Interest) {
        let ticket = self.ticket(node, Request::Setup);
        let (text, args) = (interest.text.clone(), Object::new());
        self.deliver(node, Input::Subscribe { ticket, subscription, text, args });
    }

    fn observe(&mut self, node: usize, observer: ObserverId, watch: &Watch) {
        let ticket = self.ticket(node, Request::Setup);
        let (text, args) = (watch.text.clone(), Object::new());
        self.deliver(node, Input::Observe { ticket, observer, text, args });
    }
}

/// Live queries whose answers are kept up to date in different ways, or evaluated again.
const COMPUTED: [&str; 9] = [
    "SELECT * FROM {c} ORDER BY f0 DESC, _id LIMIT 3",
    "SELECT _id, f1 FROM {c} ORDER BY f1, _id LIMIT 4 OFFSET 1",
    "SELECT DISTINCT k FROM {c} ORDER BY k",
    "SELECT k, COUNT(*) AS n, SUM(f0) AS s, MEDIAN(f1) AS m FROM {c} GROUP BY k ORDER BY n DESC, k",
    "SELECT COUNT(*) AS n, MIN(f0) AS l, MAX(f2) AS g, AVG(f0) AS a, COUNT(DISTINCT f1) AS d FROM {c}",
    "SELECT COUNT(*) AS n FROM {c}",
    "SELECT type(f0) AS t, COUNT(*) AS n, MID(f0) AS m FROM {c} GROUP BY type(f0) HAVING COUNT(*) > 1 ORDER BY t",
    "SELECT x._id, y.f0 FROM {c} AS x JOIN b AS y ON x._id = y._id ORDER BY x._id",
    "SELECT _id FROM {c} WHERE f0 IN (SELECT MAX(f0) FROM {c}) ORDER BY _id",
];

/// Returns the query of a collection or a part of it.
fn query(collection: usize, part: Option<i64>) -> String {
    match part {
        None => format!("SELECT * FROM {}", COLLECTIONS[collection]),
        Some(part) => format!("SELECT * FROM {} WHERE k = {part}", COLLECTIONS[collection]),
    }
}
