//! Goal: the bytes of the protocol do not change by accident, and no damage to them passes for the same message.
//!
//! Method: `tests/vectors/wire/frames.txt` holds a line for each kind of message, its name and its frame in hexadecimal. Each
//! must be what this build writes, and read back as the same message; cut anywhere, or with any bit flipped, it must not.
//! `SHOAL_BLESS=1` writes the file anew.

use std::fmt::Write;
use std::path::Path;

use sync::recon::{Claim, Extent, Item, Range};
use sync::{BlobMessage, Credentials, Entry, Ephemeral, Has, Hello, Message, RoundKind, SubRequest};
use value::{BlobId, ErrorCode, Hlc, PeerKey, ReplicaId, Seq, StoreId};

fn messages() -> Vec<(&'static str, Message)> {
    let hello = Hello {
        database: "d".into(),
        replica: ReplicaId(1),
        store: StoreId(2),
        peer_key: PeerKey("p".into()),
        hlc: Hlc(3),
        is_big_peer: false,
        horizon: 0,
        credentials: Some(Credentials { provider: "development".into(), token: "t".into() }),
    };
    let sub = |has| SubRequest { text: "SELECT * FROM cars".into(), args: vec![0xa0], has };
    let subs = vec![sub(Has::Nothing), sub(Has::Something), sub(Has::UpTo(Seq(9)))];
    let unit = || vec![1, 2, 3];
    let range = |time, hash, claim| Range { below: Item { time, hash }, claim };
    let ranges = || {
        vec![
            range(5, 0, Claim::Skip),
            range(5, 0xab00 << 112, Claim::Print(7, 1 << 100)),
            range(900, 1, Claim::Names(vec![1, u64::MAX])),
            range(1000, 0, Claim::Ask),
            range(u64::MAX, u128::MAX, Claim::Differs),
        ]
    };
    let round = RoundKind { extent: Extent::More, fresh: true, wants_extra: true };
    let answer = Message::ReconAnswer { generation: 1, sub: 0, ranges: ranges(), needed: vec![0, 300], extra: vec![8] };
    let peer = |name: &str| PeerKey(name.into());
    let denied = Message::SubDenied { generation: 1, sub: 7, code: ErrorCode::QueryInvalid, detail: "x".into() };
    vec![
        ("hello", Message::Hello(Box::new(hello.clone()))),
        ("hello-without-credentials", Message::Hello(Box::new(Hello { credentials: None, ..hello }))),
        ("welcome", Message::Welcome),
        ("reject", Message::Reject { code: ErrorCode::SyncDatabase, detail: "x".into() }),
        ("subs", Message::Subs { generation: 1, subs }),
        ("catch-up", Message::CatchUp { generation: 1, sub: 7, through: Seq(300), partial: true, unit: unit() }),
        ("docs", Message::Docs { generation: 1, sub: 7, complete: None, unit: unit() }),
        ("docs-complete", Message::Docs { generation: 1, sub: 7, complete: Some(Seq(5)), unit: Vec::new() }),
        ("sub-live", Message::SubLive { generation: 1, sub: 7, ahead: 5 }),
        ("sub-denied", denied),
        ("commits", Message::Commits { generation: 1, ahead: 300, partial: false, unit: unit() }),
        ("ack", Message::Ack { seq: Seq(300), bytes: 100 }),
        ("recon", Message::Recon { generation: 1, sub: 0, round, ranges: ranges() }),
        ("recon-answer", answer),
        ("expect", Message::Expect { generation: 1, sub: 0, documents: 300, bytes: 70_000 }),
        ("not-live", Message::NotLive { generation: 1 }),
        ("signal", Message::Signal { from: peer("a"), to: peer("b"), hops: 4, payload: vec![1] }),
        (
            "presence",
            Message::Presence {
                own: Some((Hlc(6), vec![2, 3])),
                entries: vec![Entry { peer: peer("a"), stamp: Hlc(5), body: vec![1] }],
            },
        ),
        ("ephemeral", Message::Ephemeral(Ephemeral { origin: 100, number: 7, hops: 4, topic: 9, payload: vec![1, 2] })),
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

fn stored() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/wire/frames.txt");
    std::fs::read_to_string(file).expect("the vectors are there")
}

/// Returns the names of the vectors and their frames.
fn frames(stored: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    stored.lines().map(|line| {
        let (name, frame) = line.split_once(' ').expect("a name and a frame");
        (name, unhex(frame))
    })
}

#[test]
fn frames_are_what_the_vectors_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/wire/frames.txt");
    let lines: Vec<String> =
        messages().iter().map(|(name, message)| format!("{name} {}", hex(&message.encode()))).collect();
    if std::env::var_os("SHOAL_BLESS").is_some() {
        std::fs::write(&file, lines.join("\n") + "\n").expect("the vectors can be written");
    }
    let stored = stored();
    assert_eq!(stored.lines().collect::<Vec<_>>(), lines);
    for ((name, frame), (_, message)) in frames(&stored).zip(messages()) {
        assert_eq!(Message::decode(&frame), Ok(Some(message)), "{name}");
    }
}

#[test]
fn a_vector_that_is_cut_anywhere_is_an_error_or_another_message() {
    for (name, frame) in frames(&stored()) {
        let whole = Message::decode(&frame);
        for length in 0..frame.len() {
            assert_ne!(Message::decode(&frame[..length]), whole, "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn a_vector_with_any_bit_flipped_is_an_error_or_another_message() {
    for (name, frame) in frames(&stored()) {
        let whole = Message::decode(&frame);
        for bit in (0..frame.len() * 8).filter(|bit| !is_only_told(name, bit / 8)) {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Message::decode(&flipped), whole, "{name} with bit {bit} flipped");
        }
    }
}

/// The minor version in a Hello is told and not kept; it has one byte, behind the kind and the major version.
fn is_only_told(name: &str, place: usize) -> bool {
    name.starts_with("hello") && place == 2
}
