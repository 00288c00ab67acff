//! A device whose records are encrypted: seals what goes in, opens what comes out.
//!
//! Wraps any device. Everything is sealed before the inner call and opened after it, since nothing but IndexedDB may be
//! awaited inside a transaction. Log records name the record they were written behind, and the inner device takes a record
//! only behind that one; so a log whose records were moved, exchanged, repeated or taken out of its middle shows as damaged.
//!
//! Invariants: no record but the locked key goes in unsealed; a record that does not open is damage, as a wrong checksum is.
//! What this cannot see: that a whole store was put back to an earlier state, or that the newest records were cut off.

use store::blob_device::HEAD_PART;
use store::envelope::{self, KeyRecord, Place};
use store::{
    Appended, BlobDevice, BlobListing, BlobPlace, BlockId, BootImage, Device, DeviceBatch, DeviceError, Durability,
    Records, Usage, Written, manifest_head,
};
use value::{DecodeError, ErrorCode, Failure, Millis, Seq};

use crate::cipher::{self, Cipher, Opening, Secret};

/// Name of the small record that holds the locked data key.
pub const RECORD: &str = "encryption";

/// A device with a cipher before it.
pub struct Sealed<D> {
    inner: D,
    cipher: Cipher,
}

impl<D: Device> Sealed<D> {
    /// Makes an empty device an encrypted one. The caller is the only one that opens it.
    pub async fn create(inner: D, secret: &Secret) -> Result<Sealed<D>, Failure> {
        let (cipher, record) = Cipher::create(secret).await?;
        inner.put_meta(RECORD, record.encode()).await.map_err(|error| error.failure())?;
        Ok(Sealed { inner, cipher })
    }

    /// Unlocks an encrypted device and opens the image that was read from it.
    pub async fn unlock(inner: D, image: BootImage, secret: &Secret) -> Result<(Sealed<D>, BootImage), Failure> {
        let cipher = Cipher::unlock(&key_record(&image)?, secret).await?;
        let image = open_image(&cipher, image).await.map_err(|error| error.failure())?;
        Ok((Sealed { inner, cipher }, image))
    }

    /// Locks the data key with another secret; from then on the current one is refused.
    pub async fn change_key(&self, current: &Secret, next: &Secret) -> Result<(), Failure> {
        let image = self.inner.boot().await.map_err(|error| error.failure())?;
        let record = cipher::relock(&key_record(&image)?, current, next).await?;
        self.inner.put_meta(RECORD, record.encode()).await.map_err(|error| error.failure())
    }

    /// Returns the device behind the cipher.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    async fn seal_manifest(&self, bytes: &[u8]) -> Result<Vec<u8>, DeviceError> {
        // Nothing that is empty or damaged comes from the engine; a head that cannot be read is not written.
        let head = manifest_head(bytes).map_err(|error| damaged("the manifest", error))?;
        self.cipher.seal(&Place::Manifest(head), bytes).await
    }
}

/// Says whether a device has been encrypted.
pub fn is_sealed(image: &BootImage) -> bool {
    image.meta.iter().any(|(name, _)| name == RECORD)
}

fn key_record(image: &BootImage) -> Result<KeyRecord, Failure> {
    let found = image.meta.iter().find(|(name, _)| name == RECORD);
    let bytes = found.map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
    KeyRecord::decode(bytes).map_err(|error| match error {
        DecodeError::Version(format) => DeviceError::NewerFormat(format).failure(),
        other => Failure::new(ErrorCode::StoreBackend, format!("the store's locked key is damaged ({other})")),
    })
}

async fn open_image(cipher: &Cipher, image: BootImage) -> Result<BootImage, DeviceError> {
    let manifest = match &image.manifest {
        Some(bytes) => Some(open_manifest(cipher, bytes).await?),
        None => None,
    };
    let mut meta = Vec::with_capacity(image.meta.len());
    for (name, bytes) in image.meta {
        if name != RECORD {
            let plain = open_named(cipher, &Place::Meta(&name), &bytes).await;
            meta.push((name.clone(), plain.map_err(|error| damaged(&format!("the record {name}"), error))?));
        }
    }
    let log_start = match manifest.as_deref().map(manifest_head) {
        Some(Ok(head)) => head.log_start,
        Some(Err(_)) | None => Seq(0),
    };
    let mut opened = BootImage { manifest, meta, damaged: image.damaged, ..BootImage::default() };
    let before = opened.damaged.clone();
    for (seq, record) in open_log(cipher, Before::AtMost(log_start), &before, image.log).await {
        match record {
            Ok(record) => opened.log.push((seq, record)),
            Err(DecodeError::Version(format)) => return Err(DeviceError::NewerFormat(format)),
            Err(_) => {
                let at = opened.damaged.partition_point(|gap| *gap < seq);
                opened.damaged.insert(at, seq);
            }
        }
    }
    Ok(opened)
}

