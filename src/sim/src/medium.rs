//! Kinds of links: how long a frame takes, how many bytes go in a millisecond, how often one is sent again, how often it breaks.
//!
//! A link is reliable and in order, as a WebSocket and a data channel are. So what the air loses is not missed by an engine: it
//! comes late, and all that is behind it waits; or the link breaks. Bytes queue at the sender's end, so that a large frame
//! delays what is behind it. In half of the runs all links are as the weather has it, without a bound; in the others each
//! pair of peers has its usual medium, and now and then a dial is made over another, as of one who leaves the house.
//!
//! Nothing here knows of wires or frames. Chance has a stream of its own.

use std::collections::BTreeMap;

use crate::network::Weather;
use crate::options::{Class, Profile};
use crate::rng::Rng;

/// How one link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Medium {
    /// What it is, for people.
    pub name: &'static str,
    /// How long a frame takes at least, and what chance adds.
    pub weather: Weather,
    /// Bytes that pass in a millisecond, from the end that dialled and towards it; 0: without a bound.
    pub bytes_per_ms: [u64; 2],
    /// How many of a thousand frames are sent again.
    pub resent_per_mille: u64,
    /// How much later such a frame comes at most, milliseconds.
    pub resent_ms_max: u64,
    /// How many of ten thousand frames break the link instead.
    pub breaks: u64,
}

const fn weather(delay_ms_min: u64, jitter_ms_max: u64) -> Weather {
    Weather { delay_ms_min, jitter_ms_max }
}

/// A data channel between two devices in one house.
const LAN: Medium = Medium {
    name: "LAN",
    weather: weather(1, 2),
    bytes_per_ms: [6_000, 6_000],
    resent_per_mille: 0,
    resent_ms_max: 0,
    breaks: 2,
};

/// A line to the Big Peer, 4 Mbit/s up and 24 down.
const BROADBAND: Medium = Medium {
    name: "broadband",
    weather: weather(12, 10),
    bytes_per_ms: [500, 3_000],
    resent_per_mille: 2,
    resent_ms_max: 300,
    breaks: 5,
};

/// A telephone on its way, 400 kbit/s up and 1.6 Mbit/s down.
const MOBILE: Medium = Medium {
    name: "mobile",
    weather: weather(45, 80),
    bytes_per_ms: [50, 200],
    resent_per_mille: 25,
    resent_ms_max: 1_500,
    breaks: 40,
};

/// A telephone at the edge of the cell, 120 kbit/s up and 200 down.
const SLOW: Medium = Medium {
    name: "slow",
    weather: weather(250, 300),
    bytes_per_ms: [15, 25],
    resent_per_mille: 60,
    resent_ms_max: 4_000,
    breaks: 60,
};

/// Between whom a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Two Small Peers.
    Near,
    /// A Small Peer and the Big Peer.
    Server,
}

/// Chooses the medium of each link.
#[derive(Debug)]
pub struct Media {
    plain: Medium,
    mixed: bool,
    breaking: bool,
    usual: BTreeMap<(usize, usize), Medium>,
    rng: Rng,
}

impl Media {
    /// Draws whether the links of a seed differ.
    pub fn draw(seed: u64, profile: &Profile) -> Media {
        let mut rng = Rng::named(seed, "media");
        let mixed = rng.chance(500) && profile.has(Class::Media);
        Media { mixed, breaking: profile.has(Class::Cuts), rng, ..Media::plain(profile.weather) }
    }

    /// Gives all links the same weather and no bound.
    pub fn plain(weather: Weather) -> Media {
        let plain =
            Medium { name: "plain", weather, bytes_per_ms: [0, 0], resent_per_mille: 0, resent_ms_max: 0, breaks: 0 };
        Media { plain, mixed: false, breaking: false, usual: BTreeMap::new(), rng: Rng::new(0) }
    }

    /// Says how a message outside of all links travels.
    pub fn weather(&self) -> Weather {
        self.plain.weather
    }

    /// Chooses the medium of a link that was dialled.
    pub fn choose(&mut self, a: usize, b: usize, reach: Reach) -> Medium {
        if !self.mixed {
            return self.plain;
        }
        let drawn = self.some(reach);
        let usual = *self.usual.entry((a.min(b), a.max(b))).or_insert(drawn);
        if self.rng.chance(150) { drawn } else { usual }
    }

    fn some(&mut self, reach: Reach) -> Medium {
        let weights = match reach {
            Reach::Near => [60, 15, 20, 5],
            Reach::Server => [10, 45, 30, 15],
        };
        [LAN, BROADBAND, MOBILE, SLOW][self.rng.weighted(&weights)]
    }

    /// Draws by how much a frame is late because it was sent again, milliseconds.
    pub fn resent(&mut self, medium: &Medium) -> Option<u64> {
        let late = medium.resent_per_mille > 0 && self.rng.chance(medium.resent_per_mille);
        late.then(|| self.rng.between(1, medium.resent_ms_max))
    }

    /// Draws whether a link breaks under a frame.
    pub fn breaks(&mut self, medium: &Medium) -> bool {
        self.breaking && medium.breaks > 0 && self.rng.below(10_000) < medium.breaks
    }

    /// No link breaks any more; frames are still late.
    pub fn calm(&mut self) {
        self.breaking = false;
    }
}

#[cfg(test)]
impl Media {
    /// Gives all links one medium.
    pub fn only(medium: Medium) -> Media {
        Media { plain: medium, breaking: true, ..Media::plain(medium.weather) }
    }
}
