//! LiteLLM's `config.yaml`, read into a configuration of ours.

mod api_key;
mod deployment;
mod fields;
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
use fields::{Fields, Notes};

use super::{Config, ConfigError, Format, tree::Node};

/// What a `config.yaml` of LiteLLM says, in our words.
///
/// `config` builds as any other: limits of deployments, prices, budgets, attempts, and routes. What they are made of is
/// told in `deployments` and `fallbacks`, as plain values. Whatever is not in one of them is in `not_understood`, with its path
/// and the reason: nothing is left out without a word.
///
/// # How routes are read
/// - Each `model_name` is a route, and so is each of its aliases: its deployments by their `weight`, else their `rpm` or
///   `tpm`, else in turn; those of a higher `order` behind, and behind these the deployments of its `fallbacks`, with
///   theirs, or of `default_fallbacks`. They serve for any [reason](crate::failover::Trigger) that one is gone on for.
/// - A deployment's key is one that limits know by [its id](Deployment::id); where the file names none, it is that of the
///   provider's variable (`OPENAI_API_KEY`), as there. Calls are OpenAI's, as LiteLLM's are: Gemini's and Cohere's
///   addresses are those of their API for that. Nothing is translated, so an `api_base` has to take it. An Ollama without
///   one is at `OLLAMA_API_BASE`, else on this machine, as there.
/// - No route leads to a name with a `*`, nor to what takes no API keys (Bedrock, Vertex).
/// - Fallbacks for what is too long, and for what a filter stopped, are used where they are general ones as well.
///
/// # How limits are read
/// - `rpm`, `tpm`, `itpm`, `otpm` and `max_parallel_requests` of a deployment are limits on its provider and model. Of
///   several deployments to the same model these are added up, where each has the value. Each also has its own,
///   on calls whose tag `api_key` is [its id](Deployment::id).
/// - Of a model with a `*` they are limits on all of the provider's calls.
/// - A budget over `24h` or `7d` holds in any interval of that length, one over `1mo` in each month of the calendar
///   (UTC). That lets through no more than LiteLLM, which begins anew at fixed hours. Without a duration it holds for
///   ten years.
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
///     |variable| Some(format!("secret of {variable}")),
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
    /// Limits, prices, budgets, attempts and routes.
    pub config: Config,
    /// Where calls go, in the order of the file.
    pub deployments: Vec<Deployment>,
    /// Where they go when that fails.
    pub fallbacks: Fallbacks,
    /// Other names of a group of deployments.
    pub group_aliases: BTreeMap<String, String>,
    /// What of the file is in none of these, in its order.
    pub not_understood: Vec<NotUnderstood>,
}

/// Groups of deployments to go to when one fails, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallbacks {
    /// For any failure, by the group that failed.
    pub of: BTreeMap<String, Vec<String>>,
    /// For inputs that are too long.
    pub context_window: BTreeMap<String, Vec<String>>,
    /// For what a provider's filter stopped.
    pub content_policy: BTreeMap<String, Vec<String>>,
    /// For groups that have none of their own.
    pub default: Vec<String>,
}

/// A part of a file that has no counterpart here, or does not read. Its value is not told: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct NotUnderstood {
    /// The line, from 1; 0 where it is not known.
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
    /// [`ConfigError::Syntax`] where it is no YAML, or no map. A value that makes no sense is in
    /// [`not_understood`](Self::not_understood).
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
            settings::library(&mut read, fields);
        }
        if let Some(fields) = file.map("general_settings") {
            settings::server(&mut read, fields, &mut router);
        }
        for fields in file.maps("model_list") {
            let (path, line) = (format!("{}.model_info.id", fields.path), fields.line);
            let Some(mut deployment) = deployment::read(fields, &router, &mut read.config) else {
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
