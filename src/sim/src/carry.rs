//! The seam between an engine and its world: what it is told, and what is done of what it asks for.
//!
//! `deliver` is the only place that touches an engine. It drains the outputs first and carries them out after, so that no
//! engine is told anything while it speaks. Planted bugs sit here too.

use peer::io::{BlobTask, DialTarget, Input, LinkId, LinkKind, Output, SignalPath};
use store::{BlobDeviceNow, Durability};
use value::{ErrorCode, Failure, Seq, Value};

use crate::check::{self, Checker};
use crate::cluster::{Cluster, Event};
use crate::contract::{INPUTS_PER_MS_MAX, OUTPUTS_MAX};
use crate::disk::Operation;
use crate::machine;
use crate::medium::Reach;
use crate::options::Class;
use crate::plant::Plant;
use crate::rng::Rng;

/// How long a relayed offer waits for its answer, milliseconds.
const OFFER_MS: u64 = 8_000;

impl Cluster {
    /// Tells an engine one thing and carries out all that it asks for.
    pub fn deliver(&mut self, node: usize, input: Input) {
        let now = self.now;
        let peer = &mut self.nodes[node];
        let local = peer.local(now);
        let Some(machine) = &mut peer.machine else { return };
        if peer.asleep {
            return peer.backlog.push(input);
        }
        self.trace.input(now, node, &input);
        peer.contract.input(&input);
        peer.inputs = if peer.inputs.0 == now { (now, peer.inputs.1 + 1) } else { (now, 1) };
        let reads = peer.log.told(&input);
        let mut outputs = Vec::new();
        machine.handle(local, input);
        while let Some(output) = machine.poll() {
            outputs.push(output);
            if outputs.len() > OUTPUTS_MAX {
                break;
            }
        }
        let wanted = machine.next_timeout();
        let wake = wanted.map(|local| peer.to_virtual(local).max(now));
        let looping = outputs.len() > OUTPUTS_MAX || peer.inputs.1 > INPUTS_PER_MS_MAX;
        if let Some(at) = wake.filter(|_| wake != peer.wake) {
            self.queue.push(at, Event::Wake { node, life: peer.life, at });
        }
        peer.wake = wake;
        if looping {
            self.fail(Checker::Contract, format!("peer {node} does not come to rest within one millisecond"));
        }
        if reads {
            self.read_tail(node);
        }
        for mut output in outputs {
            if self.plant.is_some() && self.spoils(&mut output) {
                continue;
            }
            self.trace.output(now, node, &output);
            if let Err(broken) = self.nodes[node].contract.output(&output) {
                self.fail(Checker::Contract, format!("peer {node}: {broken}"));
            }
            self.carry_out(node, output);
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::AuthenticationRequired { .. } => self.log_in(node),
            Output::Blob(BlobTask::Delete { place, part }) => {
                let store = self.store_of(node);
                let deleted = self.nodes[store].disk.blobs().blob_delete_now(place, part);
                deleted.expect("a device in memory can be written");
            }
            Output::Blob(task) => self.submit(node, Operation::Blob { task }),
            Output::BlobProgress { .. } => {}
            Output::Close { link, .. } => {
                let due = self.network.close(link.0, node, self.now);
                self.all_due(due);
            }
            Output::Commit { ticket, expected, not_before, record, durability } => {
                self.stats.commits += 1;
                self.busy(|| format!("a commit of peer {node}"));
                self.nodes[node].log.committing = true;
                self.submit(node, Operation::Append { ticket, expected, not_before, record, durability });
            }
            Output::Dial { target } => self.dial(node, target),
            Output::Load { ticket, blocks } => {
                self.stats.loads += 1;
                self.submit(node, Operation::Read { ticket, blocks });
            }
            Output::Maintain { ticket, batch } => {
                self.stats.maintenance += 1;
                self.submit(node, Operation::Write { ticket, batch });
            }
            Output::Notify { observer, rows } => {
                self.notified(node, observer, rows.iter().map(|row| Value::clone(row)).collect());
            }
            Output::BlobDamaged { .. }
            | Output::Damaged { .. }
            | Output::FieldChanged { .. }
            | Output::Presence(_)
            | Output::Published { .. }
            | Output::Said { .. } => {}
            Output::Reboot { ticket } => {
                self.stats.reboots += 1;
                self.submit(node, Operation::Boot { ticket });
            }
            Output::Reload { ticket } => self.submit(node, Operation::Reload { ticket }),
            Output::Reply { ticket, result } => self.replied(node, ticket, result),
            Output::Send { link, bytes } => self.send(node, link, bytes),
            Output::Signal { payload, .. } => {
                let offer = payload.try_into().map_or(0, u64::from_be_bytes);
                if let Some((from, life, _)) = self.offers.remove(&offer) {
                    let target =
                        DialTarget::Peer { peer: machine::peer_key(self.store_of(node)), path: SignalPath::Relay };
                    self.after(1, Event::Dialled { node: from, life, target });
                }
            }
            Output::Status(status) => self.nodes[node].status = Some(status),
            Output::TransactionOpen { .. } => {}
        }
    }

