//! The time zones of the host, asked of JavaScript's `Intl`: browsers and Node bring the table, so that the module need not.
//!
//! A formatter writes the date and time that clocks in the zone show; the difference to UTC is the offset. Formatters are
//! costly to make and are kept, and so is the last answer of each: offsets change at whole quarters of an hour.
//!
//! Invariant: only built-in functions are called, with plain values, so none of them calls back into the engine, which is
//! borrowed meanwhile.

use std::cell::RefCell;

use dql::Zones;
use js_sys::{Array, Date, Function, Reflect};
use value::Millis;
use wasm_bindgen::prelude::*;

use crate::js;

const QUARTER_MS: u64 = 15 * 60 * 1000;
/// More zones than a program uses; names may come out of documents, so there is a bound.
const ZONES_MAX: usize = 64;

/// The zones that `Intl` knows.
#[derive(Default)]
pub struct IntlZones {
    zones: RefCell<Vec<Zone>>,
}

struct Zone {
    name: String,
    /// `undefined` where there is no such zone.
    formatter: JsValue,
    last: Option<(u64, i32)>,
}

impl Zones for IntlZones {
    fn offset(&self, zone: &str, at: Millis) -> Option<i32> {
        let mut zones = self.zones.borrow_mut();
        let index = zones.iter().position(|known| known.name == zone).unwrap_or_else(|| {
            if zones.len() == ZONES_MAX {
                zones.clear();
            }
            let formatter = formatter(zone).unwrap_or(JsValue::UNDEFINED);
            zones.push(Zone { name: zone.to_owned(), formatter, last: None });
            zones.len() - 1
        });
        let zone = &mut zones[index];
        let quarter = at.0 / QUARTER_MS;
        match zone.last {
            Some((known, offset)) if known == quarter => Some(offset),
            _ => {
                let offset = offset_by(&zone.formatter, quarter * QUARTER_MS)?;
                zone.last = Some((quarter, offset));
                Some(offset)
            }
        }
    }

    fn nanoseconds(&self) -> u64 {
        let now = js::call(&js::global("performance"), "now", &[]).ok().and_then(|now| now.as_f64());
        (now.unwrap_or(0.0) * 1e6) as u64
    }

    fn local(&self) -> String {
        let options = constructed(&[]).and_then(|formatter| js::call(&formatter, "resolvedOptions", &[]));
        let name = options.ok().and_then(|options| js::property(&options, "timeZone").as_string());
        name.unwrap_or_else(|| "UTC".to_owned())
    }
}

fn formatter(zone: &str) -> Option<JsValue> {
    let numeric = || JsValue::from("numeric");
    let mut fields = vec![("timeZone", JsValue::from(zone)), ("hourCycle", JsValue::from("h23"))];
    fields.extend(FIELDS.map(|field| (field, numeric())));
    // An exception says that there is no such zone.
    constructed(&[JsValue::from("en-US"), js::object(&fields)]).ok()
}

fn constructed(arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let constructor: Function = js::property(&js::global("Intl"), "DateTimeFormat").dyn_into()?;
    Reflect::construct(&constructor, &arguments.iter().collect::<Array>())
}

const FIELDS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];

/// Returns the offset at a moment, seconds.
fn offset_by(formatter: &JsValue, ms: u64) -> Option<i32> {
    let parts = js::call(formatter, "formatToParts", &[Date::new(&JsValue::from(ms as f64)).into()]).ok()?;
    let mut shown = [0.0; FIELDS.len()];
    for part in Array::from(&parts).iter() {
        let name = js::property(&part, "type").as_string()?;
        if let Some(index) = FIELDS.iter().position(|field| *field == name) {
            shown[index] = js::property(&part, "value").as_string()?.parse().ok()?;
        }
    }
    // Months count from 0 in JavaScript, and some browsers write midnight as 24.
    shown[1] -= 1.0;
    shown[3] %= 24.0;
    let local = js::call(&js::global("Date"), "UTC", &shown.map(JsValue::from)).ok()?.as_f64()?;
    Some(((local - ms as f64) / 1000.0) as i32)
}
