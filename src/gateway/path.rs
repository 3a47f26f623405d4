//! Calls that say one thing to us and another to the upstream: by their path, and by what stands beside it.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::wire::Dialect;

/// Why a call is not passed on as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPath {
    /// As an upstream may read it, it is a path that is metered, or one with another model, and as it stands it is not.
    #[error("write the path as `{0}`: in this form the call would not be counted as what it is")]
    Disguised(String),
    /// It may climb out of what the upstream's address begins with.
    #[error("the path has `..` in it; leave that out")]
    Climbs,
    #[error(
        "calls to this path need the header anthropic-version, without which they would not be counted as what they are"
    )]
    NoVersion,
    #[error(
        "leave out {0}: it says that the call is of another method than its own, and it would not be counted as what it is"
    )]
    OtherMethod(&'static str),
    #[error(
        "leave out {0}: what the call used could not be read from the answer, and it would not be counted as what it is"
    )]
    Unreadable(&'static str),
}

/// Checks that the path is what it looks like. `dialect` is what a call of its method and headers is taken for.
pub(super) fn check(
    path: &str,
    headers: &HeaderMap,
    posts: bool,
    dialect: Dialect,
) -> Result<(), BadPath> {
    // Nearly all of them.
    let is_plain = !path.contains(['%', '\\', ';'])
        && !path.contains("//")
        && !path.contains("/.")
        && !path.ends_with('/')
        && !path.bytes().any(|byte| byte.is_ascii_uppercase());
    if !is_plain {
        let plain = plain(path).ok_or(BadPath::Climbs)?;
        let as_read = Dialect::detect(&plain, headers);
        let is_other_model = || dialect.model_in(path) != dialect.model_in(&plain);
        let lower = plain.to_ascii_lowercase();
        let in_lower = Dialect::detect(&lower, headers);
        if posts && (as_read != dialect || is_other_model()) {
            return Err(BadPath::Disguised(plain));
        }
        // One that does not mind capitals finds a model where we find none.
        let hidden = dialect.model_in(&lower);
        let found = || {
            dialect
                .model_in(path)
                .map(|model| model.to_ascii_lowercase())
        };
        if posts && hidden.is_some() && hidden != found() {
            return Err(BadPath::Disguised(lower));
        }
        // Models have capitals in their names, paths that are metered have none in theirs.
        if posts && dialect == Dialect::Generic && in_lower != dialect {
            return Err(BadPath::Disguised(lower));
        }
    }
    let lower = path.to_ascii_lowercase();
    if posts && dialect == Dialect::Generic && lower.trim_end_matches('/').ends_with("/v1/messages")
    {
        return Err(BadPath::NoVersion);
    }
    Ok(())
}

/// The path as one that takes every liberty would read it: decoded, without empty parts, parameters and dots. `None`, where
/// it climbs: what stands there then, nobody says in such a way who means it well.
fn plain(path: &str) -> Option<String> {
    // Twice, as behind a proxy that decodes once itself.
    let once = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let twice = percent_decode_str(&once)
        .decode_utf8_lossy()
        .replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in twice.split('/') {
        let part = part.split(';').next().unwrap_or_default();
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str) -> Result<(), BadPath> {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", http::HeaderValue::from_static("x"));
        check(path, &headers, true, Dialect::detect(path, &headers))
    }

    #[test]
    fn a_path_that_is_metered_in_another_form_is_not_passed_on() {
        for path in [
            "/v1/chat/completions/",
            "/v1//chat/completions",
            "/v1/chat/./completions",
            "/v1/chat/%63ompletions",
            "/v1/chat%2fcompletions",
            "/v1/chat/%2563ompletions",
            "/v1/chat\\completions",
            "/v1/chat/completions;x=1",
            "/V1/Chat/Completions",
            "/v1/messages/",
            "/v1/%6dessages",
            "/v1beta/models/gemini-pro%3AgenerateContent",
            "/v1beta/models/gemini-pro:generateContent/",
        ] {
            let headers = HeaderMap::new();
            let is_metered = Dialect::detect(path, &headers) != Dialect::Generic;
            assert!(
                is_metered || matches!(said(path), Err(BadPath::Disguised(_))),
                "{path}"
            );
        }
        for path in [
            "/v1/../../x",
            "/v1/%2e%2e/%2e%2e/x",
            "/openai/v1/../../admin",
            "/v1/x/../chat/completions",
            "/v1/x/%252e%252e/chat/completions",
            "/v1/x/..;a=b/x",
            "/v1/x\\..\\x",
            "/model/x/../dear/converse",
            "/v1beta/models/x/../dear:generateContent",
        ] {
            assert_eq!(said(path), Err(BadPath::Climbs), "{path}");
        }
    }

    #[test]
    fn a_path_that_an_upstream_may_read_as_another_models_is_not_passed_on() {
        for path in [
            "/openai/%64eployments/gpt-4o/chat/completions",
            "/openai//deployments/gpt-4o/chat/completions",
            "/openai/./deployments/gpt-4o/chat/completions",
            "/openai/deployments/gpt-4o;x/chat/completions",
            "/openai/deployments//gpt-4o/chat/completions",
            "/openai/Deployments/gpt-4o/chat/completions",
            "/OpenAI/%44eployments/gpt-4o/chat/completions",
            "/v1beta/models/x/./dear:generateContent",
        ] {
            assert!(matches!(said(path), Err(BadPath::Disguised(_))), "{path}");
        }
    }

    #[test]
    fn honest_paths_pass() {
        for path in [
            "/v1/chat/completions",
            "/v1/models/ft:gpt-4o:Org::Abc",
            "/v1/files/a%20b",
            "/v1/messages/count_tokens",
            "/model/us.anthropic.claude-3%3A0/converse",
            "/v1beta/models/gemini-2.5-Pro:generateContent",
            "/openai/deployments/My-Own/chat/completions",
            "/openai/deployments/my%20own/chat/completions",
            "/v1/files/..a/x..",
            "/",
        ] {
            assert_eq!(said(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn messages_without_a_version_are_told_what_is_missing() {
        let headers = HeaderMap::new();
        let check = |posts| check("/v1/messages", &headers, posts, Dialect::Generic);
        assert_eq!(check(true), Err(BadPath::NoVersion));
        assert_eq!(check(false), Ok(()));
    }
}
