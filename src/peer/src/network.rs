//! The state of this peer's links: which there are, whom to dial, what the other side has acknowledged.

use std::collections::VecDeque;

use sync::{Backoff, Credentials, Hello, Outgoing, PresenceMap, Session};
use value::{CollectionName, ErrorCode, Millis, PeerKey, Seq, SmallMap};

use crate::ephemeral::Ephemerals;
use crate::io::{DialTarget, LinkId, LinkKind, PresenceGraph, Ticket};
use crate::reconcile::{Giving, Taking};
use crate::record::DocState;
use crate::sync_info::Past;
use crate::unit::Words;

/// One link and its session.
#[derive(Debug)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// What carries it.
    pub kind: LinkKind,
    /// Whom this side dialled; `None`: the other side did.
    pub target: Option<DialTarget>,
    /// Handshake and keep-alive.
    pub session: Session,
    /// The other side, once the handshake is done.
    pub remote: Option<Hello>,
    /// What we owe.
    pub outgoing: Outgoing,
    /// What this side has named on it.
    pub said: Words,
    /// What the other side has named on it.
    pub heard: Words,
    /// How to match what we owe, in the order of `outgoing`.
    pub matchers: Vec<Matcher>,
    /// With which positions its subscriptions came.
    pub asked: Vec<Seq>,
    /// What we are owed.
    pub incoming: Incoming,
    /// Collections that must not go over it.
    pub kept_back: SmallMap<CollectionName, ()>,
    /// Reconciliations for what we owe, by the place of the subscription.
    pub giving: SmallMap<usize, Giving>,
    /// Reconciliations for what we are owed.
    pub taking: Taking,
    /// The pump waits for blocks.
    pub parked: bool,
    /// Bytes of data frames that were saved here.
    pub taken_bytes: u64,
    /// Bytes of data frames that came and were not saved yet.
    pub untaken_bytes: u64,
    /// An acknowledgement is to be sent.
    pub ack_due: bool,
    /// What the other side knows: the position up to which its log is saved here, and the bytes of data frames taken.
    pub acknowledgement: (Seq, u64),
    /// When changes that it brought were last saved here.
    pub received_at: Option<Millis>,
    /// Position up to which the other side has saved our log.
    pub acknowledged: Seq,
    /// Position of the live stream that the other side was told.
    pub told: Seq,
    /// The other side's catch-up was saved, and its own position has yet to be told.
    pub caught_up: bool,
    /// When to tell that the live stream moved over commits that held nothing for this link.
    pub through_due: Option<Millis>,
}

/// How a subscription of the other side selects documents.
#[derive(Debug)]
pub enum Matcher {
    /// Nothing: it was denied.
    Denied,
    /// All documents.
    Everything,
    /// One collection, by predicate.
    Query(dql::Subscription),
}

/// The subscriptions that we asked for on a link.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Counts the sets.
    pub generation: u64,
    /// The set.
    pub subs: Vec<IncomingSub>,
    /// Position of the live ones.
    pub live: Seq,
    /// Parts of a unit whose end has not come.
    pub staged: Vec<DocState>,
    /// Bytes of their frames.
    pub staged_bytes: usize,
    /// What those frames count against the window: acknowledged with the end, so that nothing more comes meanwhile.
    pub unacknowledged_bytes: u64,
}

/// One of them.
#[derive(Debug)]
pub struct IncomingSub {
    /// Names it among the cursors: hash of text and arguments.
    pub hash: u64,
    /// `None`: all collections.
    pub collection: Option<CollectionName>,
    /// The position that it was asked with.
    pub from: Seq,
    /// It moves with the live stream.
    pub live: bool,
    /// It was refused.
    pub denied: bool,
    /// Its cursor is of before the Big Peer's horizon: what the Big Peer has no trace of may have been deleted.
    pub returns: bool,
    /// Documents that came until it was live.
    pub documents: u64,
    /// Their bytes before compression.
    pub bytes: u64,
    /// How many documents, and bytes before compression, the sender has for it, once it said so.
    pub expected: Option<(u64, u64)>,
}

/// The way to a target.
#[derive(Debug, Default)]
pub struct Dialer {
    /// Where it stands.
    pub state: DialState,
    /// Counts failures.
    pub backoff: Backoff,
}

