//! What callers' own keys are called, in counts and reports.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use percent_encoding::percent_decode_str;

use super::ApiKey;
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

impl ApiKey {
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
        Some(Tags::callers_key(digest(&key)))
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

/// A digest of a key. It is the same in every process, whatever that was built with, so that counts which are kept, or
/// shared, mean the same key.
fn digest(key: &[u8]) -> u64 {
    let mut digest = hmac_sha256::Hash::new();
    // No other program has the same of the same key. What ends each is in no header and in no query.
    for text in [&b"tower-quota: the key of a caller"[..], key] {
        digest.update(text);
        digest.update([0]);
    }
    let bytes = digest.finalize();
    let first = bytes.iter().take(8);
    first.fold(0_u64, |all, byte| (all << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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

    /// What is kept under one, or shared, is found again, whatever the program that does was built with.
    #[test]
    fn a_label_is_the_same_in_every_process() {
        let label = label(AUTH, &[(AUTH, "Bearer KEY-a")], None);
        assert_eq!(label.as_deref(), Some("caller-ba295363b638"));
    }
}
