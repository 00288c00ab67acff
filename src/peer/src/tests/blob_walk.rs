//! Goal: verification reads every part of every blob, tells what is wrong with it, and has it fetched again.
//! Method: walks over devices in memory that were damaged by hand.

use store::BlobDeviceNow;
use store::blob_device::HEAD_PART;
use value::blob::BLOB_CHUNK_BYTES;
use value::{ErrorCode, Failure};

use super::blob::{LEN, content};
use super::blob_faults::damage;
use super::harness::{BIG, World};
use crate::io::{BlobRequest, BlobWalk, Input, Reply};

impl World {
    /// Walks all blobs; returns the names of what is wrong, and the walk.
    fn walk(&mut self, number: usize) -> (Vec<String>, Box<BlobWalk>) {
        let (mut walk, mut names) = (Box::<BlobWalk>::default(), Vec::new());
        while !walk.is_done() {
            let reads = self.nodes[number].blob_reads;
            let ticket = self.ask_blob(number, |ticket| BlobRequest::Walk { ticket, walk });
            walk = match self.answer(number, ticket) {
                Some(Ok(Reply::BlobsWalked(walk))) => walk,
                other => panic!("{other:?}"),
            };
            assert!(self.nodes[number].blob_reads <= reads + 1 || number == BIG, "one part at a time");
            names.extend(walk.take_findings().into_iter().map(|found| found.name));
        }
        (names, walk)
    }

    /// Deletes a part of a node's only blob, or all of it, as another tab does.
    fn delete_part(&self, number: usize, part: Option<u32>) {
        let blobs = &self.nodes[number].blobs;
        let place = blobs.blob_list_now().expect("memory works")[0].place;
        blobs.blob_delete_now(place, part).expect("memory works");
    }
}

#[test]
fn every_part_of_sound_blobs_is_read_once_and_counted() {
    let mut world = World::new(1);
    assert_eq!(world.walk(1).1.progress(), (0, 0));
    for (seed, len) in [(1, LEN), (2, 0), (3, BLOB_CHUNK_BYTES)] {
        world.create_blob(1, &content(seed, len));
    }
    let reads = world.nodes[1].blob_reads;
    let (names, walk) = world.walk(1);
    assert!(names.is_empty(), "{names:?}");
    assert_eq!((walk.blobs(), walk.bytes()), (3, (LEN + BLOB_CHUNK_BYTES) as u64));
    assert_eq!(walk.progress(), (10, 10), "3 heads, 6 chunks and 1");
    assert_eq!(world.nodes[1].blob_reads - reads, 10);
}

#[test]
fn a_damaged_chunk_is_told_given_up_and_fetched_again() {
    let mut world = World::new(1);
    let bytes = content(1, LEN);
    let id = world.create_blob(1, &bytes);
    world.online(1, "SELECT * FROM a");
    world.name(1, "1", id, LEN);
    damage(&mut world, 1, 3);
    let (names, walk) = world.walk(1);
    assert_eq!(names, [format!("chunk 3 of {id}")]);
    assert_eq!(walk.bytes(), (LEN - BLOB_CHUNK_BYTES) as u64);
    assert_eq!(world.nodes[1].given_up, names);
    assert!(world.walk(1).0.is_empty(), "without being asked for it is here again");
    assert_eq!(world.content(1, id, LEN), bytes);
}

#[test]
fn what_no_peer_has_is_not_served_until_somebody_has_it() {
    let mut world = World::new(2);
    let bytes = content(1, LEN);
    let id = world.create_blob(1, &bytes);
    world.name(1, "1", id, LEN);
    damage(&mut world, 1, 6);
    assert_eq!(world.walk(1).0, [format!("chunk 6 of {id}")]);
    assert!(!world.found(1, id));
    assert!(world.walk(1).0.is_empty(), "what was given up is not told again");
    world.online(1, "SELECT * FROM a");
    assert!(!world.found(BIG, id));
    world.online(2, "SELECT * FROM a");
    world.create_blob(2, &bytes);
    assert!(world.found(BIG, id) && world.found(1, id));
    assert_eq!(world.content(1, id, LEN), bytes);
}

