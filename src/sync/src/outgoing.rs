//! What one side owes the other: the progress of each of its subscriptions, and the next step.
//!
//! A subscription with a usable cursor catches up from the log. One without is served a scan of whole documents, or, where
//! the receiver has some, what a reconciliation finds missing. When it has reached the position of the live ones it joins
//! them, and from then on one stream of commits serves all.
//!
//! The state lives as long as the link; after a reconnect the receiver's cursors rebuild it.

use value::{ErrorCode, Seq};

use crate::wire::{Has, SubRequest};

/// Bytes of data that may be on the way before the receiver acknowledges some.
pub const WINDOW_BYTES: u64 = 256 * 1024;
/// Bytes of documents after which a message is closed, before they are compressed: more together become smaller, and what is
/// merged in one go must not keep a live change waiting.
pub const MESSAGE_BYTES: usize = 192 * 1024;

/// What to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Commits after the position, at most through `until`, that match one subscription.
    CatchUp {
        /// Index of the subscription.
        sub: usize,
        /// Exclusive.
        after: Seq,
        /// Inclusive.
        until: Seq,
    },
    /// Tell that the subscription is live at this position.
    GoLive {
        /// Index of the subscription.
        sub: usize,
        /// The position.
        at: Seq,
    },
    /// Commits after the position that match any live subscription.
    Live {
        /// Exclusive.
        after: Seq,
    },
    /// The next round of a reconciliation, or documents that it found missing.
    Reconcile {
        /// Index of the subscription.
        sub: usize,
        /// Position that it reaches when complete.
        upto: Seq,
    },
    /// Nothing, until the log grows, the window opens or the set changes.
    Rest,
    /// The next documents of a scan for one subscription.
    Scan {
        /// Index of the subscription.
        sub: usize,
        /// Resume after this key; `None` at the start.
        after: Option<Vec<u8>>,
        /// Position that the scan reaches when complete.
        upto: Seq,
        /// Documents that did not change since are left out.
        since: Option<Seq>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Denied,
    Live,
    Log {
        at: Seq,
    },
    /// Rounds of reconciliation, one at a time.
    Recon {
        upto: Seq,
        waits: bool,
    },
    Scan {
        after: Option<Vec<u8>>,
        upto: Seq,
        since: Option<Seq>,
    },
}

/// The subscriptions of the other side and their progress.
#[derive(Debug, Default)]
pub struct Outgoing {
    generation: u64,
    subs: Vec<(SubRequest, Progress)>,
    /// Position of the live subscriptions; `None` while there are none.
    live: Option<Seq>,
    /// Subscriptions were live and are not any more, and the other side was not told.
    torn: bool,
    sent_bytes: u64,
    acked_bytes: u64,
    /// Bounds of the log when last told: what is not after the floor cannot be read from it.
    floor: Seq,
    head: Seq,
}

impl Outgoing {
    /// Replaces the set. `head` and `floor` bound the log: commits after `floor`, through `head`, can be read from it.
    /// Subscriptions that were live and keep their hash go on where they are, unless they ask from another position anew.
    pub fn replace(&mut self, generation: u64, subs: Vec<SubRequest>, head: Seq, floor: Seq) {
        self.generation = generation;
        (self.live, self.torn) = (None, false);
        (self.head, self.floor) = (head, floor);
        self.subs = subs
            .into_iter()
            .map(|sub| {
                let progress = match sub.has {
                    Has::UpTo(at) if at >= floor && at <= head => Progress::Log { at },
                    Has::UpTo(since) if since < floor => Progress::Scan { after: None, upto: head, since: Some(since) },
                    // A position after the head: this store has lost its last commits.
                    Has::Something | Has::UpTo(_) => Progress::Recon { upto: head, waits: false },
                    Has::Nothing => Progress::Scan { after: None, upto: head, since: None },
                };
                (sub, progress)
            })
            .collect();
    }

    /// Returns the number of the set.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the requests in order.
    pub fn requests(&self) -> impl Iterator<Item = &SubRequest> {
        self.subs.iter().map(|(sub, _)| sub)
    }

    /// Returns one request.
    pub fn request(&self, sub: usize) -> &SubRequest {
        &self.subs[sub].0
    }

    /// Says whether a subscription gets the live commits.
    pub fn is_live(&self, sub: usize) -> bool {
        self.subs[sub].1 == Progress::Live
    }

    /// Returns the position of the live stream.
    pub fn live_at(&self) -> Option<Seq> {
        self.live
    }

    /// Returns how many subscriptions are not live yet.
    pub fn catching_up(&self) -> usize {
        let done = |progress: &Progress| matches!(progress, Progress::Live | Progress::Denied);
        self.subs.iter().filter(|(_, progress)| !done(progress)).count()
    }

