//! The world of a run: peers, network and disks under one virtual clock, and the loop that moves it.
//!
//! An event is taken from the queue, one engine is told, its outputs are drained and carried out, which makes new events.
//! Nothing calls an engine from within the carrying out of an output, so outputs keep their order.
//!
//! What an engine asks for is carried out in `carry`; the clients are in `client`, the trouble in `fault`, the judgement in
//! `run` and `check`.

use std::collections::BTreeMap;

use peer::io::{DialTarget, Input, LinkId, SignalPath};
use value::{ErrorCode, Millis, PeerKey};

use crate::attachment::Attachments;
use crate::check::{self, Checker};
use crate::disk::{Crash, Mood};
use crate::medium::Media;
use crate::model::Model;
use crate::network::{Arrival, Due, Network};
use crate::node::Node;
use crate::options::{Class, Options, Profile};
use crate::plant::Plant;
use crate::rich::Rich;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::tabs::News;
use crate::trace::Trace;
use crate::workload::Workload;

/// Something that will happen.
#[derive(Debug)]
pub enum Event {
    /// A client goes on with its transaction.
    ClientNext { node: usize, life: u64 },
    /// A dialled target is reached, or not.
    Dialled { node: usize, life: u64, target: DialTarget },
    /// A disk has run its oldest operation.
    Disk { node: usize, life: u64 },
    /// Something arrives at the end of a wire.
    Due(Due),
    /// Duties of a store that nobody has are given to a tab.
    Elect { store: usize },
    /// Partitions end.
    EndPartition,
    /// A disk behaves again.
    EndMood { node: usize },
    /// Trouble.
    Fault,
    /// A tab hears of a record that another has appended.
    News { node: usize, life: u64, news: News },
    /// A relayed offer was not answered.
    OfferExpired { offer: u64 },
    /// Peers announce themselves to those near them.
    Announce,
    /// An application whose database cannot go on opens it again.
    Reopen { node: usize, life: u64 },
    /// A tab wakes.
    Rouse { node: usize, life: u64 },
    /// A peer starts.
    Start { node: usize },
    /// The duties of a tab that hangs are taken from it.
    Steal { node: usize, life: u64 },
    /// A client makes a statement.
    Step,
    /// An engine is told something.
    Tell { node: usize, life: u64, input: Input },
    /// The time that an engine asked for has come.
    Wake { node: usize, life: u64, at: Millis },
}

/// The world of a run.
pub struct Cluster {
    /// The seed.
    pub seed: u64,
    /// The conditions.
    pub profile: Profile,
    /// The bug that is planted.
    pub plant: Option<Plant>,
    /// Virtual time.
    pub now: Millis,
    /// What is to happen.
    pub queue: crate::queue::Queue<Event>,
    /// The peers.
    pub nodes: Vec<Node>,
    /// The wires.
    pub network: Network,
    /// What the clients know.
    pub model: Model,
    /// Makes statements.
    pub workload: Workload,
    /// Chance of faults, apart from that of statements.
    pub faults: Rng,
    /// Chance of disks.
    pub disks: Rng,
    /// Chance of indexes.
    pub indexes: Rng,
    /// What clients know of texts and lists.
    pub rich: Rich,
    /// What clients know of blobs.
    pub attachments: Attachments,
    /// What happened.
    pub trace: Trace,
    /// Counts.
    pub stats: Stats,
    /// The first thing that went wrong.
    pub failure: Option<check::Failure>,
    /// Statements still to be made.
    pub steps_left: usize,
    /// Whether trouble is over.
    pub healed: bool,
    /// When anything but keep-alive last happened.
    pub busy_at: Millis,
    /// What that was.
    pub busy_with: String,
    /// Gives out tickets and other ids.
    pub ids: u64,
    /// How many times the planted bug has struck.
    pub struck: u64,
    /// Offers of WebRTC links that are being relayed: from whom, in which life, to whom.
    pub offers: BTreeMap<u64, (usize, u64, PeerKey)>,
}

impl Cluster {
    /// Makes the world of a seed; nobody is up yet.
    pub fn new(seed: u64, options: &Options) -> Cluster {
        Cluster::under(Profile::draw(seed, options), seed, options)
    }

    /// Makes the world of a seed under given conditions.
    pub fn under(profile: Profile, seed: u64, options: &Options) -> Cluster {
        let chance = if let Some(Plant::Chance(number)) = options.plant { number } else { 0 };
        let mut faults = Rng::named(seed, "faults");
        let skew = profile.skew_ms_max;
        let node = |_| Node { skew_ms: faults.between(0, 2 * skew) as i64 - skew as i64, ..Node::default() };
        let mut nodes: Vec<Node> = (0..profile.nodes - profile.tabs).map(node).collect();
        // The tabs of a store have one clock.
        for tab in nodes.len()..profile.nodes {
            let skew_ms = nodes[profile.store_of(tab)].skew_ms;
            nodes.push(Node { skew_ms, ..Node::default() });
        }
        nodes[..profile.big_peers].iter_mut().for_each(|node| node.disk.blobs_are_synced = true);
        Cluster {
            seed,
            plant: options.plant,
            now: Millis(0),
            queue: Default::default(),
            nodes,
            network: Network::new(Rng::named(seed ^ chance, "network"), Media::draw(seed, &profile)),
            model: Model::default(),
            workload: Workload::new(seed, &profile),
            faults,
            disks: Rng::named(seed, "disks"),
            indexes: Rng::named(seed, "indexes"),
            rich: Rich::new(seed),
            attachments: Attachments::new(seed),
            trace: Trace::new(options.lines),
            stats: Stats::default(),
            failure: None,
            steps_left: options.steps,
            healed: false,
            busy_at: Millis(0),
            busy_with: "the start".to_owned(),
            ids: 0,
            struck: 0,
            offers: BTreeMap::new(),
            profile,
        }
    }

