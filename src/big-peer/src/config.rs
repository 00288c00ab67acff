//! What the server is told when it starts: flags, then the environment (`SHOAL_…`), then a TOML file, then defaults.
//!
//! Each setting has one name in three spellings: `--dev-token`, `SHOAL_DEV_TOKEN`, `dev_token`. A name that the file should
//! not have is an error, so that a typing mistake never silently gives a default. Secrets are never printed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use clap::{Parser, ValueEnum};
use serde::Deserialize;

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Also what each link and statement does.
    Debug,
    /// What cannot go on.
    Error,
    /// Starts, stops and recoveries.
    #[default]
    Info,
    /// What an operator should look at.
    Warn,
}

/// The Big Peer of Shoal: durable sync for many Small Peers, and DQL over HTTP.
///
/// Try it: shoal-big-peer --dev --dev-token playground
#[derive(Debug, Default, Parser)]
#[command(name = "shoal-big-peer", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Flags {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8091]
    #[arg(long, value_name = "ADDRESS", env = "SHOAL_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Directory of the log and the view; made when missing [default: shoal-data]
    #[arg(long, value_name = "DIR", env = "SHOAL_DATA")]
    pub data: Option<PathBuf>,

    /// Name of a database to serve; repeat for several [default: shoal]
    #[arg(long = "database", value_name = "NAME", env = "SHOAL_DATABASE", value_delimiter = ',')]
    pub databases: Vec<String>,

    /// Accept the development token: full access for whoever has it. Only on a loopback address
    #[arg(long, env = "SHOAL_DEV", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "true|false", hide_possible_values = true)]
    pub dev: Option<bool>,

    /// The development token [default: a random one, written to DIR/dev-token]
    #[arg(long, value_name = "TOKEN", env = "SHOAL_DEV_TOKEN", hide_env_values = true)]
    pub dev_token: Option<String>,

    /// Web origin that may use the HTTP interface; repeat for several [default: none; with --dev: any]
    #[arg(long = "allow-origin", value_name = "ORIGIN", env = "SHOAL_ALLOW_ORIGIN", value_delimiter = ',')]
    pub allow_origins: Vec<String>,

    /// Links of peers at the same time [default: 10000]
    #[arg(long, value_name = "COUNT", env = "SHOAL_LINKS_MAX")]
    pub links_max: Option<u32>,

    /// Form of log lines, on standard error [default: text]
    #[arg(long, value_enum, value_name = "FORM", env = "SHOAL_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// How much is logged [default: info]
    #[arg(long, value_enum, value_name = "LEVEL", env = "SHOAL_LOG_LEVEL")]
    pub log_level: Option<LogLevel>,

    /// TOML file with any of these settings, in snake_case [default: none]
    #[arg(long, value_name = "FILE", env = "SHOAL_CONFIG")]
    pub config: Option<PathBuf>,

    /// Start on a damaged log: keep every record that is still whole and lose the others
    #[arg(long)]
    pub salvage: bool,
}

/// The settings as the file has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    #[serde(default)]
    databases: Vec<String>,
    dev: Option<bool>,
    dev_token: Option<String>,
    #[serde(default)]
    allow_origins: Vec<String>,
    links_max: Option<u32>,
    log_format: Option<LogFormat>,
    log_level: Option<LogLevel>,
}

/// The configuration that the server runs with.
#[derive(Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its files are.
    pub data: PathBuf,
    /// What it serves; at least one, distinct.
    pub databases: Vec<String>,
    /// The given development token; `None`: make one.
    pub dev_token: Option<String>,
    /// Which web pages may call it.
    pub origins: Origins,
    /// Links at the same time.
    pub links_max: u32,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// How much is logged.
    pub log_level: LogLevel,
    /// Whether damaged logs are rewritten with what is whole.
    pub salvage: bool,
}

/// Web pages that may call the HTTP interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These.
    Listed(Vec<String>),
}

