//! A world of engines: each over a memory store and a log in a vector; links carry every message at once.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use dql::Zones;
use store::{Durability, MemoryDevice, MemoryStore};
use value::{ErrorCode, Failure, Millis, Object, PeerKey, ReplicaId, Seq, StoreId, Value};

use crate::config::{Boot, Config, Role};
use crate::engine::Engine;
use crate::io::{
    BlobAnswer, BlobTask, CommitOutcome, DialTarget, Input, LinkId, LinkKind, ObserverId, Output, Reply, Ticket,
};

/// The Big Peer's number.
pub const BIG: usize = 0;
/// The token it accepts.
pub const TOKEN: &str = "secret";

/// One engine and what it has said.
pub struct Node {
    pub engine: Engine<MemoryStore>,
    pub log: Vec<(Seq, Vec<u8>)>,
    pub replies: BTreeMap<Ticket, Result<Reply, Failure>>,
    pub told: BTreeMap<ObserverId, Vec<Vec<Value>>>,
    pub sent_bytes: usize,
    pub asked_for_credentials: usize,
    /// How often the log was told of a transaction that is open for long.
    pub long_transactions: usize,
    pub commits: usize,
    /// Watches that were told of a change.
    pub field_changes: Vec<crate::io::WatchId>,
    /// What other peers said, by topic.
    pub heard: Vec<(u64, Vec<u8>)>,
    /// Where its blobs are.
    pub blobs: MemoryDevice,
    /// How often a part of a blob was read or written.
    pub blob_reads: usize,
    pub blob_writes: usize,
    /// Parts of blobs that were given up.
    pub given_up: Vec<String>,
    /// Bytes of blobs that the application was last told to be here.
    pub progress: Vec<u64>,
    config: Config,
}

/// Engines and the links between them.
pub struct World {
    pub nodes: Vec<Node>,
    pub now: Millis,
    /// Whether the Big Peer can be reached.
    pub big_peer_up: bool,
    /// The node whose commits wait, and those commits.
    pub slow: Option<usize>,
    waiting: Vec<Output>,
    /// The node whose disk is full.
    pub full: Option<usize>,
    /// The node whose device writes the next record and loses the answer.
    pub loses_answer: Option<usize>,
    /// Applications do not say that they are ready for the next answer.
    pub busy: bool,
    tickets: u64,
    links: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    queue: VecDeque<(usize, Input)>,
    /// The node whose chunks are not durable yet, and the answers that it will get.
    pub slow_chunks: Option<usize>,
    held: Vec<(usize, Input)>,
    /// What becomes of the messages that reach a node.
    tampering: Option<(usize, Tamper)>,
}

/// Returns what takes a message's place; `None` leaves it.
type Tamper = Box<dyn Fn(&[u8]) -> Option<Vec<u8>>>;

fn config(number: usize) -> Config {
    Config {
        database: "d".into(),
        replica: ReplicaId(100 + number as u64),
        store: StoreId(200 + number as u64),
        slot: 0,
        peer_key: PeerKey(format!("p{number}")),
        device_name: format!("n{number}"),
        metadata: Object::new(),
        version: "0".into(),
        role: match number {
            BIG => Role::BigPeer { token: TOKEN.into() },
            _ => Role::SmallPeer { big_peer_url: Some("ws://big".into()) },
        },
    }
}

fn node(config: Config, log: Vec<(Seq, Vec<u8>)>, now: Millis) -> Node {
    let boot = Boot { log: log.clone(), log_start: Seq(0), damaged: Vec::new() };
    Node {
        engine: Engine::new(config.clone(), MemoryStore::default(), boot, 1, now),
        log,
        replies: BTreeMap::new(),
        told: BTreeMap::new(),
        sent_bytes: 0,
        asked_for_credentials: 0,
        long_transactions: 0,
        commits: 0,
        field_changes: Vec::new(),
        heard: Vec::new(),
        blobs: MemoryDevice::new(),
        blob_reads: 0,
        blob_writes: 0,
        given_up: Vec::new(),
        progress: Vec::new(),
        config,
    }
}

