//! Parameters that all of Google's APIs know, and by which an answer leaves out what the call used, or is in a form in which that
//! is not read here.

use http::{HeaderMap, HeaderName, Uri};
use percent_encoding::percent_decode_str;

use super::{path::BadPath, upstreams::without};

/// Which parts of an answer are wanted.
const FIELD_MASK: HeaderName = HeaderName::from_static("x-goog-fieldmask");

/// JSON with numbers in place of words. Google's clients that ask for it read words as well.
const NUMBERED: &str = "json;enum-encoding=int";

/// The address of a call that is metered and may go to Google, so that its answer can be read.
///
/// # Errors
/// Where the caller asks for one that cannot be.
pub(super) fn readable(uri: Uri, headers: &HeaderMap) -> Result<Uri, BadPath> {
    if headers.contains_key(FIELD_MASK) {
        return Err(BadPath::Unreadable("the header x-goog-fieldmask"));
    }
    let read = |text| percent_decode_str(text).decode_utf8_lossy();
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut has_numbered = false;
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (read(name), read(value));
        if let Some(what) = hides(&name, &value) {
            return Err(BadPath::Unreadable(what));
        }
        has_numbered |= is_numbered(&name, &value);
    }
    match has_numbered {
        false => Ok(uri),
        true => without(uri, is_numbered).ok_or(BadPath::Unreadable(FORM)),
    }
}

const FORM: &str = "`alt`, or make it json or sse";

/// By what the answer would not say what the call used, in words.
fn hides(name: &str, value: &str) -> Option<&'static str> {
    let is_read = || {
        let mut forms = ["json", "sse", NUMBERED].into_iter();
        forms.any(|form| value.eq_ignore_ascii_case(form))
    };
    match () {
        () if is(name, "fields") => Some("`fields`"),
        () if is(name, "callback") => Some("`callback`"),
        () if is(name, "alt") && !is_read() => Some(FORM),
        () => None,
    }
}

fn is_numbered(name: &str, value: &str) -> bool {
    is(name, "alt") && value.eq_ignore_ascii_case(NUMBERED)
}

/// Whether it is the parameter of this name, which is there with and without a dollar.
fn is(name: &str, parameter: &str) -> bool {
    let plain = name.strip_prefix('$').unwrap_or(name);
    plain.eq_ignore_ascii_case(parameter)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn sent(query: &str) -> Result<String, BadPath> {
        let uri: Uri = format!("http://up/v1beta/models/m:generateContent{query}")
            .parse()
            .unwrap();
        let sent = readable(uri, &HeaderMap::new())?;
        Ok(sent.query().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_takes_the_usage_out_of_an_answer_is_refused_however_it_is_written() {
        for query in [
            "?fields=candidates",
            "?$fields=candidates",
            "?%24fields=candidates",
            "?%66ields=candidates",
            "?FIELDS=candidates",
            "?key=x&fields",
            "?callback=f",
            "?%24callback=f",
            "?alt=proto",
            "?alt=media",
            "?$alt=proto",
            "?%24alt=json%3Bx=y",
            "?alt=json&alt=proto",
            "?alt=",
            "?alt",
        ] {
            assert!(
                matches!(sent(query), Err(BadPath::Unreadable(_))),
                "{query}"
            );
        }
        let mut headers = HeaderMap::new();
        headers.insert(FIELD_MASK, HeaderValue::from_static("candidates"));
        let uri = Uri::from_static("http://up/v1beta/models/m:generateContent");
        assert!(readable(uri, &headers).is_err());
    }

    #[test]
    fn what_leaves_it_there_passes_as_it_is_written() {
        for query in [
            "",
            "alt=sse",
            "alt=JSON",
            "$alt=json&key=x&prettyPrint=false",
            "%24prettyPrint=true&$.xgafv=2&quotaUser=me",
            "field=candidates&myfields=x&altitude=1",
        ] {
            let asked = format!("?{query}");
            assert_eq!(sent(&asked).as_deref(), Ok(query));
        }
        // Google's own clients ask for this.
        for (asked, expected) in [
            ("?$alt=json;enum-encoding=int", ""),
            ("?a=1&%24alt=json%3Benum-encoding%3Dint&b=%20", "a=1&b=%20"),
        ] {
            assert_eq!(sent(asked).as_deref(), Ok(expected));
        }
    }
}
