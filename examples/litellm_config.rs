//! What is read of configurations of LiteLLM: `litellm_config FILE...` prints a line of JSON for each, `"loaded": false`
//! with the error where it does not load, else how much there is of it in our words and what was not understood.
//!
//! Each variable of the environment that a file names is taken to be set, so that it tells of the file and not of the
//! machine.

use std::{fs, process::ExitCode};

use serde_json::{Value, json};
use tower_quota::config::LiteLlmConfig;

fn main() -> ExitCode {
    let mut all = true;
    for file in std::env::args().skip(1) {
        let read = read(&file);
        all &= read.is_ok();
        println!(
            "{}",
            read.unwrap_or_else(|error| json!({ "loaded": false, "error": error }))
        );
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read(file: &str) -> Result<Value, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let read = LiteLlmConfig::from_text(&text, variable).map_err(|error| error.to_string())?;
    let stack = read.config.build().map_err(|error| error.to_string())?;
    let told: Vec<String> = read
        .not_understood
        .iter()
        .map(ToString::to_string)
        .collect();
    let groups: Vec<&str> = read
        .deployments
        .iter()
        .map(|one| one.group.as_str())
        .collect();
    Ok(json!({
        "loaded": true,
        "groups": groups,
        "limits": stack.limiter.limits().iter().count(),
        "has_routes": stack.layer.has_routes(),
        "not_understood": told,
    }))
}

/// What every variable stands for.
fn variable(name: &str) -> Option<String> {
    let is_address = ["BASE", "URL", "ENDPOINT"]
        .iter()
        .any(|word| name.contains(word));
    Some(if is_address {
        "https://example.com".to_owned()
    } else {
        format!("value-of-{name}")
    })
}