async fn open_records(cipher: &Cipher, after: Seq, sealed: Records) -> Result<Records, DeviceError> {
    let opened = open_log(cipher, Before::Exactly(after), &[], sealed).await;
    let whole = |(seq, record): (Seq, Result<Vec<u8>, DecodeError>)| match record {
        Ok(record) => Ok((seq, record)),
        Err(error) => Err(damaged(&format!("log record {}", seq.0), error)),
    };
    opened.into_iter().map(whole).collect()
}

/// What the record before may be.
#[derive(Clone, Copy)]
enum Before {
    /// Somewhere up to here: the first record of a trimmed log.
    AtMost(Seq),
    /// Somewhere from here on: one between could not be read, and its place may be a guess.
    AtLeast(Seq),
    /// This one.
    Exactly(Seq),
}

impl Before {
    fn allows(self, after: Seq) -> bool {
        match self {
            Before::AtMost(seq) => after <= seq,
            Before::AtLeast(seq) => after >= seq,
            Before::Exactly(seq) => after == seq,
        }
    }
}

/// Opens records in order, all at once, and checks that each lies behind the one it was written behind.
async fn open_log(
    cipher: &Cipher,
    first: Before,
    unreadable: &[Seq],
    sealed: Records,
) -> Vec<(Seq, Result<Vec<u8>, DecodeError>)> {
    let mut before = first;
    let mut last = Seq(0);
    let mut opening: Vec<(Seq, Result<Opening, DecodeError>)> = Vec::with_capacity(sealed.len());
    for (seq, bytes) in &sealed {
        if unreadable.iter().any(|gap| last < *gap && *gap < *seq) {
            before = Before::AtLeast(last);
        }
        let record = envelope::unwrap_log(bytes).and_then(|(after, ciphertext)| {
            let in_place = before.allows(after) && after < *seq;
            if in_place { Ok(cipher.open(&Place::Log(after), ciphertext)) } else { Err(DecodeError::Invalid("order")) }
        });
        opening.push((*seq, record));
        (before, last) = (Before::Exactly(*seq), *seq);
    }
    let mut opened = Vec::with_capacity(opening.len());
    for (seq, record) in opening {
        let record = match record {
            Ok(opening) => opening.finish().await,
            Err(error) => Err(error),
        };
        opened.push((seq, record));
    }
    opened
}

async fn open_manifest(cipher: &Cipher, bytes: &[u8]) -> Result<Vec<u8>, DeviceError> {
    let damaged = |error| damaged("the manifest", error);
    let (head, ciphertext) = envelope::unwrap_manifest(bytes).map_err(damaged)?;
    cipher.open(&Place::Manifest(head), ciphertext).finish().await.map_err(damaged)
}

async fn open_named(cipher: &Cipher, place: &Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let ciphertext = envelope::unwrap_named(place, bytes)?;
    cipher.open(place, ciphertext).finish().await
}

fn damaged(what: &str, error: DecodeError) -> DeviceError {
    match error {
        DecodeError::Version(format) => DeviceError::NewerFormat(format),
        other => DeviceError::Damaged(format!("{what} ({other})")),
    }
}

impl<D: Device> Device for Sealed<D> {
    async fn boot(&self) -> Result<BootImage, DeviceError> {
        open_image(&self.cipher, self.inner.boot().await?).await
    }

    async fn append(
        &self,
        expected: Seq,
        now: Millis,
        record: Vec<u8>,
        durability: Durability,
    ) -> Result<Appended, DeviceError> {
        let sealed = self.cipher.seal(&Place::Log(expected), &record).await?;
        match self.inner.append(expected, now, sealed, durability).await? {
            Appended::Conflict(records) => open_records(&self.cipher, expected, records).await.map(Appended::Conflict),
            Appended::Done(seq) => Ok(Appended::Done(seq)),
        }
    }

    async fn tail(&self, after: Seq) -> Result<Records, DeviceError> {
        open_records(&self.cipher, after, self.inner.tail(after).await?).await
    }

