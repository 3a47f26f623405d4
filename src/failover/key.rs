//! API keys: secrets with a label.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

/// An API key: a secret with a label.
///
/// The label may be shown anywhere, and is the tag `api_key` of the attempts that are sent with the key. The secret is
/// shown nowhere: not by `Debug`, and in no error, report, metric or snapshot. It is wiped from memory when the last
/// clone is dropped.
///
/// ```
/// use tower_quota::failover::ApiKey;
///
/// let key = ApiKey::new("team-a", "sk-secret")?;
/// assert_eq!(format!("{key:?}"), r#"ApiKey { label: "team-a", weight: 1 }"#);
/// assert!(ApiKey::new("broken", "sk-\n").is_err());
/// # Ok::<(), tower_quota::failover::RouteError>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    label: Arc<str>,
    secret: Arc<SecretString>,
    weight: u32,
}

impl ApiKey {
    /// Creates a key with a label and a secret.
    ///
    /// # Errors
    /// If the label or the secret is empty, or the secret cannot be put into a header. The error names only the label.
    pub fn new(
        label: impl Into<Arc<str>>,
        secret: impl Into<String>,
    ) -> Result<Self, super::RouteError> {
        let (label, secret) = (label.into(), SecretString::from(secret.into()));
        let wrong = |reason| super::RouteError::Key {
            label: label.to_string(),
            reason,
        };
        if label.is_empty() {
            return Err(wrong("has no label; it is what reports name the key by"));
        }
        if secret.expose_secret().is_empty() {
            return Err(wrong("is empty; is its environment variable set?"));
        }
        if HeaderValue::from_str(secret.expose_secret()).is_err() {
            return Err(wrong("has characters that cannot stand in a header"));
        }
        Ok(ApiKey {
            label,
            secret: Arc::new(secret),
            weight: 1,
        })
    }

    /// Sets how often the key is used relative to the others, if the pool goes by weights; 1 by default. A key of
    /// weight 0 is used only when no other is left.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Returns the label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn shared_label(&self) -> &Arc<str> {
        &self.label
    }

    pub(super) fn weight_now(&self) -> u32 {
        self.weight
    }

    /// Whether it is the same secret.
    pub(super) fn is_same(&self, other: &ApiKey) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }

    /// Whether it is somewhere in there.
    #[cfg(feature = "gateway")]
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        shows(text, self.secret.expose_secret().as_bytes())
    }

    /// The header that shows the key, after `scheme`. Marked as sensitive, and wiped when the last clone of it is dropped.
    pub(super) fn header(&self, scheme: &str) -> Option<HeaderValue> {
        // Written once: clones of the header share it.
        let secret = self.secret.expose_secret();
        let mut text = String::with_capacity(scheme.len() + secret.len());
        text.push_str(scheme);
        text.push_str(secret);
        let text = Bytes::from_owner(Shown(SecretString::from(text)));
        let mut value = HeaderValue::from_maybe_shared(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Shorter keys are no secrets: they are words that are put where one is wanted, as `none`, and may be in any text.
#[cfg(feature = "gateway")]
const SHORTEST: usize = 8;

/// Whether this secret is somewhere in there.
#[cfg(feature = "gateway")]
pub(crate) fn shows(text: &[u8], secret: &[u8]) -> bool {
    secret.len() >= SHORTEST && memchr::memmem::find(text, secret).is_some()
}

/// A key as it stands in a header.
struct Shown(SecretString);

impl AsRef<[u8]> for Shown {
    fn as_ref(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("label", &self.label)
            .field("weight", &self.weight)
            .finish()
    }
}
