//! What can go wrong in a command, each with what to do about it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// The result of every step.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that ends a command.
#[derive(Debug)]
pub enum Error {
    /// A word on the command line is not understood.
    Argument(String),
    /// A program ended with a failure; `tail` is the end of what it printed, empty when the user has already seen it.
    Failed { program: String, status: String, tail: Vec<String> },
    /// A check of ours found something; the details are already printed.
    Found(String),
    /// Ctrl-C or SIGTERM: not a fault, but nothing was finished either.
    Interrupted,
    /// The operating system refused.
    Io { doing: String, cause: std::io::Error },
    /// Something that must be there is not, and `install` is the command or act that helps.
    Missing { what: String, install: String },
    /// An installation of ours failed; `install` is what a person can run.
    NotInstalled { what: String, install: String, cause: Box<Error> },
    /// A file or an answer is not what it should be.
    Unexpected(String),
}

impl Error {
    /// Returns the text for the terminal, with a line of advice where there is one.
    pub fn report(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Error::Argument(problem) => writeln!(text, "error: {problem}\n  try: cargo xtask --help"),
            Error::Failed { program, status, tail } => {
                for line in tail {
                    let _ = writeln!(text, "  | {line}");
                }
                writeln!(text, "error: {program}: {status}")
            }
            Error::Found(problem) => writeln!(text, "error: {problem}"),
            Error::Interrupted => writeln!(text, "stopped"),
            Error::Io { doing, cause } => writeln!(text, "error: cannot {doing}: {cause}"),
            Error::Missing { what, install } => writeln!(text, "error: {what}\n  try: {install}"),
            Error::NotInstalled { what, install, cause } => {
                text.push_str(&cause.report());
                writeln!(text, "error: {what} could not be installed\n  try: {install}")
            }
            Error::Unexpected(problem) => writeln!(text, "error: {problem}"),
        };
        text
    }

    /// Returns 130 for an interruption, as shells do, 2 for a wrong command line, 1 for the rest.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Argument(_) => ExitCode::from(2),
            Error::Interrupted => ExitCode::from(130),
            Error::Failed { .. }
            | Error::Found(_)
            | Error::Io { .. }
            | Error::Missing { .. }
            | Error::NotInstalled { .. }
            | Error::Unexpected(_) => ExitCode::FAILURE,
        }
    }

    /// Names what a failed installation was to bring, and the command for it. An interruption stays one.
    pub fn installing(self, what: impl Into<String>, install: impl Into<String>) -> Error {
        match self {
            Error::Failed { .. } | Error::Io { .. } => {
                Error::NotInstalled { what: what.into(), install: install.into(), cause: Box::new(self) }
            }
            other => other,
        }
    }
}

/// Names what was being done when the operating system refused.
pub trait Doing<T> {
    /// `doing` completes the sentence "cannot …".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Io { doing: doing(), cause })
    }
}

/// Reads a text file; the error names it.
pub fn read_text(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path).doing(|| format!("read {}", path.display()))
}

/// Reads a file; the error names it.
pub fn read_bytes(path: &std::path::Path) -> Result<Vec<u8>> {
    std::fs::read(path).doing(|| format!("read {}", path.display()))
}

/// Writes a file and the folders above it; the error names it.
pub fn write_file(path: &std::path::Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    std::fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
    std::fs::write(path, bytes).doing(|| format!("write {}", path.display()))
}
