//! Where the guide says what a refusal means, and what to do.

use http::HeaderValue;

/// The page with an entry for each kind: `docs/guide/troubleshooting.md`, as the crate's documentation has it.
const PAGE: &str =
    "https://docs.rs/tower-quota/latest/tower_quota/guide/troubleshooting/index.html";

/// The kinds that the page has entries of, in its order: those of the layers, then the gateway's own.
pub(crate) const ENTRIES: [&str; 37] = [
    "rate_limited",
    "queue_full",
    "deadline_exceeded",
    "never_fits",
    "run_used_up",
    "budget_exceeded",
    "circuit_open",
    "paused",
    "unknown_price",
    "body_too_large",
    "bad_request",
    "no_target",
    "no_route",
    "store_unavailable",
    "bad_header",
    "bad_method",
    "no_websocket",
    "body_compressed",
    "no_upstream",
    "not_local",
    "no_page",
    "missing_api_key",
    "invalid_api_key",
    "disabled_api_key",
    "expired_api_key",
    "not_allowed",
    "unmetered",
    "no_memory",
    "upstream_not_reached",
    "upstream_broke_off",
    "upstream_silent",
    "upstream_key_refused",
    "cancelled",
    "not_found",
    "not_held",
    "taken",
    "not_done",
];

/// A kind of refusal. One without an entry does not compile.
macro_rules! kind {
    ($kind:literal) => {
        const { $crate::error::help::with_entry($kind) }
    };
}
pub(crate) use kind;

/// The kind, of which there is an entry.
///
/// # Panics
/// Where there is none. It is asked when the crate is compiled, by [`kind!`].
pub(crate) const fn with_entry(kind: &'static str) -> &'static str {
    let mut at = 0;
    while at < ENTRIES.len() {
        if is_same(kind.as_bytes(), ENTRIES[at].as_bytes()) {
            return kind;
        }
        at += 1;
    }
    panic!("there is no entry of this kind in the guide")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The address of the entry of a kind, where it is one of ours.
pub(crate) fn entry_of(kind: &str) -> Option<String> {
    ENTRIES.contains(&kind).then(|| format!("{PAGE}#{kind}"))
}

/// The same as the value of a header `Link` (RFC 8288).
pub(crate) fn link_of(kind: &str) -> Option<HeaderValue> {
    let link = format!("<{}>; rel=\"help\"", entry_of(kind)?);
    HeaderValue::try_from(link).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_ours_have_an_entry_and_others_none() {
        let entry = entry_of("rate_limited").unwrap();
        assert!(
            entry.ends_with("/guide/troubleshooting/index.html#rate_limited"),
            "{entry}"
        );
        assert_eq!(
            link_of("paused").unwrap(),
            format!("<{PAGE}#paused>; rel=\"help\"")
        );
        for other in ["rate_limit", "rate_limited_", "", "kind"] {
            assert_eq!((entry_of(other), link_of(other)), (None, None), "{other}");
        }
    }

    #[test]
    #[should_panic(expected = "no entry")]
    fn a_kind_without_an_entry_is_none() {
        with_entry("rate_limite");
    }

    #[test]
    fn each_stands_once() {
        let mut sorted = ENTRIES;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|two| two[0] != two[1]));
    }
}
