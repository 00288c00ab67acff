//! Goal: a session never panics, never hangs and never lets a stranger in; a frame reads back as written.

mod recon;

use value::{BlobId, ErrorCode, Hlc, Millis, PeerKey, ReplicaId, Seq, StoreId};

use crate::blob::BlobMessage;
use crate::chunk::{Reassembler, split};
use crate::outgoing::{Outgoing, Step};
use crate::presence::{Entry, PresenceMap, TTL_MS};
use crate::recon::{Claim, Extent, Item, Range};
use crate::session::{DEAD_MS, Event, HANDSHAKE_MS, KEEP_ALIVE_MS, Session, SessionConfig};
use crate::wire::{Credentials, Has, Hello, Message, RoundKind, SubRequest};

fn hello(number: u64) -> Hello {
    Hello {
        database: "d".into(),
        replica: ReplicaId(number),
        store: StoreId(number),
        peer_key: PeerKey(format!("p{number}")),
        hlc: Hlc::from_millis(Millis(1000)),
        is_big_peer: false,
        horizon: 0,
        credentials: None,
    }
}

fn session(number: u64) -> Session {
    let config = SessionConfig { hello: hello(number), required_token: None, message_bytes_max: 1024 };
    Session::new(config, Millis(1000))
}

/// Carries messages both ways until neither side has any.
fn exchange(a: &mut Session, b: &mut Session, now: Millis) {
    loop {
        let (to_b, to_a) = (a.poll_message(), b.poll_message());
        if to_a.is_none() && to_b.is_none() {
            return;
        }
        to_b.iter().for_each(|bytes| b.handle(bytes, now));
        to_a.iter().for_each(|bytes| a.handle(bytes, now));
    }
}

fn messages() -> Vec<Message> {
    let unit = vec![1, 2, 3];
    let mut with_token = hello(1);
    with_token.credentials = Some(Credentials { provider: "p".into(), token: "t".into() });
    let sub = |has| SubRequest { text: "SELECT * FROM a".into(), args: vec![0xa0], has };
    let bound = |time, hash| Item { time, hash };
    let range = |below, claim| Range { below, claim };
    let ranges = vec![
        range(bound(5, 0), Claim::Skip),
        range(bound(5, 0xab00 << 112), Claim::Print(7, 1 << 100)),
        range(bound(900, 1), Claim::Names(vec![1, u64::MAX])),
        range(bound(1000, 0), Claim::Ask),
        range(bound(u64::MAX, u128::MAX), Claim::Differs),
    ];
    let round = RoundKind { extent: Extent::All, fresh: true, wants_extra: false };
    let entry = Entry { peer: PeerKey("p".into()), stamp: Hlc(5), body: vec![1] };
    vec![
        Message::Hello(Box::new(with_token)),
        Message::Welcome,
        Message::Reject { code: ErrorCode::SyncDatabase, detail: "x".into() },
        Message::Subs { generation: 1, subs: vec![sub(Has::UpTo(Seq(9))), sub(Has::Nothing), sub(Has::Something)] },
        Message::CatchUp { generation: 1, sub: 7, through: Seq(3), partial: true, unit: unit.clone() },
        Message::Docs { generation: 1, sub: 7, complete: Some(Seq(3)), unit: unit.clone() },
        Message::Docs { generation: 1, sub: 7, complete: None, unit: Vec::new() },
        Message::SubLive { generation: 1, sub: 7, ahead: 3 },
        Message::SubDenied { generation: 1, sub: 7, code: ErrorCode::QueryInvalid, detail: "x".into() },
        Message::Commits { generation: 1, ahead: 3, partial: false, unit },
        Message::Ack { seq: Seq(3), bytes: 100 },
        Message::Recon { generation: 1, sub: 7, round, ranges: ranges.clone() },
        Message::ReconAnswer { generation: 1, sub: 7, ranges, needed: vec![0, 5, 300], extra: vec![8] },
        Message::Expect { generation: 1, sub: 7, documents: 300, bytes: 70_000 },
        Message::NotLive { generation: 1 },
        Message::Signal { from: PeerKey("a".into()), to: PeerKey("b".into()), hops: 2, payload: vec![1] },
        Message::Presence { own: Some((Hlc(6), vec![2, 3])), entries: vec![entry] },
        Message::Presence { own: None, entries: Vec::new() },
        Message::Ping,
        Message::Pong,
        Message::Bye { code: Some(ErrorCode::SyncBusy) },
        Message::Bye { code: None },
        Message::Blob(BlobMessage::Want { ids: vec![BlobId([1; 32]), BlobId([2; 32])] }),
        Message::Blob(BlobMessage::Have { blobs: vec![(BlobId([1; 32]), 300_000)] }),
        Message::Blob(BlobMessage::Gone { id: BlobId([1; 32]) }),
        Message::Blob(BlobMessage::Get { id: BlobId([1; 32]), part: 2 }),
        Message::Blob(BlobMessage::Piece { id: BlobId([1; 32]), part: 2, offset: 300, bytes: vec![7, 8] }),
        Message::Blob(BlobMessage::Taken { bytes: 300 }),
    ]
}

