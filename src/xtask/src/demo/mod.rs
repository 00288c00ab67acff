//! `cargo xtask demo`: everything built and running on this machine, with real data, until Ctrl-C.
//!
//! Starts the Big Peer on its embedded store, loads two public data sets into it, and serves the demo's pages. The pages
//! learn the Big Peer's address from `/config.json`, which this command answers.

mod data;
mod pages;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::arguments::DemoOptions;
use crate::error::{Doing, Error, Result};
use crate::process::Server;
use crate::terminal::step;
use crate::workspace::Workspace;
use crate::{http, pkg, process, setup, test};

/// The demo's database, and the token of its development provider: good on loopback only.
const DATABASE: &str = "shoal-demo";
const TOKEN: &str = "shoal-demo-token";
/// From start to ready, with a large store to open.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Runs until it is told to stop, which counts as success.
pub fn run(workspace: &Workspace, options: &DemoOptions) -> Result<()> {
    let data = directory(workspace, options)?;
    for port in [options.port, options.big_peer_port] {
        free(port)?;
    }
    setup::run(workspace, setup::Scope::Build)?;
    pkg::run(workspace)?;
    test::build_demo(workspace)?;
    let big_peer = test::build_big_peer(workspace, test::Build::Release)?;
    let mut server = start(workspace, &big_peer, options, &data)?;
    step("Big Peer ready", |_| ready(&mut server, options.big_peer_port), |()| String::new())?;
    data::load(workspace, options.big_peer_port, TOKEN, &data)?;
    // The form that www/src/config.ts reads.
    let settings = json!({
        "bigPeerUrl": format!("http://127.0.0.1:{}", options.big_peer_port),
        "database": DATABASE,
        "token": TOKEN,
    });
    let pages = pages::Pages::serve(options.port, workspace.path("www/dist"), settings.to_string())?;
    announce(options, &data);
    let ended = watch(&mut server);
    drop(pages);
    drop(server);
    println!("stopped");
    ended
}

/// The default is in the repository; a path that is given is the caller's.
fn directory(workspace: &Workspace, options: &DemoOptions) -> Result<PathBuf> {
    let data = match &options.data {
        Some(data) => std::path::absolute(data).doing(|| format!("find {}", data.display()))?,
        None => workspace.path(".data"),
    };
    std::fs::create_dir_all(&data).doing(|| format!("create {}", data.display()))?;
    Ok(data)
}

/// Fails early, before minutes of building, if a port is taken.
fn free(port: u16) -> Result<()> {
    std::net::TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|cause| Error::Missing {
        what: format!("port {port} cannot be used: {cause}"),
        install: "cargo xtask demo --port 9090 --big-peer-port 9091".into(),
    })
}

fn start(workspace: &Workspace, big_peer: &Path, options: &DemoOptions, data: &Path) -> Result<Server> {
    let mut command = workspace.program(big_peer);
    command.args(["--dev", "--dev-token", TOKEN, "--database", DATABASE]);
    command.arg("--listen").arg(format!("127.0.0.1:{}", options.big_peer_port)).arg("--data").arg(data);
    Server::start(&mut command)
}

fn ready(server: &mut Server, port: u16) -> Result<()> {
    let started = Instant::now();
    loop {
        server.alive()?;
        if http::get(port, "/readyz").is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        if process::stopping() {
            return Err(Error::Interrupted);
        }
        if started.elapsed() > READY_LIMIT {
            return Err(Error::Unexpected(format!("the Big Peer is not ready after {} s", READY_LIMIT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn announce(options: &DemoOptions, data: &Path) {
    println!();
    println!("  demo       http://127.0.0.1:{}", options.port);
    println!("  Big Peer   http://127.0.0.1:{}   (HTTP API, WebSocket sync, /metrics)", options.big_peer_port);
    println!("  database   {DATABASE}   token {TOKEN}");
    println!("  data       {}", data.display());
    println!("\n  Open the demo in two windows, edit in one, watch the other. Ctrl-C stops everything.\n");
}

/// Waits for the end that we are asked for; one that comes by itself is an error.
fn watch(server: &mut Server) -> Result<()> {
    while !process::stopping() {
        server.alive()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
