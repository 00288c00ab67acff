//! The whole server: opens the data directory, starts every database, listens, and stops in order.
//!
//! Stopping is graceful in this order: no new connections and no new links; the requests under way are answered; the engines
//! close their links and wait for the commit that is on its way; the views and the log are closed. Every step has a time
//! limit, and nothing depends on it: a server that is killed loses nothing it has acknowledged.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use value::ErrorCode;

use crate::config::Config;
use crate::core::{BootError, Core, DatabaseFiles, Options};
use crate::http::{self, App};
use crate::identity::random;
use crate::log::{FileLog, FileLogOptions, LogEngine, LogError};
use crate::metrics::Metrics;

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    links_max: u32,
    /// Held until the end; the operating system releases it also when the process is killed.
    _lock: File,
}

/// Why the server does not start.
#[derive(Debug)]
pub enum ServerError {
    /// A database does not start.
    Boot(String, BootError),
    /// A file or the network refused an operation.
    Io(String, io::Error),
    /// Another process uses the data directory.
    Locked(PathBuf),
}

impl ServerError {
    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            ServerError::Boot(_, BootError::Log(error)) => error.code(),
            ServerError::Boot(_, BootError::Panicked) => ErrorCode::Internal,
            ServerError::Boot(_, BootError::Io(..) | BootError::View(_)) => ErrorCode::StoreBackend,
            ServerError::Io(..) => ErrorCode::IoOperationFailed,
            ServerError::Locked(_) => ErrorCode::StorePersistenceDirectoryLocked,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Boot(database, error) => write!(f, "database \"{database}\": {error}"),
            ServerError::Io(what, error) => write!(f, "{what}: {error}"),
            ServerError::Locked(path) => {
                write!(f, "{} is used by another process; stop it, or choose another --data", path.display())
            }
        }
    }
}

impl std::error::Error for ServerError {}

impl Server {
    /// Opens the data, starts the databases and binds the address.
    pub async fn start(config: &Config) -> Result<Server, ServerError> {
        let lock = lock(&config.data)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| ServerError::Io(format!("cannot listen on {}", config.listen), error))?;
        let address = listener.local_addr().map_err(|error| ServerError::Io("the listener".to_owned(), error))?;
        let token = match &config.dev_token {
            Some(token) => token.clone(),
            None => make_token(&config.data.join("dev-token"))?,
        };
        let metrics = Arc::new(Metrics::default());
        let starting = (config.clone(), token.clone(), Arc::clone(&metrics));
        // Replaying a long log takes seconds of one processor.
        let started = tokio::task::spawn_blocking(move || {
            let (config, token, metrics) = starting;
            start_databases(&config, &token, &metrics)
        });
        let (log, databases) =
            started.await.map_err(|_| ServerError::Boot(config.databases.join(", "), BootError::Panicked))??;
        let app = App {
            databases,
            log,
            token,
            origins: config.origins.clone(),
            registry: metrics.registry(),
            metrics,
            links: Arc::new(Semaphore::new(config.links_max as usize)),
            stopping: AtomicBool::new(false),
        };
        Ok(Server { app: Arc::new(app), listener, address, links_max: config.links_max, _lock: lock })
    }

    /// Returns where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then stops cleanly.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let Server { app, listener, links_max, .. } = self;
        let persisting = tokio::spawn(persist_views(app.databases.values().cloned().collect()));
        let (stop_accepting, accepting_ends) = oneshot::channel::<()>();
        let serving = axum::serve(listener, http::router(Arc::clone(&app))).with_graceful_shutdown(async {
            drop(accepting_ends.await);
        });
        let mut serving = tokio::spawn(serving.into_future());
        tokio::select! {
            () = stop => {}
            ended = &mut serving => {
                let error = ended.map_or_else(|panic| io::Error::other(panic.to_string()), |result| match result {
                    Ok(()) => io::Error::other("it ended"),
                    Err(error) => error,
                });
                return Err(ServerError::Io("the listener".to_owned(), error));
            }
        }
        tracing::info!("stopping");
        app.stopping.store(true, Ordering::Release);
        drop(stop_accepting);
        if tokio::time::timeout(REQUESTS_MAX, &mut serving).await.is_err() {
            tracing::warn!("some requests were still under way");
        }
        for core in app.databases.values() {
            core.stop().await;
        }
        // Every link gives its permit back once its socket is closed.
        drop(tokio::time::timeout(LINKS_MAX, app.links.acquire_many(links_max)).await);
        persisting.abort();
        let cores: Vec<Arc<Core>> = app.databases.values().cloned().collect();
        drop(tokio::task::spawn_blocking(move || cores.iter().for_each(|core| core.persist())).await);
        tracing::info!("stopped");
        Ok(())
    }
}

