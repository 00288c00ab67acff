//! Trouble: peers that go down, links that die, partitions, disks that refuse.
//!
//! Faults come at random times until the run is healed. Each ends by itself or with the healing.

use peer::io::Input;
use value::Seq;

use crate::cluster::{Cluster, Event};
use crate::disk::{Crash, Mood};
use crate::options::Class;
use crate::plant::Plant;

/// A peer's clock moves at most so far while it is down, milliseconds.
const DRIFT_MS_MAX: u64 = 5_000;

impl Cluster {
    /// Makes one fault and plans the next.
    pub fn fault(&mut self) {
        if self.healed {
            return;
        }
        let gap = self.faults.between(1, self.profile.fault_ms_max);
        self.after(gap, Event::Fault);
        let allowed = |class, weight| if self.profile.has(class) { weight } else { 0 };
        let weights = [
            1,
            allowed(Class::Crashes, 20),
            allowed(Class::Power, 10),
            allowed(Class::Cuts, 20),
            allowed(Class::Partitions, 15),
            allowed(Class::Disks, 10),
            if self.profile.tabs > 0 { 40 } else { 0 },
        ];
        let count = self.nodes.len();
        let node = self.faults.index(count);
        match self.faults.weighted(&weights) {
            0 => {}
            1 => self.crash(node, Crash::Kill),
            2 => self.crash(node, Crash::Power),
            3 => self.cut(),
            4 => self.begin_partition(),
            5 => self.spoil(self.store_of(node)),
            _ => self.put_to_sleep(node),
        }
    }

    /// Takes a peer down; it starts again after a while.
    pub fn crash(&mut self, node: usize, crash: Crash) {
        if !self.nodes[node].is_up() {
            return;
        }
        self.stats.crashes += 1;
        let (local, store) = (self.nodes[node].local(self.now), self.store_of(node));
        let others: Vec<usize> =
            self.tabs_of(node).into_iter().filter(|tab| *tab != node && self.nodes[*tab].is_up()).collect();
        if crash == Crash::Kill && !others.is_empty() {
            // The browser goes on, and with it the database.
            self.nodes[store].disk.leave(node, local, &mut self.disks);
            self.went_down(node, crash, &[]);
        } else {
            if self.plant == Some(Plant::ForgottenBlob) {
                self.nodes[store].disk.lose_blobs(&mut self.disks);
            }
            let lost = self.nodes[store].disk.crash(crash, local, &mut self.disks);
            self.went_down(node, crash, &lost);
            for other in others {
                self.went_down(other, crash, &lost);
                let down_ms = self.faults.between(0, 5_000);
                self.after(down_ms, Event::Start { node: other });
            }
            for tab in self.tabs_of(node) {
                self.model.crash(tab, crash, &lost);
            }
        }
        let down_ms = match self.faults.weighted(&[3, 5, 1]) {
            0 => self.faults.between(0, 50),
            1 => self.faults.between(50, 5_000),
            _ => self.faults.between(5_000, 60_000),
        };
        self.drift(node, crash);
        self.after(down_ms, Event::Start { node });
    }

    /// Tells the world that a peer went down and lost these commits.
    pub fn went_down(&mut self, node: usize, crash: Crash, lost: &[Seq]) {
        self.trace.note(self.now, &format!("peer {node} crashes ({crash:?}), {} commits lost {lost:?}", lost.len()));
        self.stats.lost_commits += lost.len() as u64;
        self.model.crash(node, crash, lost);
        self.nodes[node].forget();
        self.rich.forget(node);
        let store = self.store_of(node);
        let emptied = crash == Crash::Power && !self.nodes[store].disk.blobs_are_synced;
        self.attachments.forget(node, emptied.then_some(store));
        self.resign(node);
        let notices = self.network.vanish(node, self.now);
        self.all_due(notices);
    }

    /// Moves the clock of a peer that is down. After a power cut it only goes forward, see `disk`.
    fn drift(&mut self, node: usize, crash: Crash) {
        if self.profile.skew_ms_max == 0 {
            return;
        }
        let drift = self.faults.between(0, DRIFT_MS_MAX) as i64;
        let back = crash == Crash::Kill && self.faults.chance(500);
        // The tabs of a store have one clock, which does not jump while one of them is up.
        let tabs = self.tabs_of(node);
        if tabs.iter().all(|tab| !self.nodes[*tab].is_up()) {
            tabs.into_iter().for_each(|tab| self.nodes[tab].skew_ms += if back { -drift } else { drift });
        }
    }

    fn cut(&mut self) {
        let alive = self.network.alive();
        if alive.is_empty() {
            return;
        }
        let (wire, ends) = *self.faults.pick(&alive);
        self.stats.cuts += 1;
        self.trace.note(self.now, &format!("link {wire} between {} and {} is cut", ends[0], ends[1]));
        let notices = self.network.cut(wire, self.now);
        self.all_due(notices);
    }

    fn begin_partition(&mut self) {
        let count = self.nodes.len();
        let minority: Vec<usize> = (0..count).filter(|_| self.faults.chance(400)).collect();
        if minority.is_empty() || minority.len() == count {
            return;
        }
        self.stats.partitions += 1;
        self.trace.note(self.now, &format!("partition around {minority:?}"));
        let notices = self.network.partition(&minority, count, self.now);
        self.all_due(notices);
        let long = self.faults.chance(300);
        let lasts = if long { self.faults.between(10_000, 60_000) } else { self.faults.between(50, 5_000) };
        self.after(lasts, Event::EndPartition);
    }

    /// Ends all partitions.
    pub fn end_partition(&mut self) {
        self.trace.note(self.now, "partitions end");
        let due = self.network.heal(self.now);
        self.all_due(due);
    }

    fn spoil(&mut self, node: usize) {
        if self.nodes[node].disk.mood != Mood::Healthy {
            return;
        }
        let mood = if self.faults.chance(600) { Mood::Full } else { Mood::Sick };
        self.trace.note(self.now, &format!("the disk of peer {node} is {mood:?}"));
        self.stats.disk_faults += 1;
        self.nodes[node].disk.mood = mood;
        let lasts = self.faults.between(20, 3_000);
        self.after(lasts, Event::EndMood { node });
    }

    /// Ends all trouble and starts everybody.
    pub fn heal(&mut self) {
        self.trace.note(self.now, "healed");
        self.healed = true;
        self.network.calm();
        self.end_partition();
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.mood = Mood::Healthy;
            self.start(node);
            if self.profile.told_online {
                self.deliver(node, Input::Online);
            }
        }
        self.rouse_all();
        self.busy_at = self.now;
    }

    /// A planted bug: one peer's disk lies from the start, and the peer crashes now and then.
    pub fn plant_disk(&mut self) {
        if self.plant == Some(Plant::LyingDisk) {
            let node = self.nodes.len() - 1;
            self.nodes[node].disk.mood = Mood::Lying;
        }
    }
}
