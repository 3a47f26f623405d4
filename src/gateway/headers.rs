//! The headers that concern one connection only (RFC 9110, section 7.6.1) and end here; and those by which a call is none
//! that can be passed on.

use http::{
    HeaderMap, HeaderName,
    header::{CONNECTION, CONTENT_ENCODING, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use smallvec::SmallVec;

const FIXED: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Makes the headers of a request those of our own request to the upstream.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    strip_response(headers);
    // The client writes the upstream's.
    headers.remove(HOST);
    // Met already: the server asked for the body when it was read.
    headers.remove(EXPECT);
}

/// Takes off what the other side said about its connection to us.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    let ends_here =
        |name: &&HeaderName| FIXED.contains(name) || name.as_str().starts_with("proxy-");
    let here: SmallVec<[HeaderName; 4]> = headers.keys().filter(ends_here).cloned().collect();
    if here.is_empty() {
        return;
    }
    let named: Vec<HeaderName> = listed(headers, CONNECTION)
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in here.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Whether a `GET` with these is the beginning of a WebSocket (RFC 6455, section 4.1).
pub(super) fn ask_for_websocket(headers: &HeaderMap) -> bool {
    listed(headers, UPGRADE).any(|protocol| {
        let name = protocol.split('/').next().unwrap_or_default();
        name.eq_ignore_ascii_case("websocket")
    })
}

/// Whether the body is compressed, or in another form than its own.
pub(super) fn are_of_coded_body(headers: &HeaderMap) -> bool {
    listed(headers, CONTENT_ENCODING)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// What a header lists, in all of its lines.
fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).iter();
    lines
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = of.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    fn left(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn ends_what_concerns_one_connection() {
        let mut all = headers(&[
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("host", "here"),
            ("expect", "100-continue"),
            ("authorization", "Bearer x"),
        ]);
        strip_request(&mut all);
        assert_eq!(left(&all), ["authorization"]);
    }

    #[test]
    fn ends_what_any_connection_header_names() {
        let mut all = headers(&[
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("x-kept", "4"),
        ]);
        for value in ["close, X-One ,,x-absent", "no header, x-two", "x-three"] {
            all.append(CONNECTION, HeaderValue::from_static(value));
        }
        strip_response(&mut all);
        assert_eq!(left(&all), ["x-kept"]);
    }

    #[test]
    fn a_websocket_is_known_by_any_of_the_protocols() {
        for (protocols, expected) in [
            ("websocket", true),
            ("WebSocket/13", true),
            ("h2c, websocket", true),
            ("h2c", false),
            ("websockets", false),
            ("", false),
        ] {
            let asked = ask_for_websocket(&headers(&[("upgrade", protocols)]));
            assert_eq!(asked, expected, "{protocols}");
        }
        assert!(!ask_for_websocket(&HeaderMap::new()));
    }

    #[test]
    fn a_body_is_coded_where_any_coding_is_named_but_identity() {
        for (codings, expected) in [
            ("gzip", true),
            ("identity, br", true),
            ("x-unknown", true),
            ("Identity", false),
            ("", false),
        ] {
            let coded = are_of_coded_body(&headers(&[("content-encoding", codings)]));
            assert_eq!(coded, expected, "{codings}");
        }
        assert!(!are_of_coded_body(&HeaderMap::new()));
    }
}
