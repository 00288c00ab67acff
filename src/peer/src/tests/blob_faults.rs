//! Goal: nothing wrong is believed, nothing is lost to a fault that passes, and commits go before blobs.
//! Method: damaged devices, full devices, and messages written by hand.

use store::BlobDeviceNow;
use sync::{BlobMessage, Message};
use value::blob::BLOB_CHUNK_BYTES;
use value::{BlobId, ErrorCode};

use super::blob::{LEN, content};
use super::harness::{BIG, World};
use crate::io::{BlobRequest, Input, LinkId, Reply};

/// Flips a bit of a chunk on a node's device.
pub fn damage(world: &mut World, number: usize, part: u32) {
    let blobs = &world.nodes[number].blobs;
    let place = blobs.blob_list_now().expect("memory works")[0].place;
    let mut bytes = blobs.blob_read_now(place, part).expect("memory works").expect("it is there");
    bytes[9] ^= 4;
    blobs.blob_put_now(place, part, bytes).expect("memory works");
}

/// One message as a transport carries it.
fn chunked(message: BlobMessage) -> Vec<u8> {
    let frame = Message::Blob(message).encode();
    let mut chunks = sync::chunk::split(&frame, 64 * 1024);
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

#[test]
fn a_damaged_chunk_is_not_served_and_is_fetched_again_from_another() {
    let mut world = World::new(2);
    let bytes = content(1, LEN);
    let id = world.create_blob(1, &bytes);
    world.online(1, "SELECT * FROM a");
    world.name(1, "1", id, LEN);
    damage(&mut world, BIG, 3);
    world.online(2, "SELECT * FROM a");
    let ticket = world.fetch(2, id, LEN);
    assert_eq!(world.answer(2, ticket), Some(Ok(Reply::Fetched(Some(LEN as u64)))));
    assert_eq!(world.content(2, id, LEN), bytes);
    assert_eq!(world.content(BIG, id, LEN), bytes, "the Big Peer has healed itself");
}

#[test]
fn a_damaged_chunk_of_the_only_peer_is_told_to_who_reads_it() {
    let mut world = World::new(1);
    let id = world.create_blob(1, &content(1, LEN));
    damage(&mut world, 1, 1);
    let ticket = world.ask_blob(1, |ticket| BlobRequest::Read { ticket, id, chunk: 0 });
    let answer = world.answer(1, ticket).expect("at once");
    assert_eq!(answer.expect_err("damaged").code, ErrorCode::StoreAttachmentNotFound);
    assert!(!world.found(1, id));
}

/// A Big Peer's blob is wanted by peer 1; the part that comes is replaced by another. Returns peer 1's ticket.
fn with_wrong_piece(world: &mut World, id: BlobId, wrong: impl Fn(&BlobMessage) -> Option<BlobMessage> + 'static) {
    let ticket = world.ticket();
    world.later(1, Input::Blob(BlobRequest::Fetch { ticket, id, len: LEN as u64 }));
    world.replace_frames(1, move |bytes| match Message::decode(&bytes[1..]) {
        Ok(Some(Message::Blob(message))) => wrong(&message).map(chunked),
        _ => None,
    });
    world.settle();
    assert_eq!(world.answer(1, ticket), None);
}

#[test]
fn wrong_bytes_are_refused_and_their_sender_is_dropped() {
    for part in [0, 2] {
        let mut world = World::new(2);
        let bytes = content(2, LEN);
        let id = world.create_blob(2, &bytes);
        world.online(2, "SELECT * FROM a");
        world.name(2, "1", id, LEN);
        world.online(1, "SELECT * FROM a");
        let links = world.links().len();
        with_wrong_piece(&mut world, id, move |message| match message {
            BlobMessage::Piece { id, part: of, offset: 0, bytes } if *of == part => {
                let mut bytes = bytes.clone();
                bytes[7] ^= 1;
                Some(BlobMessage::Piece { id: *id, part, offset: 0, bytes })
            }
            _ => None,
        });
        assert_eq!(world.links().len(), links - 2, "part {part}");
        let written = world.nodes[1].blobs.blob_list_now().expect("memory works");
        let has = written.iter().any(|place| place.parts.contains(&part) || (part == 0 && place.head.is_some()));
        assert!(!has, "part {part} was not written: {written:?}");
    }
}

#[test]
fn pieces_that_nobody_asked_for_or_out_of_order_end_the_link() {
    let id = BlobId([7; 32]);
    let wrong = [BlobMessage::Piece { id, part: 1, offset: 0, bytes: vec![1] }, BlobMessage::Taken { bytes: 1 }];
    for message in wrong {
        let mut world = World::new(1);
        world.online(1, "SELECT * FROM a");
        let (_, link) = world.links().into_iter().find(|(number, _)| *number == BIG).expect("a link");
        world.input(BIG, Input::Frame { link, bytes: chunked(message.clone()) });
        assert_eq!(world.links(), [], "{message:?}");
    }
}

#[test]
fn a_peer_that_asks_for_what_is_not_there_is_told_so() {
    let mut world = World::new(1);
    world.online(1, "SELECT * FROM a");
    let (_, link) = world.links().into_iter().find(|(number, _)| *number == BIG).expect("a link");
    let message = BlobMessage::Get { id: BlobId([7; 32]), part: 1 };
    world.input(BIG, Input::Frame { link, bytes: chunked(message) });
    assert_eq!(world.links().len(), 2);
    let message = BlobMessage::Have { blobs: vec![(BlobId([7; 32]), 5)] };
    world.input(BIG, Input::Frame { link, bytes: chunked(message) });
    assert_eq!(world.links().len(), 2, "what nobody wants is not asked for");
}

#[test]
fn a_full_device_fails_the_fetch_and_keeps_what_is_here() {
    let mut world = World::new(2);
    let bytes = content(3, LEN);
    let id = world.create_blob(2, &bytes);
    world.online(2, "SELECT * FROM a");
    world.name(2, "1", id, LEN);
    world.online(1, "SELECT * FROM a");
    let ticket = world.ticket();
    world.later(1, Input::Blob(BlobRequest::Fetch { ticket, id, len: LEN as u64 }));
    assert!(world.until(|world| world.nodes[1].progress.len() >= 2));
    world.full = Some(1);
    world.settle();
    let answer = world.answer(1, ticket).expect("it is told");
    assert_eq!(answer.expect_err("full").code, ErrorCode::StoreFailedToFetchAttachment);
    world.full = None;
    let before = world.nodes[1].blob_writes;
    let ticket = world.fetch(1, id, LEN);
    assert_eq!(world.answer(1, ticket), Some(Ok(Reply::Fetched(Some(LEN as u64)))));
    assert!(world.nodes[1].blob_writes - before < 6, "what was here was not fetched again");
}

#[test]
fn a_chunk_counts_as_had_only_when_it_is_durable() {
    let mut world = World::new(2);
    let bytes = content(6, LEN);
    let id = world.create_blob(2, &bytes);
    world.online(2, "SELECT * FROM a");
    world.name(2, "1", id, LEN);
    world.online(1, "SELECT * FROM a");
    world.slow_chunks = Some(1);
    let ticket = world.fetch(1, id, LEN);
    assert_eq!(world.answer(1, ticket), None);
    assert!(!world.found(1, id));
    assert!(world.nodes[1].progress.iter().all(|have| *have == 0), "{:?}", world.nodes[1].progress);
    world.flush_chunks();
    assert_eq!(world.answer(1, ticket), Some(Ok(Reply::Fetched(Some(LEN as u64)))));
}

#[test]
fn a_server_that_was_full_tries_again_by_itself() {
    let mut world = World::new(1);
    let bytes = content(4, LEN);
    let id = super::blob::list(&bytes).id();
    world.online(1, "SELECT * FROM a");
    // The id vouches for a length; what a document says of it is not believed.
    world.name(1, "1", id, 3);
    world.full = Some(BIG);
    world.create_blob(1, &bytes);
    assert!(!world.found(BIG, id));
    world.full = None;
    world.pass(50_000);
    assert!(!world.found(BIG, id), "a full disk is not tried all the time");
    world.pass(20_000);
    assert_eq!(world.content(BIG, id, LEN), bytes);
}

#[test]
fn a_commit_goes_before_the_rest_of_a_blob() {
    let mut world = World::new(2);
    let bytes = content(5, 40 * BLOB_CHUNK_BYTES);
    let id = world.create_blob(2, &bytes);
    world.online(2, "SELECT * FROM a");
    world.name(2, "1", id, bytes.len());
    world.online(1, "SELECT * FROM a");
    let ticket = world.ticket();
    world.later(1, Input::Blob(BlobRequest::Fetch { ticket, id, len: bytes.len() as u64 }));
    assert!(world.until(|world| world.nodes[1].progress.len() >= 5));
    let before = world.nodes[BIG].sent_bytes;
    let statement = world.ticket();
    world.later(
        BIG,
        Input::Execute {
            ticket: statement,
            transaction: None,
            text: "INSERT INTO a DOCUMENTS ({'_id': 'x'})".into(),
            args: value::Object::new(),
            durability: store::Durability::Relaxed,
        },
    );
    let commits = world.nodes[1].commits;
    assert!(world.until(|world| world.nodes[1].commits > commits));
    let between = world.nodes[BIG].sent_bytes - before;
    assert!(between < 2 * 256 * 1024 + 100_000, "{between} bytes of the blob went before it");
    world.settle();
    assert_eq!(world.answer(1, ticket), Some(Ok(Reply::Fetched(Some(bytes.len() as u64)))));
}

#[test]
fn a_link_that_promised_and_is_silent_is_given_up() {
    let mut world = World::new(2);
    world.big_peer_up = false;
    world.input(1, Input::SyncOn(true));
    world.input(2, Input::SyncOn(true));
    world.link(1, 2, None);
    let id = BlobId([7; 32]);
    world.fetch(1, id, 5);
    let (_, link): (usize, LinkId) = world.links().into_iter().find(|(number, _)| *number == 1).expect("a link");
    world.nodes_deaf_to_blobs(2);
    world.input(1, Input::Frame { link, bytes: chunked(BlobMessage::Have { blobs: vec![(id, 5)] }) });
    world.pass(50_000);
    assert_eq!(world.links().len(), 2);
    world.pass(20_000);
    assert_eq!(world.links(), []);
}