/// Where a dialler stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum DialState {
    /// The skin is dialling, or the session shakes hands.
    Dialling,
    /// Nothing is wanted or possible.
    #[default]
    Idle,
    /// A session is established.
    Up,
    /// Until the time is over.
    Waiting {
        /// When to try again.
        until: Millis,
        /// Why the last try failed.
        code: ErrorCode,
    },
}

/// The links and all that is known of other peers.
#[derive(Debug)]
pub struct Network {
    /// By id.
    pub links: SmallMap<LinkId, Link>,
    /// This engine runs the links of its store.
    pub may_link: bool,
    /// Sync was started.
    pub sync_on: bool,
    /// For the Big Peer.
    pub credentials: Option<Credentials>,
    /// Waits for the Big Peer's verdict on the credentials.
    pub login: Option<Ticket>,
    /// The Big Peer accepted the credentials.
    pub authenticated: bool,
    /// The application was asked for credentials and has not given any since.
    pub asked: bool,
    /// The way to the Big Peer.
    pub big_peer: Dialer,
    /// The ways to nearby peers.
    pub mesh: SmallMap<PeerKey, Dialer>,
    /// Peers heard on the BroadcastChannel, and when.
    pub seen: SmallMap<PeerKey, Millis>,
    /// What peers say of themselves.
    pub presence: PresenceMap,
    /// What was said without being kept.
    pub ephemerals: Ephemerals,
    /// When to renew our own entry.
    pub renew_at: Millis,
    /// The graph that was last told.
    pub told_graph: Option<PresenceGraph>,
    /// Peers that were linked and are not.
    pub past: SmallMap<PeerKey, Past>,
    /// Documents that links brought.
    pub documents_received: u64,
    /// Position up to which the Big Peer has saved our log.
    pub acknowledged: Seq,
    /// Collections that a scope has kept from the Big Peer at some time: what it has not got of them was not deleted.
    pub ever_kept_back: SmallMap<CollectionName, ()>,
    /// One of the two changed since they were last written.
    pub acknowledged_moved: bool,
    /// Own commits beyond it.
    pub pending: VecDeque<Seq>,
}

impl Network {
    /// Starts with no links.
    pub fn new(now: Millis) -> Network {
        Network {
            links: SmallMap::new(),
            may_link: false,
            sync_on: false,
            credentials: None,
            login: None,
            authenticated: false,
            asked: false,
            big_peer: Dialer::default(),
            mesh: SmallMap::new(),
            seen: SmallMap::new(),
            presence: PresenceMap::default(),
            ephemerals: Ephemerals::default(),
            renew_at: now,
            told_graph: None,
            past: SmallMap::new(),
            documents_received: 0,
            acknowledged: Seq(0),
            ever_kept_back: SmallMap::new(),
            acknowledged_moved: false,
            pending: VecDeque::new(),
        }
    }

    /// Lets the pumps try again.
    pub fn unpark(&mut self) {
        self.links.values_mut().for_each(|link| link.parked = false);
    }

    /// Returns the established link to a peer.
    pub fn link_to(&self, peer: &PeerKey) -> Option<LinkId> {
        let is = |link: &&Link| link.remote.as_ref().is_some_and(|remote| remote.peer_key == *peer);
        self.links.iter().find(|(_, link)| is(link)).map(|(id, _)| *id)
    }

    /// Returns the established links.
    pub fn established(&self) -> impl Iterator<Item = (LinkId, &Link, &Hello)> {
        self.links.iter().filter_map(|(id, link)| Some((*id, link, link.remote.as_ref()?)))
    }
}

impl Dialer {
    /// A try failed.
    pub fn failed(&mut self, now: Millis, random: u64, code: ErrorCode) {
        self.state = DialState::Waiting { until: now.plus(self.backoff.failed(random)), code };
    }

    /// A session is established.
    pub fn succeeded(&mut self) {
        self.backoff.succeeded();
        self.state = DialState::Up;
    }

    /// Says whether it is time to dial.
    pub fn is_due(&self, now: Millis) -> bool {
        match self.state {
            DialState::Idle => true,
            DialState::Waiting { until, .. } => until <= now,
            DialState::Dialling | DialState::Up => false,
        }
    }
}
