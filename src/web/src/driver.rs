//! Drives one engine: an input in, all outputs out, effects afterwards.
//!
//! The borrow of the engine ends before anything else runs. Inputs that arise while outputs are carried out wait their turn.
//! Callbacks into JavaScript run in a microtask of their own, never on this stack: an observer may call `execute`. What an
//! output means is in `effects`, the log shared with other tabs in `log`, links in `links`, the other tabs in `tabs`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

use gloo::events::EventListener;
use js_sys::Function;
use peer::Engine;
use peer::io::{Input, Output, Reply, Ticket};
use store::Lsm;
use value::{ErrorCode, Failure, Object, SmallMap, Value, cbor};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::attachment::Attachments;
use crate::clock::{self, Alarm};
use crate::discovery::Discovery;
use crate::field::Bound;
use crate::health::Health;
use crate::identity::Identity;
use crate::js::{self, Deferred};
use crate::links::Links;
use crate::log::LogState;
use crate::storage::Storage;
use crate::tabs::Tabs;

/// What a request is answered with.
pub type Answer = Result<Reply, Failure>;
/// What becomes of a request's answer.
pub type Settle = Box<dyn FnOnce(Answer)>;

/// One open store and everything that belongs to it.
pub struct Driver {
    engine: RefCell<Engine<Lsm>>,
    inputs: RefCell<VecDeque<Input>>,
    running: Cell<bool>,
    alarm: Alarm,
    next: Cell<u64>,
    requests: RefCell<SmallMap<u64, Settle>>,
    /// Statements and ends of transactions that wait for their answer; closing waits for them.
    pub(crate) writing: Cell<u64>,
    pub(crate) observers: RefCell<SmallMap<u64, Function>>,
    pub(crate) fields: RefCell<SmallMap<u64, Bound>>,
    pub(crate) identity: Identity,
    pub(crate) storage: Storage,
    pub(crate) log: LogState,
    pub(crate) links: Links,
    pub(crate) attachments: Attachments,
    pub(crate) tabs: Tabs,
    pub(crate) discovery: Discovery,
    pub(crate) closed: Cell<bool>,
    pub(crate) persistent: Cell<bool>,
    /// The page is frozen or in the back-forward cache: inputs wait, see `lifecycle`.
    pub(crate) asleep: Cell<bool>,
    /// What was last given up, because it could not be read.
    pub(crate) damaged: RefCell<Option<String>>,
    pub(crate) health: Health,
    events: Function,
    pub(crate) host: RefCell<Vec<EventListener>>,
}

/// The parts that `open` has prepared.
pub struct Parts {
    /// The engine, not yet drained.
    pub engine: Engine<Lsm>,
    /// Its device.
    pub storage: Storage,
    /// Its ids.
    pub identity: Identity,
    /// The end of the log at the boot.
    pub log: LogState,
    /// The other tabs.
    pub tabs: Tabs,
    /// `(kind, value) -> handled`.
    pub events: Function,
}

impl Driver {
    /// Takes the parts together and carries out what the engine asked for at its start.
    pub fn start(parts: Parts) -> Rc<Driver> {
        let persistent = parts.storage.is_persistent();
        let driver = Rc::new(Driver {
            engine: RefCell::new(parts.engine),
            inputs: RefCell::default(),
            running: Cell::new(true),
            alarm: Alarm::default(),
            next: Cell::new(1),
            requests: RefCell::default(),
            writing: Cell::new(0),
            observers: RefCell::default(),
            fields: RefCell::default(),
            links: Links::new(parts.identity.peer_key.clone()),
            attachments: Attachments::default(),
            identity: parts.identity,
            storage: parts.storage,
            log: parts.log,
            tabs: parts.tabs,
            discovery: Discovery::default(),
            closed: Cell::new(false),
            persistent: Cell::new(persistent),
            health: Health::default(),
            asleep: Cell::new(false),
            damaged: RefCell::default(),
            events: parts.events,
            host: RefCell::default(),
        });
        let weak = Rc::downgrade(&driver);
        driver.storage.on_lost(move |message| {
            if let Some(driver) = weak.upgrade() {
                driver.lose(message);
            }
        });
        driver.tell_storage();
        let outputs: Vec<Output> = std::iter::from_fn(|| driver.engine.borrow_mut().poll()).collect();
        outputs.into_iter().for_each(|output| driver.perform(output));
        driver.run();
        crate::lifecycle::listen(&driver);
        crate::tabs::start(&driver);
        driver
    }

    /// Gives the engine an input, now or after the one that is being worked on.
    pub fn feed(self: &Rc<Self>, input: Input) {
        if self.closed.get() {
            return;
        }
        self.learn(&input);
        self.inputs.borrow_mut().push_back(input);
        self.resume();
    }

