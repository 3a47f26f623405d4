//! What callers say about a call in `x-quota-…` headers.

use http::{HeaderMap, HeaderName};

use crate::{
    call::CallOptions,
    tags::{self, BadHeader, PREFIX, Tags},
};

/// Takes our headers off and reads them.
pub(super) fn take(headers: &mut HeaderMap) -> Result<(Tags, CallOptions), BadHeader> {
    let ours = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX));
    let ours: Vec<HeaderName> = ours.cloned().collect();
    let (mut tags, mut options) = (Tags::new(), CallOptions::new());
    for name in ours {
        read(&name, headers, &mut tags, &mut options)?;
        headers.remove(name);
    }
    Ok((tags, options))
}

fn read(
    name: &HeaderName,
    headers: &HeaderMap,
    tags: &mut Tags,
    options: &mut CallOptions,
) -> Result<(), BadHeader> {
    let bad = |reason| BadHeader {
        name: name.clone(),
        reason,
    };
    let value = tags::value_of(name, headers)?;
    if let Some(tag) = tags::tag_of(name) {
        tags.set(tag, value);
    } else if &name.as_str()[PREFIX.len()..] == "priority" {
        let priority = value.parse().map_err(|_| bad("is not a whole number"))?;
        *options = options.priority(priority);
    } else {
        return Err(bad(
            "means nothing here; there are -agent, -user, -team, -run and -priority",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn taken(of: &[(&'static str, &'static str)]) -> Result<(Tags, CallOptions), String> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer x"));
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let taken = take(&mut headers).map_err(|error| error.to_string());
        if taken.is_ok() {
            assert_eq!(headers.len(), 1, "{headers:?}");
        }
        taken
    }

    #[test]
    fn reads_every_tag_and_the_priority() {
        let (tags, options) = taken(&[
            ("x-quota-agent", "scout"),
            ("x-quota-user", "Zoë"),
            ("x-quota-team", "a b"),
            ("x-quota-run", "7"),
            ("x-quota-priority", "-2"),
        ])
        .unwrap();
        assert_eq!(tags.to_string(), "agent=scout user=Zoë team=a b run=7");
        assert_eq!(options, CallOptions::new().priority(-2));
    }

    #[test]
    fn needs_none_of_them() {
        let nothing = (Tags::new(), CallOptions::new());
        assert_eq!(taken(&[]), Ok(nothing));
    }

    #[test]
    fn names_the_header_that_makes_no_sense() {
        for (headers, expected) in [
            (
                &[("x-quota-priority", "high")][..],
                "the header x-quota-priority is not a whole number",
            ),
            (
                &[("x-quota-run", "a"), ("x-quota-run", "b")],
                "the header x-quota-run is there more than once",
            ),
        ] {
            assert_eq!(taken(headers), Err(expected.to_owned()));
        }
        let error = taken(&[("x-quota-agent", "")]).unwrap_err();
        assert!(error.contains("x-quota-agent is empty"), "{error}");
        let error = taken(&[("x-quota-agnet", "scout")]).unwrap_err();
        assert!(error.contains("x-quota-agnet means nothing"), "{error}");
    }
}
