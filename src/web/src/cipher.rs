//! AES-256-GCM by the host's Web Crypto, and the locking of a store's data key.
//!
//! A random data key encrypts all records. It is kept beside them, locked by the key that a passphrase gives, or by one that
//! the application supplies. Raw keys stay in the host: secrets come in as JavaScript's own bytes and are handed on, the data
//! key is made, locked and unlocked without ever leaving it, and the one that a store works with cannot be exported.
//!
//! Invariants: nothing secret in an error or a log; a fresh random nonce for every record and every locking; what a wrong secret
//! meets is an error of its own and never damage. Sources: W3C Web Cryptography API; NIST SP 800-38D; `docs/decisions/0007`.

use js_sys::{Array, Promise, Uint8Array};
use store::DeviceError;
use store::envelope::{Ciphertext, ITERATIONS_MIN, KeyRecord, Lock, NONCE_BYTES, Place};
use value::{DecodeError, ErrorCode, Failure};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::{clock, js};

const KEY_BYTES: u32 = 32;

/// What an application locks a store with.
pub enum Secret {
    /// 32 bytes that the application keeps.
    Key(Uint8Array),
    /// The bytes of a passphrase.
    Passphrase(Uint8Array),
}

impl Secret {
    /// Reads `{passphrase}` or `{key}`, bytes both; `None` for `undefined`.
    pub fn from_js(options: &JsValue) -> Result<Option<Secret>, Failure> {
        if options.is_undefined() {
            return Ok(None);
        }
        let bytes = |name| js::property(options, name).dyn_into::<Uint8Array>().ok();
        match (bytes("passphrase"), bytes("key")) {
            (Some(text), None) if text.length() > 0 => Ok(Some(Secret::Passphrase(text))),
            (None, Some(key)) if key.length() == KEY_BYTES => Ok(Some(Secret::Key(key))),
            _ => Err(no_secret()),
        }
    }

    fn new_lock(&self) -> Lock {
        match self {
            Secret::Key(_) => Lock::Key,
            Secret::Passphrase(_) => Lock::Passphrase { salt: clock::random(), iterations: ITERATIONS_MIN },
        }
    }

    /// Makes the key that locks and unlocks the data key.
    async fn locking_key(&self, lock: &Lock) -> Result<JsValue, Failure> {
        let uses = words(&["wrapKey", "unwrapKey"]);
        match (self, lock) {
            (Secret::Key(key), Lock::Key) => import(key, "AES-GCM", uses).await,
            (Secret::Passphrase(text), Lock::Passphrase { salt, iterations }) => {
                let base = import(text, "PBKDF2", words(&["deriveKey"])).await?;
                let derivation = js::object(&[
                    ("name", "PBKDF2".into()),
                    ("hash", "SHA-256".into()),
                    ("salt", js::bytes_to(salt)),
                    ("iterations", (*iterations).into()),
                ]);
                let arguments = [derivation, base, aes_256(), JsValue::FALSE, uses];
                subtle("deriveKey", &arguments).await.map_err(|exception| refused(&exception))
            }
            (Secret::Key(_), Lock::Passphrase { .. }) => {
                Err(wrong("this store is locked with a passphrase, not a key"))
            }
            (Secret::Passphrase(_), Lock::Key) => Err(wrong("this store is locked with a key, not a passphrase")),
        }
    }
}

/// Says whether the host can encrypt: browsers offer it to secure pages only.
pub fn available() -> bool {
    js::property(&js::property(&js::global("crypto"), "subtle"), "encrypt").is_function()
}

/// Encrypts and decrypts the records of one store.
pub struct Cipher {
    key: JsValue,
}

impl Cipher {
    /// Makes a data key, and the record that keeps it for who knows the secret.
    pub async fn create(secret: &Secret) -> Result<(Cipher, KeyRecord), Failure> {
        let arguments = [aes_256(), JsValue::TRUE, data_key_uses()];
        let key = subtle("generateKey", &arguments).await.map_err(|exception| refused(&exception))?;
        let record = lock(&key, secret).await?;
        // Taken out of its record again, as at every later opening: this one cannot be exported.
        Ok((Cipher::unlock(&record, secret).await?, record))
    }

    /// Takes the data key out of its record. Errors: `encryption/wrong-key`.
    pub async fn unlock(record: &KeyRecord, secret: &Secret) -> Result<Cipher, Failure> {
        Ok(Cipher { key: unlock(record, secret, Export::Never).await? })
    }

