//! Goal: reconciliation finds exactly the differences, in few bytes, whatever the sets and whatever the other side says.
//!
//! Method: a sender and a receiver in one thread, joined by real frames; the receiver takes what it is sent. Sets are made
//! from seeds; a document is a number, and a version of it an item.

use std::collections::BTreeMap;

use crate::recon::{Claim, Extent, Item, Items, Range, Sender, answer};
use crate::wire::{Message, RoundKind};

/// Documents by number, with the item of their present version.
type Documents = BTreeMap<u64, Item>;

struct Random(u64);

impl Random {
    fn of(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn version(random: &mut Random, time: u64) -> Item {
    Item { time, hash: u128::from(random.next()) << 64 | u128::from(random.next()) }
}

fn items(documents: &Documents) -> (Items, Vec<u64>) {
    let mut sorted: Vec<(Item, u64)> = documents.iter().map(|(number, item)| (*item, *number)).collect();
    sorted.sort_unstable();
    let (items, numbers) = sorted.into_iter().unzip();
    (Items::new(items), numbers)
}

/// What a reconciliation took.
#[derive(Debug, Default)]
struct Cost {
    bytes: usize,
    rounds: usize,
    documents: usize,
    /// Documents that the receiver has and the sender has not, as it was told.
    extra: Vec<u64>,
}

/// Brings the receiver what the sender has.
fn reconcile(sender: &Documents, receiver: &mut Documents) -> Cost {
    let (own, numbers) = items(sender);
    let mut asking = Sender::new(own);
    let (mut theirs, mut their_numbers) = items(receiver);
    let mut cost = Cost::default();
    while let Some(round) = asking.next_round() {
        assert!(cost.rounds < 1000, "it comes to an end");
        cost.rounds += 1;
        let kind = RoundKind { extent: round.extent, fresh: round.fresh, wants_extra: true };
        let (ranges, extent, fresh) =
            match carried(&mut cost, Message::Recon { generation: 1, sub: 0, round: kind, ranges: round.ranges }) {
                Message::Recon { ranges, round, .. } => (ranges, round.extent, round.fresh),
                other => panic!("{other:?}"),
            };
        if fresh {
            (theirs, their_numbers) = items(receiver);
        }
        let answer = answer(&theirs, &ranges, extent);
        cost.extra.extend(answer.extra.iter().map(|at| their_numbers[*at]));
        let message = Message::ReconAnswer {
            generation: 1,
            sub: 0,
            ranges: answer.ranges,
            needed: answer.needed,
            extra: Vec::new(),
        };
        let (ranges, needed) = match carried(&mut cost, message) {
            Message::ReconAnswer { ranges, needed, .. } => (ranges, needed),
            other => panic!("{other:?}"),
        };
        for at in asking.answered(&ranges, &needed).expect("an honest answer") {
            cost.documents += 1;
            receiver.insert(numbers[at], sender[&numbers[at]]);
        }
    }
    cost
}

fn carried(cost: &mut Cost, message: Message) -> Message {
    let frame = message.encode();
    cost.bytes += frame.len();
    Message::decode(&frame).expect("it reads back").expect("a known kind")
}

/// Everything of the sender is at the receiver, which kept what it alone has.
fn check(sender: &Documents, before: &Documents) -> Cost {
    let mut receiver = before.clone();
    let cost = reconcile(sender, &mut receiver);
    let mut wanted = before.clone();
    wanted.extend(sender);
    assert_eq!(receiver, wanted);
    let differing = sender.iter().filter(|(number, item)| before.get(number) != Some(item)).count();
    assert_eq!(cost.documents, differing, "no document is sent that is there");
    for number in before.keys().filter(|number| !sender.contains_key(number)) {
        assert!(cost.extra.contains(number), "what the receiver alone has is told");
    }
    cost
}

fn equal_documents(random: &mut Random, count: u64) -> Documents {
    (0..count).map(|number| (number, version(random, 1_000_000 + number * 65_536))).collect()
}

#[test]
fn random_sets_are_brought_together() {
    for seed in 1..400 {
        let mut random = Random::of(seed);
        let count = [0, 1, 3, 20, 40, 300, 3000][random.below(7) as usize];
        // Many documents of one transaction have one time.
        let times = [1, 10, 1_000_000][random.below(3) as usize];
        let (mut sender, mut receiver) = (Documents::new(), Documents::new());
        for number in 0..count {
            let time = random.below(times);
            let item = version(&mut random, time);
            let older = version(&mut random, time / 2);
            match random.below(20) {
                0 => _ = sender.insert(number, item),
                1 => _ = receiver.insert(number, item),
                2 => {
                    sender.insert(number, item);
                    receiver.insert(number, older);
                }
                _ => {
                    sender.insert(number, item);
                    receiver.insert(number, item);
                }
            }
        }
        check(&sender, &receiver);
    }
}

#[test]
fn one_empty_side_costs_its_names_and_the_other_nothing() {
    let full = equal_documents(&mut Random(7), 5000);
    assert!(check(&full, &Documents::new()).bytes < 5000 * 10);
    assert!(check(&Documents::new(), &full).bytes < 100);
}

#[test]
fn equal_sets_of_100_000_documents_cost_one_round() {
    let documents = equal_documents(&mut Random(3), 100_000);
    let cost = check(&documents, &documents);
    assert_eq!(cost.rounds, 1);
    assert!(cost.bytes < 40, "{} bytes", cost.bytes);
}

#[test]
fn a_hundred_recent_changes_among_100_000_cost_few_bytes_wherever_the_documents_were() {
    let mut random = Random(5);
    let before = equal_documents(&mut random, 100_000);
    let mut after = before.clone();
    for change in 0..100 {
        let item = version(&mut random, 1_000_000 + (100_000 + change) * 65_536);
        after.insert(random.below(100_000), item);
    }
    let cost = check(&after, &before);
    assert!(cost.bytes < 4000, "{} bytes in {} rounds", cost.bytes, cost.rounds);
    assert!(cost.rounds <= 6, "{} rounds", cost.rounds);
}

#[test]
fn many_differences_everywhere_among_many_documents_come_to_an_end() {
    let mut random = Random(17);
    let mut sender = equal_documents(&mut random, 200_000);
    let receiver = sender.clone();
    for _ in 0..5_000 {
        sender.remove(&random.below(200_000));
    }
    (0..1_000).for_each(|number| _ = sender.insert(300_000 + number, version(&mut random, 1_000_000 + number * 77)));
    check(&sender, &receiver);
}

#[test]
fn old_differences_everywhere_are_followed_together() {
    let mut random = Random(11);
    let sender = equal_documents(&mut random, 100_000);
    let mut receiver = sender.clone();
    for _ in 0..100 {
        receiver.remove(&random.below(100_000));
    }
    let cost = check(&sender, &receiver);
    assert!(cost.rounds <= 12, "{} rounds", cost.rounds);
    assert!(cost.bytes < 150_000, "{} bytes", cost.bytes);
}

#[test]
fn answers_to_nothing_and_places_that_were_not_named_are_refused() {
    let mut random = Random(13);
    let (own, _) = items(&equal_documents(&mut random, 10));
    let mut sender = Sender::new(own);
    assert!(sender.answered(&[], &[]).is_err());
    sender.next_round().expect("a first round");
    assert!(sender.answered(&[], &[0]).is_err());
}

#[test]
fn whatever_is_answered_the_sender_goes_on_or_refuses() {
    for seed in 1..300 {
        let mut random = Random::of(seed);
        let (own, _) = items(&equal_documents(&mut random, 500));
        let mut sender = Sender::new(own);
        for _ in 0..20 {
            let Some(round) = sender.next_round() else { break };
            let mut bounds: Vec<Item> = (0..random.below(9))
                .map(|_| {
                    let time = random.below(1_000_000 + 600 * 65_536);
                    version(&mut random, time)
                })
                .collect();
            bounds.sort_unstable();
            let claim = |random: &mut Random| match random.below(5) {
                0 => Claim::Ask,
                1 => Claim::Differs,
                2 => Claim::Names(vec![random.next()]),
                3 => Claim::Print(random.below(600), 1),
                _ => Claim::Skip,
            };
            let ranges: Vec<Range> =
                bounds.into_iter().map(|below| Range { below, claim: claim(&mut random) }).collect();
            let extent = if random.below(2) == 0 { Extent::All } else { Extent::More };
            answer(&items(&equal_documents(&mut random, 50)).0, &round.ranges, extent);
            let needed: Vec<u64> = (0..random.below(3)).collect();
            if sender.answered(&ranges, &needed).is_err() {
                break;
            }
        }
    }
}
