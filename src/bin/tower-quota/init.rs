//! `tower-quota init`

use std::{env, fs::OpenOptions, io::Write as _, path::Path};

use tower_quota::config::{Format, Preset};

use super::{cli::InitArgs, failure::Failure, output::print};

/// Where SDKs look for keys, and whose these are.
const KEYS: [(&str, &str); 13] = [
    ("OPENAI_API_KEY", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic"),
    ("GEMINI_API_KEY", "gemini"),
    ("GOOGLE_API_KEY", "gemini"),
    ("MISTRAL_API_KEY", "mistral"),
    ("GROQ_API_KEY", "groq"),
    ("XAI_API_KEY", "xai"),
    ("DEEPSEEK_API_KEY", "deepseek"),
    ("OPENROUTER_API_KEY", "openrouter"),
    ("COHERE_API_KEY", "cohere"),
    ("CO_API_KEY", "cohere"),
    ("TOGETHER_API_KEY", "together"),
    ("FIREWORKS_API_KEY", "fireworks"),
];

/// Writes a first configuration, of the keys that are in the environment. The keys themselves are not in it.
pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    check_ending(&args.output)?;
    let mut found: Vec<(&str, &str)> = Vec::new();
    for (variable, provider) in KEYS {
        let is_set = env::var(variable).is_ok_and(|key| !key.trim().is_empty());
        if is_set && !found.iter().any(|(_, other)| *other == provider) {
            found.push((variable, provider));
        }
    }
    if found.is_empty() {
        let names = KEYS.map(|(variable, _)| variable).join(", ");
        return Err(Failure::Argument(format!(
            "no key of a provider is in the environment; set one of {names}, and run this again"
        )));
    }
    let text = text(&found);
    let path = args.output.display();
    let mut options = OpenOptions::new();
    options.write(true);
    match args.force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let written = options
        .open(&args.output)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let more = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "; --force writes over it",
            _ => "",
        };
        Failure::Argument(format!("{path}: {error}{more}"))
    })?;
    let providers: Vec<&str> = found.iter().map(|(_, provider)| *provider).collect();
    print(|out| {
        writeln!(out, "{path} is written, for {}", providers.join(", "))?;
        writeln!(
            out,
            "look at its limits and its budget, then: tower-quota serve --config {path}"
        )
    })
}

/// What is written is YAML: under a name that says otherwise nobody could read it.
fn check_ending(path: &Path) -> Result<(), Failure> {
    match Format::of_path(path) {
        Ok(Format::Yaml) => Ok(()),
        _ => Err(Failure::Argument(format!(
            "--output {}: it is written in YAML; give it a name that ends in .yaml or .yml",
            path.display()
        ))),
    }
}

fn text(found: &[(&str, &str)]) -> String {
    let mut upstreams = String::new();
    let mut presets = String::new();
    for (number, (variable, provider)) in found.iter().enumerate() {
        // One that is the only one is it without this.
        let default = match (number, found.len()) {
            (0, 2..) => ", default: true",
            _ => "",
        };
        upstreams += &format!("    {provider}: {{ key: \"${{{variable}}}\"{default} }}\n");
        let tiers: Vec<String> = Preset::all()
            .into_iter()
            .filter(|preset| preset.provider() == *provider)
            .map(|preset| format!("{provider}/{}", preset.tier()))
            .collect();
        if let Some(first) = tiers.first() {
            presets += &format!("    - {first}  # or your own: {}\n", tiers[1..].join(", "));
        }
    }
    if !presets.is_empty() {
        presets = format!("  # What providers allow accounts of each tier.\n  presets:\n{presets}");
    }
    // Without it, a file could not be served.
    let store = match cfg!(feature = "sqlite") {
        true => "sqlite:tower-quota.db",
        false => "memory",
    };
    format!(
        "# Written by `tower-quota init`. `tower-quota check --config FILE` says what it comes to.
rate_limiting:
  # Where counts and the ledger are kept: `memory` forgets them, `sqlite:FILE` needs the feature `sqlite`.
  store: {store}
{presets}  # Dollars in a day; what would pass it is refused.
  max_daily_spend: 10
  alert_threshold: 0.8
  # A call whose program names no cap on the answer (`max_tokens`) gets this one. The budget holds the price of the longest
  # answer until the call ends: without a cap that is all that the model can give, and few calls run at a time. Raise it for
  # longer answers; a model that gives less refuses a cap above its own, so lower it for such a model. A change of it needs a
  # restart.
  cap_output: 8192
gateway:
  listen: 127.0.0.1:8080
  # Keys for callers, so that it can listen on other addresses: `tower-quota admin --state FILE key create NAME`.
  # state: tower-quota-state.json
  upstreams:
{upstreams}"
    )
}
