//! Scripts in other languages that call the gateway, and print what came of it as JSON.
#![allow(dead_code, reason = "not every test installs packages for them")]

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

/// Longer than any script takes, on whatever machine.
const LONG: Duration = Duration::from_secs(300);

/// What this one prints, with the gateway at this address.
pub(crate) async fn output_of(mut script: Command, base_url: &str) -> Value {
    script
        .env("BASE_URL", base_url)
        .env("OPENAI_BASE_URL", format!("{base_url}/v1"))
        .env("ANTHROPIC_BASE_URL", base_url)
        .env("GOOGLE_GEMINI_BASE_URL", base_url)
        .env("OPENAI_API_KEY", "anything")
        .env("ANTHROPIC_API_KEY", "anything")
        .env("GEMINI_API_KEY", "anything")
        .env_remove("GOOGLE_API_KEY")
        .env_remove("ANTHROPIC_AUTH_TOKEN")
        // It would look for newer prices on the network.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("NO_PROXY", "127.0.0.1");
    let printed = succeed_in(script, "the script failed").await;
    let printed =
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    println!("{printed:#}");
    printed
}

/// What it prints, while other tasks go on. Its end has to be a good one.
pub(crate) async fn succeed_in(mut command: Command, or: &str) -> String {
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null());
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LONG, output).await;
    let output = output.unwrap_or_else(|_| panic!("{or}: it hangs"));
    let output = output.unwrap_or_else(|error| panic!("cannot run {program:?}: {error}"));
    check(&output, or);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it to its end, which has to be a good one.
pub(crate) fn succeed(command: &mut Command, or: &str) {
    let program = command.get_program().to_owned();
    match command.output() {
        Ok(output) => check(&output, or),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{program:?} is not there; {or}")
        }
        Err(error) => panic!("{or}: {error}"),
    }
}

fn check(output: &Output, or: &str) {
    let (out, err) = (&output.stdout, &output.stderr);
    assert!(
        output.status.success(),
        "{or}\n{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    );
}

/// A file of the tests.
pub(crate) fn tests(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(file)
}

/// A folder beside the builds', where what is installed stays.
pub(crate) fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}