    /// Asks the disk of a node's store for something.
    pub fn submit(&mut self, node: usize, mut operation: Operation) {
        // The Big Peer's log is on the disk before anything is acknowledged, whatever was asked for.
        if let (true, Operation::Append { durability, .. }) = (self.profile.is_big_peer(node), &mut operation) {
            *durability = Durability::Strict;
        }
        let latency = self.disks.between(0, self.profile.disk_ms_max);
        let store = self.store_of(node);
        let at = self.nodes[store].disk.submit(node, operation, self.now, latency);
        self.queue.push(at, Event::Disk { node, life: self.nodes[node].life });
    }

    fn send(&mut self, node: usize, link: LinkId, bytes: Vec<u8>) {
        self.stats.frames += 1;
        self.stats.bytes += bytes.len() as u64;
        let quiet = check::is_quiet(&bytes);
        if !quiet {
            self.busy(|| format!("a frame of peer {node} on link {}, {} bytes", link.0, bytes.len()));
        }
        if self.plant == Some(Plant::LostFrame) && check::carries_data(&bytes) && self.strikes_often() {
            return;
        }
        if self.plant == Some(Plant::LostHave) && check::tells_of_blobs(&bytes) {
            return;
        }
        let due = self.network.send(link.0, node, bytes, self.now);
        self.all_due(due);
    }

    fn dial(&mut self, node: usize, target: DialTarget) {
        self.stats.dials += 1;
        let life = self.nodes[node].life;
        if let DialTarget::Peer { .. } = &target
            && self.profile.big_peers > 0
            && (!self.has(Class::Mesh) || (self.plant == Some(Plant::NoBridge) && self.profile.big_peers == 2))
        {
            let input = Input::DialFailed { target, code: ErrorCode::SyncUnreachable };
            return self.after(1, Event::Tell { node, life, input });
        }
        if let DialTarget::Peer { peer, path: SignalPath::Relay } = &target {
            let offer = self.next_id();
            self.offers.insert(offer, (node, life, peer.clone()));
            let input = Input::Signal { to: peer.clone(), payload: offer.to_be_bytes().to_vec() };
            self.after(1, Event::Tell { node, life, input });
            self.after(OFFER_MS, Event::OfferExpired { offer });
            return;
        }
        let delay = 2 * self.network.delay();
        self.after(delay, Event::Dialled { node, life, target });
    }

    /// Makes the link that was dialled for, if the other end is there.
    pub fn dialled(&mut self, node: usize, target: DialTarget) {
        let (other, kind, reach) = match &target {
            DialTarget::BigPeer { url } => (machine::big_peer_of(url), LinkKind::WebSocket, Reach::Server),
            DialTarget::Peer { peer, .. } => {
                let other = machine::store_of(peer).and_then(|store| self.net_holder(store));
                (other, LinkKind::WebRtc, Reach::Near)
            }
        };
        let cutoff = self.plant == Some(Plant::Cutoff) && self.healed;
        let other = other.filter(|other| {
            !cutoff
                && self.store_of(*other) != self.store_of(node)
                && self.nodes[*other].is_up()
                && self.network.reachable(node, *other)
        });
        let Some(other) = other else {
            let input = Input::DialFailed { target, code: ErrorCode::SyncUnreachable };
            self.deliver(node, input);
            return;
        };
        self.stats.links += 1;
        let link = LinkId(self.network.connect(node, other, reach));
        self.trace.note(self.now, &format!("link {} is {}", link.0, self.network.medium(link.0)));
        self.deliver(other, Input::LinkUp { link, kind, target: None });
        self.deliver(node, Input::LinkUp { link, kind, target: Some(target) });
    }

