//! What verification of a store asks the engine: whether records and documents are what this program writes.

use crdt::Doc;
use store::{Content, Key, Parsed};

use crate::index;
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
            Some(Parsed::Meta { name }) => match index::check_record(&name, value) {
                Ok(()) => Ok(()),
                Err(error) => Err(format!("the catalogue of the indexes: {error}")),
            },
            // What it has to be only its index knows: `IndexWalk` looks at all rows of one together.
            Some(Parsed::IndexRow { .. }) => Ok(()),
            None => Err("its key names nothing that this version knows".to_owned()),
        }
    }
}
