//! A real Small Peer over a real WebSocket: documents travel both ways, and refusals say why.

use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peer::Engine;
use peer::config::{Boot, Config, Role};
use peer::io::{CommitOutcome, DialTarget, Input, LinkId, LinkKind, Output, Reply, SubscriptionId, Ticket};
use serde_json::json;
use store::{Durability, MemoryStore};
use tungstenite::{Message, WebSocket};
use value::{ErrorCode, Failure, Millis, Object, PeerKey, ReplicaId, Seq, StoreId, Value};

use crate::program::{Program, TOKEN};

/// An engine in memory with one socket to the Big Peer.
struct SmallPeer {
    engine: Engine<MemoryStore>,
    server: std::net::SocketAddr,
    socket: Option<WebSocket<TcpStream>>,
    links: u64,
    tickets: u64,
    head: Seq,
    replies: Vec<(Ticket, Result<Reply, Failure>)>,
    closed: Vec<Option<ErrorCode>>,
}

fn connect(server: std::net::SocketAddr) -> Option<WebSocket<TcpStream>> {
    let stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let socket = tungstenite::client(format!("ws://{server}/sync"), stream).ok()?.0;
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(10))).ok()?;
    Some(socket)
}

fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64)
}

impl SmallPeer {
    fn new(server: &Program, id: u64, database: &str, token: &str) -> SmallPeer {
        let config = Config {
            database: database.to_owned(),
            replica: ReplicaId(id),
            store: StoreId(id),
            slot: 0,
            peer_key: PeerKey(format!("small-{id}")),
            device_name: "test".to_owned(),
            metadata: Object::new(),
            version: "0".to_owned(),
            role: Role::SmallPeer { big_peer_url: Some("ws://server".to_owned()) },
        };
        let mut peer = SmallPeer {
            engine: Engine::new(config, MemoryStore::new(), Boot::default(), id, now()),
            server: server.address,
            socket: None,
            links: 0,
            tickets: 0,
            head: Seq(0),
            replies: Vec::new(),
            closed: Vec::new(),
        };
        let subscription = SubscriptionId(1);
        let ticket = peer.ticket();
        peer.handle(Input::Subscribe { ticket, subscription, text: "SELECT * FROM a".into(), args: Object::new() });
        peer.handle(Input::MayLink(true));
        peer.handle(Input::SyncOn(true));
        let ticket = peer.ticket();
        peer.handle(Input::Login { ticket, provider: "development".into(), token: token.into() });
        peer
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.engine.handle(now(), input);
            while let Some(output) = self.engine.poll() {
                match output {
                    Output::Commit { ticket, .. } => {
                        self.head = Seq((self.head.0 + 1).max(now().0 << 16));
                        inputs.push(Input::Committed { ticket, outcome: CommitOutcome::Durable(self.head) });
                    }
                    Output::Dial { target } => inputs.push(self.dial(target)),
                    Output::Send { bytes, .. } => {
                        let socket = self.socket.as_mut().expect("a link is up");
                        drop(socket.send(Message::binary(bytes)));
                    }
                    Output::Close { link, code } => {
                        if link == LinkId(self.links) {
                            self.socket = None;
                        }
                        self.closed.push(code);
                    }
                    Output::Reply { ticket, result } => self.replies.push((ticket, result)),
                    _ => {}
                }
            }
        }
    }

    fn dial(&mut self, target: DialTarget) -> Input {
        let socket = match &target {
            DialTarget::BigPeer { .. } => connect(self.server),
            // There is no WebRTC here.
            DialTarget::Peer { .. } => None,
        };
        let Some(socket) = socket else {
            return Input::DialFailed { target, code: ErrorCode::SyncUnreachable };
        };
        self.links += 1;
        self.socket = Some(socket);
        Input::LinkUp { link: LinkId(self.links), kind: LinkKind::WebSocket, target: Some(target) }
    }

    /// Lets frames and timers flow until the condition holds.
    fn run_until(&mut self, what: &str, mut condition: impl FnMut(&mut SmallPeer) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what} did not happen");
            match self.socket.as_mut().map(WebSocket::read) {
                Some(Ok(Message::Binary(bytes))) => {
                    let link = LinkId(self.links);
                    self.handle(Input::Frame { link, bytes: bytes.into() });
                }
                Some(
                    Ok(Message::Close(_))
                    | Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed),
                ) => {
                    self.socket = None;
                    self.handle(Input::LinkDown { link: LinkId(self.links) });
                }
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(10)),
            }
            if self.engine.next_timeout().is_some_and(|at| at <= now()) {
                self.handle(Input::Timeout);
            }
        }
    }

    fn execute(&mut self, text: &str) -> Vec<Value> {
        let ticket = self.ticket();
        let durability = Durability::Memory;
        self.handle(Input::Execute { ticket, transaction: None, text: text.into(), args: Object::new(), durability });
        let place = self.replies.iter().position(|(replied, _)| *replied == ticket).expect("answered at once");
        match self.replies.remove(place).1 {
            Ok(Reply::Rows { rows, .. }) => rows,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn documents_travel_both_ways_and_survive_a_restart_of_the_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    let inserted = server.execute("INSERT INTO a DOCUMENTS (:d)", json!({ "d": { "_id": "1", "origin": "http" } }));
    assert_eq!(inserted.status, 200, "{inserted:?}");
    let mut first = SmallPeer::new(&server, 11, "shoal", TOKEN);
    let mut second = SmallPeer::new(&server, 12, "shoal", TOKEN);
    first.run_until("the first document arrives", |peer| peer.execute("SELECT * FROM a").len() == 1);
    first.execute("INSERT INTO a DOCUMENTS ({'_id': '2', 'origin': 'first'})");
    first.run_until("the server has it", |_| server.rows("SELECT * FROM a").len() == 2);
    second.run_until("both arrive at the second peer", |peer| peer.execute("SELECT * FROM a").len() == 2);
    server.execute("UPDATE a SET origin = 'changed' WHERE _id = '2'", json!({}));
    let changed = "SELECT * FROM a WHERE origin = 'changed'";
    first.run_until("a change arrives live", |peer| peer.execute(changed).len() == 1);
    assert!(server.get("/metrics").body.contains("shoal_links 2\n"));
    server.terminate();
    first.run_until("the goodbye arrives", |peer| peer.socket.is_none());
    drop(server);
    first.execute("INSERT INTO a DOCUMENTS ({'_id': '3'})");
    let server = Program::start(directory.path());
    first.server = server.address;
    first.run_until("what was written offline arrives", |_| server.rows("SELECT * FROM a").len() == 3);
}

#[test]
fn a_wrong_token_and_a_wrong_database_are_refused_with_a_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Program::start(directory.path());
    let mut peer = SmallPeer::new(&server, 11, "shoal", "wrong");
    peer.run_until("the login is refused", |peer| {
        peer.replies.iter().any(|(_, result)| {
            result.as_ref().is_err_and(|failure| failure.code == ErrorCode::AuthenticationFailedToAuthenticate)
        })
    });
    let mut peer = SmallPeer::new(&server, 12, "other", TOKEN);
    peer.run_until("the database is refused", |peer| peer.closed.contains(&Some(ErrorCode::SyncDatabase)));
}
