//! Browsers: nothing that an upstream answers is a page of this gateway, or runs in one. The dashboard is of the same origin, and a
//! browser keeps the key that somebody types into it.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};

/// What browsers say that they want something for. A program's `fetch` is for nothing of it.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What is shown as a page, or run in one.
const SHOWN: [&str; 13] = [
    "audioworklet",
    "document",
    "embed",
    "fencedframe",
    "frame",
    "iframe",
    "object",
    "paintworklet",
    "script",
    "serviceworker",
    "sharedworker",
    "worker",
    "xslt",
];

/// What browsers ask for a script with that is to see all that its origin asks for.
const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");
/// Has a browser forget what it knows of all of the origin.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What says no more than nothing at all.
const UNKNOWN: [&str; 3] = ["unknown/unknown", "application/unknown", "*/*"];

/// Whether a browser asks, to show the answer as a page or to run it in one.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let is_shown = |value: &HeaderValue| {
        let value = value.as_bytes();
        let mut shown = SHOWN.iter();
        shown.any(|shown| value.eq_ignore_ascii_case(shown.as_bytes()))
    };
    headers.contains_key(SERVICE_WORKER) || headers.get_all(SEC_FETCH_DEST).iter().any(is_shown)
}

/// Makes an upstream's answer one that is of no account to the dashboard, though a browser should show it: some say nothing of what
/// they want it for.
pub(super) fn disarm(headers: &mut HeaderMap) {
    headers.remove(SERVICE_WORKER_ALLOWED);
    headers.remove(CLEAR_SITE_DATA);
    if may_be_page(headers) {
        let sandbox = HeaderValue::from_static("sandbox");
        // Its own holds as well.
        headers.append(CONTENT_SECURITY_POLICY, sandbox);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

/// Whether a browser that shows it may run what is in it: HTML, SVG and other XML, and what does not say what it is, into which
/// browsers look themselves.
fn may_be_page(headers: &HeaderMap) -> bool {
    let has = |value: &HeaderValue, word: &[u8]| {
        let mut windows = value.as_bytes().windows(word.len());
        windows.any(|window| window.eq_ignore_ascii_case(word))
    };
    let mut said = headers.get_all(CONTENT_TYPE).iter().peekable();
    let runs = |value| has(value, b"html") || has(value, b"xml") || has(value, b"xsl");
    said.peek().is_none() || said.any(|value| runs(value) || says_nothing(value))
}

/// Whether this names no type.
fn says_nothing(value: &HeaderValue) -> bool {
    let mut parts = value.as_bytes().split(|byte| *byte == b';');
    let kind = parts.next().unwrap_or_default().trim_ascii();
    let is_token = |part: &[u8]| {
        let is_of_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        !part.is_empty() && part.iter().all(is_of_token)
    };
    let slash = kind.iter().position(|byte| *byte == b'/');
    let is_type = slash.is_some_and(|at| is_token(&kind[..at]) && is_token(&kind[at + 1..]));
    let mut unknown = UNKNOWN.iter();
    !is_type || unknown.any(|unknown| kind.eq_ignore_ascii_case(unknown.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_shown_or_run_is_told_from_what_a_program_asks_for() {
        for dest in SHOWN {
            assert!(
                is_asked_for(&headers(&[("sec-fetch-dest", dest)])),
                "{dest}"
            );
        }
        for of in [
            &[("sec-fetch-dest", "Document")][..],
            &[("sec-fetch-dest", "empty"), ("sec-fetch-dest", "script")],
            &[("service-worker", "script")],
        ] {
            assert!(is_asked_for(&headers(of)), "{of:?}");
        }
        for of in [
            &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")][..],
            &[],
            &[("sec-fetch-dest", "image")],
            &[("sec-fetch-dest", "audio")],
        ] {
            assert!(!is_asked_for(&headers(of)), "{of:?}");
        }
    }

    #[test]
    fn what_could_run_is_shut_in_and_other_answers_are_as_they_came() {
        for of in [
            &[("content-type", "text/html; charset=utf-8")][..],
            &[("content-type", "application/xhtml+xml")],
            &[("content-type", "image/SVG+xml")],
            &[("content-type", "text/xml")],
            &[("content-type", "text/xsl")],
            &[("content-type", "")],
            &[("content-type", "; charset=utf-8")],
            &[("content-type", "json")],
            &[("content-type", "text/")],
            &[("content-type", "text/pl ain")],
            &[("content-type", "Unknown/Unknown")],
            &[("content-type", "application/unknown; q=1")],
            &[("content-type", "*/*")],
            &[
                ("content-type", "text/plain"),
                ("content-type", "text/html"),
            ],
            &[("x-kept", "yes")],
        ] {
            let mut all = headers(of);
            disarm(&mut all);
            assert_eq!(all[CONTENT_SECURITY_POLICY], "sandbox", "{of:?}");
            assert_eq!(all[X_CONTENT_TYPE_OPTIONS], "nosniff", "{of:?}");
        }
        for kind in [
            "application/json",
            "application/json ; charset=utf-8",
            "application/problem+json",
            "text/event-stream",
            "application/x-ndjson",
            "application/vnd.amazon.eventstream",
            "audio/mpeg",
            "text/plain",
        ] {
            let mut all = headers(&[("content-type", kind), ("x-kept", "yes")]);
            let before = all.clone();
            disarm(&mut all);
            assert_eq!(all, before);
        }
    }

    #[test]
    fn a_policy_of_its_own_holds_as_well_and_no_word_is_said_for_all_of_the_origin() {
        let mut all = headers(&[
            ("content-type", "text/html"),
            ("content-security-policy", "default-src 'none'"),
            ("service-worker-allowed", "/"),
            ("clear-site-data", "\"*\""),
        ]);
        disarm(&mut all);
        let policies: Vec<_> = all.get_all(CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies, ["default-src 'none'", "sandbox"]);
        assert!(!all.contains_key(SERVICE_WORKER_ALLOWED) && !all.contains_key(CLEAR_SITE_DATA));
    }
}
