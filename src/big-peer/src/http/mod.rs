//! The HTTP interface: routes, who may call them, and the WebSocket of peers. `docs/http.md` is its contract.
//!
//! In go requests from outside, under limits of size and time; out come answers of the engine in JSON. Every error is
//! problem+json (RFC 9457) with a stable code. Nothing here looks into a document or a frame.

mod attachment;
mod cors;
mod execute;
mod operation;
mod problem;
mod yjs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use value::{ErrorCode, Failure};

use crate::config::Origins;
use crate::core::Core;
use crate::link;
use crate::log::LogEngine;
use crate::metrics::Metrics;

use problem::Problem;

/// What all requests share.
pub struct App {
    /// The databases by name; at least one.
    pub databases: BTreeMap<String, Arc<Core>>,
    /// For readiness.
    pub log: Arc<dyn LogEngine>,
    /// The development token.
    pub token: String,
    /// Web pages that may call.
    pub origins: Origins,
    /// Where things are counted.
    pub metrics: Arc<Metrics>,
    /// Their names.
    pub registry: Registry,
    /// One permit a link.
    pub links: Arc<Semaphore>,
    /// The server takes no new work.
    pub stopping: AtomicBool,
}

/// Which database a request is for.
#[derive(Deserialize)]
struct Target {
    db: Option<String>,
}

impl App {
    /// Returns the database that a request names; the only one when it names none.
    fn database(&self, name: Option<&str>) -> Result<&Arc<Core>, Problem> {
        let found = match name {
            Some(name) => self.databases.get(name),
            None if self.databases.len() == 1 => self.databases.values().next(),
            None => {
                let message = "this server has several databases; name one: ?db=NAME";
                return Err(Problem::new(StatusCode::BAD_REQUEST, Failure::new(ErrorCode::SyncDatabase, message)));
            }
        };
        found.ok_or_else(|| Failure::new(ErrorCode::SyncDatabase, "this server has no database of that name").into())
    }

    /// Returns where a peer's link goes. A peer that names an unknown database gets to an engine all the same: its
    /// handshake refuses it with a reason, which a browser cannot read from a refused upgrade.
    fn database_of_link(&self, name: Option<&str>) -> Option<&Arc<Core>> {
        name.and_then(|name| self.databases.get(name)).or_else(|| self.databases.values().next())
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Returns the interface.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/sync", get(sync))
        .route(UPLOAD, post(attachment::upload).layer(DefaultBodyLimit::disable()))
        .route("/api/v4/attachments/{id}", get(attachment::download))
        .route("/api/v4/store/execute", post(execute::execute))
        .route("/api/v5/store/execute", post(execute::execute))
        .route("/yjs/{database}/{collection}/{id}/{*path}", get(yjs::open))
        .route("/livez", get(operation::livez))
        .route("/readyz", get(operation::readyz))
        .route("/metrics", get(operation::metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(limit_body))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), cors::apply))
        .with_state(app)
}

/// Refuses a body by its announced length, before any of it is read.
async fn limit_body(request: Request, next: Next) -> Response {
    if request.uri().path() == UPLOAD {
        return next.run(request).await;
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return Problem::from(body_too_large()).into_response();
    }
    next.run(request).await
}

/// The refusal of a body over the limit.
fn body_too_large() -> Failure {
    Failure::new(ErrorCode::ValidationSizeLimitExceeded, "a request has at most 32 MiB")
}

/// Takes a WebSocket in, with its place among the links, unless the server is stopping or full.
fn admit(
    app: &App,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    not_a_socket: &str,
) -> Result<(WebSocketUpgrade, OwnedSemaphorePermit), Problem> {
    let upgrade = upgrade
        .map_err(|_| Problem::new(StatusCode::UPGRADE_REQUIRED, Failure::new(ErrorCode::SyncProtocol, not_a_socket)))?;
    if app.is_stopping() {
        return Err(Failure::new(ErrorCode::StoreClosed, "the server is stopping").into());
    }
    let permit = Arc::clone(&app.links).try_acquire_owned().map_err(|_| {
        let failure = Failure::new(ErrorCode::SyncBusy, "the server has no room for another link; try again later");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, failure)
    })?;
    Ok((upgrade, permit))
}

/// `GET /sync?db=NAME`: a link of a peer.
async fn sync(
    State(app): State<Arc<App>>,
    Query(target): Query<Target>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let message = "this address is for WebSockets; HTTP clients use /api/v5/store/execute";
    let (upgrade, permit) = admit(&app, upgrade, message)?;
    let core = app.database_of_link(target.db.as_deref()).cloned();
    let core = core.ok_or_else(|| Failure::new(ErrorCode::SyncDatabase, "this server has no database"))?;
    // tungstenite fills its whole read buffer with zeros for every read: the default of 128 KiB costs three times the time
    // and seven times the memory.
    let upgrade = upgrade
        .read_buffer_size(8 * 1024)
        .write_buffer_size(32 * 1024)
        .max_message_size(link::MESSAGE_BYTES_MAX)
        .max_frame_size(link::MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        link::serve(socket, core).await;
        drop(permit);
    }))
}

/// Attachments are streamed to the disk, so their size is limited elsewhere.
const UPLOAD: &str = "/api/v4/attachments/upload";
/// Largest body of a request.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