impl World {
    /// Makes a Big Peer and some Small Peers, all with sync off but the Big Peer.
    pub fn new(small_peers: usize) -> World {
        let now = Millis(1_000_000);
        let mut world = World::of((0..=small_peers).map(|number| node(config(number), Vec::new(), now)).collect(), now);
        for number in 0..=small_peers {
            world.input(number, Input::MayLink(true));
        }
        world.input(BIG, Input::SyncOn(true));
        world
    }

    /// Makes one node at a time, with zones.
    pub fn at(now: Millis, zones: Rc<dyn Zones>) -> World {
        let mut node = node(config(BIG), Vec::new(), now);
        node.engine = node.engine.with_zones(zones);
        World::of(vec![node], now)
    }

    fn of(nodes: Vec<Node>, now: Millis) -> World {
        World {
            nodes,
            now,
            big_peer_up: true,
            slow: None,
            waiting: Vec::new(),
            full: None,
            loses_answer: None,
            busy: false,
            tickets: 1 << 32,
            links: BTreeMap::new(),
            queue: VecDeque::new(),
            slow_chunks: None,
            held: Vec::new(),
            tampering: None,
        }
    }

    /// Lets messages flow until a condition holds; `true` when it does.
    pub fn until(&mut self, holds: impl Fn(&World) -> bool) -> bool {
        while !holds(self) {
            let Some((number, input)) = self.queue.pop_front() else { return false };
            self.step(number, input);
        }
        true
    }

    /// Replaces messages on their way to a node.
    pub fn replace_frames(&mut self, number: usize, with: impl Fn(&[u8]) -> Option<Vec<u8>> + 'static) {
        self.tampering = Some((number, Box::new(with)));
    }

    /// Lets a node hear of no blobs: what comes is replaced by a kind that nobody knows.
    pub fn nodes_deaf_to_blobs(&mut self, number: usize) {
        self.replace_frames(number, |bytes| (20..30).contains(bytes.get(1)?).then(|| vec![0, 200]));
    }

    /// Puts an input behind those that wait, and carries nothing out.
    pub fn later(&mut self, number: usize, input: Input) {
        self.queue.push_back((number, input));
    }

    /// Makes durable what was written slowly.
    pub fn flush_chunks(&mut self) {
        self.slow_chunks = None;
        self.queue.extend(std::mem::take(&mut self.held));
        self.run();
    }

    /// Carries everything out that waits.
    pub fn settle(&mut self) {
        self.run();
    }

    /// Starts sync on a Small Peer with the right token and one subscription.
    pub fn online(&mut self, number: usize, subscription: &str) {
        let ticket = self.ticket();
        let id = crate::io::SubscriptionId(ticket.0);
        self.input(
            number,
            Input::Subscribe { ticket, subscription: id, text: subscription.into(), args: Object::new() },
        );
        assert_eq!(self.nodes[number].replies.remove(&ticket), Some(Ok(Reply::Done)));
        assert_eq!(self.login(number, TOKEN), Ok(Reply::LoggedIn));
        self.input(number, Input::SyncOn(true));
    }

    pub fn login(&mut self, number: usize, token: &str) -> Result<Reply, Failure> {
        let ticket = self.ticket();
        self.input(number, Input::Login { ticket, provider: "p".into(), token: token.into() });
        self.nodes[number].replies.remove(&ticket).expect("login is answered at once here")
    }

    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Runs a statement and returns its answer.
    pub fn execute(&mut self, number: usize, text: &str) -> Result<Reply, Failure> {
        let ticket = self.ticket();
        let input = Input::Execute {
            ticket,
            transaction: None,
            text: text.into(),
            args: Object::new(),
            durability: Durability::Relaxed,
        };
        self.input(number, input);
        self.nodes[number].replies.remove(&ticket).expect("every statement is answered")
    }

    /// Runs a SELECT and returns its rows.
    pub fn rows(&mut self, number: usize, text: &str) -> Vec<Value> {
        match self.execute(number, text) {
            Ok(Reply::Rows { rows, .. }) => rows,
            other => panic!("{text}: {other:?}"),
        }
    }