#[test]
fn every_message_reads_back_as_written() {
    for message in messages() {
        assert_eq!(Message::decode(&message.encode()), Ok(Some(message)));
    }
}

#[test]
fn every_truncation_and_bit_flip_is_an_error_or_another_message() {
    for message in messages() {
        let frame = message.encode();
        for length in 0..frame.len() {
            assert_ne!(Message::decode(&frame[..length]), Ok(Some(message.clone())));
        }
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = Message::decode(&flipped);
            // The minor version of a Hello is told, not compared.
            if !matches!(message, Message::Hello(_)) {
                assert_ne!(read, Ok(Some(message.clone())), "bit {bit}");
            }
        }
    }
}

#[test]
fn blobs_beyond_the_limits_are_refused() {
    let refused = |blob: BlobMessage| Message::decode(&Message::Blob(blob).encode()).is_err();
    let id = BlobId([1; 32]);
    assert!(refused(BlobMessage::Want { ids: vec![id; 257] }));
    assert!(refused(BlobMessage::Have { blobs: vec![(id, 17 << 30)] }));
    assert!(refused(BlobMessage::Get { id, part: 65_537 }));
    assert!(refused(BlobMessage::Piece { id, part: 1, offset: 0, bytes: vec![0; 32 * 1024 + 1] }));
    assert!(refused(BlobMessage::Piece { id, part: 1, offset: 3 << 20, bytes: vec![0] }));
}

#[test]
fn unknown_kinds_are_skipped() {
    assert_eq!(Message::decode(&[200, 1, 2]), Ok(None));
}

#[test]
fn a_frame_is_cut_and_put_together_at_any_size() {
    for length in [0, 1, 9, 10, 11, 100] {
        let frame: Vec<u8> = (0..length).collect();
        let mut whole = Reassembler::new(1000);
        let mut out = None;
        for message in split(&frame, 11) {
            assert!(message.len() <= 11);
            assert_eq!(out, None);
            out = whole.push(&message).expect("valid");
        }
        assert_eq!(out, Some(frame));
    }
}

#[test]
fn two_peers_of_one_database_establish() {
    let (mut a, mut b) = (session(1), session(2));
    exchange(&mut a, &mut b, Millis(1001));
    assert_eq!(a.poll_event(), Some(Event::Established(Box::new(hello(2)))));
    assert_eq!(b.poll_event(), Some(Event::Established(Box::new(hello(1)))));
}

fn refusal(theirs: Hello, required: Option<&str>) -> (Option<Event>, Option<Event>) {
    let ours = SessionConfig { hello: hello(1), required_token: required.map(str::to_owned), message_bytes_max: 1024 };
    let config = SessionConfig { hello: theirs, required_token: None, message_bytes_max: 1024 };
    let (mut a, mut b) = (Session::new(ours, Millis(1000)), Session::new(config, Millis(1000)));
    exchange(&mut a, &mut b, Millis(1001));
    (a.poll_event(), b.poll_event())
}

