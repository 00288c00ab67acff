//! Tabs over shared devices: engines on the log-structured store, several of them over one device, and links between stores.
//!
//! Everything that an engine asks for is done at once, unless a tab is told to hold it back.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use dql::{UtcOnly, Zones};
use store::{Appended, DeviceError, DeviceNow, Durability, FaultyDevice, Lsm, LsmConfig, manifest_head};
use value::{ErrorCode, Failure, Millis, Object, PeerKey, ReplicaId, Seq, StoreId, Value};

use crate::config::{Boot, Config, Role};
use crate::engine::Engine;
use crate::io::{
    CommitOutcome, DialTarget, Input, LinkId, LinkKind, ObserverId, Output, Reply, SubscriptionId, Ticket,
};

/// The token that the Big Peer accepts.
const TOKEN: &str = "secret";

/// One tab.
pub struct Tab {
    pub engine: Engine<Lsm>,
    pub store: usize,
    pub replies: BTreeMap<Ticket, Result<Reply, Failure>>,
    pub told: Vec<Vec<Value>>,
    pub damaged: Vec<String>,
    pub reboots: usize,
    /// It does not hear that the log grew.
    pub deaf: bool,
    /// What is kept in `held` instead of being done.
    pub holds: Hold,
    pub held: Vec<Output>,
}

/// What a device is slow with.
#[derive(Clone, Copy)]
pub enum Hold {
    Commits,
    Everything,
    Loads,
    Nothing,
}

/// Devices, the tabs that have them open, and links.
pub struct Shared {
    pub devices: Vec<FaultyDevice>,
    pub tabs: Vec<Tab>,
    pub now: Millis,
    /// Of tabs that are opened from now on.
    pub zones: Rc<dyn Zones>,
    tickets: u64,
    links: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    queue: VecDeque<(usize, Input)>,
}

impl Shared {
    /// Makes empty devices; number 0 is the Big Peer's.
    pub fn new(devices: usize) -> Shared {
        Shared {
            devices: (0..devices).map(|_| FaultyDevice::new()).collect(),
            tabs: Vec::new(),
            now: Millis(1_000_000),
            zones: Rc::new(UtcOnly),
            tickets: 1 << 32,
            links: BTreeMap::new(),
            queue: VecDeque::new(),
        }
    }

    /// Opens a tab over a device. The memtable is small, and so is what the log keeps.
    pub fn open(&mut self, store: usize) -> usize {
        let image = self.devices[store].boot_now().expect("the device works");
        let sizes = LsmConfig {
            memtable_bytes_max: 4_000,
            wal_commits_max: 20,
            wal_keep_bytes: 2_000,
            wal_keep_ms_min: 0,
            segment_bytes: 1_000,
            ..LsmConfig::default()
        };
        let lsm = Lsm::open(image.manifest.as_deref(), sizes).expect("the manifest is whole");
        let log_start =
            image.manifest.as_deref().map_or(Seq(0), |bytes| manifest_head(bytes).expect("it is whole").log_start);
        let tab = self.tabs.len();
        let config = Config {
            database: "d".into(),
            replica: ReplicaId(100 + store as u64),
            store: StoreId(200 + store as u64),
            slot: tab as u8,
            peer_key: PeerKey(format!("p{store}")),
            device_name: format!("n{store}"),
            metadata: Object::new(),
            version: "0".into(),
            role: match store {
                0 => Role::BigPeer { token: TOKEN.into() },
                _ => Role::SmallPeer { big_peer_url: Some("ws://big".into()) },
            },
        };
        let boot = Boot { log: image.log, log_start, damaged: image.damaged };
        self.tabs.push(Tab {
            engine: Engine::new(config, lsm, boot, tab as u64 + 1, self.now).with_zones(Rc::clone(&self.zones)),
            store,
            replies: BTreeMap::new(),
            told: Vec::new(),
            damaged: Vec::new(),
            reboots: 0,
            deaf: false,
            holds: Hold::Nothing,
            held: Vec::new(),
        });
        self.drain(tab);
        self.run();
        tab
    }

