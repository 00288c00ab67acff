//! Range-based set reconciliation: two peers find in which documents they differ without naming those in which they agree.
//!
//! Each side has a sorted list of items, one a document: when it last changed and a hash of its bytes. The sender says how
//! many items it has in a range and the sum of their hashes; where the receiver has the same, the range is done; where not,
//! one of them cuts the range into smaller ones, until it is worth naming the items themselves. What lies between is
//! logarithmic in the number of documents and linear in the number of differences.
//!
//! The order by time makes recent changes lie together. A document that changed has a new place at the sender and leaves a
//! hole at its old one, anywhere. So ranges in which the sender has more are followed first, and by the time the others
//! are compared again the receiver has the new documents and the holes are gone.
//!
//! Invariants, as absences: no document, no key, no clock; the receiver remembers nothing between messages but its items.
//!
//! Source: Meyer, "Range-Based Set Reconciliation" (2023); negentropy for the bounds, `docs/decisions/0015` for what differs.

use value::{DecodeError, Reader, Writer};

/// Ranges that a range is cut into.
const CUTS: usize = 16;
/// Items that are named rather than summed up.
const NAMED_MAX: usize = 32;
/// Items that one range names at most; more become several ranges.
const NAMED_IN_RANGE_MAX: usize = 1024;
/// Ranges of one message at most: an answer may cut each range of a round, with a gap before it.
const RANGES_MAX: usize = 16 * 1024;
/// Ranges of one round at most.
const ROUND_RANGES_MAX: usize = RANGES_MAX / (2 * CUTS);
/// Names of one message at most.
const NAMES_MAX: usize = 64 * 1024;

/// One document: when it last changed, and a hash of its key and bytes. Sorted by time, then hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Greatest stamp in the document.
    pub time: u64,
    /// Of its key and its bytes.
    pub hash: u128,
}

impl Item {
    /// Returns the first half of the hash, by which items of one short range are told apart.
    fn name(&self) -> u64 {
        (self.hash >> 64) as u64
    }
}

/// The end of a range: items below it belong to the range. The least item that could stand there.
pub type Bound = Item;

/// Above every item.
const END: Bound = Bound { time: u64::MAX, hash: u128::MAX };
/// Below every item, or equal to it.
const START: Bound = Bound { time: 0, hash: 0 };

/// What is said of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Please name your items.
    Ask,
    /// It differs; ask again later.
    Differs,
    /// Halves of the hashes of all items.
    Names(Vec<u64>),
    /// How many items there are, and the sum of their hashes modulo 2^128.
    Print(u64, u128),
    /// Nothing: it is done, or was said elsewhere.
    Skip,
}

/// A part of the order, from the end of the range before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its end.
    pub below: Bound,
    /// What is said of it.
    pub claim: Claim,
}

/// How much of what differs the other side shall follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    All,
    /// Ranges in which the sender has more items, and the newest range that differs.
    More,
}

/// The items of one side, sorted.
#[derive(Debug, Default)]
pub struct Items(Vec<Item>);

impl Items {
    /// Takes items in order.
    pub fn new(items: Vec<Item>) -> Items {
        debug_assert!(items.is_sorted(), "items are sorted by time and hash");
        Items(items)
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the hash of an item.
    pub fn hash(&self, at: usize) -> u128 {
        self.0[at].hash
    }

    fn below(&self, bound: Bound) -> usize {
        if bound == END { self.0.len() } else { self.0.partition_point(|item| *item < bound) }
    }

    fn print(&self, from: usize, to: usize) -> Claim {
        let sum = self.0[from..to].iter().fold(0_u128, |sum, item| sum.wrapping_add(item.hash));
        Claim::Print((to - from) as u64, sum)
    }

    /// Cuts a range into some with a print each.
    fn cut(&self, (from, to): (usize, usize), below: Bound, out: &mut Ranges) {
        for cut in 1..=CUTS {
            let start = from + (to - from) * (cut - 1) / CUTS;
            let end = from + (to - from) * cut / CUTS;
            let bound = if cut == CUTS { below } else { between(self.0[end - 1], self.0[end]) };
            out.push(bound, self.print(start, end));
        }
    }
}

/// Returns the shortest bound above one item and not above the next.
fn between(before: Item, after: Item) -> Bound {
    if before.time < after.time {
        return Bound { time: after.time, hash: 0 };
    }
    let shared = (before.hash ^ after.hash).leading_zeros() / 8;
    // The first byte that differs is the last that is needed.
    let mask = u128::MAX << 120_u32.saturating_sub(8 * shared);
    Bound { time: after.time, hash: after.hash & mask }
}

/// Ranges in order; neighbours of which nothing is said become one.
#[derive(Debug, Default)]
struct Ranges(Vec<Range>);

impl Ranges {
    fn push(&mut self, below: Bound, claim: Claim) {
        match self.0.last_mut() {
            Some(last) if last.claim == Claim::Skip && claim == Claim::Skip => last.below = below,
            _ => self.0.push(Range { below, claim }),
        }
    }

