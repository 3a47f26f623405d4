//! API keys: secrets with a label.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use crate::tags::Tags;

/// Servers of one's own, whoever calls them: what they are shown is of no account, and many do not look at it.
const OWN_SERVERS: [&str; 8] = [
    "vllm",
    "hosted_vllm",
    "ollama",
    "ollama_chat",
    "llamacpp",
    "llamafile",
    "lm_studio",
    "sglang",
];

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

    /// What a caller's own key is called that is shown to this provider in its header for keys, `own`, or in another place where
    /// it takes them: the first where there is any. `None`: none is shown, or there are no accounts. Nobody learns the key from
    /// it, and it is the same in each of the caller's calls, whatever else they show.
    pub(crate) fn label_of_callers(
        headers: &HeaderMap,
        query: Option<&str>,
        provider: Option<&str>,
        own: &HeaderName,
    ) -> Option<Arc<str>> {
        if provider.is_some_and(|name| OWN_SERVERS.contains(&name)) {
            return None;
        }
        let in_header = |name: &HeaderName| {
            let key = lasting(headers.get(name)?.as_bytes());
            (!key.is_empty()).then_some(Cow::Borrowed(key))
        };
        let is_googles = own.as_str() == "x-goog-api-key";
        let in_query = || query.filter(|_| is_googles).and_then(key_in);
        let bearer = || in_header(&AUTHORIZATION);
        let key = in_header(own).or_else(in_query).or_else(bearer)?;
        let mut digest = Digest::new();
        digest.add(&key);
        Some(Tags::callers_key(digest.end()))
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

/// What is the same in each call, however it is written: of a signature, who signs; else what stands behind the scheme.
/// Nothing of what has other words in it, which may be others in each call.
fn lasting(shown: &[u8]) -> &[u8] {
    const SIGNER: &[u8] = b"Credential=";
    let signer = shown.windows(SIGNER.len()).position(|at| at == SIGNER);
    if let Some(at) = signer {
        let mut parts = shown[at + SIGNER.len()..].split(|byte| b"/, ".contains(byte));
        return parts.next().unwrap_or_default();
    }
    let mut words = shown
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(key), None, _) | (Some(_), Some(key), None) if !key.contains(&b',') => key,
        _ => b"",
    }
}

fn read(text: &str) -> Cow<'_, [u8]> {
    percent_decode_str(text).into()
}

/// The value of `key` in a query, as Google takes it.
fn key_in(query: &str) -> Option<Cow<'_, [u8]>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut keys = pairs.filter(|(name, _)| *read(name) == *b"key");
    let (_, key) = keys.find(|(_, key)| !key.is_empty())?;
    Some(read(key))
}

/// A digest of texts. It is the same in every process, so that counts which are kept, or shared, mean the same key.
#[cfg(feature = "gateway")]
struct Digest(ring::digest::Context);

#[cfg(feature = "gateway")]
impl Digest {
    fn new() -> Self {
        let mut digest = Digest(ring::digest::Context::new(&ring::digest::SHA256));
        // No other program has the same of the same key.
        digest.add(b"tower-quota: the key of a caller");
        digest
    }

    fn add(&mut self, text: &[u8]) {
        self.0.update(text);
        // It is in no header and in no query.
        self.0.update(&[0]);
    }

    fn end(self) -> u64 {
        let digest = self.0.finish();
        let bytes = digest.as_ref().iter().take(8);
        bytes.fold(0_u64, |all, byte| (all << 8) | u64::from(*byte))
    }
}

/// A digest of texts, the same in every process: FNV-1a in 128 bits. It does not resist attackers: who can guess a key can
/// confirm it by its digest, and can make up others with the same one. There is no SHA-256 in this build.
#[cfg(not(feature = "gateway"))]
struct Digest(u128);

