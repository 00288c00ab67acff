//! What verification of a store asks the engine: whether records and documents are what this program writes.

use crdt::Doc;
use store::{Content, Key, Parsed};

use crate::record::Record;
use crate::view;

/// The engine's own formats.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineContent;

impl Content for EngineContent {
    fn record(&self, record: &[u8]) -> Result<(), String> {
        let record = Record::decode(record).map_err(|error| error.to_string())?;
        for doc in record.parts.iter().flat_map(|part| &part.docs) {
            Doc::decode(&doc.delta)
                .map_err(|error| format!("a change of collection {} cannot be read: {error}", doc.collection))?;
        }
        Ok(())
    }

    fn row(&self, key: &Key, value: &[u8]) -> Result<(), String> {
        match key.parse() {
            Some(Parsed::Document { collection, .. }) => match view::split(value) {
                Ok((_, bytes)) => {
                    Doc::decode(bytes).map(drop).map_err(|error| format!("collection {collection}: {error}"))
                }
                Err(error) => Err(format!("collection {collection}: {error}")),
            },
            // Small records are read by whoever keeps them; an index row is nothing but its key.
            Some(Parsed::IndexRow { .. } | Parsed::Meta { .. }) => Ok(()),
            None => Err("its key names nothing that this version knows".to_owned()),
        }
    }
}
