//! Rich fields as Yjs clients have them, and what clients say to each other.

use store::Durability;
use value::{CollectionName, DocId, ErrorCode, Failure, Value};

use super::harness::{BIG, World};
use crate::io::{Field, FieldWrite, Input, Lacking, Reply, RichKind, WatchId};

/// The update that a Y.Doc of client 7 makes when "hello" is typed into its text.
const HELLO: &[u8] = b"\x01\x01\x07\x00\x04\x01\x07default\x05hello\x00";
/// The same of client 8 and "bye".
const BYE: &[u8] = b"\x01\x01\x08\x00\x04\x01\x07default\x03bye\x00";

fn field() -> Field {
    let collection = CollectionName::new("a").expect("a valid name");
    Field { collection, id: DocId::new(&Value::Int(1)).expect("a valid id"), path: vec!["t".into()] }
}

fn write(world: &mut World, number: usize, update: &[u8], life: Option<u64>) -> Result<Option<Lacking>, Failure> {
    let ticket = world.ticket();
    let write = FieldWrite { field: field(), kind: RichKind::Text, life, update: update.to_vec() };
    world.input(number, Input::WriteField { ticket, write, durability: Durability::Relaxed });
    answer(world, number, ticket)
}

fn read(world: &mut World, number: usize, known: &[u8]) -> Result<Option<Lacking>, Failure> {
    let ticket = world.ticket();
    world.input(number, Input::ReadField { ticket, field: field(), known: known.to_vec() });
    answer(world, number, ticket)
}

fn answer(world: &mut World, number: usize, ticket: crate::io::Ticket) -> Result<Option<Lacking>, Failure> {
    match world.nodes[number].replies.remove(&ticket).expect("it is answered") {
        Ok(Reply::Field(field)) => Ok(field),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => Err(failure),
    }
}

#[test]
fn what_a_client_wrote_is_durable_read_and_told() {
    let mut world = World::new(1);
    world.input(1, Input::WatchField { watch: WatchId(5), field: field() });
    assert_eq!(read(&mut world, 1, &[]), Ok(None));
    let life = write(&mut world, 1, HELLO, None).expect("an update").expect("content").life;
    assert_eq!(world.nodes[1].field_changes, [WatchId(5)]);
    assert_eq!(world.rows(1, "SELECT t FROM a"), [Value::from([("t", Value::Str("hello".into()))])]);
    let lacking = read(&mut world, 1, &[]).expect("valid").expect("content");
    assert_eq!((lacking.update.as_slice(), lacking.life), (HELLO, life));
    // The same again is known, and makes no commit.
    let commits = world.nodes[1].commits;
    write(&mut world, 1, HELLO, Some(life)).expect("an update");
    assert_eq!((world.nodes[1].commits, world.nodes[1].field_changes.len()), (commits, 1));
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    assert_eq!(world.nodes[1].field_changes.len(), 1, "of another document nothing is told");
    world.restart(1);
    assert_eq!(read(&mut world, 1, &[]).expect("valid").expect("content").update, HELLO);
}

#[test]
fn a_client_of_a_field_that_is_gone_is_refused() {
    let mut world = World::new(1);
    let life = write(&mut world, 1, HELLO, None).expect("an update").expect("content").life;
    world.ok(1, "DELETE FROM a");
    assert_eq!(write(&mut world, 1, BYE, Some(life)).expect_err("gone").code, ErrorCode::StoreCrdt);
    assert_eq!(write(&mut world, 1, b"\xff", None).expect_err("no update").code, ErrorCode::StoreCrdt);
    assert_eq!(read(&mut world, 1, &[]), Ok(None));
}

#[test]
fn two_peers_that_create_one_field_lose_nothing() {
    let mut world = World::new(2);
    write(&mut world, 1, HELLO, None).expect("an update");
    write(&mut world, 2, BYE, None).expect("an update");
    world.online(1, "SELECT * FROM a");
    world.online(2, "SELECT * FROM a");
    for number in [BIG, 1, 2] {
        let rows = world.rows(number, "SELECT t FROM a");
        assert_eq!(rows, [Value::from([("t", Value::Str("hellobye".into()))])], "peer {number}");
    }
}

#[test]
fn what_is_said_reaches_every_peer_once_and_is_not_kept() {
    let mut world = World::new(3);
    (1..=3).for_each(|number| world.online(number, "SELECT * FROM a"));
    let topic = field().topic();
    world.input(1, Input::Say { topic, payload: vec![1, 2, 3] });
    for number in [BIG, 2, 3] {
        assert_eq!(world.nodes[number].heard, [(topic, vec![1, 2, 3])], "peer {number}");
    }
    assert!(world.nodes[1].heard.is_empty());
    world.input(1, Input::Say { topic, payload: vec![0; 16 * 1024 + 1] });
    assert_eq!(world.nodes[2].heard.len(), 1, "what is too long is dropped");
    for at in 0..500_u16 {
        world.input(1, Input::Say { topic, payload: at.to_be_bytes().to_vec() });
    }
    assert_eq!(world.nodes[BIG].heard.len(), 200, "a link has its share in a second");
}