    /// Like `feed`, before all inputs that wait.
    pub fn feed_first(self: &Rc<Self>, input: Input) {
        self.inputs.borrow_mut().push_front(input);
        self.resume();
    }

    fn resume(self: &Rc<Self>) {
        if !self.asleep.get() && !self.running.replace(true) {
            self.run();
        }
    }

    fn run(self: &Rc<Self>) {
        loop {
            let input = self.inputs.borrow_mut().pop_front();
            let Some(input) = input else { break };
            for output in self.step(input) {
                self.perform(output);
            }
        }
        self.running.set(false);
        let deadline = self.engine.borrow().next_timeout().filter(|_| !self.closed.get());
        let weak = Rc::downgrade(self);
        self.alarm.set(deadline, move || {
            if let Some(driver) = weak.upgrade() {
                driver.alarm.rang();
                driver.feed(Input::Timeout);
            }
        });
    }

    /// The only place that holds the engine.
    fn step(&self, input: Input) -> Vec<Output> {
        let mut engine = self.engine.borrow_mut();
        engine.handle(clock::now(), input);
        std::iter::from_fn(|| engine.poll()).collect()
    }

    /// Returns what of attachments is here, bytes.
    pub fn blob_bytes(&self) -> u64 {
        self.engine.borrow().blob_bytes()
    }

    /// Returns how many parts of attachments are here.
    pub fn blob_parts(&self) -> u64 {
        self.engine.borrow().blob_parts()
    }

    /// Returns a number that was not used before.
    pub fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// Sends a request to the engine; `settle` gets its answer, at once or later.
    pub fn request(self: &Rc<Self>, settle: Settle, input: impl FnOnce(Ticket) -> Input) {
        if self.closed.get() {
            return settle(Err(closed()));
        }
        let ticket = self.number();
        self.requests.borrow_mut().insert(ticket, settle);
        self.feed(input(Ticket(ticket)));
    }

    /// Sends a request whose answer settles a promise.
    pub fn promise(self: &Rc<Self>, input: impl FnOnce(Ticket) -> Input) -> js_sys::Promise {
        let done = Deferred::new();
        let promise = done.promise();
        self.request(Box::new(move |result| settle(&done, result)), input);
        promise
    }

    /// Sends a request and waits for its answer; in a box, so that there is one such future in the module.
    pub fn ask(self: &Rc<Self>, input: Box<dyn FnOnce(Ticket) -> Input>) -> Pin<Box<dyn Future<Output = Answer>>> {
        let answer = Rc::new(RefCell::new(Err(closed())));
        let (slot, done) = (answer.clone(), Deferred::new());
        let answered = done.clone();
        let settle = move |result: Answer| {
            *slot.borrow_mut() = result;
            answered.resolve(&JsValue::UNDEFINED);
        };
        self.request(Box::new(settle), input);
        Box::pin(async move {
            drop(done.wait().await);
            answer.replace(Err(closed()))
        })
    }

    /// Like `promise` for what changes data: closing waits for it.
    pub fn write(self: &Rc<Self>, input: impl FnOnce(Ticket) -> Input) -> js_sys::Promise {
        let done = Deferred::new();
        let promise = done.promise();
        let driver = self.clone();
        self.writing.set(self.writing.get() + 1);
        let settled = move |result| {
            driver.writing.set(driver.writing.get() - 1);
            settle(&done, result);
        };
        self.request(Box::new(settled), input);
        promise
    }

    /// Sends a request that registers something. What is wrong at once is returned; what turns out later is an event.
    pub fn register(self: &Rc<Self>, input: impl FnOnce(Ticket) -> Input) -> Result<(), JsValue> {
        let outcome = Rc::new(RefCell::new(Registered::Pending));
        let (slot, driver) = (outcome.clone(), self.clone());
        let settle = move |result: Result<Reply, Failure>| {
            let late = matches!(*slot.borrow(), Registered::Returned);
            match result {
                Err(failure) if late => driver.emit("failed", js::failure(&failure)),
                Err(failure) => *slot.borrow_mut() = Registered::Refused(failure),
                Ok(_) => {}
            }
        };
        self.request(Box::new(settle), input);
        match outcome.replace(Registered::Returned) {
            Registered::Refused(failure) => Err(js::failure(&failure)),
            Registered::Pending | Registered::Returned => Ok(()),
        }
    }

    /// Forgets whoever waits for an answer that will not come.
    pub(crate) fn forget(&self, ticket: Ticket) {
        self.requests.borrow_mut().remove(&ticket.0);
    }

    /// Hands an answer to whoever asked.
    pub(crate) fn settle(&self, ticket: Ticket, result: Result<Reply, Failure>) {
        let settle = self.requests.borrow_mut().remove(&ticket.0);
        if let Some(settle) = settle {
            settle(result);
        }
    }

