//! Whether a request is one of this machine's programs, and not of a page that a browser here shows.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, Uri,
    header::{HOST, ORIGIN},
};

/// What browsers say of whose page a request is of, also where they say no origin.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where there are no keys, whoever reaches the gateway may call. A browser reaches it for any page that it shows: such
/// requests name the page's host, or say whose page they are of.
pub(super) fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let is_ours = |said: &str| said.parse().is_ok_and(|uri: Uri| is_loopback(&uri));
    let host = text(HOST).is_none_or(|host| is_usual(host) || is_ours(host));
    let origin = text(ORIGIN).is_none_or(is_ours);
    // A picture of a page of elsewhere has no origin. Who types the address has one of these.
    let site = text(SEC_FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    host && (site || headers.contains_key(ORIGIN)) && origin
}

/// Nearly all of them are: nothing is read in these.
fn is_usual(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "0"));
    is_port(port) && matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name =
        bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost");
    is_name
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn local(of: &[(HeaderName, &str)]) -> bool {
        let of = of.iter();
        is_local(
            &of.map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn programs_of_this_machine_are_and_pages_of_others_are_not() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "127.9.9.9",
            "x.localhost",
        ] {
            assert!(local(&[(HOST, host)]), "{host}");
        }
        for host in [
            "x",
            "evil.example",
            "127.0.0.1.evil.example",
            "169.254.169.254",
            "localhost.evil.example",
            "",
        ] {
            assert!(!local(&[(HOST, host)]), "{host}");
        }
        assert!(local(&[]), "no browser leaves it out");
        assert!(local(&[
            (HOST, "localhost"),
            (ORIGIN, "http://localhost:3000")
        ]));
        assert!(!local(&[
            (HOST, "localhost"),
            (ORIGIN, "https://evil.example")
        ]));
        assert!(!local(&[(HOST, "localhost"), (ORIGIN, "null")]));
        for (site, is) in [
            ("same-origin", true),
            ("none", true),
            ("cross-site", false),
            ("same-site", false),
        ] {
            let picture = [(HOST, "localhost"), (SEC_FETCH_SITE, site)];
            assert_eq!(local(&picture), is, "{site}");
        }
        // A page of another port of this machine says so.
        assert!(local(&[
            (HOST, "localhost:1"),
            (ORIGIN, "http://localhost:3000"),
            (SEC_FETCH_SITE, "same-site")
        ]));
    }
}