/// Takes the directory for this process.
fn lock(data: &Path) -> Result<File, ServerError> {
    let io = |error| ServerError::Io(data.display().to_string(), error);
    fs::create_dir_all(data).map_err(io)?;
    let file = File::options().create(true).truncate(false).write(true).open(data.join("lock")).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServerError::Locked(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

type Databases = BTreeMap<String, Arc<Core>>;

fn start_databases(
    config: &Config,
    token: &str,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<dyn LogEngine>, Databases), ServerError> {
    let files: Vec<(String, DatabaseFiles)> =
        config.databases.iter().map(|name| (name.clone(), DatabaseFiles::new(&config.data, name))).collect();
    let failed = |name: &str, error: LogError| ServerError::Boot(name.to_owned(), BootError::Log(error));
    let mut salvaged = Vec::new();
    for (name, files) in files.iter().filter(|(_, files)| config.salvage && files.log.exists()) {
        let recovery = FileLog::salvage(name, &files.log).map_err(|error| failed(name, error))?;
        if recovery.salvaged_bytes > 0 {
            tracing::warn!(database = %name, bytes = recovery.salvaged_bytes, "salvaged: what was broken is gone; the \
                damaged segments are kept as *.damaged");
            salvaged.push(name.clone());
        }
    }
    let options = FileLogOptions { metrics: Arc::clone(metrics), ..FileLogOptions::default() };
    let names = config.databases.join(", ");
    let logs = files.iter().map(|(name, files)| (name.as_str(), files.log.clone()));
    let log: Arc<dyn LogEngine> = Arc::new(FileLog::open(logs, &options).map_err(|error| failed(&names, error))?);
    let mut databases = BTreeMap::new();
    for (name, files) in files {
        let is_salvaged = salvaged.contains(&name);
        let options = Options {
            database: name.clone(),
            files,
            log: Arc::clone(&log),
            token: token.to_owned(),
            metrics: Arc::clone(metrics),
            is_salvaged,
        };
        let core = Core::start(options).map_err(|error| ServerError::Boot(name.clone(), error))?;
        tracing::info!(database = %name, applied = core.applied().0, "database ready");
        databases.insert(name, core);
    }
    Ok((log, databases))
}

/// Makes the views durable now and then, so that a start after a crash replays little.
async fn persist_views(cores: Vec<Arc<Core>>) {
    let mut persisted: Vec<_> = cores.iter().map(|core| core.applied()).collect();
    loop {
        tokio::time::sleep(PERSIST).await;
        for (core, persisted) in cores.iter().zip(&mut persisted) {
            let applied = core.applied();
            if applied > *persisted {
                let core = Arc::clone(core);
                drop(tokio::task::spawn_blocking(move || core.persist()).await);
                *persisted = applied;
            }
        }
    }
}

/// Makes a random token and leaves it where only the user can read it.
fn make_token(path: &Path) -> Result<String, ServerError> {
    let io = |error| ServerError::Io(path.display().to_string(), error);
    let token = format!("{:016x}{:016x}", random().map_err(io)?, random().map_err(io)?);
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(io)?;
    file.write_all(token.as_bytes()).map_err(io)?;
    tracing::info!(file = %path.display(), "wrote a new development token");
    Ok(token)
}

/// How long requests under way may take when the server stops.
const REQUESTS_MAX: Duration = Duration::from_secs(3);
/// How long links may take to close.
const LINKS_MAX: Duration = Duration::from_secs(2);
/// How often views are made durable.
const PERSIST: Duration = Duration::from_secs(5);