    /// Tells the application something, in a microtask of its own.
    pub fn emit(self: &Rc<Self>, kind: &'static str, value: JsValue) {
        self.emit_then(kind, value, |_| {});
    }

    /// Like `emit`; `then` learns whether the application took care of it.
    pub fn emit_then(self: &Rc<Self>, kind: &'static str, value: JsValue, then: impl FnOnce(bool) + 'static) {
        let driver = self.clone();
        spawn_local(async move {
            if driver.closed.get() {
                return;
            }
            match driver.events.call2(&JsValue::UNDEFINED, &kind.into(), &value) {
                // Where the application is in another realm its answer is a promise.
                Ok(handled) => then(js::settled(&handled).await.is_ok_and(|handled| handled.is_truthy())),
                Err(exception) => js::warn(&format!("[shoal] an event handler threw: {}", js::describe(&exception))),
            }
        });
    }

    /// Tells the application where its data is.
    pub fn tell_storage(self: &Rc<Self>) {
        let reason = self.health.reason().or_else(|| self.storage.reason().map(str::to_owned));
        let damaged = self.damaged.borrow().as_deref().map_or(JsValue::NULL, JsValue::from_str);
        let fields = [
            ("mode", self.storage.mode().into()),
            ("persistent", self.persistent.get().into()),
            ("condition", self.health.condition().into()),
            ("reason", reason.map_or(JsValue::NULL, Into::into)),
            ("damaged", damaged),
        ];
        self.emit("storage", js::object(&fields));
    }

    /// Commits what is in flight, then lets go of links, locks and the device.
    pub async fn close(self: Rc<Self>) {
        if self.closed.get() {
            return;
        }
        let deadline = clock::now().plus(CLOSE_WAIT_MS_MAX);
        while (self.writing.get() > 0 || self.log.is_committing()) && clock::now() < deadline {
            clock::pause(1).await;
        }
        // The engine says goodbye on its links before they are closed.
        self.feed(Input::MayLink(false));
        self.closed.set(true);
        self.alarm.set(None, || {});
        self.host.borrow_mut().clear();
        self.discovery.stop();
        self.links.close_all();
        self.tabs.close();
        self.observers.borrow_mut().clear();
        self.fields.take();
        let waiting = std::mem::take(&mut *self.requests.borrow_mut());
        waiting.into_values().for_each(|settle| settle(Err(closed())));
        self.storage.close();
    }
}

const CLOSE_WAIT_MS_MAX: u64 = 5_000;

enum Registered {
    Pending,
    Refused(Failure),
    Returned,
}

/// The answer of a closed store.
pub fn closed() -> Failure {
    Failure::new(ErrorCode::StoreClosed, "the database was closed; open it again")
}

/// Reads the arguments of a statement.
pub fn arguments(bytes: &[u8]) -> Result<Object, JsValue> {
    let refuse = |message: &str| js::failure(&Failure::new(ErrorCode::QueryArgumentsInvalid, message));
    match cbor::decode(bytes, value::limits::VALUE_BYTES_MAX) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(refuse("arguments are an object of names and values")),
        Err(error) => Err(refuse(&error.to_string())),
    }
}

fn settle(done: &Deferred, result: Result<Reply, Failure>) {
    match result {
        Ok(Reply::Begun(transaction)) => done.resolve(&JsValue::from_f64(transaction.0 as f64)),
        Ok(Reply::BlobChunk(bytes)) => done.resolve(&js::object(&[("bytes", js::bytes_to(&bytes))])),
        Ok(Reply::BlobFound(len) | Reply::Fetched(len)) => {
            done.resolve(&len.map_or(JsValue::UNDEFINED, |len| JsValue::from_f64(len as f64)));
        }
        Ok(Reply::BlobNext(next)) => done.resolve(&crate::backup::attachment(next)),
        Ok(Reply::BlobKept(id)) => done.resolve(&JsValue::from_str(&id.to_string())),
        // A walk is for verification, which takes the answer itself.
        Ok(Reply::BlobsWalked(_) | Reply::Done | Reply::IndexesWalked(_) | Reply::LoggedIn) => {
            done.resolve(&JsValue::UNDEFINED);
        }
        Ok(Reply::Field(lacking)) => done.resolve(&crate::field::lacking(lacking)),
        Ok(Reply::Imported { changed }) => done.resolve(&JsValue::from_f64(changed as f64)),
        Ok(Reply::Page(page)) => done.resolve(&crate::backup::page(page)),
        Ok(Reply::Ended { commit }) => done.resolve(&crate::view::seq(commit)),
        Ok(Reply::Rows { rows, mutated, commit }) => done.resolve(&crate::view::rows(&rows, &mutated, commit)),
        Err(failure) => done.reject(&js::failure(&failure)),
    }
}
