//! Flags win over the environment (tested through the program), both over the file, and what is unsafe is refused.

use std::fs;

use big_peer::config::{Config, ConfigError, Flags, LogFormat, Origins};
use clap::Parser;

fn resolve(arguments: &[&str]) -> Result<Config, ConfigError> {
    Config::resolve(Flags::try_parse_from([&["shoal-big-peer"], arguments].concat()).expect("known flags"))
}

fn refusal(arguments: &[&str]) -> String {
    resolve(arguments).err().expect("it is refused").to_string()
}

#[test]
fn defaults_are_sane() {
    let config = resolve(&["--dev"]).expect("valid");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8091");
    assert_eq!(config.databases, ["shoal"]);
    assert_eq!(config.origins, Origins::Any);
    assert!(!config.salvage && config.dev_token.is_none());
}

#[test]
fn flags_win_over_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("big-peer.toml");
    let text = "listen = '127.0.0.1:1'\ndev = true\ndatabases = ['a', 'b']\nlog_format = 'json'\ndev_token = 't'\n";
    fs::write(&path, text).expect("writable");
    let file = path.to_str().expect("UTF-8");
    let config = resolve(&["--config", file]).expect("valid");
    assert_eq!((config.listen.port(), config.log_format), (1, LogFormat::Json));
    assert_eq!(config.databases, ["a", "b"]);
    let config = resolve(&["--config", file, "--listen", "127.0.0.1:2", "--database", "c"]).expect("valid");
    assert_eq!((config.listen.port(), config.databases.as_slice()), (2, ["c".to_owned()].as_slice()));
    assert_eq!(config.dev_token.as_deref(), Some("t"));
}

#[test]
fn a_misspelt_setting_in_the_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("big-peer.toml");
    fs::write(&path, "lisen = '127.0.0.1:1'\n").expect("writable");
    assert!(refusal(&["--config", path.to_str().expect("UTF-8")]).contains("lisen"));
}

#[test]
fn the_development_token_never_leaves_the_machine() {
    assert!(refusal(&["--dev", "--listen", "0.0.0.0:1"]).contains("loopback"));
    assert!(refusal(&["--dev", "--listen", "192.0.2.1:1"]).contains("loopback"));
    assert!(refusal(&[]).contains("--dev"));
    assert!(refusal(&["--dev=false"]).contains("--dev"));
    assert!(resolve(&["--dev", "--listen", "[::1]:1"]).is_ok());
}

#[test]
fn names_and_limits_are_checked() {
    assert!(refusal(&["--dev", "--database", "a", "--database", "a"]).contains("once"));
    assert!(refusal(&["--dev", "--database", &"x".repeat(129)]).contains("128"));
    assert!(refusal(&["--dev", "--links-max", "0"]).contains("--links-max"));
    assert!(refusal(&["--dev", "--dev-token", "a b"]).contains("spaces"));
}
