//! The network: wires between peers that carry frames in order, stall, and die.
//!
//! A wire is what the engines know as a link, under one id at both ends. Frames arrive in the order they were sent, after a
//! delay that depends on the wire's medium and on what is still queued before them; when the wire dies those under way are
//! lost. A partition either kills the wires across it or stalls them: what is
//! sent then waits for the end of the partition, as TCP would try again, or dies with the wire. An end learns of a death
//! late, and after a power cut perhaps not before its own keep-alive does.
//!
//! Nothing here knows what a frame says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use value::Millis;

use crate::medium::{Media, Medium, Reach};
use crate::rng::Rng;
use crate::stats::Stats;

/// What reaches the end of a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The wire is gone.
    Down,
    /// A frame.
    Frame(Vec<u8>),
}

/// Something is due at one end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Millis,
    /// On which wire.
    pub wire: u64,
    /// At which peer.
    pub to: usize,
}

/// How long a frame takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Least delay of a frame, milliseconds.
    pub delay_ms_min: u64,
    /// Most that chance adds to it, milliseconds.
    pub jitter_ms_max: u64,
}

#[derive(Debug)]
struct Wire {
    /// The first one dialled.
    ends: [usize; 2],
    medium: Medium,
    /// When the last byte towards each end has left, microseconds.
    free_us: [u64; 2],
    /// Whether each end still has it.
    open: [bool; 2],
    /// Whether frames can still pass.
    alive: bool,
    /// During a partition: how many arrivals at each end wait for its end.
    stalled: Option<[usize; 2]>,
    /// What is under way to each end, and when it arrives.
    under_way: [VecDeque<(Millis, Arrival)>; 2],
}

impl Wire {
    fn side(&self, node: usize) -> usize {
        usize::from(self.ends[1] == node)
    }

    /// Puts a frame behind those that are still to leave towards a side; returns when its last byte has left.
    fn leave(&mut self, side: usize, arrival: &Arrival, now: Millis) -> Millis {
        let (Arrival::Frame(bytes), per_ms @ 1..) = (arrival, self.medium.bytes_per_ms[1 - side]) else { return now };
        let free = self.free_us[side].max(now.0 * 1_000) + bytes.len() as u64 * 1_000 / per_ms;
        self.free_us[side] = free;
        Millis(free / 1_000)
    }
}

/// All wires.
#[derive(Debug)]
pub struct Network {
    wires: BTreeMap<u64, Wire>,
    made: u64,
    blocked: BTreeSet<(usize, usize)>,
    rng: Rng,
    media: Media,
    /// Counts of what happened on wires.
    pub stats: Stats,
}

impl Network {
    /// Starts without wires.
    pub fn new(rng: Rng, media: Media) -> Network {
        let (wires, blocked) = Default::default();
        Network { wires, made: 0, blocked, rng, media, stats: Stats::default() }
    }

    /// Draws the delay of one message outside of all wires.
    pub fn delay(&mut self) -> u64 {
        delay(&mut self.rng, self.media.weather())
    }

    /// Says whether two peers can reach each other.
    pub fn reachable(&self, a: usize, b: usize) -> bool {
        !self.blocked.contains(&pair(a, b))
    }

    /// Makes a wire that `a` has dialled and returns its id.
    pub fn connect(&mut self, a: usize, b: usize, reach: Reach) -> u64 {
        self.made += 1;
        let medium = self.media.choose(a, b, reach);
        let wire = Wire {
            ends: [a, b],
            medium,
            free_us: [0; 2],
            open: [true; 2],
            alive: true,
            stalled: None,
            under_way: Default::default(),
        };
        self.wires.insert(self.made, wire);
        self.made
    }

    /// Returns the wires that can still carry something, with their ends.
    pub fn alive(&self) -> Vec<(u64, [usize; 2])> {
        self.wires.iter().filter(|(_, wire)| wire.alive).map(|(id, wire)| (*id, wire.ends)).collect()
    }

