//! `POST /api/v4/attachments/upload` and `GET /api/v4/attachments/{id}`: attachments, streamed from and to the disk.
//!
//! An upload is written chunk by chunk as it comes, and gets its name at the end; what a client leaves unfinished belongs to
//! nothing and is collected. A download asks the engine for one chunk after the other, each checked against its hash.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use peer::io::Reply;
use serde_json::json;
use store::{BlobDeviceNow, BlobPlace};
use value::blob::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES, chunk_hash};
use value::{BlobId, ChunkList, ErrorCode, Failure};

use super::problem::Problem;
use super::{App, Target, execute};
use crate::core::{BlobAsk, Core};
use crate::identity::random;

/// Takes an attachment and answers with its id and length once it is durable.
pub async fn upload(
    State(app): State<Arc<App>>,
    target: Result<Query<Target>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    execute::authenticate(&app.token, request.headers())?;
    let core = app.database(execute::name_of(target)?.as_deref())?;
    let is_form =
        request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    let mut writing = Writing::new(core)?;
    if is_form {
        let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error))?;
        let field = loop {
            match form.next_field().await.map_err(|error| broken(&error))? {
                Some(field) if field.name() == Some("file") => break field,
                Some(_) => {}
                None => return Err(invalid("the form has no field named file").into()),
            }
        };
        writing.take(field.map_err(|error| broken(&error))).await?;
    } else {
        writing.take(request.into_body().into_data_stream().map_err(|error| broken(&error))).await?;
    }
    let (id, len) = writing.finish().await?;
    Ok(Json(json!({ "id": id.to_string(), "len": len })).into_response())
}

/// An upload under way.
struct Writing<'a> {
    core: &'a Core,
    place: BlobPlace,
    buffer: Vec<u8>,
    hashes: Vec<u8>,
    len: u64,
    chunks: u32,
}

impl Writing<'_> {
    fn new(core: &Core) -> Result<Writing<'_>, Failure> {
        let place =
            random().map_err(|error| Failure::new(ErrorCode::StoreFailedToCreateAttachment, error.to_string()))?;
        let (buffer, hashes) = (Vec::with_capacity(BLOB_CHUNK_BYTES), Vec::new());
        Ok(Writing { core, place: BlobPlace(place), buffer, hashes, len: 0, chunks: 0 })
    }

    /// Writes what a stream brings.
    async fn take(&mut self, bytes: impl Stream<Item = Result<Bytes, Failure>>) -> Result<(), Failure> {
        let mut bytes = std::pin::pin!(bytes);
        while let Some(piece) = bytes.next().await {
            let mut piece = &piece?[..];
            while !piece.is_empty() {
                let (fits, rest) = piece.split_at(piece.len().min(BLOB_CHUNK_BYTES - self.buffer.len()));
                self.buffer.extend_from_slice(fits);
                piece = rest;
                if self.buffer.len() == BLOB_CHUNK_BYTES {
                    self.write().await?;
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(BLOB_CHUNK_BYTES));
        self.len += bytes.len() as u64;
        if self.len > BLOB_BYTES_MAX {
            return Err(Failure::new(ErrorCode::ValidationSizeLimitExceeded, "an attachment has at most 16 GiB"));
        }
        self.chunks += 1;
        let (folder, place, part) = (self.core.blobs().clone(), self.place, self.chunks);
        let written = tokio::task::spawn_blocking(move || {
            let hash = chunk_hash(&bytes);
            folder.blob_put_now(place, part, bytes).map(|()| hash).map_err(|error| error.failure())
        });
        let hash = written.await.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))??;
        self.hashes.extend_from_slice(&hash);
        Ok(())
    }

    async fn finish(mut self) -> Result<(BlobId, u64), Failure> {
        if !self.buffer.is_empty() {
            self.write().await?;
        }
        let list = ChunkList::new(self.len, std::mem::take(&mut self.hashes)).expect("each chunk was hashed once");
        match self.core.blob(BlobAsk::Keep(self.place, list)).await? {
            Reply::BlobKept(id) => Ok((id, self.len)),
            _ => Err(another_answer()),
        }
    }
}

