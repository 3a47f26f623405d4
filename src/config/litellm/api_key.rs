//! Keys of providers, which nothing shows.

use std::fmt;

/// LiteLLM's word for a variable of the environment.
pub(super) const VARIABLE: &str = "os.environ/";

/// The key of a deployment. It is a secret: it has no `Display`, and its `Debug` shows at most the name of its variable.
///
/// ```
/// use tower_quota::config::LiteLlmConfig;
///
/// let read = LiteLlmConfig::from_yaml(
///     "model_list: [{ model_name: a, litellm_params: { model: openai/gpt-4o, api_key: sk-secret } }]",
/// )?;
/// assert!(!format!("{read:?}").contains("sk-secret"));
/// let key = read.deployments[0].api_key.as_ref().unwrap();
/// assert_eq!(key.reveal(|_| None).as_deref(), Some("sk-secret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    pub(super) fn of(text: String) -> Self {
        ApiKey(text)
    }

    /// The name of the environment's variable that holds it, where it is not in the file.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        self.0.strip_prefix(VARIABLE)
    }

    /// The key itself, by this environment; `None` where its variable is not set.
    pub fn reveal(&self, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
        match self.variable() {
            Some(name) => environment(name),
            None => Some(self.0.clone()),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable() {
            Some(name) => write!(f, "ApiKey({VARIABLE}{name})"),
            None => f.write_str("ApiKey(…)"),
        }
    }
}