/// Why a configuration is not valid.
#[derive(Debug)]
pub enum ConfigError {
    /// A database's name is empty, too long or given twice.
    Database(String),
    /// A setting has a value that is not allowed.
    Invalid(&'static str),
    /// The file is not what it should be.
    File(PathBuf, String),
    /// The file cannot be read.
    Io(PathBuf, io::Error),
    /// There is no way for a client to authenticate.
    NoAuthentication,
    /// The development token would be reachable from other machines.
    PublicDevelopment(SocketAddr),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Database(name) => {
                write!(f, "--database \"{name}\": a name has 1 to {DATABASE_BYTES_MAX} bytes and is given once")
            }
            ConfigError::Invalid(what) => f.write_str(what),
            ConfigError::File(path, message) => write!(f, "{}: {message}", path.display()),
            ConfigError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            ConfigError::NoAuthentication => write!(
                f,
                "no client could authenticate: this version knows the development token only. Start with --dev, on a \
                 loopback address"
            ),
            ConfigError::PublicDevelopment(address) => write!(
                f,
                "--dev gives full access to whoever has the token, so it needs a loopback address; {address} is none"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Fills what the flags and the environment leave open from the file and the defaults, and checks the whole.
    pub fn resolve(flags: Flags) -> Result<Config, ConfigError> {
        let file = flags.config.as_deref().map_or(Ok(FileSettings::default()), read_file)?;
        let listen = flags.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8091)));
        let databases = first_non_empty([flags.databases, file.databases, vec!["shoal".to_owned()]]);
        for (index, name) in databases.iter().enumerate() {
            if name.is_empty() || name.len() > DATABASE_BYTES_MAX || databases[..index].contains(name) {
                return Err(ConfigError::Database(name.clone()));
            }
        }
        if !flags.dev.or(file.dev).unwrap_or(false) {
            return Err(ConfigError::NoAuthentication);
        }
        if !listen.ip().is_loopback() {
            return Err(ConfigError::PublicDevelopment(listen));
        }
        let dev_token = flags.dev_token.or(file.dev_token);
        if dev_token.as_deref().is_some_and(|token| token.is_empty() || token.contains(char::is_whitespace)) {
            return Err(ConfigError::Invalid("the development token is not empty and has no spaces"));
        }
        let origins = first_non_empty([flags.allow_origins, file.allow_origins, Vec::new()]);
        let links_max = flags.links_max.or(file.links_max).unwrap_or(10_000);
        if !(1..=1_000_000).contains(&links_max) {
            return Err(ConfigError::Invalid("--links-max is between 1 and 1000000"));
        }
        Ok(Config {
            listen,
            data: flags.data.or(file.data).unwrap_or_else(|| PathBuf::from("shoal-data")),
            databases,
            dev_token,
            origins: if origins.is_empty() { Origins::Any } else { Origins::Listed(origins) },
            links_max,
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            log_level: flags.log_level.or(file.log_level).unwrap_or_default(),
            salvage: flags.salvage,
        })
    }
}

fn read_file(path: &Path) -> Result<FileSettings, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Io(path.to_owned(), error))?;
    toml::from_str(&text).map_err(|error| ConfigError::File(path.to_owned(), error.message().to_owned()))
}

fn first_non_empty<const N: usize>(lists: [Vec<String>; N]) -> Vec<String> {
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

/// Longest name of a database.
const DATABASE_BYTES_MAX: usize = 128;

const AFTER_HELP: &str = "\
A flag wins over the environment, the environment over the file.

  GET  /sync                    WebSocket for Small Peers
  POST /api/v5/store/execute    DQL: {\"statement\": \"SELECT * FROM cars\", \"args\": {}}
  POST /api/v4/attachments/upload, GET /api/v4/attachments/ID
  GET  /livez /readyz /metrics  for operators

Ctrl-C or SIGTERM stops it cleanly; nothing acknowledged is lost by SIGKILL either. See docs/http.md.";