/// Sends an attachment, or a range of it.
pub async fn download(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    target: Result<Query<Target>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    execute::authenticate(&app.token, &headers)?;
    let core = app.database(execute::name_of(target)?.as_deref())?;
    let id = BlobId::parse(id.as_bytes()).ok_or_else(|| {
        Failure::new(ErrorCode::StoreAttachmentTokenInvalid, "the id of an attachment has 64 small hexadecimal digits")
    })?;
    let len = match core.blob(BlobAsk::Find(id)).await? {
        Reply::BlobFound(Some(len)) => len,
        Reply::BlobFound(None) => {
            return Err(Failure::new(
                ErrorCode::StoreAttachmentNotFound,
                "this server does not have it, or not all of it",
            )
            .into());
        }
        _ => return Err(another_answer().into()),
    };
    let mut response = Response::new(Body::empty());
    let (start, end) = match range(&headers, len) {
        Asked::All => (0, len),
        Asked::Part(start, end) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{}/{len}", end - 1);
            insert(&mut response, header::CONTENT_RANGE, &range);
            (start, end)
        }
        Asked::Nothing => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{len}"));
            return Ok(response);
        }
    };
    insert(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    insert(&mut response, header::CONTENT_LENGTH, &(end - start).to_string());
    insert(&mut response, header::ACCEPT_RANGES, "bytes");
    insert(&mut response, header::ETAG, &format!("\"{id}\""));
    *response.body_mut() = Body::from_stream(content(Arc::clone(core), id, (start, end)));
    Ok(response)
}

fn insert(response: &mut Response, name: header::HeaderName, text: &str) {
    let value = HeaderValue::from_str(text).expect("digits and signs are allowed in a header");
    response.headers_mut().insert(name, value);
}

/// Returns the bytes from one place to another, chunk by chunk.
fn content(core: Arc<Core>, id: BlobId, (start, end): (u64, u64)) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold((core, start), move |(core, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let chunk_bytes = BLOB_CHUNK_BYTES as u64;
        let reply = core.blob(BlobAsk::Read(id, (at / chunk_bytes) as u32)).await;
        let Reply::BlobChunk(bytes) = reply.map_err(|failure| std::io::Error::other(failure.message))? else {
            return Err(std::io::Error::other("the engine gave an answer of another kind"));
        };
        let chunk_start = at - at % chunk_bytes;
        let upto = (end - chunk_start).min(bytes.len() as u64);
        let bytes = Bytes::from(bytes).slice((at - chunk_start) as usize..upto as usize);
        Ok(Some((bytes, (core, chunk_start + upto))))
    })
}

/// What of an attachment is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    /// Bytes outside of it only.
    Nothing,
    /// From, and up to but without.
    Part(u64, u64),
}

/// Reads a range of one part; several, and what is not understood, ask for all, as RFC 9110 allows.
fn range(headers: &HeaderMap, len: u64) -> Asked {
    let text =
        headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = text.and_then(|text| text.split_once('-')) else { return Asked::All };
    let number = |text: &str| text.parse::<u64>().ok();
    match (first.is_empty(), number(first), number(last), last.is_empty()) {
        (false, Some(first), _, true) if first < len => Asked::Part(first, len),
        (false, Some(first), Some(last), _) if first <= last && first < len => {
            Asked::Part(first, last.saturating_add(1).min(len))
        }
        (false, Some(first), None, true) | (false, Some(first), Some(_), _) if first >= len => Asked::Nothing,
        (true, _, Some(0), _) => Asked::Nothing,
        (true, _, Some(last), _) if len > 0 => Asked::Part(len.saturating_sub(last), len),
        _ => Asked::All,
    }
}

fn broken(error: &impl std::fmt::Display) -> Failure {
    invalid(&format!("the body cannot be read: {error}"))
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorCode::QueryArgumentsInvalid, message)
}

fn another_answer() -> Failure {
    Failure::new(ErrorCode::Internal, "the engine gave an answer of another kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let asked = |text: &str, len| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(text).expect("valid"));
            range(&headers, len)
        };
        assert_eq!(range(&HeaderMap::new(), 10), Asked::All);
        assert_eq!(asked("bytes=2-4", 10), Asked::Part(2, 5));
        assert_eq!(asked("bytes=2-", 10), Asked::Part(2, 10));
        assert_eq!(asked("bytes=2-99", 10), Asked::Part(2, 10));
        assert_eq!(asked("bytes=-3", 10), Asked::Part(7, 10));
        assert_eq!(asked("bytes=-30", 10), Asked::Part(0, 10));
        assert_eq!(asked("bytes=10-", 10), Asked::Nothing);
        assert_eq!(asked("bytes=10-12", 10), Asked::Nothing);
        assert_eq!(asked("bytes=-0", 10), Asked::Nothing);
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
        for odd in ["bytes=4-2", "bytes=a-b", "bytes=1-2,4-5", "rows=1-2", "bytes=-"] {
            assert_eq!(asked(odd, 10), Asked::All, "{odd}");
        }
    }
}
