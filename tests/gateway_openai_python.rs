//! OpenAI's official Python package works through the gateway by its base URL alone, and its repeats and ours do not multiply.
//!
//! Needs `python3` with `venv`, and on the first run what `pip` downloads into `target/python`.
#![cfg(all(feature = "gateway", feature = "sim", unix))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

#[path = "gateway/process.rs"]
mod process;

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::{Value, json};
use tower_quota::sim::{SimConfig, SimServer, Simulator};

use process::Gateway;

const LIMITS: &str = "
  providers: { openai: { sim-small: { tpm: 100 } } }
  agents: { once: { max_requests_per_run: 1 } }";

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_streams_chats_and_shows_our_refusals() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), LIMITS).await;
    let mut script = Command::new(python);
    script
        .arg(tests_python("chat_stream.py"))
        .env("OPENAI_BASE_URL", format!("{}/v1", gateway.base_url))
        .env("OPENAI_API_KEY", "anything")
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || succeed(&mut script, "the script failed"));
    let output = output.await.unwrap();
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{got:#}");

    for stream in ["stream", "stream_with_usage"] {
        assert_ne!(got[stream]["text"], "");
        assert!(got[stream]["chunks"].as_u64().unwrap() > 3);
    }
    assert_eq!(got["stream"]["usage"], Value::Null);
    assert_eq!(got["stream_with_usage"]["usage"]["completion_tokens"], 100);
    assert_eq!(got["whole"]["usage"]["completion_tokens"], 100);
    assert_eq!(got["whole"]["text"], got["stream"]["text"]);
    assert_eq!(got["models"], json!(["sim-1"]));
    let never_fits = json!({
        "class": "APIStatusError",
        "status": 413,
        "code": "never_fits",
        "message": "this call never fits: tokens 100/min for provider=openai, model=sim-small: \
                    0 in use, this call needs 1000 (would be 1000)",
    });
    assert_eq!(got["never_fits"], never_fits);
    let used_up = json!({
        "class": "RateLimitError",
        "status": 429,
        "code": "run_used_up",
        "message": "this run is used up: requests 1/run for agent=once, run=1: \
                    1 in use, this call needs 1 (would be 2)",
    });
    assert_eq!(got["used_up"], used_up);
    let ledger = sim.ledger();
    assert_eq!(
        (ledger.attempts(), ledger.ok()),
        (4, 4),
        "refused calls were not sent"
    );
}

/// What becomes of a chat with this fault, by the package with its own repeats; and how many attempts that takes.
async fn with_fault(base_url: &str, sim: &SimServer, fault: &str) -> (Value, usize) {
    let before = sim.ledger().attempts();
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let mut script = Command::new(python);
    script
        .arg(tests_python("retries.py"))
        .env("OPENAI_BASE_URL", format!("{base_url}/v1"))
        .env("OPENAI_API_KEY", "anything")
        .env("NO_PROXY", "127.0.0.1")
        .env("FAULT", fault);
    let output = tokio::task::spawn_blocking(move || succeed(&mut script, "the script failed"));
    let output = output.await.unwrap();
    let came = serde_json::from_slice(&output.stdout).unwrap();
    (came, sim.ledger().attempts() - before)
}

const FAULTS: [&str; 3] = ["status=429;retry-after=0", "status=503", "drop"];

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_packages_repeats_and_ours_do_not_multiply() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{ retry: { max_attempts: 2 } }").await;
    for (fault, class, status) in [
        (FAULTS[0], "RateLimitError", 429),
        (FAULTS[1], "InternalServerError", 503),
        (FAULTS[2], "InternalServerError", 502),
    ] {
        let (came, attempts) = with_fault(&gateway.base_url, &sim, fault).await;
        assert_eq!(came, json!({"class": class, "status": status}), "{fault}");
        assert_eq!(attempts, 2, "{fault}");
    }
    let (came, attempts) = with_fault(&gateway.base_url, &sim, "").await;
    assert_eq!((&came["status"], attempts), (&json!(200), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_repeats_by_itself_where_we_do_not() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), "{ retry: { max_attempts: 1 } }").await;
    for fault in FAULTS {
        let (_, attempts) = with_fault(&gateway.base_url, &sim, fault).await;
        assert_eq!(attempts, 3, "{fault}");
    }
    let (_, attempts) = with_fault(&sim.base_url(), &sim, FAULTS[1]).await;
    assert_eq!(attempts, 3, "without us");
}

/// The interpreter of an environment that has the package.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(environment).clone()
}

/// Makes the environment, once, and again when the requirements change.
fn environment() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("python");
    let python = home.join("bin/python");
    let requirements = tests_python("requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let made_of = home.join("made-of.txt");
    if fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == wanted) {
        return python;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&home);
    succeed(
        &mut venv,
        "cannot make a Python environment. Debian and Ubuntu keep `ensurepip`, which it needs, in a package \
         of its own: install python3-venv",
    );
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "-r"])
        .arg(&requirements);
    succeed(
        &mut pip,
        "cannot install tests/python/requirements.txt, for which pip needs a package index",
    );
    fs::write(made_of, wanted).unwrap();
    python
}

fn tests_python(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(file)
}

/// Runs it to its end, which has to be a good one.
fn succeed(command: &mut Command, or: &str) -> Output {
    let output = command.output().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!(
            "{:?} is not there. This test needs Python 3.9 or later with venv; on Debian and Ubuntu: \
             apt-get install python3 python3-venv",
            command.get_program()
        ),
        _ => panic!("{or}: {error}"),
    });
    let (out, err) = (&output.stdout, &output.stderr);
    assert!(
        output.status.success(),
        "{or}\n{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    );
    output
}
