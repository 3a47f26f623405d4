//! What OpenAI's APIs have in common, and those that are compatible with them.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        note::{Note, name},
        walk::{MAX_COUNT, Scalar},
    },
    InUrl,
};
use crate::money::Money;

/// The data of the last event.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Azure has the deployment in the URL, and passes over a model in the body.
pub(super) fn in_url(path: &str, suffix: &str) -> InUrl {
    InUrl {
        model: InUrl::model(path, "/openai/deployments/", suffix),
        stream: None,
    }
}

/// Most have an error in `error`. xAI and Ollama have a text there, xAI with the code beside it. Mistral and vLLM
/// have all of it at the outermost level.
pub(super) fn error(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    match path {
        ["error" | "message"] | ["error", "message"] => note.error_message(value),
        ["error", "type"] => note.error_kind(value),
        ["error", "code"] => note.error_code(value),
        ["type"] => note.kind_beside(value),
        ["code"] => note.code_beside(value),
        _ => {}
    }
}

/// What providers add to `usage` of prices.
pub(super) fn charges(key: &str, value: &Scalar<'_>, note: &mut Note) {
    match key {
        // OpenRouter: dollars.
        "cost" => {
            let dollars = match *value {
                Scalar::Whole(whole) => whole.to_string(),
                Scalar::OtherNumber(number) => format!("{number:.9}"),
                _ => return,
            };
            note.cost = dollars.parse().ok().or(note.cost);
        }
        // xAI: ten billionths of a dollar.
        "cost_in_usd_ticks" => {
            if let Scalar::Whole(ticks) = *value {
                note.cost = Some(Money::from_nanos(ticks.div_ceil(10)));
            }
        }
        "num_sources_used" => note.extras.sources = value.count().unwrap_or(0),
        _ => {}
    }
}

/// Tools of the provider's that have a part in a chat: those that Groq says it has run, and the search behind pages that are
/// cited, by OpenAI's models that search.
pub(super) fn tool(list: &str, value: &Scalar<'_>, note: &mut Note) {
    let extras = &mut note.extras;
    match (list, value.text()) {
        ("executed_tools", Some("python" | "code_interpreter" | "code_execution")) => {
            one_more(&mut extras.code_runs);
        }
        ("executed_tools", Some(_)) => one_more(&mut extras.web_searches),
        // However many pages it found.
        ("annotations", Some("url_citation")) => extras.web_searches = extras.web_searches.max(1),
        _ => {}
    }
}

/// What the answer says of itself.
pub(super) fn about(key: &str, value: &Scalar<'_>, note: &mut Note) {
    match key {
        "model" => name(&mut note.model, value),
        "service_tier" => name(&mut note.served.tier, value),
        _ => {}
    }
}

/// One more, and never absurdly many.
pub(super) fn one_more(count: &mut u64) {
    *count = (*count + 1).min(MAX_COUNT);
}

pub(super) fn error_object(kind: &str, status: StatusCode, message: &str) -> Value {
    let class = match status.as_u16() {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "message": message, "type": class, "param": null, "code": kind })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::read::read, openai_chat::OpenAiChat},
        *,
    };

    fn cost(key: &str, value: Scalar<'_>) -> Option<String> {
        let mut note = Note::default();
        charges(key, &value, &mut note);
        note.cost.map(|cost| cost.to_string())
    }

    #[test]
    fn costs_in_their_units() {
        let dollars = |number| cost("cost", Scalar::OtherNumber(number));
        assert_eq!(dollars(0.00183).as_deref(), Some("$0.00183"));
        assert_eq!(dollars(1e-9).as_deref(), Some("$0.000000001"));
        assert_eq!(cost("cost", Scalar::Whole(3)).as_deref(), Some("$3.00"));
        let ticks = |ticks| cost("cost_in_usd_ticks", Scalar::Whole(ticks));
        assert_eq!(ticks(1_176_500).as_deref(), Some("$0.00011765"));
        assert_eq!(ticks(1).as_deref(), Some("$0.000000001"));
    }

    #[test]
    fn costs_that_make_no_sense() {
        assert_eq!(cost("cost", Scalar::OtherNumber(-1.0)), None);
        assert_eq!(cost("cost", Scalar::OtherNumber(1e300)), None);
        assert_eq!(cost("cost", Scalar::Whole(u64::MAX)), None);
        assert_eq!(cost("cost", Scalar::Text("0.1")), None);
    }

    #[test]
    fn tools_that_were_run_and_pages_that_are_cited() {
        let tools = r#""executed_tools":[{"index":0,"type":"search","arguments":"{}","output":"x",
            "search_results":{"results":[{"title":"t","type":"x"}]}},{"type":"python","output":"2"},
            {"type":"visit"}]"#;
        let pages = r#""annotations":[{"type":"url_citation","url_citation":{"url":"u","type":"x"}},
            {"type":"url_citation"}]"#;
        let documents = r#""annotations":[{"type":"document_citation"},{"type":"file_citation"}]"#;
        for place in ["message", "delta"] {
            for (what, searches, runs) in [
                (tools, 2, 1),
                (pages, 1, 0),
                (documents, 0, 0),
                (r#""annotations":[],"executed_tools":null"#, 0, 0),
            ] {
                let json = format!(r#"{{"choices":[{{"{place}":{{{what}}}}}]}}"#);
                let note = read(&OpenAiChat, json.as_bytes()).unwrap();
                let extras = note.extras;
                assert_eq!(
                    (extras.web_searches, extras.code_runs),
                    (searches, runs),
                    "{json}"
                );
                assert_eq!(note.text, 0, "{json}");
            }
        }
    }
}