    /// Lets the world run until a time, or until something goes wrong.
    pub fn run_until(&mut self, until: Millis) {
        while self.failure.is_none()
            && let Some((at, event)) = self.queue.pop(until)
        {
            self.now = at;
            self.stats.events += 1;
            self.happen(event);
        }
        if self.failure.is_none() {
            self.now = self.now.max(until);
        }
    }

    /// Returns a number that was never returned before.
    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Puts an event so many milliseconds from now.
    pub fn after(&mut self, ms: u64, event: Event) {
        self.queue.push(self.now.plus(ms), event);
    }

    /// Puts what is due on wires.
    pub fn all_due(&mut self, due: impl IntoIterator<Item = Due>) {
        for due in due {
            self.queue.push(due.at, Event::Due(due));
        }
    }

    /// Notes the first thing that went wrong.
    pub fn fail(&mut self, checker: Checker, text: impl Into<String>) {
        if self.failure.is_none() {
            self.failure = Some(check::Failure { checker, text: text.into(), at: self.now });
        }
    }

    /// Notes that something other than keep-alive happened.
    pub fn busy(&mut self, with: impl FnOnce() -> String) {
        self.busy_at = self.now;
        if self.healed {
            self.busy_with = with();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Announce => self.announce(),
            Event::ClientNext { node, life } => {
                if self.lives(node, life) {
                    self.go_on(node);
                }
            }
            Event::Dialled { node, life, target } => {
                if self.lives(node, life) {
                    self.dialled(node, target);
                }
            }
            Event::Disk { node, life } => {
                if self.lives(node, life) {
                    let (local, store) = (self.nodes[node].local(self.now), self.store_of(node));
                    let (operation, input) = self.nodes[store].disk.complete(node, local);
                    self.tell_of(node, operation, &input);
                    let broken = matches!(input, Input::LoadFailed { .. } | Input::Rebooted { image: Err(_), .. });
                    self.nodes[node].broken |= broken;
                    self.deliver(node, input);
                    if broken {
                        // The engine gives up; the application opens the database again.
                        self.after(100, Event::Reopen { node, life });
                    }
                }
            }
            Event::Due(due) => match self.network.arrive(due) {
                Some(Arrival::Down) => self.deliver(due.to, Input::LinkDown { link: LinkId(due.wire) }),
                Some(Arrival::Frame(bytes)) => self.deliver(due.to, Input::Frame { link: LinkId(due.wire), bytes }),
                None => {}
            },
            Event::Elect { store } => self.elect(store),
            Event::EndMood { node } => self.nodes[node].disk.mood = Mood::Healthy,
            Event::EndPartition => self.end_partition(),
            Event::Fault => self.fault(),
            Event::News { node, life, news } => {
                if self.lives(node, life) {
                    self.hear(node, news);
                }
            }
            Event::OfferExpired { offer } => {
                if let Some((node, life, peer)) = self.offers.remove(&offer) {
                    let target = DialTarget::Peer { peer, path: SignalPath::Relay };
                    let input = Input::DialFailed { target, code: ErrorCode::SyncUnreachable };
                    self.after(0, Event::Tell { node, life, input });
                }
            }
            Event::Reopen { node, life } => {
                if self.lives(node, life) {
                    self.crash(node, Crash::Kill);
                }
            }
            Event::Rouse { node, life } => {
                if self.lives(node, life) {
                    self.rouse(node);
                }
            }
            Event::Start { node } => self.start(node),
            Event::Steal { node, life } => {
                if self.lives(node, life) {
                    self.steal(node);
                }
            }
            Event::Step => self.step(),
            Event::Tell { node, life, input } => {
                if self.lives(node, life) {
                    self.deliver(node, input);
                }
            }
            Event::Wake { node, life, at } => {
                if self.lives(node, life) && self.nodes[node].wake == Some(at) {
                    self.nodes[node].wake = None;
                    self.deliver(node, Input::Timeout);
                }
            }
        }
    }

    /// Says whether a peer is up and has not started again since.
    pub fn lives(&self, node: usize, life: u64) -> bool {
        self.nodes[node].is_up() && self.nodes[node].life == life
    }

    /// Says whether a class of trouble takes part.
    pub fn has(&self, class: Class) -> bool {
        self.profile.has(class)
    }
}
