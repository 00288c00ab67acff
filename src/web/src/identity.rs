//! Who this store is: made at the first opening, kept beside the data, gone with it.
//!
//! Record `identity` in the device's small records: a CBOR map of `database` (text), `peerKey` (text), `replica` and `store`
//! (8 bytes each, big-endian).

use store::BootImage;
use value::{ErrorCode, Failure, Object, PeerKey, ReplicaId, StoreId, Value, cbor};

use crate::clock;

/// Name of the record.
pub const RECORD: &str = "identity";
const RECORD_BYTES_MAX: usize = 4096;

/// The ids of a store.
#[derive(Clone)]
pub struct Identity {
    /// Which database it holds.
    pub database: String,
    /// Names this peer to others.
    pub peer_key: PeerKey,
    /// Of the copy.
    pub replica: ReplicaId,
    /// Of the log.
    pub store: StoreId,
}

impl Identity {
    /// Makes a fresh one.
    pub fn random(database: &str) -> Identity {
        Identity {
            database: database.to_owned(),
            peer_key: PeerKey(clock::random_hex::<16>()),
            replica: ReplicaId(clock::random_u64()),
            store: StoreId(clock::random_u64()),
        }
    }

    /// Finds the one in a store; `None` in a fresh store.
    ///
    /// Errors: the record is damaged, or the store holds another database.
    pub fn find(image: &BootImage, database: &str) -> Result<Option<Identity>, Failure> {
        let Some((_, bytes)) = image.meta.iter().find(|(name, _)| name == RECORD) else {
            return Ok(None);
        };
        let identity = Identity::decode(bytes).ok_or_else(|| {
            Failure::new(ErrorCode::StoreBackend, "the store's identity cannot be read; clear the site's data")
        })?;
        if identity.database != database {
            let message = format!(
                "this persistenceDirectory holds the database {}, not {database}; choose another directory",
                identity.database
            );
            return Err(Failure::new(ErrorCode::ValidationInvalidDittoConfig, message));
        }
        Ok(Some(identity))
    }

    /// Returns the record.
    pub fn encode(&self) -> Vec<u8> {
        let number = |number: u64| Value::Bytes(number.to_be_bytes().to_vec());
        cbor::encode(&Value::from([
            ("database", Value::from(self.database.as_str())),
            ("peerKey", Value::from(self.peer_key.0.as_str())),
            ("replica", number(self.replica.0)),
            ("store", number(self.store.0)),
        ]))
    }

    fn decode(bytes: &[u8]) -> Option<Identity> {
        let fields: Object = cbor::decode(bytes, RECORD_BYTES_MAX).ok()?.into_object()?;
        let text = |name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name| match fields.get(name) {
            Some(Value::Bytes(bytes)) => bytes.as_slice().try_into().ok().map(u64::from_be_bytes),
            _ => None,
        };
        Some(Identity {
            database: text("database")?,
            peer_key: PeerKey(text("peerKey")?),
            replica: ReplicaId(number("replica")?),
            store: StoreId(number("store")?),
        })
    }
}