#[test]
fn wrong_token_database_clock_and_replica_are_refused_by_name() {
    let refused = |code| {
        let closed = |refused| Some(Event::Closed { code: Some(code), refused });
        (closed(false), closed(true))
    };
    let year_ahead = Hlc::from_millis(Millis(365 * 86_400_000));
    assert_eq!(refusal(Hello { hlc: year_ahead, ..hello(2) }, None), refused(ErrorCode::SyncClockSkew));
    assert_eq!(refusal(hello(2), Some("secret")), refused(ErrorCode::AuthenticationFailedToAuthenticate));
    let wrong = Some(Credentials { provider: String::new(), token: "secreT".into() });
    let wrong = Hello { credentials: wrong, ..hello(2) };
    assert_eq!(refusal(wrong, Some("secret")), refused(ErrorCode::AuthenticationFailedToAuthenticate));
    let (ours, _) = refusal(hello(1), None);
    assert_eq!(ours, Some(Event::Closed { code: Some(ErrorCode::SyncDuplicateReplica), refused: false }));
    let (ours, _) = refusal(Hello { database: "e".into(), ..hello(2) }, None);
    assert_eq!(ours, Some(Event::Closed { code: Some(ErrorCode::SyncDatabase), refused: false }));
}

#[test]
fn another_major_version_is_refused_by_name() {
    let mut a = session(1);
    let mut frame = Message::Hello(Box::new(hello(2))).encode();
    frame[1] = 9;
    split(&frame, 1024).iter().for_each(|bytes| a.handle(bytes, Millis(1001)));
    assert_eq!(a.poll_event(), Some(Event::Closed { code: Some(ErrorCode::SyncVersion), refused: false }));
}

#[test]
fn data_before_the_handshake_ends_the_link() {
    let mut a = session(1);
    split(&Message::Ack { seq: Seq(1), bytes: 0 }.encode(), 1024)
        .iter()
        .for_each(|bytes| a.handle(bytes, Millis(1001)));
    assert_eq!(a.poll_event(), Some(Event::Closed { code: Some(ErrorCode::SyncProtocol), refused: false }));
}

#[test]
fn a_silent_link_is_asked_and_then_dropped() {
    let (mut a, mut b) = (session(1), session(2));
    exchange(&mut a, &mut b, Millis(1001));
    assert!(matches!(a.poll_event(), Some(Event::Established(_))));
    assert_eq!(a.next_timeout(), Some(Millis(1001 + KEEP_ALIVE_MS)));
    a.timeout(Millis(1001 + KEEP_ALIVE_MS));
    assert_eq!(a.poll_message(), split(&Message::Ping.encode(), 1024).pop());
    assert_eq!(a.next_timeout(), Some(Millis(1001 + DEAD_MS)));
    a.timeout(Millis(1001 + DEAD_MS));
    assert_eq!(a.poll_event(), Some(Event::Closed { code: Some(ErrorCode::SyncUnreachable), refused: false }));
    assert_eq!(a.next_timeout(), None);
}

#[test]
fn a_stranger_that_says_nothing_is_dropped() {
    let mut a = session(1);
    a.timeout(Millis(1000 + HANDSHAKE_MS));
    assert_eq!(a.poll_event(), Some(Event::Closed { code: Some(ErrorCode::SyncUnreachable), refused: false }));
}

fn request(has: Has) -> SubRequest {
    SubRequest { text: String::new(), args: vec![], has }
}