    /// Returns what a wire is, for people.
    pub fn medium(&self, id: u64) -> &'static str {
        self.wires.get(&id).map_or("gone", |wire| wire.medium.name)
    }

    /// Sends a frame. Returns when it is due, if ever; or, when the wire breaks under it, when its ends learn of that.
    pub fn send(&mut self, id: u64, from: usize, bytes: Vec<u8>, now: Millis) -> Vec<Due> {
        let medium = self.wires.get(&id).filter(|wire| wire.alive).map(|wire| wire.medium);
        if medium.is_some_and(|medium| self.media.breaks(&medium)) {
            self.stats.breaks += 1;
            return self.cut(id, now);
        }
        self.launch(id, from, Arrival::Frame(bytes), now).into_iter().collect()
    }

    /// No wire breaks by itself any more.
    pub fn calm(&mut self) {
        self.media.calm();
    }

    /// Closes one end; what it has sent still arrives, what comes towards it is lost.
    pub fn close(&mut self, id: u64, by: usize, now: Millis) -> Option<Due> {
        let wire = self.wires.get_mut(&id)?;
        let side = wire.side(by);
        wire.open[side] = false;
        self.launch(id, by, Arrival::Down, now)
    }

    /// Kills a wire: frames under way are lost, and both ends learn of it, one perhaps much later.
    pub fn cut(&mut self, id: u64, now: Millis) -> Vec<Due> {
        let Some(wire) = self.wires.get_mut(&id) else { return Vec::new() };
        wire.alive = false;
        wire.stalled = None;
        let mut notices = Vec::new();
        for side in 0..2 {
            wire.under_way[side].clear();
            if wire.open[side] {
                let late =
                    if self.rng.chance(150) { self.rng.between(1_000, 40_000) } else { self.rng.between(1, 200) };
                wire.under_way[side].push_back((now.plus(late), Arrival::Down));
                notices.push(Due { at: now.plus(late), wire: id, to: wire.ends[side] });
            }
        }
        notices
    }

    /// Takes a peer's end away from all its wires, without a word to that peer.
    pub fn vanish(&mut self, node: usize, now: Millis) -> Vec<Due> {
        let ids: Vec<u64> =
            self.wires.iter().filter(|(_, wire)| wire.ends.contains(&node)).map(|(id, _)| *id).collect();
        let mut notices = Vec::new();
        for id in ids {
            if let Some(wire) = self.wires.get_mut(&id) {
                let side = wire.side(node);
                wire.open[side] = false;
            }
            notices.extend(self.cut(id, now));
        }
        notices
    }

    /// Takes what has arrived, if the wire let it through.
    pub fn arrive(&mut self, due: Due) -> Option<Arrival> {
        let wire = self.wires.get_mut(&due.wire)?;
        let side = wire.side(due.to);
        if let Some(waiting) = &mut wire.stalled {
            waiting[side] += 1;
            return None;
        }
        let (at, _) = wire.under_way[side].front()?;
        if *at > due.at || !wire.open[side] {
            return None;
        }
        let (_, arrival) = wire.under_way[side].pop_front()?;
        if arrival == Arrival::Down {
            wire.open[side] = false;
            wire.alive = false;
            if wire.open == [false; 2] {
                self.wires.remove(&due.wire);
            }
        }
        Some(arrival)
    }

    /// Separates some peers from the others. Each wire across is cut or stalled.
    pub fn partition(&mut self, minority: &[usize], count: usize, now: Millis) -> Vec<Due> {
        for a in 0..count {
            for b in a + 1..count {
                if minority.contains(&a) != minority.contains(&b) {
                    self.blocked.insert((a, b));
                }
            }
        }
        let mut notices = Vec::new();
        for (id, ends) in self.alive() {
            if self.reachable(ends[0], ends[1]) {
                continue;
            }
            if self.rng.chance(500) {
                notices.extend(self.cut(id, now));
            } else if let Some(wire) = self.wires.get_mut(&id) {
                wire.stalled.get_or_insert_default();
            }
        }
        notices
    }

    /// Ends all partitions. Stalled wires go on, or die.
    pub fn heal(&mut self, now: Millis) -> Vec<Due> {
        self.blocked.clear();
        let mut due = Vec::new();
        for (id, ends) in self.alive() {
            let Some(waiting) = self.wires.get_mut(&id).and_then(|wire| wire.stalled.take()) else { continue };
            if self.rng.chance(300) {
                due.extend(self.cut(id, now));
                continue;
            }
            let weather = self.wires[&id].medium.weather;
            for side in 0..2 {
                let at = now.plus(delay(&mut self.rng, weather));
                due.extend((0..waiting[side]).map(|_| Due { at, wire: id, to: ends[side] }));
            }
        }
        due
    }

    fn launch(&mut self, id: u64, from: usize, arrival: Arrival, now: Millis) -> Option<Due> {
        let weather = self.wires.get(&id).map_or(self.media.weather(), |wire| wire.medium.weather);
        let delay = delay(&mut self.rng, weather);
        let wire = self.wires.get_mut(&id).filter(|wire| wire.alive)?;
        let side = 1 - wire.side(from);
        let left = wire.leave(side, &arrival, now);
        let resent = self.media.resent(&wire.medium);
        let latest = wire.under_way[side].back().map_or(Millis(0), |(at, _)| *at);
        let at = latest.max(left.plus(delay + resent.unwrap_or(0)));
        wire.under_way[side].push_back((at, arrival));
        self.stats.queued_ms += left.since(now);
        self.stats.resent += u64::from(resent.is_some());
        Some(Due { at, wire: id, to: wire.ends[side] })
    }
}

