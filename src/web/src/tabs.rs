//! The other tabs that have this store open.
//!
//! All tabs write to the shared log; one of them, the holder of the lock `net`, runs the links for all. What the others want of
//! the network they tell it, and tell it again when a new holder asks; when a tab dies its lock `tab` becomes free, and the
//! holder forgets what it wanted. What the holder knows of the network it mirrors to the others.
//!
//! Messages on `shoal:<store>`, `from` being the tab: `log` (it grew; often with the record); `ask`, `beat` (a duty, see
//! `election`); `who` (a new holder asks); `wants` (`{syncOn,
//! subscriptions: [{id, text, args}]}`); `status`, `presence` (mirrors); `auth` (seconds left); `login` (`{request, provider,
//! token}`), `said` (see `field`), `answer` (`{to, request, error}`); `logout`; `profile` (`{name, metadata}`); `blobs` (there are
//! others in the store), `fetch` (`{id, len}`). They stay within the origin.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use value::SmallMap;

use peer::io::{BlobRequest, Input, SubscriptionId};
use value::Object;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::attachment;
use crate::channel::{Channel, Message};
use crate::driver::{self, Driver};
use crate::election::{self, Election};
use crate::js::{self, Deferred};
use crate::lock::{self, Lock, Patience};

/// Tabs that may write to one store at once.
pub const SLOTS: u8 = 64;

/// What a tab is among those that share a store, and the locks that say so.
pub struct Seat {
    /// Its number.
    pub slot: u8,
    /// Its name.
    pub id: String,
    /// Released when it closes or sleeps.
    pub locks: Vec<Lock>,
}

/// What one tab knows of the others, and they of it.
pub struct Tabs {
    /// `shoal:<store>`.
    name: String,
    id: String,
    shared: bool,
    channel: RefCell<Option<Channel>>,
    /// Those of the tab itself: its number, and that it is alive.
    locks: RefCell<Vec<Lock>>,
    pub(crate) election: Election,
    /// It is coming back from sleep.
    pub(crate) waking: Cell<bool>,
    slot: Cell<u8>,
    pub(crate) holder: Cell<bool>,
    mirrored: Cell<bool>,
    latest: RefCell<SmallMap<&'static str, JsValue>>,
    own: RefCell<Wants>,
    others: RefCell<SmallMap<String, Other>>,
    logins: RefCell<SmallMap<u64, Login>>,
    /// Logins of other tabs that this one tries, by the tab and its number of the request: one may be handed over twice.
    tried: RefCell<SmallMap<(String, u64), ()>>,
    told_on: Cell<bool>,
    /// Counts what was heard of other tabs, so that an older answer about them is known as such.
    heard: Cell<u64>,
    /// No other tab has the store open, as far as is known.
    pub(crate) alone: Cell<bool>,
}

/// What a tab wants of the network.
#[derive(Default)]
struct Wants {
    sync_on: bool,
    subscriptions: SmallMap<u64, (String, Vec<u8>)>,
}

/// Another tab as the holder knows it: its subscriptions by its ids, as ours.
#[derive(Default)]
struct Other {
    sync_on: bool,
    subscriptions: SmallMap<u64, SubscriptionId>,
}

/// A login that waits for the holder's answer.
struct Login {
    provider: String,
    token: String,
    done: Deferred,
}

impl Tabs {
    /// Prepares for a store, on a seat among its tabs.
    pub fn new(name: String, shared: bool, seat: Seat) -> Tabs {
        Tabs {
            name,
            id: seat.id,
            shared,
            channel: RefCell::default(),
            locks: RefCell::new(seat.locks),
            election: Election::default(),
            waking: Cell::new(false),
            slot: Cell::new(seat.slot),
            holder: Cell::new(false),
            mirrored: Cell::new(false),
            latest: RefCell::default(),
            own: RefCell::default(),
            others: RefCell::default(),
            logins: RefCell::default(),
            tried: RefCell::default(),
            told_on: Cell::new(false),
            heard: Cell::new(0),
            alone: Cell::new(false),
        }
    }

    /// Sends a message to the other tabs.
    pub fn post(&self, kind: &str, body: JsValue) {
        if let Some(channel) = self.channel.borrow().as_ref() {
            channel.post(kind, body);
        }
    }

    /// Says whether another tab tells this one about the network.
    pub fn hears_others(&self) -> bool {
        self.mirrored.get() && !self.holder.get()
    }

    /// Shows the other tabs what the holder knows.
    pub fn mirror(&self, kind: &'static str, value: JsValue) {
        if self.holder.get() {
            self.post(kind, value.clone());
            self.latest.borrow_mut().insert(kind, value);
        }
    }

