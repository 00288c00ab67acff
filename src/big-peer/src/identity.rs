//! Who this copy of a database is: the random ids kept beside its log.
//!
//! The store id names the log, so that the cursors of peers are never used on another one; it is made anew when the log is
//! missing or was salvaged. The file is replaced whole: written beside, flushed, renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use value::{PeerKey, ReplicaId, StoreId};

/// The ids of one copy of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names this copy in stamps.
    pub replica: ReplicaId,
    /// Names its log in cursors.
    pub store: StoreId,
    /// Names this peer in presence.
    pub peer_key: PeerKey,
}

/// The file; ids are sixteen hexadecimal digits.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    replica: String,
    store: String,
    peer_key: String,
}

impl Identity {
    /// Makes new random ids.
    pub fn random() -> io::Result<Identity> {
        let replica = random()?;
        Ok(Identity {
            replica: ReplicaId(replica),
            store: StoreId(random()?),
            peer_key: PeerKey(format!("{replica:016x}")),
        })
    }

    /// Reads the ids, if they were ever written.
    pub fn read(path: &Path) -> io::Result<Option<Identity>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let stored: Stored = serde_json::from_slice(&bytes)?;
        if stored.version != 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("unknown version {}", stored.version)));
        }
        let id = |text: &str| {
            u64::from_str_radix(text, 16).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        };
        Ok(Some(Identity {
            replica: ReplicaId(id(&stored.replica)?),
            store: StoreId(id(&stored.store)?),
            peer_key: PeerKey(stored.peer_key),
        }))
    }

    /// Writes the ids durably.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let stored = Stored {
            version: 1,
            replica: format!("{:016x}", self.replica.0),
            store: format!("{:016x}", self.store.0),
            peer_key: self.peer_key.0.clone(),
        };
        let fresh = path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&stored)?)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Returns 64 bits from the operating system.
pub fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}