    /// Lets a tab link to the Big Peer, tab 0, with one subscription.
    pub fn sync(&mut self, tab: usize, subscription: &str) {
        self.input(tab, Input::MayLink(true));
        let ticket = self.ticket();
        let id = SubscriptionId(ticket.0);
        self.input(tab, Input::Subscribe { ticket, subscription: id, text: subscription.into(), args: Object::new() });
        let ticket = self.ticket();
        self.input(tab, Input::Login { ticket, provider: "p".into(), token: TOKEN.into() });
        self.input(tab, Input::SyncOn(true));
    }

    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Sends a statement and returns the ticket of its answer.
    pub fn send(&mut self, tab: usize, text: &str) -> Ticket {
        let ticket = self.ticket();
        let (text, args, durability) = (text.into(), Object::new(), Durability::Relaxed);
        self.input(tab, Input::Execute { ticket, transaction: None, text, args, durability });
        ticket
    }

    pub fn answer(&mut self, tab: usize, ticket: Ticket) -> Result<Reply, Failure> {
        self.tabs[tab].replies.remove(&ticket).expect("it is answered")
    }

    pub fn ok(&mut self, tab: usize, text: &str) {
        let ticket = self.send(tab, text);
        if let Err(failure) = self.answer(tab, ticket) {
            panic!("{text}: {failure}");
        }
    }