    /// Returns the name of a lock of this store.
    pub fn lock_name(&self, what: &str) -> String {
        format!("{}:{what}", self.name)
    }

    /// Takes a seat for a tab that has given up its own; the old number, if it is free.
    pub async fn sit_down_again(&self) -> Seat {
        let (slot, id) = (self.slot.get(), self.id.clone());
        if !self.is_among_others() {
            return Seat { slot, id, locks: Vec::new() };
        }
        let prefix = self.lock_name("slot:");
        let old = lock::acquire(&format!("{prefix}{slot}"), Patience::None).await.map(|lock| (slot, lock));
        let free = match old {
            Some(old) => Some(old),
            None => lock::acquire_slot(&prefix, SLOTS).await,
        };
        let (slot, guard) = match free {
            Some((slot, guard)) => (slot, Some(guard)),
            None => (slot, lock::acquire(&format!("{prefix}{slot}"), Patience::Unlimited).await),
        };
        let alive = lock::acquire(&self.lock_name(&format!("tab:{id}")), Patience::Unlimited).await;
        Seat { slot, id, locks: guard.into_iter().chain(alive).collect() }
    }

    /// Says whether other tabs may have the store open, and locks keep them apart.
    fn is_among_others(&self) -> bool {
        self.shared && lock::available()
    }

    /// Lets go of everything.
    pub fn close(&self) {
        self.channel.take();
        self.election.stop();
        self.locks.take();
        let logins = self.logins.take();
        logins.into_values().for_each(|login| login.done.reject(&js::failure(&driver::closed())));
    }

    /// Hands the logins that wait to the tab that holds the connection.
    fn tell_logins(&self) {
        for (request, login) in self.logins.borrow().iter() {
            let fields = [
                ("request", (*request as f64).into()),
                ("provider", login.provider.as_str().into()),
                ("token", login.token.as_str().into()),
            ];
            self.post("login", js::object(&fields));
        }
    }

    fn tell_wants(&self) {
        let own = self.own.borrow();
        let subscriptions: js_sys::Array = own
            .subscriptions
            .iter()
            .map(|(id, (text, args))| {
                js::object(&[("id", (*id as f64).into()), ("text", text.as_str().into()), ("args", js::bytes_to(args))])
            })
            .collect();
        let fields = [("syncOn", own.sync_on.into()), ("subscriptions", subscriptions.into())];
        self.post("wants", js::object(&fields));
    }

    fn any_on(&self) -> bool {
        self.own.borrow().sync_on || self.others.borrow().values().any(|other| other.sync_on)
    }
}

/// Joins the other tabs, and waits for the locks that make this tab the one for links and the one for compaction.
pub fn start(driver: &Rc<Driver>) {
    if !driver.tabs.is_among_others() {
        set_alone(driver, true);
        driver.feed(Input::MayCompact(true));
        return hold(driver);
    }
    let weak = Rc::downgrade(driver);
    let heard = move |message| {
        if let Some(driver) = weak.upgrade() {
            hear(&driver, message);
        }
    };
    driver.tabs.channel.replace(Channel::open(&driver.tabs.name, driver.tabs.id.clone(), heard));
    // Commits of other tabs between this one's boot and now were not heard.
    driver.log_grew();
    driver.tabs.tell_wants();
    ask_whether_alone(driver);
    election::start(driver);
}

/// Tells the engine when no other tab has the store open; every other tab says something when it comes.
fn ask_whether_alone(driver: &Rc<Driver>) {
    let prefix = driver.tabs.lock_name("tab:");
    let (heard, weak) = (driver.tabs.heard.get(), Rc::downgrade(driver));
    spawn_local(async move {
        let alone = lock::count_held(&prefix).await == Some(1);
        if let Some(driver) = weak.upgrade().filter(|driver| alone && driver.tabs.heard.get() == heard) {
            set_alone(&driver, true);
        }
    });
}

fn set_alone(driver: &Rc<Driver>, alone: bool) {
    driver.tabs.alone.set(alone);
    driver.feed(Input::Alone(alone));
}

/// Gives up links, locks and the number among the tabs, in good order, until `start`.
pub fn sleep(driver: &Rc<Driver>) {
    let_go(driver);
    driver.feed(Input::MayCompact(false));
    driver.tabs.channel.take();
    driver.tabs.election.stop();
    driver.tabs.locks.take();
}

/// Sits down after sleep.
pub fn seat(driver: &Rc<Driver>, seat: Seat) {
    driver.tabs.slot.set(seat.slot);
    driver.tabs.locks.replace(seat.locks);
}

