//! Node, with the packages of `tests/node/package.json`.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use crate::scripts::{installed, succeed, tests};

/// This script, by an interpreter that finds the packages.
#[allow(dead_code, reason = "not every test has scripts")]
pub(crate) async fn node(script: &'static str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(tests("node").join(script))
        .env("NODE_PATH", modules().await);
    command
}

/// Where the packages are.
pub(crate) async fn modules() -> PathBuf {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    let packages = || PACKAGES.get_or_init(packages).clone();
    tokio::task::spawn_blocking(packages).await.unwrap()
}

/// Installs the packages, once, and again when what is wanted changes.
fn packages() -> PathBuf {
    let home = installed("node");
    let (packages, made_of) = (home.join("node_modules"), home.join("made-of.txt"));
    let files = ["package.json", "package-lock.json", ".npmrc"];
    let read = |file: &&str| fs::read_to_string(tests("node").join(file)).unwrap();
    let wanted: String = files.iter().map(read).collect();
    if fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == wanted) {
        return packages;
    }
    fs::create_dir_all(&home).unwrap();
    for file in files {
        fs::copy(tests("node").join(file), home.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"])
        .current_dir(&home);
    succeed(
        &mut npm,
        "cannot install tests/node/package-lock.json: this needs Node 18 or later with npm and a package registry. On \
         Debian and Ubuntu: apt-get install nodejs npm",
    );
    fs::write(made_of, wanted).unwrap();
    packages
}