    async fn read(&self, blocks: &[BlockId]) -> Result<Vec<Option<Vec<u8>>>, DeviceError> {
        let mut found = self.inner.read(blocks).await?;
        let sealed = blocks.iter().zip(&found).map(|(block, bytes)| {
            let place = Place::Block(*block);
            let ciphertext = envelope::unwrap_named(&place, bytes.as_deref()?);
            Some(ciphertext.map(|ciphertext| self.cipher.open(&place, ciphertext)))
        });
        let opening: Vec<Option<Result<Opening, DecodeError>>> = sealed.collect();
        for (bytes, opening) in found.iter_mut().zip(opening) {
            let plain = match opening {
                None => continue,
                Some(Ok(opening)) => opening.finish().await,
                Some(Err(error)) => Err(error),
            };
            match plain {
                Ok(plain) => *bytes = Some(plain),
                Err(DecodeError::Version(format)) => return Err(DeviceError::NewerFormat(format)),
                // Never what lies there, which somebody else may have put there: nothing is no segment, so the store gives
                // up this block alone.
                Err(_) => *bytes = Some(Vec::new()),
            }
        }
        Ok(found)
    }

    async fn manifest(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        match self.inner.manifest().await? {
            Some(bytes) => open_manifest(&self.cipher, &bytes).await.map(Some),
            None => Ok(None),
        }
    }

    async fn write(&self, batch: DeviceBatch) -> Result<Written, DeviceError> {
        let manifest = self.seal_manifest(&batch.manifest).await?;
        let mut puts = Vec::with_capacity(batch.puts.len());
        for (block, bytes) in &batch.puts {
            puts.push((*block, self.cipher.seal(&Place::Block(*block), bytes).await?));
        }
        let mut meta = Vec::with_capacity(batch.meta.len());
        for (name, bytes) in &batch.meta {
            meta.push((name.clone(), self.cipher.seal(&Place::Meta(name), bytes).await?));
        }
        match self.inner.write(DeviceBatch { manifest, puts, meta, ..batch }).await? {
            Written::Conflict(manifest) => open_manifest(&self.cipher, &manifest).await.map(Written::Conflict),
            Written::Done => Ok(Written::Done),
        }
    }

    async fn put_meta(&self, name: &str, bytes: Vec<u8>) -> Result<(), DeviceError> {
        let sealed = self.cipher.seal(&Place::Meta(name), &bytes).await?;
        self.inner.put_meta(name, sealed).await
    }

    /// Keeps the locked key, so that what is written next can be read again.
    async fn clear(&self) -> Result<(), DeviceError> {
        let image = self.inner.boot().await?;
        self.inner.clear().await?;
        match image.meta.into_iter().find(|(name, _)| name == RECORD) {
            Some((name, bytes)) => self.inner.put_meta(&name, bytes).await,
            // Another tab has cleared the store meanwhile: this cipher's key is lost, and the store is a fresh one.
            None => Err(DeviceError::Closed),
        }
    }

    async fn usage(&self) -> Result<Usage, DeviceError> {
        self.inner.usage().await
    }

    async fn blocks(&self) -> Result<Option<Vec<BlockId>>, DeviceError> {
        self.inner.blocks().await
    }
}

impl<D: Device + BlobDevice> BlobDevice for Sealed<D> {
    async fn blob_list(&self) -> Result<Vec<BlobListing>, DeviceError> {
        let mut places = self.inner.blob_list().await?;
        for listing in &mut places {
            if let Some(head) = &mut listing.head {
                // One that does not open stays as it is, which is no head: a place that nothing names, and is collected.
                if let Ok(opened) = open_named(&self.cipher, &Place::Blob(listing.place, HEAD_PART), head).await {
                    *head = opened;
                }
            }
        }
        Ok(places)
    }

    async fn blob_put(&self, place: BlobPlace, part: u32, bytes: Vec<u8>) -> Result<(), DeviceError> {
        let sealed = self.cipher.seal(&Place::Blob(place, part), &bytes).await?;
        self.inner.blob_put(place, part, sealed).await
    }

    async fn blob_read(&self, place: BlobPlace, part: u32) -> Result<Option<Vec<u8>>, DeviceError> {
        match self.inner.blob_read(place, part).await? {
            Some(sealed) => Ok(open_named(&self.cipher, &Place::Blob(place, part), &sealed).await.ok()),
            None => Ok(None),
        }
    }

    async fn blob_delete(&self, place: BlobPlace, part: Option<u32>) -> Result<(), DeviceError> {
        self.inner.blob_delete(place, part).await
    }
}