#[cfg(not(feature = "gateway"))]
impl Digest {
    fn new() -> Self {
        Digest(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, text: &[u8]) {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        for byte in text.iter().chain(&[0]) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    }

    fn end(self) -> u64 {
        let bytes = self.0.to_be_bytes();
        let (high, low) = bytes.split_at(8);
        let both = high.iter().zip(low).map(|(high, low)| high ^ low);
        both.fold(0_u64, |all, byte| (all << 8) | u64::from(byte))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const AUTH: &str = "authorization";
    const GOOGLES: &str = "x-goog-api-key";

    /// By a provider that takes keys in the header `own`.
    fn label(
        own: &'static str,
        shown: &[(&'static str, &str)],
        query: Option<&str>,
    ) -> Option<Arc<str>> {
        let mut headers = HeaderMap::new();
        for (name, value) in shown {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let own = HeaderName::from_static(own);
        ApiKey::label_of_callers(&headers, query, Some("some"), &own)
    }

    #[test]
    fn each_key_has_a_label_of_its_own_that_does_not_show_it() {
        let a = label(AUTH, &[(AUTH, "Bearer KEY-a")], None).unwrap();
        let b = label(AUTH, &[(AUTH, "Bearer KEY-b")], None).unwrap();
        assert_ne!(a, b);
        for label in [a, b] {
            assert_eq!(label.len(), "caller-".len() + 12, "{label}");
            assert!(!label.contains("KEY"), "{label}");
        }
    }

    #[test]
    fn a_key_has_one_label_wherever_and_however_it_is_shown() {
        let expected = label(AUTH, &[(AUTH, "Bearer KEY-a")], None);
        assert!(expected.is_some());
        for (own, shown, query) in [
            (AUTH, (AUTH, "bearer  KEY-a"), None),
            ("x-api-key", ("x-api-key", "KEY-a"), None),
            ("x-api-key", (AUTH, "Bearer KEY-a"), None),
            ("api-key", ("api-key", "KEY-a"), None),
            ("x-odd", ("x-odd", "KEY-a"), None),
            (GOOGLES, (GOOGLES, "KEY-a"), None),
            (GOOGLES, ("x-kept", "yes"), Some("alt=sse&key=KEY-a")),
            (GOOGLES, ("x-kept", "yes"), Some("k%65y=KEY%2Da")),
        ] {
            assert_eq!(label(own, &[shown], query), expected, "{own} {shown:?}");
        }
    }

    #[test]
    fn what_the_provider_does_not_look_at_changes_no_label() {
        let key = (AUTH, "Bearer KEY-a");
        let expected = label(AUTH, &[key], None);
        for junk in [
            GOOGLES,
            "x-api-key",
            "api-key",
            "openai-project",
            "openai-organization",
            "x-odd",
        ] {
            let shown = [key, (junk, "junk")];
            assert_eq!(label(AUTH, &shown, Some("key=junk")), expected, "{junk}");
        }
    }

    #[test]
    fn who_shows_no_key_has_no_label() {
        for shown in [
            ("x-kept", "yes"),
            ("cookie", "KEY-a"),
            (AUTH, ""),
            ("x-api-key", "KEY-a"),
        ] {
            assert_eq!(label(AUTH, &[shown], Some("key=KEY-a")), None, "{shown:?}");
        }
        assert_eq!(label(GOOGLES, &[], Some("alt=sse&monkey=b&key&key=")), None);
    }

    #[test]
    fn who_calls_a_server_of_ones_own_has_no_label() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer KEY-a"));
        let of =
            |provider| ApiKey::label_of_callers(&headers, None, Some(provider), &AUTHORIZATION);
        assert!(of("openai").is_some());
        assert_eq!(of("ollama"), None);
    }

    #[test]
    fn who_signs_each_call_has_one_label_for_all() {
        let signed = |who: &str, signature: &str| {
            let text = format!("AWS4-HMAC-SHA256 Credential={who}/day, Signature={signature}");
            label(AUTH, &[(AUTH, text.as_str())], None)
        };
        assert_eq!(signed("AKID", "a"), signed("AKID", "b"));
        assert_ne!(signed("AKID", "a"), signed("OTHER", "a"));
        let shown = |text: &str| label(AUTH, &[(AUTH, text)], None);
        let others = "HMAC-SHA256 Credential=AKID/2026, SignedHeaders=a, Signature=";
        let signed = |signature: &str| shown(&format!("{others}{signature}"));
        assert!(signed("a").is_some() && signed("a") == signed("b"));
        // What may be another in each call is the name of nobody.
        assert_eq!(shown("Digest username=\"a\", response=\"b\""), None);
    }

    /// What is kept under one, or shared, is found again.
    #[test]
    fn a_label_is_the_same_in_every_process() {
        let label = label(AUTH, &[(AUTH, "Bearer KEY-a")], None);
        let expected = match cfg!(feature = "gateway") {
            true => "caller-ba295363b638",
            false => "caller-a085d564e6ec",
        };
        assert_eq!(label.as_deref(), Some(expected));
    }
}