    pub fn rows(&mut self, tab: usize, text: &str) -> Vec<Value> {
        let ticket = self.send(tab, text);
        match self.answer(tab, ticket) {
            Ok(Reply::Rows { rows, .. }) => rows,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Returns the number that a statement selects as `n`.
    pub fn number(&mut self, tab: usize, text: &str) -> i64 {
        let rows = self.rows(tab, text);
        let number = rows.first().and_then(Value::as_object).and_then(|row| row.get("n")).and_then(Value::as_int);
        number.unwrap_or_else(|| panic!("{text}: {rows:?}"))
    }

    pub fn observe(&mut self, tab: usize, text: &str) {
        let (ticket, text) = (self.ticket(), text.to_owned());
        self.input(tab, Input::Observe { ticket, observer: ObserverId(1), text, args: Object::new() });
    }

    /// Writes so much that the log drops what it held before.
    pub fn fill(&mut self, tab: usize, collection: &str, ids: std::ops::Range<i64>) {
        for id in ids {
            let padding = "x".repeat(300);
            self.ok(tab, &format!("INSERT INTO {collection} DOCUMENTS ({{'_id': {id}, 'x': '{padding}'}})"));
        }
    }

    /// Lets a tab have what it was denied: its commits, loads and maintenance are carried out.
    pub fn release(&mut self, tab: usize) {
        self.tabs[tab].holds = Hold::Nothing;
        for output in std::mem::take(&mut self.tabs[tab].held) {
            self.output(tab, output);
        }
        self.run();
    }

    /// Carries out the oldest of what a tab was denied; what that leads to is held back again.
    pub fn release_one(&mut self, tab: usize) {
        let output = self.tabs[tab].held.remove(0);
        self.output(tab, output);
        self.run();
    }

    /// A tab hears that the log grew, and reads it.
    pub fn hear(&mut self, tab: usize) {
        let input = match self.devices[self.tabs[tab].store].tail_now(self.tabs[tab].engine.head()) {
            Ok(entries) => Input::LogGrew { entries },
            Err(DeviceError::Damaged(_) | DeviceError::Trimmed(_)) => Input::LogGap,
            Err(error) => panic!("{error}"),
        };
        self.input(tab, input);
    }

    pub fn input(&mut self, tab: usize, input: Input) {
        self.queue.push_back((tab, input));
        self.run();
    }

    fn run(&mut self) {
        while let Some((tab, input)) = self.queue.pop_front() {
            self.tabs[tab].engine.handle(self.now, input);
            self.drain(tab);
        }
    }

    fn drain(&mut self, tab: usize) {
        while let Some(output) = self.tabs[tab].engine.poll() {
            let holds = match (&output, self.tabs[tab].holds) {
                (Output::Commit { .. }, Hold::Commits | Hold::Everything) => true,
                (Output::Load { .. }, Hold::Everything | Hold::Loads) => true,
                (Output::Maintain { .. }, Hold::Everything) => true,
                (_, Hold::Commits | Hold::Everything | Hold::Loads | Hold::Nothing) => false,
            };
            match holds {
                true => self.tabs[tab].held.push(output),
                false => self.output(tab, output),
            }
        }
    }

    fn output(&mut self, tab: usize, output: Output) {
        let device = self.devices[self.tabs[tab].store].clone();
        let input = match output {
            Output::Blob(task) => match task.carry_out(&device) {
                Some(answer) => Input::BlobAnswered(answer),
                None => return,
            },
            Output::Close { link, .. } => {
                if let Some(far) = self.links.remove(&(tab, link)) {
                    self.links.remove(&far);
                    self.queue.push_back((far.0, Input::LinkDown { link: far.1 }));
                }
                return;
            }
            Output::Commit { ticket, expected, not_before, record, durability } => {
                let outcome = match device.append_now(expected, self.now.max(not_before), record, durability) {
                    Ok(Appended::Conflict(records)) => CommitOutcome::Conflict(records),
                    Ok(Appended::Done(seq)) => CommitOutcome::Durable(seq),
                    Err(DeviceError::Damaged(_) | DeviceError::Trimmed(_)) => CommitOutcome::Gap,
                    Err(error) => CommitOutcome::Failed(error.failure()),
                };
                Input::Committed { ticket, outcome }
            }
            Output::Damaged { what } => return self.tabs[tab].damaged.push(what),
            Output::Dial { target: target @ DialTarget::BigPeer { .. } } => return self.link(tab, target),
            Output::Load { ticket, blocks } => {
                let found = device.read_now(&blocks).expect("the device works");
                Input::Loaded { ticket, blocks: blocks.into_iter().zip(found).collect() }
            }
            Output::Maintain { ticket, batch } => Input::Maintained { ticket, result: device.write_now(batch) },
            Output::Notify { observer, rows } => {
                self.tabs[tab].told.push(rows.iter().map(|row| Value::clone(row)).collect());
                Input::ObserverReady { observer }
            }
            Output::Published { .. } => return self.published(tab),
            Output::Reboot { ticket } => {
                self.tabs[tab].reboots += 1;
                Input::Rebooted { ticket, image: device.boot_now().map_err(|error| error.failure()) }
            }
            Output::Reload { ticket } => {
                Input::Reloaded { ticket, manifest: device.manifest_now().map_err(|error| error.failure()) }
            }
            Output::Reply { ticket, result } => {
                assert_eq!(self.tabs[tab].replies.insert(ticket, result), None, "one answer for each ticket");
                return;
            }
            Output::Send { link, bytes } => {
                if let Some((far, link)) = self.links.get(&(tab, link)) {
                    self.queue.push_back((*far, Input::Frame { link: *link, bytes }));
                }
                return;
            }
            Output::AuthenticationRequired { .. }
            | Output::BlobDamaged { .. }
            | Output::BlobProgress { .. }
            | Output::Dial { .. }
            | Output::FieldChanged { .. }
            | Output::Presence(_)
            | Output::Said { .. }
            | Output::Signal { .. }
            | Output::Status(_)
            | Output::TransactionOpen { .. } => return,
        };
        self.queue.push_back((tab, input));
    }

    fn link(&mut self, tab: usize, target: DialTarget) {
        let (near, far) = (LinkId(self.ticket().0), LinkId(self.ticket().0));
        self.links.insert((tab, near), (0, far));
        self.links.insert((0, far), (tab, near));
        self.queue.push_back((tab, Input::LinkUp { link: near, kind: LinkKind::Simulated, target: Some(target) }));
        self.queue.push_back((0, Input::LinkUp { link: far, kind: LinkKind::Simulated, target: None }));
    }

    fn published(&mut self, tab: usize) {
        for other in 0..self.tabs.len() {
            let hears = other != tab && self.tabs[other].store == self.tabs[tab].store && !self.tabs[other].deaf;
            if hears && self.tabs[other].engine.head() < self.tabs[tab].engine.head() {
                let entries = self.devices[self.tabs[tab].store].tail_now(self.tabs[other].engine.head());
                self.queue.push_back((other, entries.map_or(Input::LogGap, |entries| Input::LogGrew { entries })));
            }
        }
    }

    /// Returns the code that a statement fails with.
    pub fn code(&mut self, tab: usize, ticket: Ticket) -> ErrorCode {
        self.answer(tab, ticket).expect_err("it must fail").code
    }
}
