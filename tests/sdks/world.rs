//! A simulator, the gateway in front of it, and scripts that call it.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tower_quota::sim::{SimConfig, SimServer, Simulator};

use crate::process::Gateway;

/// One model is too small for any call, one agent has one request a run, and one has money for one call a run. One has
/// money for the beginning of an answer of the model that says more than it may.
const LIMITS: &str = "
  providers:
    openai: { sim-small: { tpm: 100 } }
    anthropic: { sim-small: { tpm: 100 } }
    gemini: { sim-small: { tpm: 100 } }
  agents: { once: { max_requests_per_run: 1 } }
  budgets:
    - { amount: 0.0105, every: 1h, when: { agent: poor }, per: [run] }
    - { amount: 0.0006, every: 1h, when: { agent: thin }, per: [run] }
  budget_patience: 0s
  prices:
    openai: { sim-1: { input: 1, output: 10 }, sim-long: { input: 1, output: 10, max_output: 20 } }
    anthropic: { sim-1: { input: 1, output: 10 } }
    gemini: { sim-1: { input: 1, output: 10 }, sim-long: { input: 1, output: 10, max_output: 20 } }
  retry: { max_attempts: ATTEMPTS }";

/// Longer than any script takes, on whatever machine.
const LONG: Duration = Duration::from_secs(300);

pub(crate) struct World {
    sim: SimServer,
    gateway: Gateway,
}

impl World {
    /// The gateway makes so many attempts for a call.
    pub(crate) async fn start(attempts: usize) -> Self {
        let sim = Simulator::start(SimConfig::default()).await.unwrap();
        let limits = LIMITS.replace("ATTEMPTS", &attempts.to_string());
        let gateway = Gateway::start(&sim.base_url(), &limits).await;
        World { sim, gateway }
    }

    /// What this script prints, through the gateway.
    pub(crate) async fn run(&self, interpreter: Command) -> Value {
        output_of(interpreter, &self.gateway.base_url).await
    }

    /// The same with the simulator itself.
    pub(crate) async fn run_alone(&self, interpreter: Command) -> Value {
        output_of(interpreter, &self.sim.base_url()).await
    }

    /// How many attempts for this model have reached the simulator.
    pub(crate) fn attempts(&self, model: &str) -> usize {
        let ledger = self.sim.ledger();
        let attempts = ledger.entries().iter();
        attempts.filter(|attempt| &*attempt.model == model).count()
    }
}

async fn output_of(mut script: Command, base_url: &str) -> Value {
    let program = script.get_program().to_owned();
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
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null());
    let output = tokio::process::Command::from(script)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LONG, output).await;
    let output = output.expect("the script hangs");
    let output = output.unwrap_or_else(|error| panic!("cannot run {program:?}: {error}"));
    check(&output, "the script failed");
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed =
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    println!("{printed:#}");
    printed
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