    pub fn ok(&mut self, number: usize, text: &str) {
        if let Err(failure) = self.execute(number, text) {
            panic!("{text}: {failure}");
        }
    }

    pub fn code(&mut self, number: usize, text: &str) -> ErrorCode {
        self.execute(number, text).expect_err("it must fail").code
    }

    /// Stops a node and starts it again from its log.
    pub fn restart(&mut self, number: usize) {
        self.cut(number);
        let log = self.nodes[number].log.clone();
        let (config, blobs) = (self.nodes[number].config.clone(), self.nodes[number].blobs.clone());
        self.nodes[number] = node(config, log, self.now);
        self.nodes[number].blobs = blobs;
        self.input(number, Input::MayLink(true));
        if number == BIG {
            self.input(number, Input::SyncOn(true));
        }
    }

    /// Stops a node and starts a copy of it: the same documents under another name, so that no cursor is of use.
    pub fn restart_as_copy(&mut self, number: usize) {
        let config = &mut self.nodes[number].config;
        config.store = StoreId(config.store.0 + 1000);
        config.replica = ReplicaId(config.replica.0 + 1000);
        config.peer_key = PeerKey(format!("{}copy", config.peer_key.0));
        self.restart(number);
    }

    /// Returns how many bytes all nodes have sent.
    pub fn sent_bytes(&self) -> usize {
        self.nodes.iter().map(|node| node.sent_bytes).sum()
    }

    /// Cuts all links of a node.
    pub fn cut(&mut self, number: usize) {
        let of = |(a, b): (&(usize, LinkId), &(usize, LinkId))| (a.0 == number).then_some((*a, *b));
        let cut: Vec<_> = self.links.iter().filter_map(of).collect();
        for (near, far) in cut {
            self.links.remove(&near);
            self.links.remove(&far);
            self.queue.push_back((near.0, Input::LinkDown { link: near.1 }));
            self.queue.push_back((far.0, Input::LinkDown { link: far.1 }));
        }
        self.run();
    }

    /// Returns the ends of all links.
    pub fn links(&self) -> Vec<(usize, LinkId)> {
        self.links.keys().copied().collect()
    }

    /// Links two Small Peers directly.
    pub fn link(&mut self, a: usize, b: usize, target: Option<DialTarget>) {
        let (near, far) = (LinkId(self.ticket().0), LinkId(self.ticket().0));
        self.links.insert((a, near), (b, far));
        self.links.insert((b, far), (a, near));
        self.queue.push_back((a, Input::LinkUp { link: near, kind: LinkKind::Simulated, target }));
        self.queue.push_back((b, Input::LinkUp { link: far, kind: LinkKind::Simulated, target: None }));
        self.run();
    }

