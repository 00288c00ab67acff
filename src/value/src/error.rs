//! The table of error codes: every error that reaches a user carries one of these.
//!
//! A code is stable for ever and never reused. `docs/errors.md` is generated from the table (`cargo xtask tidy --fix`).

use std::fmt;

macro_rules! error_codes {
    ($($variant:ident $code:literal $meaning:literal $advice:literal;)*) => {
        /// A stable error code; the text form is what users see.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ErrorCode {
            /// All codes in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// Returns the text form.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// Returns what happened, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => $meaning,)* }
            }

            /// Returns what the user should do, in one sentence.
            pub fn advice(self) -> &'static str {
                match self { $(ErrorCode::$variant => $advice,)* }
            }
        }
    };
}

error_codes! {
    ActivationNotActivated "activation/not-activated" "The original's licence check." "Never thrown by Shoal; kept so that handlers compile.";
    AuthenticationExpirationHandlerMissing "authentication/expiration-handler-missing" "Sync was started in server mode without an expiration handler." "Call auth.setExpirationHandler before sync.start.";
    AuthenticationFailedToAuthenticate "authentication/failed-to-authenticate" "The Big Peer refused the token, or another peer the identity." "Check the token and the provider, then call auth.login again.";
    EncryptionExtraneousPassphraseGiven "encryption/extraneous-passphrase-given" "A passphrase or key was given for a store that is not encrypted." "Open it without one, or choose another persistenceDirectory.";
    EncryptionPassphraseMissing "encryption/passphrase-missing" "The store is encrypted, and neither passphrase nor key was given." "Give it in the encryption option of Ditto.open.";
    EncryptionWrongKey "encryption/wrong-key" "The passphrase or key is not the one that the store is locked with." "Ask for it again; nothing was touched.";
    Internal "internal" "A rule that Shoal itself should have kept was broken." "Report it with the message; the data on disk is untouched.";
    IoAlreadyExists "io/already-exists" "A file or store of that name exists." "Choose another name or open the existing one.";
    IoNotFound "io/not-found" "A file or store of that name does not exist." "Check the name.";
    IoOperationFailed "io/operation-failed" "The browser or the operating system refused an operation." "Read the message; retry if the cause is passing.";
    IoPermissionDenied "io/permission-denied" "The browser or the operating system denied access." "Grant access to storage for this site or directory.";
    QueryArgumentsInvalid "query/arguments-invalid" "An argument is missing, of an unsupported type, or not finite." "Pass a value for every :name in the statement.";
    QueryEvaluation "query/evaluation" "An expression could not be evaluated." "Read the message; it names the expression.";
    QueryExecution "query/execution" "The statement was valid but could not be carried out." "Read the message; nothing was changed.";
    QueryIndexExists "query/index-exists" "The collection has an index of that name." "Choose another name, or write CREATE INDEX IF NOT EXISTS.";
    QueryIndexLimit "query/index-limit" "The collection has too many indexes, or the index too many fields or too long a name." "Read the message; it names the limit.";
    QueryIndexNotFound "query/index-not-found" "The collection has no index of that name, or it is not ready." "See SELECT * FROM system:indexes; or write DROP INDEX IF EXISTS.";
    QueryInvalid "query/invalid" "The statement is not valid DQL." "The caret line shows the place.";
    QueryParameter "query/parameter" "A system parameter is unknown or its value is out of range." "See the list in docs/dql.md.";
    QueryUnsupported "query/unsupported" "The statement is valid but not supported here." "Read the message; it names the part.";
    StoreAttachmentNotFound "store/attachment-not-found" "No peer in reach has the attachment." "Try again when another peer is connected.";
    StoreAttachmentTokenInvalid "store/attachment-token-invalid" "The attachment token is not valid." "Pass the token as it stands in the document: {id, len, metadata}.";
    StoreBackend "store/backend" "The storage failed or holds data that cannot be read." "Nothing was acknowledged; read the message and retry.";
    StoreBlocked "store/blocked" "The database is blocked by another tab or by the browser's settings." "Close the other tab or allow storage for this site.";
    StoreClosed "store/closed" "The database was closed." "Open it again.";
    StoreCrdt "store/crdt" "A change cannot be merged into the document." "Read the message; nothing was changed.";
    StoreDocumentId "store/document-id" "The _id is of a type that cannot identify, too long, or was changed." "Use a string, integer, boolean, array or object.";
    StoreDocumentNotFound "store/document-not-found" "No document has that _id." "Check the _id.";
    StoreFailedToCreateAttachment "store/failed-to-create-attachment" "The attachment could not be created." "Read the message; what was written of it is removed.";
    StoreFailedToFetchAttachment "store/failed-to-fetch-attachment" "The attachment could not be fetched." "Read the message; what is here of it is kept, so fetch it again.";
    StoreIdentifierConflict "store/identifier-conflict" "A document with that _id exists and the policy is FAIL." "Choose ON ID CONFLICT DO UPDATE, DO UPDATE_LOCAL_DIFF or DO NOTHING.";
    StoreImportInvalid "store/import-invalid" "What is imported is not of the expected form, damaged, or cut off." "Read the message; it names the place. What came before it is imported.";
    StoreNewerFormat "store/newer-format" "The store was written by a newer version." "Update Shoal; the data was not touched.";
    StorePersistenceDirectoryLocked "store/persistence-directory-locked" "Another process uses the directory." "Close it, or choose another persistenceDirectory.";
    StoreQuotaExceeded "store/quota-exceeded" "There is no space left for this write." "Nothing was changed; free space or evict documents, then retry.";
    StoreTransactionConflict "store/transaction-conflict" "Another tab changed what this transaction had read." "Run the transaction again.";
    StoreTransactionReadOnly "store/transaction-read-only" "A read-only transaction tried to write." "Open it with isReadOnly: false.";
    SyncBusy "sync/busy" "The Big Peer or a peer has no room for another link." "Nothing to do; the link is tried again with back-off.";
    SyncClockSkew "sync/clock-skew" "A peer's clock is more than a day ahead." "Set the clock of the named peer.";
    SyncDatabase "sync/database" "The peer belongs to another database." "Check databaseID on both sides.";
    SyncDuplicateReplica "sync/duplicate-replica" "Two live peers have one replica id: a profile was copied." "Nothing to do; the later one takes a new id.";
    SyncProtocol "sync/protocol" "A peer sent bytes that are not the protocol." "The link was closed; check what is listening at that address.";
    SyncUnreachable "sync/unreachable" "The Big Peer does not answer." "Work goes on offline; the link is tried again with back-off.";
    SyncVersion "sync/version" "The peer speaks another major version of the protocol." "Update the older side.";
    Unknown "unknown" "An error without a code." "Report it with the message.";
    Unsupported "unsupported" "This build does not have that feature." "See docs for what is planned.";
    ValidationDepthLimitExceeded "validation/depth-limit-exceeded" "A value is nested deeper than 64 levels." "Flatten the document.";
    ValidationInvalidCbor "validation/invalid-cbor" "Bytes are not a valid binary value." "Check the encoder.";
    ValidationInvalidDittoConfig "validation/invalid-ditto-config" "The configuration is not valid." "Read the message; it names the field.";
    ValidationInvalidJson "validation/invalid-json" "Text is not valid JSON." "Check the text.";
    ValidationInvalidTransportConfig "validation/invalid-transport-config" "The transport configuration is not valid." "Read the message; it names the field.";
    ValidationNotAnObject "validation/not-an-object" "An object was expected." "Pass an object.";
    ValidationNotJsonCompatible "validation/not-json-compatible" "A value has no JSON form." "Use strings, numbers, booleans, null, arrays and objects.";
    ValidationSizeLimitExceeded "validation/size-limit-exceeded" "A document is larger than 5 MiB, or a name or statement too long." "Split it; put large data in an attachment.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as a user gets it: a stable code and a message that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What handlers match on.
    pub code: ErrorCode,
    /// What a person reads.
    pub message: String,
}

impl Failure {
    /// Joins a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// Returns `docs/errors.md`: the table as a page.
pub fn errors_page() -> String {
    let mut page = String::from(
        "# Error codes\n\nGenerated from `src/value/src/error.rs` by `cargo xtask tidy --fix`. A code is stable and never reused.\n\n\
         | code | what happened | what to do |\n|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        page.push_str(&format!("| `{}` | {} | {} |\n", code, code.meaning(), code.advice()));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
    }
}