#[test]
fn a_subscription_scans_catches_up_and_joins_the_live_ones() {
    let mut outgoing = Outgoing::default();
    outgoing.replace(1, vec![request(Has::UpTo(Seq(5))), request(Has::Nothing)], Seq(10), Seq(3));
    assert_eq!(outgoing.next(Seq(10)), Step::CatchUp { sub: 0, after: Seq(5), until: Seq(10) });
    outgoing.caught_up(0, Seq(10));
    assert_eq!(outgoing.next(Seq(10)), Step::GoLive { sub: 0, at: Seq(10) });
    outgoing.gone_live(0, Seq(10));
    assert_eq!(outgoing.next(Seq(11)), Step::Live { after: Seq(10) });
    outgoing.live_through(Seq(11));
    assert_eq!(outgoing.next(Seq(11)), Step::Scan { sub: 1, after: None, upto: Seq(10), since: None });
    outgoing.scanned(1, Some(vec![7]));
    assert_eq!(outgoing.next(Seq(11)), Step::Scan { sub: 1, after: Some(vec![7]), upto: Seq(10), since: None });
    outgoing.scanned(1, None);
    assert_eq!(outgoing.next(Seq(11)), Step::CatchUp { sub: 1, after: Seq(10), until: Seq(11) });
    outgoing.caught_up(1, Seq(11));
    outgoing.gone_live(1, Seq(11));
    assert_eq!(outgoing.next(Seq(11)), Step::Rest);
}

#[test]
fn a_cursor_before_the_log_is_served_by_a_scan_and_one_from_the_future_by_reconciliation() {
    let mut outgoing = Outgoing::default();
    outgoing.replace(1, vec![request(Has::UpTo(Seq(2))), request(Has::UpTo(Seq(20)))], Seq(10), Seq(3));
    assert_eq!(outgoing.next(Seq(10)), Step::Scan { sub: 0, after: None, upto: Seq(10), since: Some(Seq(2)) });
    outgoing.deny(0);
    assert_eq!(outgoing.next(Seq(10)), Step::Reconcile { sub: 1, upto: Seq(10) });
    outgoing.asked(1);
    assert_eq!(outgoing.next(Seq(10)), Step::Rest);
    outgoing.answered(1);
    assert_eq!(outgoing.next(Seq(10)), Step::Reconcile { sub: 1, upto: Seq(10) });
    outgoing.reconciled(1);
    assert_eq!(outgoing.next(Seq(10)), Step::GoLive { sub: 1, at: Seq(10) });
}

#[test]
fn a_scan_that_outlived_the_log_scans_again_for_what_changed_since() {
    let mut outgoing = Outgoing::default();
    outgoing.replace(1, vec![request(Has::Nothing)], Seq(10), Seq(3));
    outgoing.scanned(0, Some(vec![7]));
    outgoing.floor_rose(Seq(30), Seq(20));
    outgoing.scanned(0, None);
    assert_eq!(outgoing.next(Seq(30)), Step::Scan { sub: 0, after: None, upto: Seq(30), since: Some(Seq(10)) });
    outgoing.scanned(0, None);
    assert_eq!(outgoing.next(Seq(30)), Step::GoLive { sub: 0, at: Seq(30) });
}

#[test]
fn an_impossible_acknowledgement_is_a_breach() {
    let mut outgoing = Outgoing::default();
    outgoing.sent(10);
    assert_eq!(outgoing.acknowledged(11), Err(ErrorCode::SyncProtocol));
    assert_eq!(outgoing.acknowledged(10), Ok(()));
    assert_eq!(outgoing.acknowledged(9), Err(ErrorCode::SyncProtocol));
}

#[test]
fn presence_forwards_news_once_and_forgets_the_silent() {
    let mut map = PresenceMap::default();
    let entry = |stamp| Entry { peer: PeerKey("p".into()), stamp: Hlc(stamp), body: vec![] };
    assert!(map.merge(entry(2), Millis(0)));
    assert!(!map.merge(entry(2), Millis(1)));
    assert!(!map.merge(entry(1), Millis(1)));
    assert!(!map.expire(Millis(TTL_MS - 1)));
    assert!(map.expire(Millis(TTL_MS)));
    // What others still have of it is no sign of life; what it says itself is.
    assert!(!map.merge(entry(2), Millis(TTL_MS + 1)));
    assert!(map.merge(entry(3), Millis(TTL_MS + 1)));
    map.forget(&PeerKey("p".into()), Millis(TTL_MS + 2));
    assert!(!map.merge(entry(3), Millis(TTL_MS + 3)));
    // By then nobody has it any more.
    assert!(!map.expire(Millis(3 * TTL_MS + 2)));
    assert!(map.merge(entry(1), Millis(3 * TTL_MS + 2)));
}
