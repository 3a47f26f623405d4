//! Tags in `x-quota-…` headers.

use http::{HeaderMap, HeaderName};

use super::{Tag, Tags};

/// How the names of our headers begin.
pub(crate) const PREFIX: &str = "x-quota-";
const NAMES: [&str; 4] = ["agent", "user", "team", "run"];

/// The error for an `x-quota-…` header that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {name} {reason}")]
pub struct BadHeader {
    pub(crate) name: HeaderName,
    pub(crate) reason: &'static str,
}

impl Tags {
    /// Returns what a request's headers `x-quota-agent`, `-user`, `-team` and `-run` say of its caller, for servers
    /// that put it into the request's extensions.
    ///
    /// Only tags travel in headers. That a call was made inside another, and may therefore go without a concurrency
    /// slot of its own, is something that a header cannot prove.
    ///
    /// ```
    /// use http::Request;
    /// use tower_quota::{Tag, Tags};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut request = Request::get("/").header("x-quota-agent", "scout").body(())?;
    /// let tags = Tags::from_headers(request.headers())?;
    /// assert_eq!(tags.get(&Tag::Agent), Some("scout"));
    /// request.extensions_mut().insert(tags);
    ///
    /// let twice = Request::get("/").header("x-quota-run", "1").header("x-quota-run", "2").body(())?;
    /// let error = Tags::from_headers(twice.headers()).unwrap_err();
    /// assert_eq!(error.to_string(), "the header x-quota-run is there more than once");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first of these headers that is there twice, empty, or not UTF-8: a caller who meant to say who it is must
    /// not be counted as nobody.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, BadHeader> {
        let mut tags = Tags::new();
        for name in headers.keys() {
            if let Some(tag) = tag_of(name) {
                tags.set(tag, value_of(name, headers)?);
            }
        }
        Ok(tags)
    }
}

/// The tag that a header of ours is about.
pub(crate) fn tag_of(name: &HeaderName) -> Option<Tag> {
    let name = name.as_str().strip_prefix(PREFIX)?;
    NAMES.contains(&name).then(|| Tag::from(name))
}

/// The one value of a header of ours.
pub(crate) fn value_of<'a>(
    name: &HeaderName,
    headers: &'a HeaderMap,
) -> Result<&'a str, BadHeader> {
    let bad = |reason| BadHeader {
        name: name.clone(),
        reason,
    };
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(bad("is there more than once"));
    };
    match std::str::from_utf8(value.as_bytes()) {
        Err(_) => Err(bad("is not UTF-8")),
        Ok("") => Err(bad("is empty; leave it out, or say something")),
        Ok(value) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_not_about_tags_are_left_alone() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-quota-team", "blue"),
            ("x-quota-priority", "3"),
            ("x-quota-model", "gpt-4o"),
            ("agent", "scout"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let tags = Tags::from_headers(&headers).unwrap();
        assert_eq!(
            tags.to_string(),
            "team=blue",
            "no caller says where it goes"
        );
    }

    #[test]
    fn a_value_that_is_no_text_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-quota-user",
            http::HeaderValue::from_bytes(b"\xff").unwrap(),
        );
        let error = Tags::from_headers(&headers).unwrap_err();
        assert_eq!(error.to_string(), "the header x-quota-user is not UTF-8");
    }
}
