//! Pages of stored documents, imports, and the file format.

use std::path::PathBuf;

use crate::record::DocState;
use store::blob_device::decode_head;
use store::{BlobDeviceNow, Content, Durability, Key};
use value::blob::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};
use value::{BlobId, CollectionName, DecodeError, DocId, ErrorCode, Failure, Millis, Object, Value};

use super::blob::{content, list};
use super::blob_faults::damage;
use super::harness::{BIG, World};
use crate::EngineContent;
use crate::backup::{START, Section};
use crate::io::{BlobRequest, Input, ObserverId, Page, PageDocuments, PageForm, PageRequest, Reply};

fn page(world: &mut World, number: usize, request: PageRequest) -> Page {
    let ticket = world.ticket();
    world.input(number, Input::Page { ticket, request });
    match world.nodes[number].replies.remove(&ticket) {
        Some(Ok(Reply::Page(page))) => page,
        other => panic!("{other:?}"),
    }
}

fn pages(world: &mut World, number: usize, collection: Option<&str>, form: PageForm) -> Vec<PageDocuments> {
    let collection = collection.map(|name| CollectionName::new(name).unwrap());
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let request = PageRequest { collection: collection.clone(), after, form };
        let page = page(world, number, request);
        pages.push(page.documents);
        after = page.after;
        if after.is_none() {
            return pages;
        }
    }
}

fn states(world: &mut World, number: usize) -> Vec<DocState> {
    let states = pages(world, number, None, PageForm::States).into_iter().flat_map(|page| match page {
        PageDocuments::States(states) => states,
        PageDocuments::Objects(_) => panic!("states were asked for"),
    });
    states.collect()
}

fn objects(world: &mut World, number: usize, collection: &str) -> Vec<Value> {
    let objects = pages(world, number, Some(collection), PageForm::Objects).into_iter().flat_map(|page| match page {
        PageDocuments::Objects(objects) => objects,
        PageDocuments::States(_) => panic!("objects were asked for"),
    });
    objects.collect()
}

fn import(world: &mut World, number: usize, docs: Vec<DocState>) -> Result<Reply, Failure> {
    let ticket = world.ticket();
    world.input(number, Input::Import { ticket, docs, durability: Durability::Relaxed });
    world.nodes[number].replies.remove(&ticket).expect("an import is answered")
}

fn filled() -> World {
    let mut world = World::new(2);
    world.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 1, 'x': 1}), ({'_id': 2, 'x': 2}), ({'_id': 3, 'x': 3})");
    world.ok(1, "INSERT INTO b DOCUMENTS ({'_id': 'only', 'map': {'k': 1}})");
    world.ok(1, "DELETE FROM a WHERE _id = 2");
    world
}

#[test]
fn what_was_exported_is_imported_with_its_deletions_and_twice_is_once() {
    let mut world = filled();
    world.ok(2, "INSERT INTO a DOCUMENTS ({'_id': 4, 'x': 4})");
    let exported = states(&mut world, 1);
    assert_eq!(exported.len(), 4, "a tombstone is a state");
    assert_eq!(import(&mut world, 2, exported.clone()), Ok(Reply::Imported { changed: 4 }));
    assert_eq!(world.rows(2, "SELECT x FROM a ORDER BY x").len(), 3);
    assert_eq!(world.rows(2, "SELECT * FROM b"), world.rows(1, "SELECT * FROM b"));
    let commits = world.nodes[2].commits;
    assert_eq!(import(&mut world, 2, exported), Ok(Reply::Imported { changed: 0 }));
    assert_eq!(world.nodes[2].commits, commits, "a join that changes nothing is not written");
    let (back, there) = (states(&mut world, 2), states(&mut world, 1));
    assert!(there.iter().all(|state| back.contains(state)), "the same bytes");
}

#[test]
fn an_import_over_newer_data_changes_nothing_that_is_newer() {
    let mut world = filled();
    let old = states(&mut world, 1);
    world.pass(10);
    world.ok(1, "UPDATE a SET x = 10 WHERE _id = 1");
    world.ok(1, "DELETE FROM a WHERE _id = 3");
    let new = states(&mut world, 1);
    assert_eq!(import(&mut world, 1, old), Ok(Reply::Imported { changed: 0 }));
    assert_eq!(states(&mut world, 1), new);
}

#[test]
fn an_import_is_told_to_observers_and_sent_to_other_peers_and_survives_a_restart() {
    let mut world = filled();
    let exported = states(&mut world, 1);
    let (ticket, observer) = (world.ticket(), ObserverId(1));
    let text = "SELECT * FROM a".to_owned();
    world.input(2, Input::Observe { ticket, observer, text, args: Object::new() });
    world.online(2, "SELECT * FROM a");
    assert!(import(&mut world, 2, exported).is_ok());
    assert_eq!(world.nodes[2].told[&observer].last().map(Vec::len), Some(2));
    assert_eq!(world.rows(BIG, "SELECT * FROM a").len(), 2);
    world.restart(2);
    assert_eq!(world.rows(2, "SELECT * FROM a").len(), 2);
}