#[test]
fn a_blob_in_part_is_no_damage_and_a_damaged_chunk_of_it_comes_again() {
    let mut world = World::new(2);
    let bytes = content(1, LEN);
    let id = world.create_blob(2, &bytes);
    world.online(2, "SELECT * FROM a");
    world.name(2, "1", id, LEN);
    world.cut(2);
    world.online(1, "SELECT * FROM a");
    let ticket = world.fetch(1, id, LEN);
    assert!(world.answer(1, ticket).is_some());
    world.cut(1);
    world.delete_part(1, Some(6));
    world.delete_part(1, Some(5));
    world.restart(1);
    let (names, walk) = world.walk(1);
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(walk.progress(), (5, 5));
    let ticket = world.fetch(1, id, LEN);
    damage(&mut world, 1, 2);
    assert_eq!(world.walk(1).0, [format!("chunk 2 of {id}")]);
    world.online(1, "SELECT * FROM a");
    assert_eq!(world.answer(1, ticket), Some(Ok(Reply::Fetched(Some(LEN as u64)))));
    assert_eq!(world.content(1, id, LEN), bytes);
}

#[test]
fn a_damaged_or_lost_head_is_written_again_and_one_found_at_the_start_is_told() {
    for lose in [false, true] {
        let mut world = World::new(1);
        let id = world.create_blob(1, &content(1, LEN));
        match lose {
            false => damage(&mut world, 1, HEAD_PART),
            true => world.delete_part(1, Some(HEAD_PART)),
        }
        assert_eq!(world.walk(1).0, [format!("chunk list of {id}")]);
        assert!(world.walk(1).0.is_empty());
        world.restart(1);
        assert!(world.found(1, id), "it is on the device");
        damage(&mut world, 1, HEAD_PART);
        world.restart(1);
        let (names, walk) = world.walk(1);
        assert!(names.len() == 1 && names[0].starts_with("chunk list in place "), "{names:?}");
        assert_eq!(walk.blobs(), 0);
    }
}

#[test]
fn what_another_tab_removes_meanwhile_is_no_damage_and_one_chunk_that_is_gone_is() {
    let mut world = World::new(1);
    let id = world.create_blob(1, &content(1, LEN));
    world.pass(1);
    world.delete_part(1, Some(4));
    assert_eq!(world.walk(1).0, [format!("chunk 4 of {id}")]);
    world.delete_part(1, None);
    assert!(world.walk(1).0.is_empty());
    assert_eq!(world.walk(1).1.blobs(), 0);
}

#[test]
fn a_chunk_that_another_tab_gave_up_is_missing_here_and_fetched_again() {
    let mut world = World::new(1);
    let bytes = content(1, LEN);
    let id = world.create_blob(1, &bytes);
    world.online(1, "SELECT * FROM a");
    world.name(1, "1", id, LEN);
    world.pass(1);
    world.delete_part(1, Some(4));
    let writes = world.nodes[1].blob_writes;
    world.input(1, Input::Blob(BlobRequest::Refresh));
    assert_eq!(world.nodes[1].blob_writes - writes, 1, "it was fetched again");
    assert_eq!(world.content(1, id, LEN), bytes);
}

#[test]
fn a_lost_device_ends_a_walk_with_its_failure() {
    let mut world = World::new(1);
    world.create_blob(1, &content(1, LEN));
    let failure = Failure::new(ErrorCode::StoreClosed, "gone");
    world.input(1, Input::Lost { failure: failure.clone() });
    let ticket = world.ask_blob(1, |ticket| BlobRequest::Walk { ticket, walk: Box::default() });
    assert_eq!(world.answer(1, ticket), Some(Err(failure)));
}
