//! What the server counts, and the Prometheus text form of it.
//!
//! Names start with `shoal_`; units are in the names. No label has an unbounded set of values: no peer, no document, no
//! statement text.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatementLabels {
    /// `ok`, or the stable code of the error.
    pub result: &'static str,
}

/// The counters of this process.
#[derive(Debug)]
pub struct Metrics {
    /// Peers linked now.
    pub links: Gauge,
    /// Links closed because the peer read too slowly.
    pub links_overflowed: Counter,
    /// Frames from peers.
    pub frames_received: Counter,
    /// Frames to peers.
    pub frames_sent: Counter,
    /// Bytes of frames from peers.
    pub bytes_received: Counter,
    /// Bytes of frames to peers.
    pub bytes_sent: Counter,
    /// Records made durable.
    pub log_records: Counter,
    /// Bytes appended to the log.
    pub log_bytes: Counter,
    /// One flush of the log.
    pub fdatasync_seconds: Histogram,
    /// From the engine's wish to the answer of the log.
    pub commit_seconds: Histogram,
    /// Statements over HTTP, by result.
    pub statements: Family<StatementLabels, Counter>,
    /// Statements over HTTP, from the request to the answer.
    pub statement_seconds: Histogram,
    /// Documents' batches applied to the view.
    pub view_batches: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            links: Gauge::default(),
            links_overflowed: Counter::default(),
            frames_received: Counter::default(),
            frames_sent: Counter::default(),
            bytes_received: Counter::default(),
            bytes_sent: Counter::default(),
            log_records: Counter::default(),
            log_bytes: Counter::default(),
            fdatasync_seconds: Histogram::new(SECONDS),
            commit_seconds: Histogram::new(SECONDS),
            statements: Family::default(),
            statement_seconds: Histogram::new(SECONDS),
            view_batches: Counter::default(),
        }
    }
}

impl Metrics {
    /// Names every counter, for `/metrics`.
    pub fn registry(&self) -> Registry {
        let mut all = Registry::with_prefix("shoal");
        all.register("links", "Peers linked now", self.links.clone());
        all.register(
            "links_overflowed",
            "Links closed because the peer read too slowly",
            self.links_overflowed.clone(),
        );
        all.register("frames_received", "Frames from peers", self.frames_received.clone());
        all.register("frames_sent", "Frames to peers", self.frames_sent.clone());
        all.register_with_unit("received", "Frames from peers", Unit::Bytes, self.bytes_received.clone());
        all.register_with_unit("sent", "Frames to peers", Unit::Bytes, self.bytes_sent.clone());
        all.register("log_records", "Commits made durable", self.log_records.clone());
        all.register_with_unit("log", "Appended to the log", Unit::Bytes, self.log_bytes.clone());
        all.register_with_unit("fdatasync", "One flush of the log", Unit::Seconds, self.fdatasync_seconds.clone());
        all.register_with_unit("commit", "From a commit to its durability", Unit::Seconds, self.commit_seconds.clone());
        all.register("statements", "Statements over HTTP", self.statements.clone());
        all.register_with_unit("statement", "One statement over HTTP", Unit::Seconds, self.statement_seconds.clone());
        all.register("view_batches", "Batches applied to the view", self.view_batches.clone());
        all
    }
}

/// Returns all counters in the Prometheus text form (OpenMetrics).
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("writing to a string cannot fail");
    text
}

/// Upper bounds from 0.1 ms to 6.5 s, each twice the last.
const SECONDS: [f64; 17] = [
    0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024, 0.2048, 0.4096, 0.8192,
    1.6384, 3.2768, 6.5536,
];