    /// Encrypts a record into its envelope.
    pub async fn seal(&self, place: &Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, DeviceError> {
        let nonce: [u8; NONCE_BYTES] = clock::random();
        let arguments = [aes_gcm(&nonce, &place.associated_data()), self.key.clone(), js::bytes_to(bytes)];
        match subtle("encrypt", &arguments).await {
            Ok(ciphertext) => Ok(place.wrap(&nonce, &js::bytes_from(&ciphertext))),
            Err(exception) => Err(DeviceError::Other(format!("encryption: {}", js::describe(&exception)))),
        }
    }

    /// Begins to decrypt; many records at once are many times faster than one after another.
    pub fn open(&self, place: &Place<'_>, sealed: Ciphertext<'_>) -> Opening {
        let parameters = aes_gcm(sealed.nonce, &place.associated_data());
        Opening { plain: start("decrypt", &[parameters, self.key.clone(), js::bytes_to(sealed.bytes)]) }
    }
}

/// A record that is being decrypted.
pub struct Opening {
    plain: Result<JsFuture, JsValue>,
}

impl Opening {
    /// Waits for the record. Errors: what was sealed is not what was written there; Web Crypto does not say more.
    pub async fn finish(self) -> Result<Vec<u8>, DecodeError> {
        match self.plain {
            Ok(plain) => plain.await.map(|plain| js::bytes_from(&plain)).map_err(|_| DecodeError::Checksum),
            Err(_) => Err(DecodeError::Checksum),
        }
    }
}

/// Locks the same data key with another secret.
pub async fn relock(record: &KeyRecord, current: &Secret, next: &Secret) -> Result<KeyRecord, Failure> {
    lock(&unlock(record, current, Export::Relock).await?, next).await
}

/// Whether an unlocked data key may leave the host again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Export {
    Never,
    Relock,
}

async fn lock(key: &JsValue, secret: &Secret) -> Result<KeyRecord, Failure> {
    let (lock, nonce) = (secret.new_lock(), clock::random());
    let locking = secret.locking_key(&lock).await?;
    let arguments = ["raw".into(), key.clone(), locking, aes_gcm(&nonce, &lock.associated_data())];
    let wrapped = subtle("wrapKey", &arguments).await.map_err(|exception| refused(&exception))?;
    Ok(KeyRecord { lock, nonce, wrapped: js::bytes_from(&wrapped) })
}

async fn unlock(record: &KeyRecord, secret: &Secret, export: Export) -> Result<JsValue, Failure> {
    let locking = secret.locking_key(&record.lock).await?;
    let arguments = [
        "raw".into(),
        js::bytes_to(&record.wrapped),
        locking,
        aes_gcm(&record.nonce, &record.lock.associated_data()),
        aes_256(),
        (export == Export::Relock).into(),
        data_key_uses(),
    ];
    subtle("unwrapKey", &arguments).await.map_err(|_| wrong("the passphrase or key does not open this store"))
}

async fn import(bytes: &Uint8Array, algorithm: &str, uses: JsValue) -> Result<JsValue, Failure> {
    let arguments = ["raw".into(), bytes.into(), algorithm.into(), JsValue::FALSE, uses];
    subtle("importKey", &arguments).await.map_err(|exception| refused(&exception))
}

fn start(method: &str, arguments: &[JsValue]) -> Result<JsFuture, JsValue> {
    let crypto = js::property(&js::global("crypto"), "subtle");
    let promise: Promise = js::call(&crypto, method, arguments)?.dyn_into()?;
    Ok(JsFuture::from(promise))
}

async fn subtle(method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    start(method, arguments)?.await
}

fn aes_256() -> JsValue {
    js::object(&[("name", "AES-GCM".into()), ("length", 256.into())])
}

fn aes_gcm(nonce: &[u8], associated_data: &[u8]) -> JsValue {
    js::object(&[
        ("name", "AES-GCM".into()),
        ("iv", js::bytes_to(nonce)),
        ("additionalData", js::bytes_to(associated_data)),
    ])
}

fn data_key_uses() -> JsValue {
    words(&["encrypt", "decrypt"])
}

fn words(words: &[&str]) -> JsValue {
    words.iter().copied().map(JsValue::from_str).collect::<Array>().into()
}

/// The error for what cannot lock anything.
pub fn no_secret() -> Failure {
    let message = "encryption takes a passphrase that is not empty, or a key of 32 bytes";
    Failure::new(ErrorCode::ValidationInvalidDittoConfig, message)
}

fn wrong(message: &str) -> Failure {
    Failure::new(ErrorCode::EncryptionWrongKey, format!("{message}; nothing was touched"))
}

fn refused(exception: &JsValue) -> Failure {
    Failure::new(ErrorCode::IoOperationFailed, format!("the host's cryptography refused: {}", js::describe(exception)))
}
