//! The conformance suites over everything this room implements itself.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::tiny;
use crate::conformance::{blob_suite, device_suite, store_suite};
use crate::{BootImage, FaultyDevice, Hosted, LsmConfig, MemoryDevice, MemoryStore};

/// Runs a future that never waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => panic!("a device in memory never waits"),
        Poll::Ready(value) => value,
    }
}

#[test]
fn memory_store_conforms() {
    store_suite(MemoryStore::new);
}

#[test]
fn lsm_conforms_with_every_size_of_its_parts() {
    let eager = LsmConfig { wal_commits_max: 1, ..LsmConfig::default() };
    for config in [LsmConfig::default(), tiny(), eager] {
        store_suite(|| Hosted::open(MemoryDevice::new(), &BootImage::default(), config.clone()).unwrap());
    }
}

#[test]
fn memory_device_conforms() {
    block_on(device_suite(async || {
        let device = MemoryDevice::new();
        (device.clone(), device)
    }));
}

#[test]
fn faulty_device_without_faults_conforms() {
    block_on(device_suite(async || {
        let device = FaultyDevice::new();
        (device.clone(), device)
    }));
}

#[test]
fn file_device_conforms() {
    block_on(device_suite(async || {
        let device = super::files::device();
        (device.clone(), device)
    }));
}

#[test]
fn memory_device_keeps_blobs() {
    block_on(blob_suite(async || {
        let device = MemoryDevice::new();
        (device.clone(), device)
    }));
}

#[test]
fn file_device_keeps_blobs() {
    block_on(blob_suite(async || {
        let device = super::files::device();
        (device.clone(), device)
    }));
}