/// Goal: pages are whole, disjoint and of a bounded size. Method: 2,000 documents of a kilobyte, and one of two megabytes.
#[test]
fn many_documents_come_in_many_pages_and_each_once() {
    let mut world = World::new(1);
    let text = "x".repeat(1000);
    for hundred in 0..20 {
        let docs: Vec<String> =
            (0..100).map(|n| format!("({{'_id': {}, 'text': '{text}'}})", hundred * 100 + n)).collect();
        world.ok(1, &format!("INSERT INTO a DOCUMENTS {}", docs.join(", ")));
    }
    world.ok(1, &format!("INSERT INTO b DOCUMENTS ({{'_id': 1, 'text': '{}'}})", "x".repeat(900_000)));
    let sizes: Vec<usize> = pages(&mut world, 1, None, PageForm::States)
        .iter()
        .map(|page| match page {
            PageDocuments::States(states) => states.iter().map(|state| state.delta.len()).sum(),
            PageDocuments::Objects(_) => 0,
        })
        .collect();
    assert!((4..10).contains(&sizes.len()), "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 1_600_000), "{sizes:?}");
    let all = states(&mut world, 1);
    let mut keys: Vec<Key> = all.iter().map(|state| Key::document(&state.collection, &state.id)).collect();
    keys.dedup();
    assert!(keys.len() == 2001 && keys.is_sorted());
    let objects = objects(&mut world, 1, "a");
    assert_eq!(objects.len(), 2000);
    assert_eq!(world.rows(1, "SELECT * FROM a"), objects, "in the order in which a SELECT finds them");
}

#[test]
fn objects_leave_out_what_is_deleted() {
    let mut world = filled();
    assert_eq!(objects(&mut world, 1, "a"), world.rows(1, "SELECT * FROM a"));
    assert!(objects(&mut world, 1, "nothing").is_empty());
}

#[test]
fn states_that_cannot_be_or_come_from_the_future_are_refused_and_nothing_is_written() {
    let mut world = filled();
    let mut damaged = states(&mut world, 1);
    damaged[1].delta.truncate(2);
    let commits = world.nodes[2].commits;
    assert_eq!(import(&mut world, 2, damaged).unwrap_err().code, ErrorCode::StoreImportInvalid);
    let mut later = World::new(1);
    later.now = later.now.plus(2 * 24 * 3600 * 1000);
    later.ok(1, "INSERT INTO a DOCUMENTS ({'_id': 9})");
    let future = states(&mut later, 1);
    assert_eq!(import(&mut world, 2, future).unwrap_err().code, ErrorCode::SyncClockSkew);
    assert_eq!(world.nodes[2].commits, commits);
}

#[test]
fn a_lost_device_fails_every_request_and_says_why() {
    let mut world = filled();
    let failure = Failure::new(ErrorCode::StoreClosed, "gone");
    world.input(1, Input::Lost { failure: failure.clone() });
    assert_eq!(world.execute(1, "SELECT * FROM a"), Err(failure.clone()));
    assert_eq!(world.execute(1, "INSERT INTO a DOCUMENTS ({'_id': 9})"), Err(failure.clone()));
    assert_eq!(import(&mut world, 1, Vec::new()), Err(failure));
}

#[test]
fn verification_knows_the_engines_records_and_documents() {
    let mut world = filled();
    let log = world.nodes[1].log.clone();
    for (_, record) in &log {
        assert_eq!(EngineContent.record(record), Ok(()));
        assert!(EngineContent.record(&record[..record.len() - 1]).is_err());
    }
    let state = states(&mut world, 1).remove(0);
    let (key, stored) = (Key::document(&state.collection, &state.id), [&[0; 8], state.delta.as_slice()].concat());
    assert_eq!(EngineContent.row(&key, &stored), Ok(()));
    assert!(EngineContent.row(&key, &stored[..stored.len() - 1]).is_err());
    assert!(EngineContent.row(&Key::from_bytes(vec![9]), &stored).is_err());
}

fn sample() -> Vec<Section> {
    let state = |collection: &str, id: i64, delta: &[u8]| DocState {
        collection: CollectionName::new(collection).unwrap(),
        id: DocId::new(&Value::Int(id)).unwrap(),
        delta: delta.to_vec(),
    };
    let docs = vec![state("a", 1, b"one"), state("a", 2, b"two"), state("żółw", 3, b"")];
    vec![
        Section::Head { database: "d".into(), time: Millis(1_700_000_000_000), version: "0.1.0".into() },
        Section::Documents(docs),
        Section::Attachment(list(b"seven77")),
        Section::Chunk(b"seven77".to_vec()),
        Section::Attachment(list(b"")),
        Section::Attachment(list(&[7; BLOB_CHUNK_BYTES + 1])),
        Section::Abandoned,
        Section::End { documents: 3, sections: 7 },
    ]
}

/// What a file of format 1 held.
fn old_sample() -> Vec<Section> {
    let mut sections: Vec<Section> = sample().drain(..2).collect();
    sections.push(Section::End { documents: 3, sections: 2 });
    sections
}

#[test]
fn every_section_reads_back_and_no_damage_goes_unseen() {
    for section in sample() {
        let bytes = section.encode();
        assert_eq!(Section::decode(&bytes), Ok(section.clone()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Section::decode(&damaged), Err(DecodeError::Checksum), "{section:?} bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Section::decode(&bytes[..length]).is_err(), "{section:?} cut to {length}");
        }
    }
}

#[test]
fn content_with_a_right_checksum_never_panics() {
    for bytes in sample().iter().map(Section::encode) {
        for at in 0..bytes.len() - 4 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes[..bytes.len() - 4].to_vec();
                changed[at] = value;
                let sum = value::checksum(&changed);
                changed.extend_from_slice(&sum.to_be_bytes());
                if let Ok(section) = Section::decode(&changed) {
                    assert_eq!(Section::decode(&section.encode()), Ok(section));
                }
            }
        }
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/export").join(name)
}

/// Goal: files of every released version stay readable. Method: a file that was written once; SHOAL_BLESS writes it.
#[test]
fn the_golden_file_is_read_and_written_alike() {
    let path = golden("export-2.bin");
    let written: Vec<u8> = START.iter().copied().chain(sample().iter().flat_map(Section::encode)).collect();
    if std::env::var_os("SHOAL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &written).unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), written);
}

#[test]
fn sections_of_format_1_are_read_as_ever() {
    let file = std::fs::read(golden("export-1.bin")).unwrap();
    assert_eq!(&file[..5], b"SHEX\x01");
    let (mut rest, mut sections) = (&file[5..], Vec::new());
    while let Some(length) = rest.get(1..5) {
        let whole = 9 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        sections.push(Section::decode(&rest[..whole]).unwrap());
        rest = &rest[whole..];
    }
    assert_eq!(sections, old_sample());
}

#[test]
fn lists_and_chunks_that_cannot_be_are_refused_before_they_take_memory() {
    let section = |kind: u8, body: &[u8]| {
        let mut bytes = [[kind].as_slice(), &(body.len() as u32).to_be_bytes(), body].concat();
        bytes.extend(value::checksum(&bytes).to_be_bytes());
        Section::decode(&bytes)
    };
    assert_eq!(section(4, &u64::MAX.to_be_bytes()), Err(DecodeError::Limit("attachment")));
    assert_eq!(section(4, &(BLOB_BYTES_MAX + 1).to_be_bytes()), Err(DecodeError::Limit("attachment")));
    assert_eq!(section(4, &1u64.to_be_bytes()), Err(DecodeError::End));
    assert!(section(4, &[0; 9]).is_err(), "more than its length has hashes");
    assert_eq!(section(5, b""), Err(DecodeError::End));
    assert_eq!(section(5, &[0; BLOB_CHUNK_BYTES + 1]), Err(DecodeError::Limit("chunk")));
    assert!(section(5, &[0; BLOB_CHUNK_BYTES]).is_ok());
    assert!(section(6, b"a").is_err());
    assert!(section(7, b"").is_err());
}

#[test]
fn whole_blobs_are_named_one_after_the_other() {
    let mut world = World::new(1);
    let mut ids: Vec<BlobId> = (1..5).map(|seed| world.create_blob(1, &content(seed, seed * 100))).collect();
    ids.sort_unstable();
    damage(&mut world, 1, 1);
    let damaged = world.nodes[1].blobs.blob_list_now().unwrap()[0].head.clone().unwrap();
    let damaged = decode_head(&damaged).unwrap().id();
    let ticket = world.ask_blob(1, |ticket| BlobRequest::Read { ticket, id: damaged, chunk: 0 });
    assert!(matches!(world.answer(1, ticket), Some(Err(_))));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let ticket = world.ask_blob(1, |ticket| BlobRequest::Next { ticket, after });
        let Some(Ok(Reply::BlobNext(next))) = world.answer(1, ticket) else { panic!("a request is answered") };
        let Some((id, list)) = next else { break };
        assert_eq!(list.id(), id);
        found.push(id);
        after = Some(id);
    }
    ids.retain(|id| *id != damaged);
    assert_eq!(found, ids, "without the one of which a chunk was given up");
}
