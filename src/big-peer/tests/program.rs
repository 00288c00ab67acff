//! The real program as a child process, and as much of an HTTP client as its tests need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The development token of all tests.
pub const TOKEN: &str = "test-token";

/// A running server; killed when dropped.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Returns the command for a server over a directory, on a free port.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal-big-peer"));
    command.args(["--dev", "--dev-token", TOKEN, "--listen", "127.0.0.1:0", "--log-level", "warn", "--data"]).arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

impl Program {
    /// Starts a server over a directory and waits until it listens.
    pub fn start(data: &Path) -> Program {
        Program::spawn(&mut command(data))
    }

    /// Starts a server and waits until it listens.
    pub fn spawn(command: &mut Command) -> Program {
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("the program says where it listens");
        let address = line.trim().rsplit("http://").next().and_then(|address| address.parse().ok());
        Program { child, address: address.unwrap_or_else(|| panic!("no address in {line:?}")) }
    }

    /// Opens a connection that is kept over several requests.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Runs a statement with the token.
    pub fn execute(&self, statement: &str, args: Value) -> Answer {
        self.connect().execute(statement, args)
    }

    /// Runs a SELECT and returns its rows.
    pub fn rows(&self, statement: &str) -> Vec<Value> {
        let answer = self.execute(statement, json!({}));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["items"].as_array().expect("rows").clone()
    }

    /// Asks for a path without a token.
    pub fn get(&self, path: &str) -> Answer {
        self.connect().request("GET", path, &[], "")
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ends");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Waits for the end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program did not end in {limit:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// One kept-alive connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(40))).expect("a socket");
        Connection(BufReader::new(stream))
    }

    /// Runs a statement with the token.
    pub fn execute(&mut self, statement: &str, args: Value) -> Answer {
        let body = json!({ "statement": statement, "args": args }).to_string();
        self.post(&body, &[("authorization", &format!("Bearer {TOKEN}"))])
    }

    /// Sends a body to `/api/v5/store/execute`.
    pub fn post(&mut self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.request("POST", "/api/v5/store/execute", &headers, body)
    }

    /// Sends any request.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_request(method, path, headers, body).expect("an answer")
    }

    /// Sends any request; fails when the server goes away.
    pub fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> std::io::Result<Answer> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        text.push_str(body);
        self.0.get_mut().write_all(text.as_bytes())?;
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut answer = Answer { status, headers: Vec::new(), body: String::new() };
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some((name, value)) => answer.headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        answer.body = String::from_utf8(body).expect("UTF-8");
        Ok(answer)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Checks that this is a problem with a status and a code.
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some(code), Some(status.into())), "{body}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert_eq!(body["error"]["description"], body["detail"]);
    }
}
