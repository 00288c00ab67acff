//! The start of a database: its identity, its view, and the records that the view lacks.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::{fmt, io};

use peer::config::{Boot, Config, Role};
use peer::io::Input;
use tokio::sync::{mpsc, watch};
use value::{Object, Seq};

use super::Core;
use super::worker::{Engine, Event, Worker};
use crate::blob::{self, BlobFolder};
use crate::clock::now;
use crate::identity::{Identity, random};
use crate::log::{Entry, LogEngine, LogError, Tail};
use crate::metrics::Metrics;
use crate::view::{LogPosition, View, ViewError};
use crate::zones::IanaZones;

/// Where a database's files are.
#[derive(Clone, Debug)]
pub struct DatabaseFiles {
    /// Attachments.
    pub blobs: PathBuf,
    /// The ids, in JSON.
    pub identity: PathBuf,
    /// The segments of the log.
    pub log: PathBuf,
    /// The view.
    pub view: PathBuf,
}

impl DatabaseFiles {
    /// Names the files of a database inside the data directory.
    ///
    /// Bytes of the name other than letters, digits, `-` and `_` are written as `%` and two hexadecimal digits.
    pub fn new(data: &Path, database: &str) -> DatabaseFiles {
        let mut name = String::new();
        for byte in database.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                name.push(char::from(byte));
            } else {
                name.push_str(&format!("%{byte:02x}"));
            }
        }
        let directory = data.join("databases").join(name);
        DatabaseFiles {
            blobs: directory.join("blobs"),
            identity: directory.join("identity.json"),
            log: directory.join("log"),
            view: directory.join("view"),
        }
    }
}

/// What the engine of a database is started with.
pub struct Options {
    /// The name.
    pub database: String,
    /// Its files.
    pub files: DatabaseFiles,
    /// Makes commits durable.
    pub log: Arc<dyn LogEngine>,
    /// What peers must present.
    pub token: String,
    /// Where things are counted.
    pub metrics: Arc<Metrics>,
    /// Whether the log was salvaged, so that old cursors are void.
    pub is_salvaged: bool,
}

/// Why a database does not start.
#[derive(Debug)]
pub enum BootError {
    /// The identity cannot be read or written, or no thread started.
    Io(PathBuf, io::Error),
    /// The log cannot be read.
    Log(LogError),
    /// The engine's thread ended before it had caught up.
    Panicked,
    /// The view cannot be made.
    View(ViewError),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            BootError::Log(error) => error.fmt(f),
            BootError::Panicked => f.write_str("the engine ended while it was reading its log"),
            BootError::View(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BootError {}

impl From<LogError> for BootError {
    fn from(error: LogError) -> BootError {
        BootError::Log(error)
    }
}

pub(super) fn start(options: Options) -> Result<Arc<Core>, BootError> {
    let database = options.database.clone();
    let head = options.log.head(&database)?;
    let identity = identity(&options, head)?;
    let position = LogPosition { store: identity.store, head };
    let (view, rebuild) = View::open(&options.files.view, position, &options.metrics).map_err(BootError::View)?;
    if let Some(rebuild) = rebuild
        && head > Seq(0)
    {
        tracing::warn!(database, reason = ?rebuild, "the view is made again from the log");
    }
    let persister = view.persister();
    let (requests, queue) = mpsc::channel(REQUESTS_MAX);
    let (events, event_queue) = mpsc::unbounded_channel();
    let (applied, applied_watch) = watch::channel(Seq(0));
    let (ready, booted) = std::sync::mpsc::channel();
    let log_directory = options.files.log.clone();
    let thread_events = events.clone();
    let blobs = BlobFolder::new(options.files.blobs.clone());
    let blob_events = events.clone();
    // The engine's thread is gone only after it has stopped waiting.
    let answered = move |answer| drop(blob_events.send(Event::Blob(answer)));
    let tasks =
        blob::start(blobs.clone(), answered).map_err(|error| BootError::Io(options.files.blobs.clone(), error))?;
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let catch_up = CatchUp { view, identity, options: &options };
        let engine = match catch_up.run() {
            Ok(engine) => engine,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let worker =
            Worker::new(engine, options.log, options.database, options.metrics, (thread_events, tasks), applied);
        worker.publish();
        // The starter waits for this; it is gone only if it panicked.
        if ready.send(Ok(())).is_ok() {
            worker.serve(queue, event_queue);
        }
    });
    let thread = thread.map_err(|error| BootError::Io(log_directory, error))?;
    booted.recv().map_err(|_| BootError::Panicked)??;
    Ok(Arc::new(Core {
        requests,
        events,
        applied: applied_watch,
        thread: std::sync::Mutex::new(Some(thread)),
        persister,
        blobs,
        next_link: AtomicU64::new(1),
    }))
}

/// Reads the ids; makes new ones for a log that no cursor can be of.
fn identity(options: &Options, head: Seq) -> Result<Identity, BootError> {
    let path = &options.files.identity;
    let stored = Identity::read(path).map_err(|error| BootError::Io(path.clone(), error))?;
    match stored {
        Some(identity) if head > Seq(0) && !options.is_salvaged => Ok(identity),
        Some(_) | None => {
            let identity = Identity::random().map_err(|error| BootError::Io(path.clone(), error))?;
            identity.write(path).map_err(|error| BootError::Io(path.clone(), error))?;
            Ok(identity)
        }
    }
}

struct CatchUp<'a> {
    view: View,
    identity: Identity,
    options: &'a Options,
}

impl CatchUp<'_> {
    /// Makes the engine and brings its view forward to the head of the log.
    fn run(self) -> Result<Engine, BootError> {
        let CatchUp { view, identity, options } = self;
        let config = Config {
            database: options.database.clone(),
            replica: identity.replica,
            store: identity.store,
            slot: 0,
            peer_key: identity.peer_key,
            device_name: "Big Peer".to_owned(),
            metadata: Object::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: Role::BigPeer { token: options.token.clone() },
        };
        // What peers catch up from is kept in the engine's memory, also when the view already has it.
        let recent = options.log.recent(&options.database, RECENT_BYTES_MAX)?;
        let log_start = store::Store::applied(&view).min(recent);
        let mut tail = options.log.tail(&options.database, log_start)?;
        let boot = Boot { log: take(&mut tail)?, log_start, damaged: Vec::new() };
        let seed = random().map_err(|error| BootError::Io(options.files.identity.clone(), error))?;
        let mut engine = Engine::new(config, view, boot, seed, now()).with_zones(Rc::new(IanaZones));
        loop {
            let entries = take(&mut tail)?;
            if entries.is_empty() {
                return Ok(engine);
            }
            engine.handle(now(), Input::LogGrew { entries });
        }
    }
}

/// Takes as many records as memory should hold at once.
fn take(tail: &mut Tail) -> Result<Vec<Entry>, LogError> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    for entry in tail.by_ref() {
        let entry = entry?;
        bytes += entry.1.len();
        entries.push(entry);
        if bytes >= CHUNK_BYTES {
            break;
        }
    }
    Ok(entries)
}

/// Requests that wait for the engine; one more is refused or stops the reading of its socket.
const REQUESTS_MAX: usize = 4096;
/// Records that peers can catch up from without a scan.
const RECENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Records given to the engine at once while it catches up.
const CHUNK_BYTES: usize = 32 * 1024 * 1024;
