//! LiteLLM's `config.yaml`, read into a configuration of ours.

mod address;
mod api_key;
mod deployment;
mod fields;
mod lent;
mod notes;
mod period;
mod place;
mod prices;
mod routes;
mod settings;
mod terms;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use api_key::ApiKey;
pub use deployment::Deployment;
use fields::Fields;
use notes::Notes;

use super::{Config, ConfigError, Format, tree::Node};

/// A `config.yaml` of LiteLLM, read as a configuration of this crate.
///
/// `config` builds like any other configuration: it has the limits of the deployments, prices, budgets, attempts and
/// routes. `deployments` and `fallbacks` say as plain values what these are made of. Whatever is in none of them is in
/// `not_understood`, with its path and the reason: nothing is left out without a word.
///
/// # How routes are read
/// - Each `model_name` becomes a route, and so does each of its aliases. Its deployments are tried by their `weight`, else
///   by their `rpm` or `tpm`, else in turn. Deployments with a higher `order` come after them, and then the deployments of
///   its `fallbacks`, with the fallbacks of these, or of `default_fallbacks`. They serve for any
///   [reason](crate::failover::Trigger) for which a call goes on to the next target.
/// - Limits know the key of a deployment by [the deployment's id](Deployment::id). If the file names no key, the key is
///   taken from the provider's variable (`OPENAI_API_KEY`), as in LiteLLM.
/// - Calls are in OpenAI's API, as LiteLLM's are. For Gemini and Cohere, the addresses are those that take this API.
///   Nothing is translated, so an `api_base` has to take it.
/// - What says where a deployment's calls go, and with which key (`base_url`, `api_base`, `api_key`, `api_version`,
///   `custom_llm_provider`), may stand elsewhere, as in LiteLLM: what `router_settings.default_litellm_params` says goes
///   before what the deployment says itself, and this before the values of the credential in `credential_list` that its
///   `litellm_credential_name` names. A credential that is not in the list is an error: without its address, calls would
///   go to the provider's public one.
/// - The address is looked for as in LiteLLM: `base_url`, `api_base`, `litellm_settings.api_base` and the provider's
///   variables (`OPENAI_BASE_URL`, `GROQ_API_BASE`). Only if none of them is there, it is the provider's usual one, or for
///   Ollama this machine. If one is there and is not understood, no route leads to the deployment.
/// - No route leads to a name with a `*`, or to a provider that takes no API keys (Bedrock, Vertex).
/// - Fallbacks for inputs that are too long, and for what a filter stopped, are used only if they are among the general
///   fallbacks as well.
///
/// # How limits are read
/// - `rpm`, `tpm`, `itpm`, `otpm` and `max_parallel_requests` of a deployment become limits on its provider and model. If
///   there are several deployments to the same model, each of these values is added up, provided that every deployment has
///   it. Each deployment also has its own limits, on calls whose tag `api_key` is [its id](Deployment::id).
/// - For a model with a `*`, they become limits on all calls to the provider.
/// - A budget over `24h` or `7d` holds in any interval of that length, and a budget over `1mo` in each calendar month
///   (UTC). That lets through no more than LiteLLM does, which starts again at fixed hours. A budget without a duration
///   holds for ten years.
///
/// ```
/// use tower_quota::config::LiteLlmConfig;
///
/// let read = LiteLlmConfig::from_text(
///     "
///     model_list:
///       - model_name: fast
///         litellm_params: { model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY, rpm: 500, seed: 7 }
///       - model_name: slow
///         litellm_params: { model: anthropic/claude-haiku-4-5 }
///     router_settings:
///       num_retries: 2
///       fallbacks: [{ fast: [slow] }]
///     ",
///     |variable| variable.ends_with("_API_KEY").then(|| format!("secret of {variable}")),
/// )?;
/// let stack = read.config.build()?;
/// assert_eq!(
///     stack.limiter.limits().iter().next().unwrap().to_string(),
///     "requests 500/min for provider=openai, model=gpt-4o-mini"
/// );
/// assert!(stack.layer.has_routes());
/// assert_eq!(read.fallbacks.of["fast"], ["slow"]);
/// assert_eq!(
///     read.not_understood[0].to_string(),
///     "model_list[0].litellm_params.seed: is sent with requests by LiteLLM; here requests leave as they came (line 4)"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LiteLlmConfig {
    /// The limits, prices, budgets, attempts and routes.
    pub config: Config,
    /// The deployments that calls go to, in the order of the file.
    pub deployments: Vec<Deployment>,
    /// Where calls go when a deployment fails.
    pub fallbacks: Fallbacks,
    /// Other names of a group of deployments.
    pub group_aliases: BTreeMap<String, String>,
    /// The parts of the file that are in none of these, in the order of the file.
    pub not_understood: Vec<NotUnderstood>,
}

