//! Static files for the demo, on loopback only: one folder, no way out of it, and the MIME types that wasm and
//! installable pages need.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tiny_http::{Header, Method, Request, Response, Server};

use crate::error::{Error, Result};

/// A browser opens up to six connections to a host.
const THREADS: usize = 6;
/// Where the pages read the Big Peer's address.
const SETTINGS_PATH: &str = "/config.json";

/// A server of pages. Dropping it stops it.
pub struct Pages {
    server: Arc<Server>,
    threads: Vec<JoinHandle<()>>,
}

struct Site {
    root: PathBuf,
    settings: String,
}

impl Pages {
    /// Serves the files under `root`, and `settings` (JSON) at `/config.json`.
    pub fn serve(port: u16, root: PathBuf, settings: String) -> Result<Pages> {
        let server = Server::http(("127.0.0.1", port))
            .map_err(|cause| Error::Unexpected(format!("cannot listen on port {port}: {cause}")))?;
        let server = Arc::new(server);
        let site = Arc::new(Site { root, settings });
        let threads = (0..THREADS).map(|_| {
            let (server, site) = (Arc::clone(&server), Arc::clone(&site));
            std::thread::spawn(move || {
                // An error here is `unblock`: we are asked to stop.
                while let Ok(request) = server.recv() {
                    site.answer(request);
                }
            })
        });
        let threads = threads.collect();
        Ok(Pages { server, threads })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for _ in &self.threads {
            self.server.unblock();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Site {
    fn answer(&self, request: Request) {
        let path = request.url().split(['?', '#']).next().unwrap_or_default().to_owned();
        let (status, kind, body) = if !matches!(request.method(), Method::Get | Method::Head) {
            (405, "text/plain; charset=utf-8", b"only GET and HEAD".to_vec())
        } else if path == SETTINGS_PATH {
            (200, "application/json", self.settings.clone().into_bytes())
        } else {
            match file_of(&self.root, &path).and_then(|file| Some((mime(&file), std::fs::read(&file).ok()?))) {
                Some((kind, body)) => (200, kind, body),
                None => (404, "text/plain; charset=utf-8", b"not found".to_vec()),
            }
        };
        // The demo's own service worker keeps files for offline use; the browser's cache must not hide a new build.
        let headers = [("Content-Type", kind), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff")];
        let mut response = Response::from_data(body).with_status_code(status);
        for (name, value) in headers {
            response.add_header(Header::from_bytes(name, value).expect("our headers are plain text"));
        }
        // A browser that went away is no fault of ours.
        let _ = request.respond(response);
    }
}

/// Returns the file that a path names, or none if there is none inside the root. A folder means its `index.html`.
fn file_of(root: &Path, path: &str) -> Option<PathBuf> {
    let decoded = percent_decoded(path)?;
    let relative = Path::new(decoded.strip_prefix('/')?);
    if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
        return None;
    }
    let mut file = root.join(relative);
    if file.is_dir() {
        file.push("index.html");
    }
    // Links are followed first, so that none leads outside.
    let file = file.canonicalize().ok()?;
    (file.is_file() && file.starts_with(root.canonicalize().ok()?)).then_some(file)
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    let decoded = String::from_utf8(bytes).ok()?;
    (!decoded.contains('\0')).then_some(decoded)
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" | "md" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn files_inside_are_served_and_nothing_outside() {
        let scratch = std::env::temp_dir().join(format!("shoal-pages-{}", std::process::id()));
        let root = scratch.join("dist");
        std::fs::create_dir_all(root.join("a")).expect("the temporary folder is writable");
        for (file, text) in [("dist/index.html", "home"), ("dist/a/b c.wasm", "wasm"), ("secret", "secret")] {
            std::fs::write(scratch.join(file), text).expect("the temporary folder is writable");
        }
        std::os::unix::fs::symlink(scratch.join("secret"), root.join("link")).expect("links are possible");
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
            free.local_addr().expect("it is bound").port()
        };
        let pages = Pages::serve(port, root, "{}".into()).expect("the port is free");
        let asked = |path: &str| {
            let answer = http::get(port, path).expect("the server answers");
            (answer.status, answer.body)
        };
        assert_eq!(asked("/"), (200, "home".into()));
        assert_eq!(asked("/?a=b"), (200, "home".into()));
        assert_eq!(asked("/a/b%20c.wasm"), (200, "wasm".into()));
        assert_eq!(asked("/config.json"), (200, "{}".into()));
        for path in ["/../secret", "/%2e%2e/secret", "/a/../../secret", "/link", "//etc/passwd", "/a", "/%zz", "/a%00"]
        {
            assert_eq!(asked(path).0, 404, "{path}");
        }
        drop(pages);
        assert!(http::get(port, "/").is_err());
        std::fs::remove_dir_all(scratch).expect("we made it");
    }

    #[test]
    fn wasm_and_manifests_have_their_types() {
        assert_eq!(mime(Path::new("a.wasm")), "application/wasm");
        assert_eq!(mime(Path::new("app.webmanifest")), "application/manifest+json");
    }
}
