//! Which tab does what for all tabs of a store: one runs the links, one compacts.
//!
//! Each duty is a Web Lock. Tabs queue for it, so a tab that closes or dies hands it on at once. A tab that hangs, or is
//! frozen without a word, keeps it; so whoever waits and is visible asks on the tabs' channel every two seconds (`ask`), and
//! takes the lock away from a holder that has not answered (`beat`) for ten. Asking wakes a hidden holder, whose own timers
//! the browser slows down. The robbed tab learns of it when it wakes, lets go of what it did, and queues again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo::timers::callback::Interval;
use peer::io::Input;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::driver::Driver;
use crate::lock::{self, Lock, Patience};
use crate::{js, tabs};

/// How often a waiting tab asks, milliseconds.
const ASK_MS: u32 = 2_000;
/// Questions without an answer; when the next one is due, the lock is stolen.
const UNANSWERED_MAX: u8 = 4;

/// Something that one tab does for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Flushes and merges.
    Compact,
    /// Links to other peers.
    Net,
}

const DUTIES: [Duty; 2] = [Duty::Net, Duty::Compact];

impl Duty {
    fn name(self) -> &'static str {
        match self {
            Duty::Compact => "compact",
            Duty::Net => "net",
        }
    }

    fn of(name: &JsValue) -> Option<Duty> {
        let name = name.as_string()?;
        DUTIES.into_iter().find(|duty| duty.name() == name)
    }
}

/// What one tab holds and waits for.
#[derive(Default)]
pub struct Election {
    net: Office,
    compact: Office,
    /// Ends the waiting in queues: an `AbortController`.
    queue: RefCell<JsValue>,
    asking: RefCell<Option<Interval>>,
}

#[derive(Default)]
struct Office {
    lock: RefCell<Option<Lock>>,
    unanswered: Cell<u8>,
}

impl Election {
    fn office(&self, duty: Duty) -> &Office {
        match duty {
            Duty::Compact => &self.compact,
            Duty::Net => &self.net,
        }
    }

    /// Gives up all locks, held or waited for.
    pub fn stop(&self) {
        self.asking.take();
        let queue = self.queue.replace(JsValue::UNDEFINED);
        if !queue.is_undefined() && js::call(&queue, "abort", &[]).is_err() {
            js::warn("[shoal] the queue for a lock could not be left");
        }
        DUTIES.into_iter().for_each(|duty| drop(self.office(duty).lock.take()));
    }

    /// Returns a signal that ends with this tab's time awake.
    pub fn signal(&self) -> JsValue {
        js::property(&self.queue.borrow(), "signal")
    }
}

/// Queues for all duties.
pub fn start(driver: &Rc<Driver>) {
    let election = &driver.tabs.election;
    let controller: js_sys::Function = js::global("AbortController").into();
    let controller = js_sys::Reflect::construct(&controller, &js_sys::Array::new()).unwrap_or(JsValue::UNDEFINED);
    election.queue.replace(controller);
    DUTIES.into_iter().for_each(|duty| queue(driver, duty));
    let weak = Rc::downgrade(driver);
    let ask = move || {
        if let Some(driver) = weak.upgrade() {
            DUTIES.into_iter().for_each(|duty| ask(&driver, duty));
        }
    };
    election.asking.replace(Some(Interval::new(ASK_MS, ask)));
}

/// Answers what another tab asks, and takes note of answers.
pub fn hear(driver: &Rc<Driver>, kind: &str, body: &JsValue) {
    let Some(duty) = Duty::of(body) else { return };
    let office = driver.tabs.election.office(duty);
    match kind {
        "ask" if office.lock.borrow().is_some() => driver.tabs.post("beat", duty.name().into()),
        "beat" => office.unanswered.set(0),
        _ => {}
    }
}

fn queue(driver: &Rc<Driver>, duty: Duty) {
    let signal = driver.tabs.election.signal();
    acquire(driver, duty, if signal.is_undefined() { Patience::Unlimited } else { Patience::Until(signal) });
}

fn ask(driver: &Rc<Driver>, duty: Duty) {
    let office = driver.tabs.election.office(duty);
    // Nobody needs the links of a page that nobody sees; a hidden page is too slow to judge others.
    if driver.is_hidden() || office.lock.borrow().is_some() {
        return office.unanswered.set(0);
    }
    if office.unanswered.get() < UNANSWERED_MAX {
        office.unanswered.set(office.unanswered.get() + 1);
        return driver.tabs.post("ask", duty.name().into());
    }
    office.unanswered.set(0);
    acquire(driver, duty, Patience::Steal);
}

fn acquire(driver: &Rc<Driver>, duty: Duty, patience: Patience) {
    let name = driver.tabs.lock_name(duty.name());
    let weak = Rc::downgrade(driver);
    spawn_local(async move {
        let Some(lock) = lock::acquire(&name, patience).await else { return };
        // A tab that was closed or put to sleep while it waited lets the next one have it.
        if let Some(driver) = weak.upgrade().filter(|driver| !driver.closed.get() && !driver.asleep.get()) {
            begin(&driver, duty, lock);
        }
    });
}

fn begin(driver: &Rc<Driver>, duty: Duty, lock: Lock) {
    let office = driver.tabs.election.office(duty);
    // The place in the queue of a tab that has stolen the lock, and still holds it.
    if office.lock.borrow().is_some() {
        return;
    }
    let ended = lock.ended();
    office.lock.replace(Some(lock));
    driver.tabs.post("beat", duty.name().into());
    let weak = Rc::downgrade(driver);
    spawn_local(async move {
        let stolen = ended.wait().await.is_ok_and(|stolen| stolen.is_truthy());
        if let Some(driver) = weak.upgrade().filter(|driver| stolen && !driver.closed.get() && !driver.asleep.get()) {
            lose(&driver, duty);
        }
    });
    match duty {
        Duty::Compact => driver.feed(Input::MayCompact(true)),
        Duty::Net => tabs::hold(driver),
    }
}

/// Another tab has taken the lock away. What this tab still writes as a compactor loses by the manifest's version.
fn lose(driver: &Rc<Driver>, duty: Duty) {
    driver.tabs.election.office(duty).lock.take();
    match duty {
        Duty::Compact => driver.feed(Input::MayCompact(false)),
        Duty::Net => tabs::let_go(driver),
    }
    queue(driver, duty);
}
