//! `POST /api/v4|v5/store/execute`: one statement.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use peer::io::Reply;
use serde::{Deserialize, Serialize};
use value::limits::{DEPTH_MAX, STATEMENT_BYTES_MAX};
use value::{ErrorCode, Failure, Object, Seq, Value};

use super::problem::Problem;
use super::{App, Target};
use crate::clock::Stopwatch;
use crate::core::Core;
use crate::json::{AsJson, FromJson};
use crate::metrics::StatementLabels;

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    statement: String,
    args: Option<FromJson>,
}

/// The body of an answer, as the original has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    transaction_id: u64,
    query_type: &'static str,
    items: Vec<AsJson<'a>>,
    mutated_document_ids: Vec<AsJson<'a>>,
    error: Option<()>,
    warnings: [(); 0],
    total_warnings_count: u32,
}

/// Runs a statement and answers once its writes are durable.
pub async fn execute(
    State(app): State<Arc<App>>,
    target: Result<Query<Target>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let start = Stopwatch::start();
    let result = run(&app, target, &headers, body).await;
    app.metrics.statement_seconds.observe(start.seconds());
    let label = result.as_ref().map_or_else(|problem| problem.code().as_str(), |_| "ok");
    app.metrics.statements.get_or_create(&StatementLabels { result: label }).inc();
    result.unwrap_or_else(IntoResponse::into_response)
}

async fn run(
    app: &App,
    target: Result<Query<Target>, QueryRejection>,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    authenticate(&app.token, headers)?;
    let core = app.database(name_of(target)?.as_deref())?;
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => super::body_too_large(),
        _ => invalid(error.body_text()),
    })?;
    let (text, args) = parse(headers, &body)?;
    wait_for(app, core, headers).await?;
    let query_type = query_type(&text);
    // A read's answer is never older than this.
    let before = core.applied();
    let reply = tokio::time::timeout(STATEMENT_MAX, core.execute(text, args)).await.map_err(|_| {
        let message = "the statement took longer than 30 s; a write may still happen";
        Problem::new(StatusCode::GATEWAY_TIMEOUT, Failure::new(ErrorCode::StoreBackend, message))
    })??;
    match reply {
        Reply::Rows { rows, mutated, commit } => Ok(answer(query_type, &rows, &mutated, commit.unwrap_or(before))),
        Reply::Begun(_)
        | Reply::BlobChunk(_)
        | Reply::BlobFound(_)
        | Reply::BlobKept(_)
        | Reply::BlobNext(_)
        | Reply::BlobsWalked(_)
        | Reply::Done
        | Reply::Ended { .. }
        | Reply::Field(_)
        | Reply::Fetched(_)
        | Reply::Imported { .. }
        | Reply::IndexesWalked(_)
        | Reply::LoggedIn
        | Reply::Page(_) => Err(Failure::new(ErrorCode::Internal, "the engine gave an answer of another kind").into()),
    }
}

fn answer(query_type: &'static str, rows: &[Value], mutated: &[Value], seq: Seq) -> Response {
    let body = Answer {
        transaction_id: seq.0,
        query_type,
        items: rows.iter().map(AsJson).collect(),
        mutated_document_ids: mutated.iter().map(AsJson).collect(),
        error: None,
        warnings: [],
        total_warnings_count: 0,
    };
    let bytes = match serde_json::to_vec(&body) {
        Ok(bytes) => bytes,
        Err(error) => return Problem::from(Failure::new(ErrorCode::Internal, error.to_string())).into_response(),
    };
    let txn = HeaderValue::from(seq.0);
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json), (SHOAL_TXN_ID, txn.clone()), (DITTO_TXN_ID, txn)], bytes).into_response()
}

/// Returns the name of the database that a request is for.
pub(super) fn name_of(target: Result<Query<Target>, QueryRejection>) -> Result<Option<String>, Problem> {
    Ok(target.map_err(|error| invalid(error.body_text()))?.0.db)
}

/// Checks the development token, in a time that does not depend on how much of it is right.
pub(super) fn authenticate(token: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |message: &str| Failure::new(ErrorCode::AuthenticationFailedToAuthenticate, message).into();
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(refuse("send the header Authorization: Bearer TOKEN"));
    };
    let given = match value.as_bytes().split_at_checked(7) {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => given,
        Some(_) | None => return Err(refuse("send the header Authorization: Bearer TOKEN")),
    };
    if is_equal(given, token.as_bytes()) { Ok(()) } else { Err(refuse("the token is wrong")) }
}

/// Compares secrets without telling by the time taken where they differ.
pub(super) fn is_equal(given: &[u8], secret: &[u8]) -> bool {
    let difference = given.iter().zip(secret).fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == secret.len() && difference == 0
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<(String, Object), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).map_or(Ok("application/json"), HeaderValue::to_str).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "this version takes JSON only: Content-Type: application/json";
        let failure = Failure::new(ErrorCode::Unsupported, message);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, failure));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    if body.statement.len() > STATEMENT_BYTES_MAX {
        let message = "a statement has at most 1 MiB; pass data as args";
        return Err(Failure::new(ErrorCode::ValidationSizeLimitExceeded, message).into());
    }
    let args = match body.args {
        None | Some(FromJson(Value::Null)) => Object::new(),
        Some(FromJson(Value::Object(args))) => args,
        Some(FromJson(other)) => {
            let message = format!("args is an object of parameters, and this one is a {}", other.type_name());
            return Err(Failure::new(ErrorCode::ValidationNotAnObject, message).into());
        }
    };
    if args.values().any(|value| value.depth() > DEPTH_MAX) {
        let message = format!("an argument is nested deeper than {DEPTH_MAX} levels");
        return Err(Failure::new(ErrorCode::ValidationDepthLimitExceeded, message).into());
    }
    Ok((body.statement, args))
}

/// Waits until readers see the commit that the request names, if it names one.
async fn wait_for(app: &App, core: &Core, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(SHOAL_TXN_ID).or_else(|| headers.get(DITTO_TXN_ID)) else { return Ok(()) };
    let wanted: u64 = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| invalid("X-SHOAL-TXN-ID is the transactionId of an earlier answer".to_owned()))?;
    if tokio::time::timeout(TXN_WAIT_MAX, core.wait_applied(Seq(wanted))).await.is_ok() || app.is_stopping() {
        return Ok(());
    }
    let message = format!("transaction {wanted} is not here after 2 s; this server has {}", core.applied().0);
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, Failure::new(ErrorCode::SyncUnreachable, message)))
}

/// Names the kind of a statement; one that is not valid gets its error from the engine.
fn query_type(text: &str) -> &'static str {
    dql::parse(text).map_or("unknown", |statement| statement.kind())
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::ValidationInvalidJson, message)
}

const SHOAL_TXN_ID: header::HeaderName = header::HeaderName::from_static("x-shoal-txn-id");
const DITTO_TXN_ID: header::HeaderName = header::HeaderName::from_static("x-ditto-txn-id");
/// How long a request waits for an earlier commit.
const TXN_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a request waits for its statement.
const STATEMENT_MAX: Duration = Duration::from_secs(30);
