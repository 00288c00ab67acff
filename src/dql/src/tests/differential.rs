//! Goal: an index and an access by `_id` change how fast an answer comes and nothing else.
//!
//! Method: random queries over random documents, planned with random indexes, against a reader that yields everything.

use super::shared::query::{Data, ask};
use super::shared::random::{XorShift, seed};

fn differ(seed: u64, rounds: usize) {
    let mut random = XorShift(seed);
    let (mut asked, mut by_index, mut by_id) = (0, 0, 0);
    for _ in 0..rounds {
        let data = Data::new(&mut random);
        let indexes = data.planned_indexes();
        for _ in 0..20 {
            let query = ask(&mut random, &data);
            query.compare(&data, data.answer(&query.planned, &indexes));
            let (index, id) = data.accesses(&query.planned, &indexes);
            asked += 1;
            by_index += usize::from(index);
            by_id += usize::from(id);
        }
    }
    println!("{asked} queries, {by_index} of them through an index, {by_id} by _id");
    assert!(by_index * 5 > asked && by_id * 50 > asked, "the generator has lost its aim");
}

#[test]
fn random_queries_answer_alike_with_and_without_indexes() {
    differ(seed(0x5eed_0002), 250);
}