    /// Gives a subscription up.
    pub fn deny(&mut self, sub: usize) {
        self.subs[sub].1 = Progress::Denied;
    }

    /// Counts data that was sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// Counts data that the other side has taken; an impossible count is a breach of the protocol.
    pub fn acknowledged(&mut self, bytes: u64) -> Result<(), ErrorCode> {
        if bytes > self.sent_bytes || bytes < self.acked_bytes {
            return Err(ErrorCode::SyncProtocol);
        }
        self.acked_bytes = bytes;
        Ok(())
    }

    /// Says whether the data of a step may be sent. Live changes have room of their own: they do not wait for catch-ups.
    pub fn has_room_for(&self, step: &Step) -> bool {
        let bytes_max = if matches!(step, Step::Live { .. }) { 2 * WINDOW_BYTES } else { WINDOW_BYTES };
        self.sent_bytes - self.acked_bytes < bytes_max
    }

    /// Returns what to send next. Live commits come first, so that a large catch-up does not delay them.
    pub fn next(&self, head: Seq) -> Step {
        if let Some(at) = self.live
            && at < head
        {
            return Step::Live { after: at };
        }
        for (sub, (_, progress)) in self.subs.iter().enumerate() {
            let target = self.live.unwrap_or(head);
            match progress {
                Progress::Denied | Progress::Live | Progress::Recon { waits: true, .. } => {}
                Progress::Recon { upto, waits: false } => return Step::Reconcile { sub, upto: *upto },
                Progress::Log { at } if *at >= target => return Step::GoLive { sub, at: *at },
                Progress::Log { at } => return Step::CatchUp { sub, after: *at, until: target },
                Progress::Scan { after, upto, since } => {
                    return Step::Scan { sub, after: after.clone(), upto: *upto, since: *since };
                }
            }
        }
        Step::Rest
    }

    /// A catch-up has reached a position.
    pub fn caught_up(&mut self, sub: usize, through: Seq) {
        self.subs[sub].1 = Progress::Log { at: through };
    }

    /// The live stream has reached a position.
    pub fn live_through(&mut self, through: Seq) {
        self.live = Some(through);
    }

    /// A scan has sent everything through this key; `None`: it is complete.
    pub fn scanned(&mut self, sub: usize, through: Option<Vec<u8>>) {
        let (_, progress) = &mut self.subs[sub];
        let Progress::Scan { after, upto, .. } = progress else {
            panic!("only a subscription that is being scanned can be told so");
        };
        match through {
            Some(key) => *after = Some(key),
            None => *progress = complete(*upto, self.head, self.floor),
        }
    }

    /// A round of reconciliation was sent.
    pub fn asked(&mut self, sub: usize) {
        if let Some((_, Progress::Recon { waits, .. })) = self.subs.get_mut(sub) {
            *waits = true;
        }
    }

    /// Its answer has come.
    pub fn answered(&mut self, sub: usize) {
        if let Some((_, Progress::Recon { waits, .. })) = self.subs.get_mut(sub) {
            *waits = false;
        }
    }

    /// A reconciliation is over, and everything that it found missing was sent.
    pub fn reconciled(&mut self, sub: usize) {
        let (head, floor) = (self.head, self.floor);
        if let Some((_, progress @ Progress::Recon { .. })) = self.subs.get_mut(sub)
            && let Progress::Recon { upto, .. } = *progress
        {
            *progress = complete(upto, head, floor);
        }
    }

    /// The log was trimmed: catch-ups from before its floor become scans.
    pub fn floor_rose(&mut self, head: Seq, floor: Seq) {
        (self.head, self.floor) = (head, floor);
        for (_, progress) in &mut self.subs {
            if let Progress::Log { at } = progress
                && *at < floor
            {
                *progress = Progress::Scan { after: None, upto: head, since: Some(*at) };
            }
        }
        if self.live.is_some_and(|at| at < floor) {
            for (_, progress) in &mut self.subs {
                if *progress == Progress::Live {
                    *progress = Progress::Scan { after: None, upto: head, since: self.live };
                }
            }
            self.live = None;
            self.torn = true;
        }
    }

    /// Says, once, that the other side must be told that nothing is live any more.
    pub fn take_torn(&mut self) -> bool {
        std::mem::take(&mut self.torn)
    }

    /// The subscription was told that it is live.
    pub fn gone_live(&mut self, sub: usize, at: Seq) {
        self.subs[sub].1 = Progress::Live;
        self.live = Some(at);
    }
}

/// Where a subscription stands that has everything up to a position.
fn complete(upto: Seq, head: Seq, floor: Seq) -> Progress {
    // It took so long that the log was trimmed beyond its start: what changed since is scanned for.
    match upto < floor {
        true => Progress::Scan { after: None, upto: head, since: Some(upto) },
        false => Progress::Log { at: upto },
    }
}
