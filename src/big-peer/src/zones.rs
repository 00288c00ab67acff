//! The time zones of the server: the system's table if it has one, or the one that is built in.

use std::sync::OnceLock;

use dql::Zones;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use value::Millis;

use crate::clock::Stopwatch;

/// The zones of the IANA database.
#[derive(Clone, Copy, Debug, Default)]
pub struct IanaZones;

impl Zones for IanaZones {
    fn offset(&self, zone: &str, at: Millis) -> Option<i32> {
        let at = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
        Some(TimeZone::get(zone).ok()?.to_offset(at).seconds())
    }

    fn nanoseconds(&self) -> u64 {
        static STARTED: OnceLock<Stopwatch> = OnceLock::new();
        (STARTED.get_or_init(Stopwatch::start).seconds() * 1e9) as u64
    }

    fn local(&self) -> String {
        TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_the_summer_and_unknown_zones_have_none() {
        let (winter, summer) = (Millis(1_709_209_815_250), Millis(1_719_835_200_000));
        assert_eq!(IanaZones.offset("Europe/Berlin", winter), Some(3600));
        assert_eq!(IanaZones.offset("Europe/Berlin", summer), Some(7200));
        assert_eq!(IanaZones.offset("Asia/Kolkata", winter), Some(19_800));
        assert_eq!(IanaZones.offset("Nowhere/Land", winter), None);
        assert_eq!(IanaZones.offset("Europe/Berlin", Millis(u64::MAX)), None);
        assert!(IanaZones.offset(&IanaZones.local(), winter).is_some());
    }
}
