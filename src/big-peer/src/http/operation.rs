//! What operators ask: is it alive, does it take work, what does it count.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;
use crate::metrics;

/// `GET /livez`: 200 while every engine runs.
pub async fn livez(State(app): State<Arc<App>>) -> Response {
    if app.is_stopping() || app.databases.values().all(|core| core.is_running()) {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "an engine has ended\n").into_response()
    }
}

/// `GET /readyz`: 200 while reads and writes are served.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let reason = if app.is_stopping() {
        "stopping\n"
    } else if !app.log.is_writable() {
        "the log failed: reads only\n"
    } else if !app.databases.values().all(|core| core.is_running()) {
        "an engine has ended\n"
    } else {
        return (StatusCode::OK, "ok\n").into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

/// `GET /metrics`: the counters, for Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics::render(&app.registry)).into_response()
}
