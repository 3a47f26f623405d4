//! What callers say about a call in `x-quota-…` headers.

use http::{HeaderMap, HeaderName};

use crate::{
    call::CallOptions,
    tags::{Tag, Tags},
};

const PREFIX: &str = "x-quota-";

/// A header of ours that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {name} {reason}")]
pub(super) struct BadHeader {
    name: HeaderName,
    reason: &'static str,
}

/// Takes our headers off and reads them.
pub(super) fn take(headers: &mut HeaderMap) -> Result<(Tags, CallOptions), BadHeader> {
    let ours = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX));
    let ours: Vec<HeaderName> = ours.cloned().collect();
    let (mut tags, mut options) = (Tags::new(), CallOptions::new());
    for name in ours {
        let read = read(&name, headers, &mut tags, &mut options);
        read.map_err(|reason| BadHeader {
            name: name.clone(),
            reason,
        })?;
        headers.remove(name);
    }
    Ok((tags, options))
}

fn read(
    name: &HeaderName,
    headers: &HeaderMap,
    tags: &mut Tags,
    options: &mut CallOptions,
) -> Result<(), &'static str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err("is there more than once");
    };
    let value = std::str::from_utf8(value.as_bytes()).map_err(|_| "is not UTF-8")?;
    if value.is_empty() {
        return Err("is empty; leave it out, or say something");
    }
    let tag = match &name.as_str()[PREFIX.len()..] {
        "agent" => Tag::Agent,
        "user" => Tag::User,
        "team" => Tag::Team,
        "run" => Tag::Run,
        "priority" => {
            let priority = value.parse().map_err(|_| "is not a whole number")?;
            *options = options.priority(priority);
            return Ok(());
        }
        _ => {
            return Err("means nothing here; there are -agent, -user, -team, -run and -priority");
        }
    };
    tags.set(tag, value);
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
