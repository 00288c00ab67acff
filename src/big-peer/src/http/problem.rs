//! Errors on the wire: problem+json (RFC 9457), and which status each code has.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use value::{ErrorCode, Failure};

/// A refused or failed request.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    failure: Failure,
}

impl Problem {
    /// Gives a failure another status than its code's own.
    pub fn new(status: StatusCode, failure: Failure) -> Problem {
        Problem { status, failure }
    }

    /// Returns the stable code.
    pub fn code(&self) -> ErrorCode {
        self.failure.code
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem { status: status_of(failure.code), failure }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.failure.code;
        let body = json!({
            "type": format!("urn:shoal:error:{code}"),
            "title": code.meaning(),
            "status": self.status.as_u16(),
            "detail": self.failure.message,
            "code": code.as_str(),
            "advice": code.advice(),
            // Where clients of the original look.
            "error": { "description": self.failure.message },
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Answers an unknown path.
pub async fn not_found() -> Problem {
    let message = "there is nothing at this path; see docs/http.md";
    Problem::new(StatusCode::NOT_FOUND, Failure::new(ErrorCode::IoNotFound, message))
}

/// Answers a known path with another method.
pub async fn method_not_allowed() -> Problem {
    let message = "this path has another method; see docs/http.md";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Failure::new(ErrorCode::Unsupported, message))
}

/// Returns the status of a code.
pub fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::QueryArgumentsInvalid
        | ErrorCode::QueryEvaluation
        | ErrorCode::QueryExecution
        | ErrorCode::QueryIndexLimit
        | ErrorCode::QueryInvalid
        | ErrorCode::QueryParameter
        | ErrorCode::QueryUnsupported
        | ErrorCode::StoreAttachmentTokenInvalid
        | ErrorCode::StoreCrdt
        | ErrorCode::StoreDocumentId
        | ErrorCode::StoreImportInvalid
        | ErrorCode::StoreTransactionReadOnly
        | ErrorCode::SyncClockSkew
        | ErrorCode::SyncProtocol
        | ErrorCode::SyncVersion
        | ErrorCode::ValidationDepthLimitExceeded
        | ErrorCode::ValidationInvalidCbor
        | ErrorCode::ValidationInvalidDittoConfig
        | ErrorCode::ValidationInvalidJson
        | ErrorCode::ValidationInvalidTransportConfig
        | ErrorCode::ValidationNotAnObject
        | ErrorCode::ValidationNotJsonCompatible => StatusCode::BAD_REQUEST,
        ErrorCode::AuthenticationFailedToAuthenticate | ErrorCode::AuthenticationExpirationHandlerMissing => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::ActivationNotActivated
        | ErrorCode::EncryptionExtraneousPassphraseGiven
        | ErrorCode::EncryptionPassphraseMissing
        | ErrorCode::EncryptionWrongKey
        | ErrorCode::IoPermissionDenied => StatusCode::FORBIDDEN,
        ErrorCode::IoNotFound
        | ErrorCode::QueryIndexNotFound
        | ErrorCode::StoreAttachmentNotFound
        | ErrorCode::StoreDocumentNotFound
        | ErrorCode::SyncDatabase => StatusCode::NOT_FOUND,
        ErrorCode::IoAlreadyExists
        | ErrorCode::QueryIndexExists
        | ErrorCode::StoreIdentifierConflict
        | ErrorCode::StoreTransactionConflict
        | ErrorCode::SyncDuplicateReplica => StatusCode::CONFLICT,
        ErrorCode::ValidationSizeLimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::SyncBusy => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::StoreBackend
        | ErrorCode::StoreBlocked
        | ErrorCode::StoreClosed
        | ErrorCode::StoreFailedToCreateAttachment
        | ErrorCode::StoreFailedToFetchAttachment
        | ErrorCode::StorePersistenceDirectoryLocked
        | ErrorCode::SyncUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::StoreQuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Internal | ErrorCode::IoOperationFailed | ErrorCode::StoreNewerFormat | ErrorCode::Unknown => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