    fn finish(mut self) -> Vec<Range> {
        // What is behind the last word needs none.
        self.0.pop_if(|last| last.claim == Claim::Skip);
        self.0
    }
}

/// What the receiver answers to one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it says of the ranges.
    pub ranges: Vec<Range>,
    /// Which of the named items it lacks, by their place in the message, ascending.
    pub needed: Vec<u64>,
    /// Which of its own items the sender does not have.
    pub extra: Vec<usize>,
}

/// Answers a message of the sender.
pub fn answer(items: &Items, ranges: &[Range], extent: Extent) -> Answer {
    let mut answer = Answer::default();
    let newest = newest(items, ranges);
    let mut out = Ranges::default();
    let mut place = 0;
    for (range, span) in spans(items, ranges) {
        let own = span.1 - span.0;
        match &range.claim {
            Claim::Names(names) => {
                compare(items, span, names, place, &mut answer);
                place += names.len() as u64;
                out.push(range.below, Claim::Skip);
            }
            Claim::Print(..) if !differs(items, range, span) => out.push(range.below, Claim::Skip),
            Claim::Print(0, _) => {
                answer.extra.extend(span.0..span.1);
                out.push(range.below, Claim::Skip);
            }
            Claim::Print(theirs, _)
                if extent == Extent::More && *theirs <= own as u64 && newest != Some(range.below) =>
            {
                out.push(range.below, Claim::Differs);
            }
            // One who has little has most to learn.
            Claim::Print(theirs, _) if *theirs <= NAMED_MAX as u64 || own < CUTS => out.push(range.below, Claim::Ask),
            Claim::Print(..) => items.cut(span, range.below, &mut out),
            Claim::Ask | Claim::Differs | Claim::Skip => out.push(range.below, Claim::Skip),
        }
    }
    answer.ranges = out.finish();
    answer
}

/// Returns each range with the first and the last of one's own items in it.
fn spans<'a>(items: &'a Items, ranges: &'a [Range]) -> impl Iterator<Item = (&'a Range, (usize, usize))> {
    let mut from = 0;
    ranges.iter().map(move |range| {
        let to = items.below(range.below).max(from);
        let span = (from, to);
        from = to;
        (range, span)
    })
}

/// Returns the end of the last range that differs.
fn newest(items: &Items, ranges: &[Range]) -> Option<Bound> {
    let differing = spans(items, ranges).filter(|(range, span)| differs(items, range, *span));
    differing.last().map(|(range, _)| range.below)
}

fn differs(items: &Items, range: &Range, (from, to): (usize, usize)) -> bool {
    matches!(range.claim, Claim::Print(..)) && items.print(from, to) != range.claim
}

/// Compares named items with one's own of the same range.
fn compare(items: &Items, (from, to): (usize, usize), names: &[u64], first: u64, answer: &mut Answer) {
    let mut own: Vec<(u64, usize)> = (from..to).map(|at| (items.0[at].name(), at)).collect();
    own.sort_unstable();
    let mut found = vec![false; own.len()];
    for (place, name) in names.iter().enumerate() {
        match own.binary_search_by(|(known, _)| known.cmp(name)) {
            Ok(at) => found[at] = true,
            Err(_) => answer.needed.push(first + place as u64),
        }
    }
    answer.extra.extend(own.iter().zip(found).filter(|(_, found)| !found).map(|((_, at), _)| *at));
}

/// A message of the sender.
#[derive(Debug)]
pub struct Round {
    /// What it says.
    pub ranges: Vec<Range>,
    /// How far the receiver shall follow.
    pub extent: Extent,
    /// The receiver's items may have changed by what it was sent: it shall gather them again.
    pub fresh: bool,
}

