//! `GET /yjs/DATABASE/COLLECTION/ID/PATH`: a WebSocket of a stock Yjs client (`y-websocket`) for one rich field.
//!
//! The token is asked for before anything else is looked at: in the header Authorization, or, since a browser cannot set that
//! on a WebSocket, in the list of subprotocols, `shoal-yjs, token.BASE64URL`. It is never part of the address.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use peer::io::{Field, RichKind};
use serde::Deserialize;
use value::{ErrorCode, Failure, Value};

use super::execute::{authenticate, is_equal};
use super::problem::Problem;
use super::{App, admit};
use crate::json::FromJson;
use crate::yjs;

/// What is chosen of a client's subprotocols.
const PROTOCOL: &str = "shoal-yjs";
/// Starts the subprotocol that holds the token.
const TOKEN: &str = "token.";

/// How the address is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// `json`: the _id is written as JSON; else it is a string.
    id: Option<String>,
    /// What the field becomes if it is not there: `text`, `list` or `xml`.
    kind: Option<String>,
}

/// Opens a session.
pub async fn open(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    address: Result<Path<(String, String, String, String)>, axum::extract::rejection::PathRejection>,
    form: Result<Query<Form>, axum::extract::rejection::QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    check_token(&app.token, &headers)?;
    let Path((database, collection, id, path)) = address.map_err(|error| invalid(error.body_text()))?;
    let Query(form) = form.map_err(|error| invalid(error.body_text()))?;
    let field = Field::new(&collection, &read_id(&form, id)?, path.split('/').map(str::to_owned).collect())?;
    let kind = match form.kind.as_deref() {
        None | Some("text") => RichKind::Text,
        Some("list") => RichKind::List,
        Some("xml") => RichKind::Xml,
        Some(_) => return Err(invalid("kind is text, list or xml".to_owned()).into()),
    };
    let core = Arc::clone(app.database(Some(&database))?);
    let (upgrade, permit) = admit(&app, upgrade, "this address is for WebSockets of Yjs clients")?;
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(8 * 1024)
        .max_message_size(yjs::MESSAGE_BYTES_MAX)
        .max_frame_size(yjs::MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        yjs::serve(socket, core, field, kind).await;
        drop(permit);
    }))
}

/// Checks the token of a list of subprotocols that has one, else of the header Authorization.
fn check_token(token: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|list| list.to_str().ok());
    let Some(given) = lists.flat_map(|list| list.split(',')).find_map(|protocol| protocol.trim().strip_prefix(TOKEN))
    else {
        return authenticate(token, headers);
    };
    if is_equal(given.as_bytes(), URL_SAFE_NO_PAD.encode(token).as_bytes()) {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::AuthenticationFailedToAuthenticate, "the token is wrong").into())
}

fn read_id(form: &Form, id: String) -> Result<Value, Failure> {
    match form.id.as_deref() {
        None => Ok(Value::Str(id)),
        Some("json") => {
            let FromJson(id) = serde_json::from_str(&id).map_err(|error| invalid(error.to_string()))?;
            Ok(id)
        }
        Some(_) => Err(invalid("id is json, or left out".to_owned())),
    }
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::QueryArgumentsInvalid, message)
}
