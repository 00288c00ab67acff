//! Who may import whom: between rooms, and from outside. The picture is in ARCHITECTURE.md.

use super::Finding;
use super::metadata::Package;

const ENGINE: [&str; 6] = ["peer", "value", "crdt", "dql", "store", "sync"];

/// What each room may import from the others. A package that is not here may import everything: the tests.
const ARROWS: [(&str, &[&str]); 10] = [
    ("value", &[]),
    ("crdt", &["value"]),
    ("dql", &["value"]),
    ("store", &["value"]),
    ("sync", &["value"]),
    ("peer", &["value", "crdt", "dql", "store", "sync"]),
    ("web", &ENGINE),
    ("big-peer", &ENGINE),
    ("sim", &ENGINE),
    ("xtask", &["value"]),
];

/// The only package that may import every room, and every guarded dependency: cross-room tests.
const TESTS: &str = "shoal-tests";

/// Outside dependencies that are at home in some rooms only. A name that ends in `*` stands for all that begin so.
const HOMES: [(&str, &[&str]); 19] = [
    ("yrs", &["crdt"]),
    ("wasm-bindgen*", &["web"]),
    ("web-sys", &["web"]),
    ("js-sys", &["web"]),
    ("serde-wasm-bindgen", &["web"]),
    ("gloo*", &["web"]),
    ("rexie", &["web"]),
    ("console_error_panic_hook", &["web"]),
    ("tokio*", &["big-peer"]),
    ("axum*", &["big-peer"]),
    ("hyper*", &["big-peer"]),
    ("tower*", &["big-peer"]),
    ("reqwest", &["big-peer"]),
    ("async-nats", &["big-peer"]),
    ("fjall", &["big-peer"]),
    // Randomness and time come into the pure rooms as arguments.
    ("getrandom", &["web", "big-peer"]),
    ("web-time", &["web"]),
    ("chrono", &["big-peer"]),
    // In dql for the calendar alone: without its default features it has no clock.
    ("time", &["big-peer", "dql"]),
];

/// Checks every dependency of every package, those of its own tests included.
pub fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| package.name != TESTS) {
        let allowed = ARROWS.iter().find(|(room, _)| *room == package.name).map(|(_, allowed)| *allowed);
        let place = format!("{} (Cargo.toml)", package.name);
        let Some(allowed) = allowed else {
            findings.push(Finding::failure(place, "a new room: give it a line in src/xtask/src/tidy/arrows.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            // A room may name itself, to switch its own test features on.
            let itself = dependency.name == package.name;
            if dependency.local && !itself && !allowed.contains(&dependency.name.as_str()) {
                findings.push(Finding::failure(&place, format!("must not import the room `{}`", dependency.name)));
            }
            let home = HOMES.iter().find(|(pattern, _)| matches(pattern, &dependency.name));
            if let Some((_, homes)) =
                home.filter(|(_, homes)| !dependency.local && !homes.contains(&package.name.as_str()))
            {
                findings.push(Finding::failure(
                    &place,
                    format!("must not depend on `{}`, which is at home in {}", dependency.name, homes.join(" and ")),
                ));
            }
        }
    }
    findings
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, local)| Dependency { name: (*name).into(), dev: false, local: *local })
            .collect();
        Package { name: name.into(), manifest: "Cargo.toml".into(), roots: vec![], dependencies }
    }

    #[test]
    fn allowed_arrows_pass() {
        let packages = [
            package("peer", &[("crdt", true), ("value", true)]),
            package("crdt", &[("yrs", false), ("crdt", true)]),
            package("web", &[("wasm-bindgen-futures", false), ("gloo-timers", false)]),
            package("shoal-tests", &[("yrs", false), ("big-peer", true)]),
        ];
        assert_eq!(check(&packages), []);
    }

    #[test]
    fn planted_violations_are_found() {
        for (room, dependency) in [
            ("crdt", ("sync", true)),
            ("value", ("crdt", true)),
            ("web", ("big-peer", true)),
            ("dql", ("yrs", false)),
            ("peer", ("tokio", false)),
            ("sim", ("tokio-util", false)),
            ("big-peer", ("js-sys", false)),
            ("value", ("getrandom", false)),
            ("unknown", ("value", true)),
        ] {
            assert_eq!(check(&[package(room, &[dependency])]).len(), 1, "{room} -> {}", dependency.0);
        }
    }
}