fn delay(rng: &mut Rng, weather: Weather) -> u64 {
    let jitter = rng.below(weather.jitter_ms_max + 1);
    weather.delay_ms_min.max(1) + if rng.chance(20) { jitter * 10 } else { jitter }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network::new(Rng::new(1), Media::plain(Weather { delay_ms_min: 5, jitter_ms_max: 100 }))
    }

    #[test]
    fn frames_arrive_in_order_and_none_after_a_cut() {
        let mut network = network();
        let wire = network.connect(0, 1, Reach::Near);
        let sent: Vec<_> =
            (0..50).flat_map(|number| network.send(wire, 0, vec![number], Millis(u64::from(number)))).collect();
        assert!(sent.windows(2).all(|two| two[0].at <= two[1].at), "{sent:?}");
        assert_eq!(network.arrive(sent[0]), Some(Arrival::Frame(vec![0])));
        network.cut(wire, Millis(60));
        assert_eq!(network.arrive(sent[1]), None);
        assert_eq!(network.send(wire, 1, vec![1], Millis(61)), []);
    }

    #[test]
    fn a_stalled_wire_keeps_its_frames_in_order_or_dies() {
        let (mut kept, mut died) = (0, 0);
        for seed in 0..200 {
            let mut network = Network::new(Rng::new(seed), Media::plain(Weather { delay_ms_min: 1, jitter_ms_max: 9 }));
            let wire = network.connect(0, 1, Reach::Near);
            let [early] = network.send(wire, 0, vec![1], Millis(0))[..] else { panic!("the wire is up") };
            let [late] = network.send(wire, 0, vec![2], Millis(500))[..] else { panic!("the wire is up") };
            network.partition(&[1], 2, Millis(1));
            assert!(!network.reachable(0, 1));
            let passed = network.arrive(early);
            assert!(matches!(passed, None | Some(Arrival::Down)), "nothing passes a partition: {passed:?}");
            let mut due = network.heal(Millis(490));
            due.push(late);
            due.sort_by_key(|due| due.at);
            let arrived: Vec<_> = due.into_iter().filter_map(|due| network.arrive(due)).collect();
            match &arrived[..] {
                [Arrival::Frame(first), Arrival::Frame(second)] => kept += usize::from(first < second),
                _ => died += usize::from(arrived.iter().all(|arrival| *arrival == Arrival::Down)),
            }
        }
        assert!(kept + died == 200 && kept > 20 && died > 20, "kept {kept}, died {died}");
    }

    #[test]
    fn what_was_sent_before_a_close_still_arrives() {
        let mut network = network();
        let wire = network.connect(0, 1, Reach::Near);
        let [frame] = network.send(wire, 0, vec![1], Millis(0))[..] else { panic!("the wire is up") };
        let down = network.close(wire, 0, Millis(0)).expect("the wire is up");
        assert!(frame.at <= down.at);
        assert_eq!(network.arrive(frame), Some(Arrival::Frame(vec![1])));
        assert_eq!(network.arrive(down), Some(Arrival::Down));
        assert!(network.alive().is_empty());
    }

    /// 10 bytes a millisecond from the end that dialled, 100 towards it.
    fn narrow(resent_per_mille: u64, breaks: u64) -> Network {
        let weather = Weather { delay_ms_min: 20, jitter_ms_max: 0 };
        let (bytes_per_ms, resent_ms_max) = ([10, 100], 500);
        let medium = Medium { name: "narrow", weather, bytes_per_ms, resent_per_mille, resent_ms_max, breaks };
        Network::new(Rng::new(1), Media::only(medium))
    }

    #[test]
    fn a_large_frame_delays_what_is_behind_it_and_not_what_comes_the_other_way() {
        let mut network = narrow(0, 0);
        let wire = network.connect(0, 1, Reach::Near);
        let mut send = |from, bytes, now| network.send(wire, from, vec![0; bytes], Millis(now))[0].at.0;
        assert_eq!(send(0, 10_000, 0), 1_020);
        assert_eq!(send(0, 10, 500), 1_021, "behind the large one");
        assert_eq!(send(1, 100, 500), 521, "the other way");
        assert_eq!(send(1, 10_000, 500), 621);
        assert_eq!(send(0, 10, 2_000), 2_021, "the queue is empty again");
        assert_eq!(network.stats.queued_ms, 1_000 + 501 + 1 + 101 + 1);
    }

    #[test]
    fn a_frame_that_is_sent_again_comes_late_and_all_behind_it_too() {
        let mut network = narrow(500, 0);
        let wire = network.connect(0, 1, Reach::Near);
        let at: Vec<u64> = (0..200).map(|now| network.send(wire, 0, vec![1], Millis(now))[0].at.0).collect();
        assert!(at.is_sorted() && network.stats.resent > 50);
        assert!(at.last() > Some(&(199 + 20 + 200)), "{at:?}");
    }

    #[test]
    fn a_bad_link_breaks_under_some_frame_until_all_is_calm() {
        let mut network = narrow(0, 1_000);
        let wire = network.connect(0, 1, Reach::Near);
        let broke = (0..200).find(|now| network.send(wire, 0, vec![1], Millis(*now)).len() == 2);
        assert!(broke.is_some() && network.alive().is_empty() && network.stats.breaks == 1);
        network.calm();
        let wire = network.connect(0, 1, Reach::Near);
        assert!((0..200).all(|now| network.send(wire, 0, vec![1], Millis(now)).len() == 1));
    }
}