/// The groups of deployments that calls go to when a group fails, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallbacks {
    /// For any failure, by the group that failed.
    pub of: BTreeMap<String, Vec<String>>,
    /// For inputs that are too long.
    pub context_window: BTreeMap<String, Vec<String>>,
    /// For content that a provider's filter stopped.
    pub content_policy: BTreeMap<String, Vec<String>>,
    /// For groups that have none of their own.
    pub default: Vec<String>,
}

/// A part of a file that has no counterpart here, or cannot be read. Its value is not shown: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct NotUnderstood {
    /// The line, counted from 1; 0 if it is not known.
    pub line: u64,
    /// Where it stands: `model_list[0].litellm_params.seed`.
    pub path: String,
    /// Why it is not read.
    pub reason: String,
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (line {})", self.path, self.reason, self.line)
    }
}

impl LiteLlmConfig {
    /// Reads a `config.yaml`; values that are `os.environ/NAME` are taken from the environment, keys too, and
    /// those that are not set are told.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] where it is no YAML, or no map, or a deployment names a credential that is not in
    /// `credential_list`. Any other value that makes no sense is in [`not_understood`](Self::not_understood).
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::from_text(text, |name| std::env::var(name).ok())
    }

    /// As [`from_yaml`](Self::from_yaml), with these variables in place of the environment's.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_text(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let node = Node::of(text, Format::Yaml)?;
        let at = node.at;
        let set = settings::variables(&node);
        let environment = |name: &str| set.get(name).cloned().or_else(|| environment(name));
        let notes = Notes::new(&environment);
        let Some(mut file) = Fields::of(node, String::new(), &notes) else {
            return Err(ConfigError::Syntax {
                path: String::new(),
                reason: "this is no config.yaml of LiteLLM: it is a map with `model_list`"
                    .to_owned(),
                line: at.line,
                column: at.column,
            });
        };
        let mut read = LiteLlmConfig::default();
        // They were read already.
        file.take("environment_variables");
        let router = file.map("router_settings");
        let mut router = router
            .map(|fields| settings::router(&mut read, fields))
            .unwrap_or_default();
        if let Some(fields) = file.map("litellm_settings") {
            settings::library(&mut read, fields, &mut router);
        }
        if let Some(fields) = file.map("general_settings") {
            settings::server(&mut read, fields, &mut router);
        }
        router.credentials = lent::credentials(&mut file);
        for fields in file.maps("model_list") {
            let (path, line) = (format!("{}.model_info.id", fields.path), fields.line);
            let Some(mut deployment) = deployment::read(fields, &router, &mut read.config)? else {
                continue;
            };
            if read.deployments.iter().any(|one| one.id == deployment.id) {
                let reason = "is another's as well; limits tell them not apart, and no route leads to this one";
                notes.note(&path, line, reason);
                deployment.place = None;
            }
            read.deployments.push(deployment);
        }
        terms::limits(&read.deployments, &mut read.config);
        routes::routes(&mut read, &notes);
        file.rest("has no counterpart here");
        read.missing_groups(&notes);
        read.not_understood = notes.into_list();
        Ok(read)
    }

    /// Says which fallbacks lead to groups that are not there.
    fn missing_groups(&self, notes: &Notes<'_>) {
        let mut groups: BTreeSet<&str> = self
            .deployments
            .iter()
            .map(|one| one.group.as_str())
            .collect();
        groups.extend(self.group_aliases.keys().map(String::as_str));
        if groups.iter().any(|group| group.contains('*')) {
            return;
        }
        let listed = [
            &self.fallbacks.of,
            &self.fallbacks.context_window,
            &self.fallbacks.content_policy,
        ];
        let listed = listed
            .into_iter()
            .flat_map(BTreeMap::values)
            .chain([&self.fallbacks.default]);
        for group in listed.flatten().collect::<BTreeSet<_>>() {
            if !groups.contains(group.as_str()) {
                notes.note(
                    "fallbacks",
                    0,
                    format!("lead to `{group}`, which is no `model_name` in the list"),
                );
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

#[cfg(test)]
mod address_tests;

#[cfg(test)]
mod lent_tests;
