//! The smallest HTTP client that can talk to our own Big Peer on loopback.
//!
//! One request a connection, HTTP/1.0, so that the answer ends with the connection and is never chunked. No TLS, no
//! redirects, no other hosts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Doing, Error, Result};

/// A statement over a whole set may take a while on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An answer: status and body.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Asks `GET path` of a server on loopback.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    exchange(port, &format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"), b"")
}

/// Sends JSON to `POST path` of a server on loopback.
pub fn post_json(port: u16, path: &str, token: &str, body: &serde_json::Value) -> Result<Answer> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(port, &head, body.as_bytes())
}

fn exchange(port: u16, head: &str, body: &[u8]) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let asking = || format!("ask http://{address}");
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT).doing(asking)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).doing(asking)?;
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).doing(asking)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).doing(asking)?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| Error::Unexpected(format!("what answers at http://{address} does not speak HTTP")))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_status_and_body() {
        let answer = parse("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}").expect("this is HTTP");
        assert_eq!((answer.status, answer.body.as_str()), (404, "{}"));
        assert!(parse("SSH-2.0-OpenSSH\r\n\r\n").is_none());
    }
}