/// The sender's side: asks until nothing differs.
#[derive(Debug)]
pub struct Sender {
    items: Items,
    extent: Extent,
    /// Said in the next messages: a range, by its start and end.
    queue: Vec<(Bound, Range)>,
    /// Compared again in the second extent.
    deferred: Vec<(Bound, Bound)>,
    fresh: bool,
    /// Of the message that waits for its answer.
    named: Option<Vec<usize>>,
}

impl Sender {
    /// Starts with the whole order in one range.
    pub fn new(items: Items) -> Sender {
        let whole = Range { below: END, claim: items.print(0, items.len()) };
        let queue = vec![(START, whole)];
        Sender { items, extent: Extent::More, queue, deferred: Vec::new(), fresh: true, named: None }
    }

    /// Says whether a message waits for its answer.
    pub fn is_waiting(&self) -> bool {
        self.named.is_some()
    }

    /// Returns the next message; `None` when nothing is left to say. What was needed so far must have been sent before.
    pub fn next_round(&mut self) -> Option<Round> {
        if self.queue.is_empty() {
            let deferred = std::mem::take(&mut self.deferred);
            (self.extent, self.fresh) = (Extent::All, true);
            for (start, below) in deferred {
                let claim = self.items.print(self.items.below(start), self.items.below(below));
                self.queue.push((start, Range { below, claim }));
            }
            self.queue.sort_unstable_by_key(|(start, _)| *start);
        }
        let (mut out, mut named, mut taken, mut end) = (Ranges::default(), Vec::new(), 0, START);
        for (start, range) in &self.queue {
            if taken >= ROUND_RANGES_MAX || named.len() >= NAMES_MAX / 16 {
                break;
            }
            if *start > end {
                out.push(*start, Claim::Skip);
            }
            if let Claim::Names(names) = &range.claim {
                let from = self.items.below(*start);
                named.extend(from..from + names.len());
            }
            end = range.below;
            out.push(end, range.claim.clone());
            taken += 1;
        }
        if taken == 0 {
            return None;
        }
        self.queue.drain(..taken);
        self.named = Some(named);
        let fresh = std::mem::take(&mut self.fresh);
        Some(Round { ranges: out.finish(), extent: self.extent, fresh })
    }

    /// Takes the answer to the last message; returns the items that the receiver lacks.
    ///
    /// Errors: nothing was asked, or it needs what was not named.
    pub fn answered(&mut self, ranges: &[Range], needed: &[u64]) -> Result<Vec<usize>, DecodeError> {
        let named = self.named.take().ok_or(DecodeError::Invalid("an answer to nothing"))?;
        let item = |place: &u64| usize::try_from(*place).ok().and_then(|place| named.get(place)).copied();
        let needed = needed.iter().map(|place| item(place).ok_or(DecodeError::Invalid("place of an item")));
        let needed = needed.collect::<Result<Vec<usize>, _>>()?;
        let newest = newest(&self.items, ranges);
        let mut start = START;
        let (mut queue, mut deferred) = (Vec::new(), Vec::new());
        for (range, span) in spans(&self.items, ranges) {
            let own = span.1 - span.0;
            let few = |theirs: u64| own <= NAMED_MAX || theirs < CUTS as u64;
            match &range.claim {
                Claim::Ask => self.name(start, range.below, span, &mut queue),
                Claim::Differs => deferred.push((start, range.below)),
                Claim::Print(..) if !differs(&self.items, range, span) => {}
                Claim::Print(theirs, _)
                    if self.extent == Extent::More && own as u64 <= *theirs && newest != Some(range.below) =>
                {
                    deferred.push((start, range.below));
                }
                Claim::Print(theirs, _) if few(*theirs) => self.name(start, range.below, span, &mut queue),
                Claim::Print(..) => {
                    let mut cuts = Ranges::default();
                    self.items.cut(span, range.below, &mut cuts);
                    let mut from = start;
                    for cut in cuts.0 {
                        queue.push((from, cut.clone()));
                        from = cut.below;
                    }
                }
                Claim::Names(_) | Claim::Skip => {}
            }
            start = range.below;
        }
        // What is left of earlier messages comes after what belongs to this one, but a message goes upward.
        self.queue.append(&mut queue);
        self.queue.sort_unstable_by_key(|(start, _)| *start);
        self.deferred.append(&mut deferred);
        self.check_queue()?;
        Ok(needed)
    }

