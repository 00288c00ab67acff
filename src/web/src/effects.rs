//! What each output of the engine means here.

use std::rc::Rc;

use peer::io::{Input, Output};
use store::Device;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::driver::Driver;
use crate::log::Append;
use crate::{js, view};

impl Driver {
    /// Carries out one output. Never calls the application and never waits.
    pub(crate) fn perform(self: &Rc<Self>, output: Output) {
        match output {
            Output::AuthenticationRequired { seconds_left } => {
                let driver = self.clone();
                let seconds = JsValue::from_f64(seconds_left as f64);
                // A tab that holds the links without having started sync has no handler: another tab has.
                self.emit_then("authenticationRequired", seconds.clone(), move |handled| {
                    if !handled {
                        driver.tabs.post("auth", seconds);
                    }
                });
            }
            Output::Blob(task) => self.blob_task(task),
            Output::BlobProgress { id, have_bytes } => self.blob_progress(id, have_bytes),
            Output::Close { link, code: _ } => self.links.close(link),
            Output::Commit { ticket, expected, not_before, record, durability } => {
                self.commit(Append { ticket, expected, not_before, record, durability });
            }
            Output::BlobDamaged { what } | Output::Damaged { what } => {
                self.damaged.replace(Some(what));
                self.tell_storage();
            }
            Output::Dial { target } => crate::links::dial(self, target),
            Output::FieldChanged { watch } => crate::field::changed(self, watch),
            Output::Load { ticket, blocks } => {
                let driver = self.clone();
                spawn_local(async move {
                    driver.feed(match driver.storage.read(&blocks).await {
                        Ok(found) => Input::Loaded { ticket, blocks: blocks.into_iter().zip(found).collect() },
                        Err(error) => Input::LoadFailed { ticket, failure: error.failure() },
                    });
                });
            }
            Output::Maintain { ticket, batch } => {
                let driver = self.clone();
                spawn_local(async move {
                    let result = driver.storage.write(batch).await;
                    driver.feed(Input::Maintained { ticket, result });
                });
            }
            Output::Notify { observer, rows } => self.notify(observer.0, view::rows(&rows, &[], None)),
            Output::Presence(graph) => self.tell_or_mirror("presence", view::presence(&graph)),
            // Whoever has appended tells the others, see `log`.
            Output::Published { seq: _ } => {}
            Output::Reboot { ticket } => self.reboot(ticket),
            Output::Reload { ticket } => {
                let driver = self.clone();
                spawn_local(async move {
                    let manifest = driver.storage.manifest().await.map_err(|error| error.failure());
                    driver.feed(Input::Reloaded { ticket, manifest });
                });
            }
            Output::Reply { ticket, result } => self.settle(ticket, result),
            Output::Said { topic, payload } => crate::field::said(self, topic, &payload),
            Output::Send { link, bytes } => self.links.send(link, bytes),
            Output::Signal { from, payload } => {
                crate::rtc::signalled(self, from, peer::io::SignalPath::Relay, &payload)
            }
            Output::Status(status) => self.tell_or_mirror("status", view::status(&status)),
            Output::TransactionOpen { transaction, open_ms } => {
                let fields = [("transaction", transaction.0), ("openMs", open_ms)];
                self.emit(
                    "transactionOpen",
                    js::object(&fields.map(|(name, value)| (name, JsValue::from(value as f64)))),
                );
            }
        }
    }

    fn notify(self: &Rc<Self>, observer: u64, rows: JsValue) {
        let driver = self.clone();
        spawn_local(async move {
            let callback = driver.observers.borrow().get(&observer).cloned();
            if let Some(callback) = callback
                && let Err(exception) = callback.call1(&JsValue::UNDEFINED, &rows)
            {
                js::warn(&format!("[shoal] an observer threw: {}", js::describe(&exception)));
            }
        });
    }

    /// What the tab with the links knows of the network is true for all tabs.
    fn tell_or_mirror(self: &Rc<Self>, kind: &'static str, value: JsValue) {
        if self.tabs.hears_others() {
            return;
        }
        self.tabs.mirror(kind, value.clone());
        self.emit(kind, value);
    }
}
