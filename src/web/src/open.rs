//! Opening a store: locks, device, identity, engine, in this order.

use std::rc::Rc;

use js_sys::Function;
use peer::{Boot, Config, DocumentLayout, Engine, Role};
use store::{BootImage, Device, Lsm, LsmConfig, manifest_head};
use value::{ErrorCode, Failure, Object, ReplicaId};

use crate::cipher::Secret;
use crate::clock;
use crate::driver::{Driver, Parts};
use crate::folder::HostFolder;
use crate::identity::{self, Identity};
use crate::lock::{self, Patience};
use crate::log::{self, LogState};
use crate::storage::{Medium, Storage};
use crate::tabs::{SLOTS, Seat, Tabs};
use crate::view::OpenOptions;
use crate::zones::IntlZones;

/// Opens a store and starts its engine.
pub async fn open(options: OpenOptions, events: Function) -> Result<Rc<Driver>, Failure> {
    let secret = Secret::from_js(&options.encryption)?;
    let medium = Medium::open(&options.directory, HostFolder::from_js(&options.folder))
        .await
        .map_err(|error| error.failure())?;
    let name = format!("shoal:{}", options.directory);
    let shared = medium.is_shared();
    let seat = sit_down(&name, shared).await?;
    let Booted { storage, image, mut identity } = boot(medium, &options.database, secret.as_ref()).await?;
    if shared && !lock::available() {
        // Without locks nothing says which tabs share the store: each writes under an id of its own.
        identity.replica = ReplicaId(clock::random_u64());
    }
    let log_start = match image.manifest.as_deref().map(manifest_head).transpose() {
        Ok(head) => head.unwrap_or_default().log_start,
        Err(error) => {
            return Err(Failure::new(ErrorCode::StoreBackend, format!("the manifest cannot be read: {error}")));
        }
    };
    let lsm = Lsm::open(image.manifest.as_deref(), LsmConfig::default()).map_err(|error| error.failure())?;
    let lsm = lsm.with_layout(&DocumentLayout);
    let head = log::head_of(&image).max(lsm.floor());
    let config = Config {
        database: options.database,
        replica: identity.replica,
        store: identity.store,
        slot: seat.slot,
        peer_key: identity.peer_key.clone(),
        device_name: options.device_name,
        metadata: Object::new(),
        version: options.version,
        role: Role::SmallPeer { big_peer_url: options.big_peer_url },
    };
    let boot = Boot { log: image.log, log_start, damaged: image.damaged };
    let engine =
        Engine::new(config, lsm, boot, clock::random_u64(), clock::now()).with_zones(Rc::new(IntlZones::default()));
    let tabs = Tabs::new(name, shared, seat);
    Ok(Driver::start(Parts { engine, storage, identity, log: LogState::new(head), tabs, events }))
}

async fn sit_down(name: &str, shared: bool) -> Result<Seat, Failure> {
    let id = clock::random_hex::<8>();
    if !shared || !lock::available() {
        return Ok(Seat { slot: 0, id, locks: Vec::new() });
    }
    let taken = || Failure::new(ErrorCode::StoreBlocked, "64 tabs have this database open; close one of them");
    let (slot, guard) = lock::acquire_slot(&format!("{name}:slot:"), SLOTS).await.ok_or_else(taken)?;
    let alive = lock::acquire(&format!("{name}:tab:{id}"), Patience::Unlimited).await;
    Ok(Seat { slot, id, locks: std::iter::once(guard).chain(alive).collect() })
}

/// What was read from a store.
struct Booted {
    storage: Storage,
    image: BootImage,
    identity: Identity,
}

/// Unlocks and reads the store and makes its identity, if it has none; of two tabs that open a fresh store one makes it.
async fn boot(medium: Medium, database: &str, secret: Option<&Secret>) -> Result<Booted, Failure> {
    let _alone = medium.alone().await;
    let (storage, image) = Storage::boot(medium, secret).await?;
    if let Some(identity) = Identity::find(&image, database)? {
        return Ok(Booted { storage, image, identity });
    }
    let identity = Identity::random(database);
    storage.put_meta(identity::RECORD, identity.encode()).await.map_err(|error| error.failure())?;
    Ok(Booted { storage, image, identity })
}