/// Another tab runs the links from now on, and will ask the others itself what they want.
pub fn let_go(driver: &Rc<Driver>) {
    let tabs = &driver.tabs;
    if !tabs.holder.replace(false) {
        return;
    }
    driver.feed(Input::MayLink(false));
    driver.discovery.stop();
    driver.links.close_all();
    tabs.mirrored.set(false);
    tabs.latest.take();
    for other in tabs.others.take().into_values() {
        let subscriptions = other.subscriptions.into_values();
        subscriptions.for_each(|subscription| driver.feed(Input::Unsubscribe { subscription }));
    }
    set_sync(driver);
    tabs.tell_wants();
}

/// This tab runs the links from now on.
pub fn hold(driver: &Rc<Driver>) {
    driver.tabs.holder.set(true);
    driver.feed(Input::MayLink(true));
    crate::discovery::start(driver);
    driver.tabs.post("who", JsValue::UNDEFINED);
    set_sync(driver);
    let logins = driver.tabs.logins.take();
    for login in logins.into_values() {
        enter(driver, login);
    }
}

fn hear(driver: &Rc<Driver>, message: Message) {
    let tabs = &driver.tabs;
    tabs.heard.set(tabs.heard.get() + 1);
    if tabs.alone.get() {
        set_alone(driver, false);
        // Since it read the log nobody may have told it of what was appended.
        tabs.post("log", JsValue::UNDEFINED);
    }
    let field = |name| js::property(&message.body, name);
    match (message.kind.as_str(), tabs.holder.get()) {
        ("ask" | "beat", _) => election::hear(driver, &message.kind, &message.body),
        ("log", _) => driver.record_told(&message.body),
        ("who", false) => {
            tabs.tell_wants();
            tabs.tell_logins();
            attachment::tell_fetches(driver);
        }
        ("blobs", _) => driver.feed(Input::Blob(BlobRequest::Refresh)),
        ("fetch", true) => attachment::fetch_for_other(driver, &message.body),
        ("wants", true) => take_wants(driver, message.from, &message.body),
        ("status", false) => mirrored(driver, "status", message.body),
        ("presence", false) => mirrored(driver, "presence", message.body),
        ("said", _) => crate::field::heard(driver, &message.body),
        ("auth", _) => driver.emit("authenticationRequired", message.body),
        ("login", true) => answer_login(driver, message.from, &message.body),
        ("answer", false) if field("to").as_string().as_deref() == Some(&tabs.id) => {
            let request = field("request").as_f64().unwrap_or(0.0) as u64;
            if let Some(login) = tabs.logins.borrow_mut().remove(&request) {
                let error = field("error");
                if error.is_undefined() { login.done.resolve(&error) } else { login.done.reject(&error) }
            }
        }
        ("logout", true) => driver.feed(Input::Logout),
        ("profile", true) => {
            let name = field("name").as_string().unwrap_or_default();
            if let Ok(metadata) = driver::arguments(&js::bytes_from(&field("metadata"))) {
                driver.feed(Input::SetProfile { device_name: name, metadata });
            }
        }
        _ => {}
    }
}

fn mirrored(driver: &Rc<Driver>, kind: &'static str, value: JsValue) {
    driver.tabs.mirrored.set(true);
    driver.emit(kind, value);
}

/// Brings the engine's subscriptions in line with what another tab wants now.
fn take_wants(driver: &Rc<Driver>, from: String, body: &JsValue) {
    let tabs = &driver.tabs;
    let is_new = !tabs.others.borrow().contains_key(&from);
    let mut other = tabs.others.borrow_mut().remove(&from).unwrap_or_default();
    other.sync_on = js::property(body, "syncOn").is_truthy();
    let mut dropped = std::mem::take(&mut other.subscriptions);
    for wanted in js_sys::Array::from(&js::property(body, "subscriptions")).iter() {
        let id = js::property(&wanted, "id").as_f64().unwrap_or(0.0) as u64;
        if let Some(present) = dropped.remove(&id) {
            other.subscriptions.insert(id, present);
            continue;
        }
        let text = js::property(&wanted, "text").as_string().unwrap_or_default();
        let Ok(args) = driver::arguments(&js::bytes_from(&js::property(&wanted, "args"))) else { continue };
        let subscription = SubscriptionId(driver.number());
        other.subscriptions.insert(id, subscription);
        // The tab itself was told when it is wrong.
        driver.request(Box::new(|_| {}), |ticket| Input::Subscribe { ticket, subscription, text, args });
    }
    tabs.others.borrow_mut().insert(from.clone(), other);
    dropped.into_values().for_each(|subscription| driver.feed(Input::Unsubscribe { subscription }));
    set_sync(driver);
    if is_new {
        tabs.latest.borrow().iter().for_each(|(kind, value)| tabs.post(kind, value.clone()));
        watch(driver, from);
    }
}