    /// Lets time pass in steps at which engines want to be called.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        loop {
            let next = self.nodes.iter().filter_map(|node| node.engine.next_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now.plus(1));
            (0..self.nodes.len()).for_each(|number| self.queue.push_back((number, Input::Timeout)));
            self.run();
        }
        self.now = self.now.max(end);
    }

    /// Says whether a commit of the slow node waits.
    pub fn commit_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Lets the next waiting commit of the slow node be done.
    pub fn commit_one(&mut self) {
        let number = self.slow.take().expect("a node is slow");
        let commit = self.waiting.remove(0);
        self.output(number, commit);
        self.slow = Some(number);
        self.run();
    }

    pub fn input(&mut self, number: usize, input: Input) {
        self.queue.push_back((number, input));
        self.run();
    }

    fn run(&mut self) {
        while let Some((number, input)) = self.queue.pop_front() {
            self.step(number, input);
        }
    }

    fn step(&mut self, number: usize, input: Input) {
        self.nodes[number].engine.handle(self.now, input);
        while let Some(output) = self.nodes[number].engine.poll() {
            self.output(number, output);
        }
    }

    fn blob_task(&mut self, number: usize, task: BlobTask) {
        let full = self.full == Some(number);
        let held = self.slow_chunks == Some(number) && matches!(task, BlobTask::Write { part: 1.., .. });
        let node = &mut self.nodes[number];
        let answer = match task {
            BlobTask::Write { ticket, .. } if full => {
                let result = Err(Failure::new(ErrorCode::StoreQuotaExceeded, "full"));
                Some(BlobAnswer::Written { ticket, result })
            }
            task => {
                node.blob_reads += usize::from(matches!(task, BlobTask::Read { .. }));
                node.blob_writes += usize::from(matches!(task, BlobTask::Write { .. }));
                task.carry_out(&node.blobs)
            }
        };
        let answer = answer.into_iter().map(|answer| (number, Input::BlobAnswered(answer)));
        match held {
            true => self.held.extend(answer),
            false => self.queue.extend(answer),
        }
    }

    fn output(&mut self, number: usize, output: Output) {
        let node = &mut self.nodes[number];
        match output {
            Output::AuthenticationRequired { .. } => node.asked_for_credentials += 1,
            Output::Blob(task) => self.blob_task(number, task),
            Output::BlobDamaged { what } => node.given_up.push(what),
            Output::BlobProgress { have_bytes, .. } => node.progress.push(have_bytes),
            Output::Close { link, .. } => {
                if let Some(far) = self.links.remove(&(number, link)) {
                    self.links.remove(&far);
                    self.queue.push_back((far.0, Input::LinkDown { link: far.1 }));
                }
            }
            Output::Commit { .. } if self.slow == Some(number) => self.waiting.push(output),
            Output::Commit { ticket, expected, not_before, record, .. } => {
                node.commits += 1;
                let head = node.log.last().map_or(Seq(0), |(seq, _)| *seq);
                let outcome = if self.full == Some(number) {
                    CommitOutcome::Failed(Failure::new(ErrorCode::StoreQuotaExceeded, "full"))
                } else if head == expected {
                    let seq = Seq((head.0 + 1).max(self.now.max(not_before).0 << 16));
                    node.log.push((seq, record.clone()));
                    match self.loses_answer.take_if(|loser| *loser == number) {
                        Some(_) => CommitOutcome::Conflict(vec![(seq, record)]),
                        None => CommitOutcome::Durable(seq),
                    }
                } else {
                    CommitOutcome::Conflict(node.log.iter().filter(|(seq, _)| *seq > expected).cloned().collect())
                };
                self.queue.push_back((number, Input::Committed { ticket, outcome }));
            }
            Output::Dial { target: target @ DialTarget::BigPeer { .. } } => match self.big_peer_up {
                true => self.link(number, BIG, Some(target)),
                false => {
                    let input = Input::DialFailed { target, code: ErrorCode::SyncUnreachable };
                    self.queue.push_back((number, input));
                }
            },
            Output::Notify { observer, rows } => {
                let rows = rows.iter().map(|row| Value::clone(row)).collect();
                node.told.entry(observer).or_default().push(rows);
                if !self.busy {
                    self.queue.push_back((number, Input::ObserverReady { observer }));
                }
            }
            Output::Reply { ticket, result } => {
                let doubled = node.replies.insert(ticket, result);
                assert_eq!(doubled, None, "one answer for each ticket");
            }
            Output::Send { link, bytes } => {
                node.sent_bytes += bytes.len();
                if let Some((far, link)) = self.links.get(&(number, link)) {
                    let other = self.tampering.as_ref().filter(|(at, _)| at == far).and_then(|(_, with)| with(&bytes));
                    let bytes = other.unwrap_or(bytes);
                    self.queue.push_back((*far, Input::Frame { link: *link, bytes }));
                }
            }
            Output::FieldChanged { watch } => node.field_changes.push(watch),
            Output::Said { topic, payload } => node.heard.push((topic, payload)),
            Output::Dial { .. }
            | Output::Presence(_)
            | Output::Published { .. }
            | Output::Signal { .. }
            | Output::Status(_) => {}
            Output::TransactionOpen { .. } => node.long_transactions += 1,
            Output::Damaged { .. }
            | Output::Load { .. }
            | Output::Maintain { .. }
            | Output::Reboot { .. }
            | Output::Reload { .. } => {
                panic!("a memory store has nothing to load or maintain")
            }
        }
    }
}