    /// Lets peers near each other hear of each other.
    pub fn announce(&mut self) {
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                let small = !self.profile.is_big_peer(from) && !self.profile.is_big_peer(to);
                let holds = self.net_holder(self.store_of(from)) == Some(from);
                if from != to && small && holds && self.nodes[from].is_up() && self.network.reachable(from, to) {
                    self.deliver(to, Input::PeerSeen { peer: machine::peer_key(self.store_of(from)) });
                }
            }
        }
        let gap = self.disks.between(2_000, 6_000);
        self.after(gap, Event::Announce);
    }

    /// Starts a peer from its disk, and lets its application set things up.
    pub fn start(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            return;
        }
        let store = self.store_of(node);
        let mut image = match self.nodes[store].disk.boot() {
            Ok(image) => image,
            Err(error) => return self.fail(Checker::Start, format!("peer {node}: {error}")),
        };
        if self.plant == Some(Plant::ForgottenRecord) && image.log.len() > 2 {
            let middle = image.log.len() - 2;
            image.log.remove(middle);
        }
        if let (Some(Plant::Damage), Some(manifest)) = (self.plant, &mut image.manifest) {
            let middle = manifest.len() / 2;
            manifest[middle] ^= 1;
        }
        self.move_home(node);
        self.nodes[node].life += 1;
        self.nodes[node].log.head = image.log.last().map_or(Seq(0), |(seq, _)| *seq);
        let seed = Rng::named(self.seed, &format!("engine {node} {}", self.nodes[node].life)).number();
        let local = self.nodes[node].local(self.now);
        match machine::start((&self.profile, self.plant, self.nodes[store].home), node, image, seed, local) {
            Ok(machine) => self.nodes[node].machine = Some(machine),
            Err(error) => return self.fail(Checker::Start, format!("peer {node} does not start: {error}")),
        }
        self.trace.note(self.now, &format!("peer {node} starts"));
        self.set_up(node);
    }

    /// Lets the application of a store that is opened choose its Big Peer, when there are two. The first two Small Peers
    /// never move, so that each Big Peer has one.
    fn move_home(&mut self, node: usize) {
        let (store, big_peers) = (self.store_of(node), self.profile.big_peers);
        let others_up = self.tabs_of(node).into_iter().any(|tab| self.nodes[tab].is_up());
        if big_peers < 2 || self.profile.is_big_peer(node) || others_up {
            return;
        }
        let number = store - big_peers;
        let before = self.nodes[store].home;
        let opened: u64 = self.tabs_of(node).into_iter().map(|tab| self.nodes[tab].life).sum();
        let mut rng = Rng::named(self.seed, &format!("home {store} {opened}"));
        let home = if number < big_peers { number } else { rng.index(big_peers) };
        self.stats.moves += u64::from(opened > 0 && home != before);
        self.nodes[store].home = home;
    }

    /// Lets a planted bug spoil an answer; returns whether it is lost.
    fn spoils(&mut self, output: &mut Output) -> bool {
        let Output::Reply { result, .. } = output else { return false };
        let planted = matches!(self.plant, Some(Plant::LostReply | Plant::Panic | Plant::WrongError));
        if !planted || !self.strikes() {
            return false;
        }
        assert!(self.plant != Some(Plant::Panic), "planted");
        if self.plant == Some(Plant::WrongError) {
            *result = Err(Failure::new(ErrorCode::Internal, "planted"));
        }
        self.plant == Some(Plant::LostReply)
    }

    /// Says whether the planted bug strikes here: now and then.
    fn strikes_often(&mut self) -> bool {
        self.struck += 1;
        self.struck.is_multiple_of(12)
    }

    /// Says whether the planted bug strikes here: once, after some occasions.
    pub fn strikes(&mut self) -> bool {
        self.struck += 1;
        self.struck == 1 + self.seed % 7
    }
}