/// Forgets a tab when its lock becomes free.
fn watch(driver: &Rc<Driver>, tab: String) {
    let name = driver.tabs.lock_name(&format!("tab:{tab}"));
    let signal = driver.tabs.election.signal();
    let patience = if signal.is_undefined() { Patience::Unlimited } else { Patience::Until(signal) };
    let weak = Rc::downgrade(driver);
    spawn_local(async move {
        // Granted: the tab is gone. Refused: this one sleeps, and the next holder watches.
        let Some(lock) = lock::acquire(&name, patience).await else { return };
        drop(lock);
        let Some(driver) = weak.upgrade() else { return };
        let gone = driver.tabs.others.borrow_mut().remove(&tab);
        let subscriptions = gone.map(|other| other.subscriptions).unwrap_or_default();
        subscriptions.into_values().for_each(|subscription| driver.feed(Input::Unsubscribe { subscription }));
        set_sync(&driver);
        ask_whether_alone(&driver);
    });
}

/// Sync is on while any tab has started it; a tab without links leaves it to the one with them.
fn set_sync(driver: &Rc<Driver>) {
    let on = driver.tabs.any_on();
    if driver.tabs.told_on.replace(on) != on {
        driver.feed(Input::SyncOn(on));
        driver.discovery.announce();
    }
}

/// Starts or stops sync for this tab.
pub fn set_own_sync(driver: &Rc<Driver>, on: bool) {
    driver.tabs.own.borrow_mut().sync_on = on;
    set_sync(driver);
    driver.tabs.tell_wants();
}

/// Remembers a subscription of this tab, so that the holder of the links has it too.
pub fn subscribed(driver: &Rc<Driver>, id: SubscriptionId, text: String, args: Vec<u8>) {
    driver.tabs.own.borrow_mut().subscriptions.insert(id.0, (text, args));
    driver.tabs.tell_wants();
}

/// Forgets a subscription of this tab.
pub fn unsubscribed(driver: &Rc<Driver>, id: SubscriptionId) {
    driver.tabs.own.borrow_mut().subscriptions.remove(&id.0);
    driver.tabs.tell_wants();
}

/// Logs in at the Big Peer, through the tab that has the link to it.
pub fn login(driver: &Rc<Driver>, provider: String, token: String) -> js_sys::Promise {
    let done = Deferred::new();
    let promise = done.promise();
    let login = Login { provider, token, done };
    if driver.tabs.holder.get() {
        enter(driver, login);
    } else {
        let request = driver.number();
        driver.tabs.logins.borrow_mut().insert(request, login);
        driver.tabs.tell_logins();
    }
    promise
}

fn enter(driver: &Rc<Driver>, login: Login) {
    let Login { provider, token, done } = login;
    let settle = move |result: Result<_, value::Failure>| match result {
        Ok(_) => done.resolve(&JsValue::UNDEFINED),
        Err(failure) => done.reject(&js::failure(&failure)),
    };
    driver.request(Box::new(settle), |ticket| Input::Login { ticket, provider, token });
}

fn answer_login(driver: &Rc<Driver>, to: String, body: &JsValue) {
    let text = |name| js::property(body, name).as_string().unwrap_or_default();
    let (provider, token, request) = (text("provider"), text("token"), js::property(body, "request"));
    let login = (to.clone(), request.as_f64().unwrap_or(0.0) as u64);
    if driver.tabs.tried.borrow_mut().insert(login.clone(), ()).is_some() {
        return;
    }
    let weak = Rc::downgrade(driver);
    let settle = move |result: Result<_, value::Failure>| {
        if let Some(driver) = weak.upgrade() {
            driver.tabs.tried.borrow_mut().remove(&login);
        }
        // What failed because the connection goes to another tab is told to that one when it asks who is there.
        let driver = weak.upgrade().filter(|driver| result.is_ok() || driver.tabs.holder.get());
        let error = result.err().map_or(JsValue::UNDEFINED, |failure| js::failure(&failure));
        if let Some(driver) = driver {
            let fields = [("to", to.as_str().into()), ("request", request), ("error", error)];
            driver.tabs.post("answer", js::object(&fields));
        }
    };
    driver.request(Box::new(settle), |ticket| Input::Login { ticket, provider, token });
}

/// Forgets the credentials.
pub fn logout(driver: &Rc<Driver>) {
    driver.feed(Input::Logout);
    driver.tabs.post("logout", JsValue::UNDEFINED);
}

/// Sets the name and metadata of this store's peer.
pub fn set_profile(driver: &Rc<Driver>, device_name: String, metadata: Object, encoded: &[u8]) {
    let fields = [("name", device_name.as_str().into()), ("metadata", js::bytes_to(encoded))];
    driver.tabs.post("profile", js::object(&fields));
    driver.feed(Input::SetProfile { device_name, metadata });
}
