//! Which web pages may call: the cross-origin headers, and the answer to a browser's preliminary request.
//!
//! No cookies are involved, so a page without the token can do nothing whatever its origin.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::config::Origins;

/// Answers preliminary requests and adds the headers to all other answers.
pub async fn apply(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| is_allowed(&app.origins, origin)).cloned();
    let is_preliminary =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preliminary { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if let Some(origin) = origin {
        add_headers(response.headers_mut(), origin, is_preliminary);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

fn add_headers(headers: &mut HeaderMap, origin: HeaderValue, is_preliminary: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if is_preliminary {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
    }
}

fn is_allowed(origins: &Origins, origin: &HeaderValue) -> bool {
    match origins {
        Origins::Any => true,
        Origins::Listed(list) => list.iter().any(|listed| listed.as_bytes() == origin.as_bytes()),
    }
}

const REQUEST_HEADERS: &str = "authorization, content-type, x-ditto-txn-id, x-shoal-txn-id";
const RESPONSE_HEADERS: &str = "retry-after, x-ditto-txn-id, x-shoal-txn-id";
