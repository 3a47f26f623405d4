//! What tells an upstream that a call is another one than it looks like: of another method, or to another path. It would not be
//! counted as what it is.

use http::{HeaderMap, HeaderName, Method, Uri};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

/// Headers that say another method.
const METHOD: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// The same in a query, of Google's APIs: the other says headers.
const IN_QUERY: [&str; 2] = ["$httpmethod", "$httpheaders"];

/// Headers that say another path.
const PATH: [&str; 2] = ["x-original-url", "x-rewrite-url"];

const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT",
];

/// Whether it is one of the methods but for capitals, which is none of them (RFC 9110, section 9.1), and some servers take for it.
pub(super) fn is_in_other_letters(method: &Method) -> bool {
    let name = method.as_str();
    let mut known = METHODS.iter();
    known.any(|known| known.eq_ignore_ascii_case(name) && *known != name)
}

/// By what a call says that it is of another method than its own.
pub(super) fn of_another_method(headers: &HeaderMap, uri: &Uri) -> Option<&'static str> {
    let has = |form: &str| headers.keys().any(|name| is_read_as(name, form));
    if let Some(name) = METHOD.into_iter().find(|form| has(form)) {
        return Some(name);
    }
    // Nearly all queries have neither.
    let query = uri.query().filter(|query| query.contains(['$', '%']))?;
    let names = query.split('&').map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy()
    });
    let mut said = names.filter_map(|name| {
        let mut known = IN_QUERY.into_iter();
        known.find(|known| known.eq_ignore_ascii_case(&name))
    });
    said.next()
}

/// Takes off what says that it is to another path: proxies before this gateway that rewrite paths say so of theirs.
pub(super) fn strip_paths(headers: &mut HeaderMap) {
    let says = |name: &&HeaderName| PATH.iter().any(|form| is_read_as(name, form));
    let found: SmallVec<[HeaderName; 2]> = headers.keys().filter(says).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether a header is this one, for those too that make no difference between `-` and `_`.
fn is_read_as(name: &HeaderName, form: &str) -> bool {
    let name = name.as_str();
    let is_same = |(byte, known): (u8, u8)| byte == known || byte == b'_' && known == b'-';
    name.len() == form.len() && name.bytes().zip(form.bytes()).all(is_same)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(names: &[&'static str]) -> HeaderMap {
        let pairs = names.iter().map(|name| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static("POST"))
        });
        pairs.collect()
    }

    fn said(names: &[&'static str], uri: &str) -> Option<&'static str> {
        of_another_method(&headers(names), &uri.parse().unwrap())
    }

    #[test]
    fn methods_in_other_letters_are_none_and_others_may_be() {
        for method in ["post", "Post", "gET", "delete"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert!(is_in_other_letters(&method), "{method}");
        }
        for method in ["POST", "GET", "QUERY", "PROPFIND", "propfind"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert!(!is_in_other_letters(&method), "{method}");
        }
    }

    #[test]
    fn another_method_is_found_wherever_it_is_said() {
        for name in METHOD {
            assert_eq!(said(&["accept", name], "/x"), Some(name));
        }
        let wsgi = said(&["x_http_method_override"], "/x");
        assert_eq!(wsgi, Some("x-http-method-override"));
        for query in ["$httpMethod=POST", "a=1&%24httpMethod=POST", "$HTTPMETHOD"] {
            assert_eq!(said(&[], &format!("/x?{query}")), Some("$httpmethod"));
        }
        let by_headers = said(&[], "/x?%24httpHeaders=x-http-method-override%3APOST");
        assert_eq!(by_headers, Some("$httpheaders"));
        for (names, uri) in [
            (&["x-http-methods", "x-method", "accept"][..], "/x?a=%24b"),
            (&[], "/x"),
            (&[], "/x?httpMethod=POST&method=$httpMethod"),
        ] {
            assert_eq!(said(names, uri), None, "{uri}");
        }
    }

    #[test]
    fn another_path_is_taken_off() {
        let mut all = headers(&[
            "x-original-url",
            "x_rewrite_url",
            "x-rewrite-url",
            "x-original-host",
        ]);
        strip_paths(&mut all);
        let left: Vec<&str> = all.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-original-host"]);
    }
}
