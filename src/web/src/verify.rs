//! The exported class, continued: verification. Same rules as in `exports`.
//!
//! The storage room walks blocks, the engine walks the rows of indexes and the parts of attachments, a step at a time; between
//! steps the host does what waits. Nothing is changed but that damaged parts of attachments are given up.

use std::rc::Rc;

use js_sys::Promise;
use peer::io::{BlobRequest, Input, Reply};
use peer::{BlobWalk, EngineContent, IndexWalk};
use store::{Device, DeviceError, FindingKind, Verification, VerifyReport};
use value::{ErrorCode, Failure};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::clock::pause;
use crate::driver::Driver;
use crate::exports::Peer;
use crate::identity::Identity;
use crate::js;

/// Parts of attachments that are walked without a pause.
const PARTS: u64 = 8;

#[wasm_bindgen]
impl Peer {
    /// Walks everything that the store holds; resolves to a report. Tells the event `verifying`, `{done, total}`.
    pub fn verify(&self) -> Promise {
        let driver = self.driver.clone();
        future_to_promise(async move {
            match verify(&driver).await {
                Ok(report) => Ok(report_view(&report)),
                Err(failure) => Err(js::failure(&failure)),
            }
        })
    }
}

async fn verify(driver: &Rc<Driver>) -> Result<VerifyReport, Failure> {
    let (mut report, blocks) = walk_blocks(driver).await?;
    // The engine gives up blocks that it cannot read, and verification changes nothing of them.
    if report.is_ok() {
        let indexes = walk_indexes(driver).await?;
        report.counts.index_rows = indexes.rows();
        indexes.findings().iter().for_each(|found| report.tell(FindingKind::Index, &found.index, &found.problem));
    }
    walk_blobs(driver, &mut report, blocks).await?;
    Ok(report)
}

/// Walks the blocks; returns how many there were as well.
async fn walk_blocks(driver: &Rc<Driver>) -> Result<(VerifyReport, u64), Failure> {
    let (storage, parts) = (&driver.storage, driver.blob_parts());
    let failed = |error: DeviceError| error.failure();
    let listed = storage.blocks().await.map_err(failed)?;
    let image = storage.boot().await.map_err(failed)?;
    if !image.meta.is_empty() {
        Identity::find(&image, &driver.identity.database)?;
    }
    let mut walk = Verification::new(EngineContent, &image, listed.as_deref());
    drop(image);
    loop {
        let wanted = walk.wanted();
        if wanted.is_empty() {
            let manifest = storage.manifest().await.map_err(failed)?;
            let listed = storage.blocks().await.map_err(failed)?;
            if walk.settle(manifest.as_deref(), listed.as_deref()) {
                continue;
            }
            let (done, _) = walk.progress();
            return Ok((walk.finish(), done as u64));
        }
        let read = storage.read(&wanted).await.map_err(failed)?;
        walk.take(wanted.into_iter().zip(read).collect());
        let (done, total) = walk.progress();
        tell(driver, done as u64, total as u64 + parts);
    }
}

fn tell(driver: &Rc<Driver>, done: u64, total: u64) {
    driver.emit("verifying", js::object(&[("done", (done as f64).into()), ("total", (total as f64).into())]));
}

/// Compares the rows of all indexes with the documents.
async fn walk_indexes(driver: &Rc<Driver>) -> Result<Box<IndexWalk>, Failure> {
    let mut walk = Box::<IndexWalk>::default();
    while !walk.is_done() {
        walk = match driver.ask(Box::new(|ticket| Input::WalkIndexes { ticket, walk })).await? {
            Reply::IndexesWalked(walk) => walk,
            _ => return Err(stray()),
        };
        pause(0).await;
    }
    Ok(walk)
}

/// Checks every part of the attachments that are here. `blocks`: how many were walked before.
async fn walk_blobs(driver: &Rc<Driver>, report: &mut VerifyReport, blocks: u64) -> Result<(), Failure> {
    let mut walk = Box::<BlobWalk>::default();
    while !walk.is_done() {
        walk = match driver.ask(Box::new(|ticket| Input::Blob(BlobRequest::Walk { ticket, walk }))).await? {
            Reply::BlobsWalked(walk) => walk,
            _ => return Err(stray()),
        };
        for found in walk.take_findings() {
            report.tell(FindingKind::Attachment, &found.name, &found.problem);
        }
        let (done, total) = walk.progress();
        tell(driver, blocks + done, blocks + total);
        if done % PARTS == 0 {
            pause(0).await;
        }
    }
    (report.counts.attachments, report.counts.attachment_bytes) = (walk.blobs(), walk.bytes());
    Ok(())
}

fn stray() -> Failure {
    Failure::new(ErrorCode::Internal, "the engine gave an answer of another kind")
}

fn report_view(report: &VerifyReport) -> JsValue {
    let findings: js_sys::Array = report
        .findings
        .iter()
        .map(|finding| {
            js::object(&[
                ("kind", finding.kind.as_str().into()),
                ("name", finding.name.as_str().into()),
                ("problem", finding.problem.as_str().into()),
            ])
        })
        .collect();
    let counts = &report.counts;
    let number = |number: u64| JsValue::from_f64(number as f64);
    let counted = [
        ("logRecords", number(counts.log_records)),
        ("segments", number(counts.segments)),
        ("segmentBytes", number(counts.segment_bytes)),
        ("rows", number(counts.rows)),
        ("orphans", number(counts.orphans)),
        ("indexRows", number(counts.index_rows)),
        ("attachments", number(counts.attachments)),
        ("attachmentBytes", number(counts.attachment_bytes)),
        ("untold", number(report.untold)),
    ];
    js::object(&[("ok", report.is_ok().into()), ("findings", findings.into()), ("counts", js::object(&counted))])
}
