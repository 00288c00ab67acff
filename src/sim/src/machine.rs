//! The engine as the simulator drives it, and how one is started from a disk.
//!
//! The only file that names the engine's type; all others see inputs, outputs and a time.

use peer::io::{IndexListing, Input, Output};
use peer::{Boot, Config, Engine, IndexFinding, Role};
use store::{BlockId, BootImage, Lsm, LsmConfig, ReadError, Store};
use value::{Millis, Object, PeerKey, ReplicaId, Seq, StoreId};

use crate::lossy::Lossy;
use crate::options::Profile;
use crate::plant::Plant;

/// The token that the Big Peer wants to see.
pub const TOKEN: &str = "open sesame";

/// Where Big Peers are found, before their number.
const BIG_PEER: &str = "ws://big-peer-";

/// Returns the node of a Big Peer by its address.
pub fn big_peer_of(url: &str) -> Option<usize> {
    url.strip_prefix(BIG_PEER)?.parse().ok()
}

/// One engine: the contract of `peer::io` as a trait.
pub trait Machine {
    /// Takes one input.
    fn handle(&mut self, now: Millis, input: Input);
    /// Returns an output, until there is none.
    fn poll(&mut self) -> Option<Output>;
    /// Returns when `Input::Timeout` is wanted.
    fn next_timeout(&self) -> Option<Millis>;
    /// Returns the indexes.
    fn indexes(&self) -> Vec<IndexListing>;
    /// Returns what is wrong with the rows of the indexes; `read` reads blocks.
    fn check_indexes(&mut self, read: BlockReader<'_>) -> Result<Vec<IndexFinding>, ReadError>;
}

/// Reads blocks of a disk.
pub type BlockReader<'a> = &'a mut dyn FnMut(&[BlockId]) -> Vec<Option<Vec<u8>>>;

impl<S: Store> Machine for Engine<S> {
    fn handle(&mut self, now: Millis, input: Input) {
        Engine::handle(self, now, input);
    }

    fn poll(&mut self) -> Option<Output> {
        Engine::poll(self)
    }

    fn next_timeout(&self) -> Option<Millis> {
        Engine::next_timeout(self)
    }

    fn indexes(&self) -> Vec<IndexListing> {
        Engine::indexes(self)
    }

    fn check_indexes(&mut self, read: BlockReader<'_>) -> Result<Vec<IndexFinding>, ReadError> {
        Engine::check_indexes(self, read)
    }
}

/// Returns the key by which a store is known to the others.
pub fn peer_key(store: usize) -> PeerKey {
    PeerKey(format!("peer-{store}"))
}

/// Returns the store of a key.
pub fn store_of(key: &PeerKey) -> Option<usize> {
    key.0.strip_prefix("peer-")?.parse().ok()
}

/// Starts an engine from what its disk holds.
pub fn start(
    (profile, plant, home): (&Profile, Option<Plant>, usize),
    node: usize,
    image: BootImage,
    seed: u64,
    now: Millis,
) -> Result<Box<dyn Machine>, String> {
    let store = Lsm::open(image.manifest.as_deref(), store_config(profile)).map_err(|error| error.to_string())?;
    let store = store.with_layout(&peer::DocumentLayout);
    let log_start = match &image.manifest {
        Some(manifest) => store::manifest_head(manifest).map_err(|error| error.to_string())?.log_start,
        None => Seq(0),
    };
    let role = match profile.is_big_peer(node) {
        true => Role::BigPeer { token: TOKEN.to_owned() },
        false => Role::SmallPeer { big_peer_url: (profile.big_peers > 0).then(|| format!("{BIG_PEER}{home}")) },
    };
    let store_number = profile.store_of(node);
    let config = Config {
        database: "simulated".to_owned(),
        replica: ReplicaId(1000 + store_number as u64),
        store: StoreId(2000 + store_number as u64),
        slot: u8::from(store_number != node),
        peer_key: peer_key(store_number),
        device_name: format!("device {node}"),
        metadata: Object::new(),
        version: "0".to_owned(),
        role,
    };
    let boot = Boot { log: image.log, log_start, damaged: image.damaged };
    Ok(match plant {
        Some(Plant::LostRow) => engine(config, Lossy::new(store), boot, seed, now),
        _ => engine(config, store, boot, seed, now),
    })
}

fn engine<S: Store + 'static>(config: Config, store: S, boot: Boot, seed: u64, now: Millis) -> Box<dyn Machine> {
    let mut engine = Engine::new(config, store, boot, seed, now);
    // So few documents that builds take several steps.
    engine.set_index_step(2);
    Box::new(engine)
}

/// Sizes so small that a short run flushes, merges and trims its log.
fn store_config(profile: &Profile) -> LsmConfig {
    LsmConfig {
        memtable_bytes_max: profile.memtable_bytes,
        wal_commits_max: 40,
        wal_keep_bytes: profile.log_keep_bytes,
        wal_keep_ms_min: 200,
        segment_bytes: 2_048,
        cache_bytes_max: 8_192,
        merge_bytes_max: 8_192,
        ..LsmConfig::default()
    }
}