    /// Refuses a receiver that has everything asked again and again.
    fn check_queue(&self) -> Result<(), DecodeError> {
        let names = self.queue.iter().map(|(_, range)| match &range.claim {
            Claim::Names(names) => names.len(),
            Claim::Ask | Claim::Differs | Claim::Print(..) | Claim::Skip => 1,
        });
        let most = 2 * self.items.len() + RANGES_MAX;
        let deferred = self.deferred.len();
        if names.sum::<usize>() + deferred > most { Err(DecodeError::Limit("ranges in question")) } else { Ok(()) }
    }

    /// Names the items of a range, in pieces.
    fn name(&self, start: Bound, below: Bound, (from, to): (usize, usize), queue: &mut Vec<(Bound, Range)>) {
        let (mut start, mut from) = (start, from);
        while to - from > NAMED_IN_RANGE_MAX {
            let end = from + NAMED_IN_RANGE_MAX;
            let bound = between(self.items.0[end - 1], self.items.0[end]);
            queue.push((start, Range { below: bound, claim: self.names(from, end) }));
            (start, from) = (bound, end);
        }
        queue.push((start, Range { below, claim: self.names(from, to) }));
    }

    fn names(&self, from: usize, to: usize) -> Claim {
        Claim::Names(self.items.0[from..to].iter().map(Item::name).collect())
    }
}

/// Appends ranges: count, each: its end, a byte for the claim, the claim.
pub(crate) fn encode_ranges(ranges: &[Range], out: &mut Writer) {
    out.var(ranges.len() as u64);
    let mut time = 0;
    for Range { below, claim } in ranges {
        // 0 for the end of all, else the difference + 1; then how many bytes of the hash, and those.
        if *below == END {
            out.var(0);
        } else {
            let bytes = 16 - (below.hash.trailing_zeros() / 8).min(16) as usize;
            out.var(below.time.wrapping_sub(time).wrapping_add(1))
                .u8(bytes as u8)
                .raw(&below.hash.to_be_bytes()[..bytes]);
            time = below.time;
        }
        match claim {
            Claim::Skip => _ = out.u8(0),
            Claim::Print(count, sum) => _ = out.u8(1).var(*count).raw(&sum.to_be_bytes()),
            Claim::Names(names) => {
                out.u8(2).var(names.len() as u64);
                names.iter().for_each(|name| _ = out.fixed64(*name));
            }
            Claim::Ask => _ = out.u8(3),
            Claim::Differs => _ = out.u8(4),
        }
    }
}

/// Reads ranges. Errors: their ends do not ascend, or there are too many.
pub(crate) fn decode_ranges(r: &mut Reader<'_>) -> Result<Vec<Range>, DecodeError> {
    let count = r.count(RANGES_MAX)?;
    let mut ranges: Vec<Range> = Vec::with_capacity(count.min(1024));
    let (mut before, mut names_left) = (START, NAMES_MAX);
    for _ in 0..count {
        let below = decode_bound(r, before.time)?;
        if below < before {
            return Err(DecodeError::Invalid("order of ranges"));
        }
        before = below;
        let claim = match r.u8()? {
            0 => Claim::Skip,
            1 => Claim::Print(r.var()?, decode_hash(r, 16)?),
            2 => {
                let names = r.count(names_left)?;
                names_left -= names;
                Claim::Names((0..names).map(|_| r.fixed64()).collect::<Result<_, _>>()?)
            }
            3 => Claim::Ask,
            4 => Claim::Differs,
            _ => return Err(DecodeError::Invalid("claim")),
        };
        ranges.push(Range { below, claim });
    }
    Ok(ranges)
}

fn decode_bound(r: &mut Reader<'_>, time: u64) -> Result<Bound, DecodeError> {
    let difference = r.var()?;
    if difference == 0 {
        return Ok(END);
    }
    let time = time.checked_add(difference - 1).ok_or(DecodeError::Invalid("time of a range"))?;
    let bytes = usize::from(r.u8()?);
    if bytes > 16 {
        return Err(DecodeError::Invalid("hash of a range"));
    }
    Ok(Bound { time, hash: decode_hash(r, bytes)? })
}

/// Reads the first bytes of a hash; the others are 0.
fn decode_hash(r: &mut Reader<'_>, bytes: usize) -> Result<u128, DecodeError> {
    let mut hash = [0; 16];
    hash[..bytes].copy_from_slice(r.raw(bytes)?);
    Ok(u128::from_be_bytes(hash))
}
