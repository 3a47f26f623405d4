//! Python, with the packages of `tests/python/requirements.txt`.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use crate::scripts::{installed, succeed, tests};

/// This script, by an interpreter that has the packages.
#[allow(dead_code, reason = "not every test has scripts")]
pub(crate) async fn python(script: &'static str) -> Command {
    let mut command = Command::new(interpreter().await);
    command.arg(tests("python").join(script));
    command
}

/// An interpreter that has the packages.
pub(crate) async fn interpreter() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let python = || PYTHON.get_or_init(environment).clone();
    tokio::task::spawn_blocking(python).await.unwrap()
}

/// Makes the environment, once, and again when the requirements change.
fn environment() -> PathBuf {
    let home = installed("python");
    let python = home.join("bin/python");
    let requirements = tests("python/requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let made_of = home.join("made-of.txt");
    if fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == wanted) {
        return python;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&home);
    succeed(
        &mut venv,
        "cannot make a Python environment: this needs Python 3.10 or later with venv, whose `ensurepip` Debian and \
         Ubuntu keep in a package of its own. There: apt-get install python3 python3-venv",
    );
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"])
        .arg(&requirements);
    succeed(
        &mut pip,
        "cannot install tests/python/requirements.txt, for which pip needs a package index",
    );
    fs::write(made_of, wanted).unwrap();
    python
}
