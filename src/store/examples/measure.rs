//! Measures the engine natively over a device in memory: `cargo run --release -p store --example measure`.
//!
//! 100,000 documents of 870 bytes under random keys, as in the study of IndexedDB; the device costs nothing, so the figures
//! are the engine's own work and the bytes it would have written.

#![allow(clippy::disallowed_methods, reason = "a measurement needs a real clock")]

use std::time::Instant;

use store::{
    Batch, DeviceBatch, DeviceNow, Key, KeyRange, Lsm, LsmConfig, Maintenance, MemoryDevice, ReadError, Store,
};
use value::{CollectionName, DocId, Millis, Seq, Value};

const DOCUMENTS: u64 = 100_000;

fn key(collection: &CollectionName, n: u64) -> Key {
    let id = Value::Str(format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    Key::document(collection, &DocId::new(&id).expect("a short string identifies"))
}

fn load(lsm: &mut Lsm, device: &MemoryDevice, blocks: &[store::BlockId]) {
    let read = device.read_now(blocks).expect("no faults");
    for (block, bytes) in blocks.iter().zip(read) {
        lsm.admit(*block, bytes).expect("no damage");
    }
}

/// Carries out maintenance; returns bytes written and the longest step in milliseconds.
fn maintain(lsm: &mut Lsm, device: &MemoryDevice, slowest_ms: &mut f64) -> usize {
    let mut written = 0;
    loop {
        let start = Instant::now();
        let step = lsm.maintenance(Millis(0));
        *slowest_ms = slowest_ms.max(start.elapsed().as_secs_f64() * 1e3);
        match step {
            None => return written,
            Some(Maintenance::Load(blocks)) => load(lsm, device, &blocks),
            Some(Maintenance::Write(batch)) => {
                written += size(&batch);
                let outcome = device.write_now(batch);
                lsm.maintained(outcome).expect("no conflict");
            }
        }
    }
}

fn size(batch: &DeviceBatch) -> usize {
    batch.manifest.len() + batch.puts.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
}

fn main() {
    let collection = CollectionName::new("cars").expect("a short name");
    let device = MemoryDevice::new();
    let mut lsm = Lsm::open(None, LsmConfig::default()).expect("an empty store");
    let (start, mut written, mut slowest) = (Instant::now(), 0, 0.0);
    for commit in 0..DOCUMENTS / 100 {
        let mut batch = Batch::new(Seq(commit + 1));
        for n in 0..100 {
            batch.put(key(&collection, commit * 100 + n), vec![commit as u8; 870]);
        }
        lsm.apply(batch).expect("memory");
        written += maintain(&mut lsm, &device, &mut slowest);
    }
    let user = DOCUMENTS as f64 * 890.0;
    println!(
        "insert: {:?}, bytes written x{:.1}, slowest step {slowest:.1} ms",
        start.elapsed(),
        written as f64 / user
    );
    println!("after: {:?}", lsm.stats());

    let manifest = device.manifest_now().expect("no faults").expect("flushed");
    let start = Instant::now();
    let mut lsm = Lsm::open(Some(&manifest), LsmConfig::default()).expect("valid");
    println!("open: {:?}, manifest {} bytes", start.elapsed(), manifest.len());

    let (start, mut blocks_read) = (Instant::now(), 0);
    for n in 0..1000 {
        while let Err(ReadError::NotResident(blocks)) = lsm.get(&key(&collection, n * 97)) {
            blocks_read += blocks.len();
            load(&mut lsm, &device, &blocks);
        }
    }
    println!("1,000 cold gets: {:?}, {blocks_read} blocks", start.elapsed());

    let (start, mut range, mut rows) = (Instant::now(), Key::all_documents(), 0);
    loop {
        match lsm.range(&range, 1000) {
            Err(ReadError::NotResident(blocks)) => load(&mut lsm, &device, &blocks),
            Err(error) => panic!("{error}"),
            Ok(page) => {
                rows += page.len();
                match page.last() {
                    Some((last, _)) if page.len() == 1000 => range = range.after(last),
                    _ => break,
                }
            }
        }
    }
    println!("scan of {rows} rows in pages of 1,000: {:?}", start.elapsed());

    let start = Instant::now();
    let mut found = 0;
    for n in 0..DOCUMENTS {
        found += usize::from(lsm.get(&key(&collection, n)) != Ok(None));
    }
    println!("{found} hot gets: {:?}", start.elapsed());
    let start = Instant::now();
    let absent = (0..DOCUMENTS).filter(|n| lsm.get(&key(&collection, n + DOCUMENTS * 2)) == Ok(None)).count();
    println!("{absent} absent gets: {:?}", start.elapsed());
    let start = Instant::now();
    let all = lsm.range(&KeyRange::all(), usize::MAX).expect("all is resident").len();
    println!("hot scan of {all} rows in one piece: {:?}", start.elapsed());
}
