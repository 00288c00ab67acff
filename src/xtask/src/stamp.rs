//! Skips work whose inputs did not change: a file in the target folder holds the fingerprint of the inputs that made the
//! outputs.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result, read_bytes, write_file};
use crate::workspace::Workspace;

/// The inputs of one piece of work.
pub struct Stamp {
    record: PathBuf,
    hasher: DefaultHasher,
}

impl Stamp {
    /// Starts the fingerprint of the work called `name`.
    pub fn of(workspace: &Workspace, name: &str) -> Stamp {
        let record = workspace.target(format!("stamps/{name}"));
        Stamp { record, hasher: DefaultHasher::new() }
    }

    /// Adds a word that changes the outputs, such as a version or a flag.
    pub fn word(mut self, word: impl Hash) -> Stamp {
        word.hash(&mut self.hasher);
        self
    }

    /// Adds a file, or every file under a folder in the order of their names. What does not exist counts as that.
    pub fn path(mut self, path: &Path) -> Result<Stamp> {
        for file in files(path)? {
            file.hash(&mut self.hasher);
            read_bytes(&file)?.hash(&mut self.hasher);
        }
        Ok(self)
    }

    /// Does the work unless the outputs are there and were made from these inputs. Returns whether it was done.
    pub fn unless_fresh(self, outputs: &[PathBuf], work: impl FnOnce() -> Result<()>) -> Result<bool> {
        let fingerprint = format!("{:016x}", self.hasher.finish());
        let same = std::fs::read_to_string(&self.record).is_ok_and(|record| record == fingerprint);
        if same && outputs.iter().all(|output| output.exists()) {
            return Ok(false);
        }
        work()?;
        write_file(&self.record, fingerprint)?;
        Ok(true)
    }
}

/// Returns `path` itself if it is a file, or the files under it, sorted; `node_modules` and `dist` are left out.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).doing(|| format!("read {}", path.display()))? {
        let entry = entry.doing(|| format!("read {}", path.display()))?;
        if !["node_modules", "dist", "target"].contains(&entry.file_name().to_string_lossy().as_ref()) {
            found.extend(files(&entry.path())?);
        }
    }
    found.sort();
    Ok(found)
}
