//! npm packages by lock file: `npm ci`, when the lock file is not the one that was installed.

use crate::error::{Result, read_bytes, write_file};
use crate::process;
use crate::terminal::Step;
use crate::workspace::Workspace;

/// Installs `folder`'s packages unless they are those of its lock file. The copy of the lock file inside `node_modules`
/// is the record: it is written last, so an interrupted installation is repeated.
pub fn ensure(workspace: &Workspace, folder: &str, step: &mut Step) -> Result<&'static str> {
    let lock = read_bytes(&workspace.path(folder).join("package-lock.json"))?;
    let record = workspace.path(folder).join("node_modules/.shoal-lock.json");
    if std::fs::read(&record).is_ok_and(|installed| installed == lock) {
        return Ok("");
    }
    let mut npm = workspace.program("npm");
    npm.args(["ci", "--prefer-offline", "--no-audit", "--no-fund"]).current_dir(workspace.path(folder));
    process::run(&mut npm, step)
        .map_err(|error| error.installing(format!("npm packages of {folder}"), format!("cd {folder} && npm ci")))?;
    write_file(&record, lock)?;
    Ok("installed")
}
