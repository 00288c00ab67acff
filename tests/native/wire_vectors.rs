//! Goal: the bytes of the protocol do not change by accident.
//!
//! Method: `tests/vectors/wire/frames.txt` holds a line for each kind of message, its name and its frame in hexadecimal. Each
//! must be what this build writes, and read back as the same message. `SHOAL_BLESS=1` writes the file anew.

use std::fmt::Write;
use std::path::Path;

use sync::{BlobMessage, Credentials, DocState, Entry, Hello, Message, SubRequest, Unit};
use value::{BlobId, CollectionName, DocId, ErrorCode, Hlc, PeerKey, ReplicaId, Seq, StoreId, Value};

fn doc(id: i64) -> DocState {
    DocState {
        collection: CollectionName::new("cars").expect("a valid name"),
        id: DocId::new(&Value::Int(id)).expect("a valid id"),
        delta: vec![1, 2, 3],
    }
}

fn messages() -> Vec<(&'static str, Message)> {
    let hello = Hello {
        database: "d".into(),
        replica: ReplicaId(1),
        store: StoreId(2),
        peer_key: PeerKey("p".into()),
        hlc: Hlc(3),
        is_big_peer: false,
        credentials: Some(Credentials { provider: "development".into(), token: "t".into() }),
    };
    let sub = |cursor| SubRequest { hash: 7, text: "SELECT * FROM cars".into(), args: vec![0xa0], cursor };
    let unit = || Unit { docs: vec![doc(1), doc(2)] };
    let peer = |name: &str| PeerKey(name.into());
    let denied = Message::SubDenied { generation: 1, hash: 7, code: ErrorCode::QueryInvalid, detail: "x".into() };
    vec![
        ("hello", Message::Hello(Box::new(hello.clone()))),
        ("hello-without-credentials", Message::Hello(Box::new(Hello { credentials: None, ..hello }))),
        ("welcome", Message::Welcome),
        ("reject", Message::Reject { code: ErrorCode::SyncDatabase, detail: "x".into() }),
        ("subs", Message::Subs { generation: 1, subs: vec![sub(None), sub(Some(Seq(9)))] }),
        ("catch-up", Message::CatchUp { generation: 1, hash: 7, through: Seq(300), partial: true, unit: unit() }),
        ("docs", Message::Docs { generation: 1, hash: 7, complete: None, unit: unit() }),
        ("docs-complete", Message::Docs { generation: 1, hash: 7, complete: Some(Seq(5)), unit: Unit::default() }),
        ("sub-live", Message::SubLive { generation: 1, hash: 7, at: Seq(5) }),
        ("sub-denied", denied),
        ("commits", Message::Commits { generation: 1, through: Seq(300), partial: false, unit: unit() }),
        ("ack", Message::Ack { seq: Seq(300), bytes: 100 }),
        ("signal", Message::Signal { from: peer("a"), to: peer("b"), hops: 4, payload: vec![1] }),
        ("presence", Message::Presence { entries: vec![Entry { peer: peer("a"), stamp: Hlc(5), body: vec![1] }] }),
        ("ping", Message::Ping),
        ("pong", Message::Pong),
        ("bye", Message::Bye { code: None }),
        ("bye-with-code", Message::Bye { code: Some(ErrorCode::SyncBusy) }),
        ("blob-want", Message::Blob(BlobMessage::Want { ids: vec![BlobId([1; 32]), BlobId([2; 32])] })),
        ("blob-have", Message::Blob(BlobMessage::Have { blobs: vec![(BlobId([1; 32]), 300_000)] })),
        ("blob-gone", Message::Blob(BlobMessage::Gone { id: BlobId([1; 32]) })),
        ("blob-get", Message::Blob(BlobMessage::Get { id: BlobId([1; 32]), part: 2 })),
        (
            "blob-piece",
            Message::Blob(BlobMessage::Piece { id: BlobId([1; 32]), part: 2, offset: 300, bytes: vec![7, 8] }),
        ),
        ("blob-taken", Message::Blob(BlobMessage::Taken { bytes: 300 })),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |start| u8::from_str_radix(&text[start..start + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digits).collect()
}

#[test]
fn frames_are_what_the_vectors_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/wire/frames.txt");
    let lines: Vec<String> =
        messages().iter().map(|(name, message)| format!("{name} {}", hex(&message.encode()))).collect();
    if std::env::var_os("SHOAL_BLESS").is_some() {
        std::fs::write(&file, lines.join("\n") + "\n").expect("the vectors can be written");
    }
    let stored = std::fs::read_to_string(&file).expect("the vectors are there");
    let stored: Vec<&str> = stored.lines().collect();
    assert_eq!(stored, lines);
    for (line, (_, message)) in stored.iter().zip(messages()) {
        let (_, frame) = line.split_once(' ').expect("a name and a frame");
        assert_eq!(Message::decode(&unhex(frame)), Ok(Some(message)));
    }
}
