//! Google's `generateContent` and `streamGenerateContent`, of the Gemini API and of Vertex.
//!
//! Sources: Gemini API reference, "Generating content", "GenerateContentResponse",
//! "UsageMetadata", "GroundingMetadata", and the guides to grounding, "Flex inference", "Priority
//! inference"; Vertex AI, "Inference";
//! `google.rpc.Status`. That the total tells whether thoughts are in the candidates is known from
//! answers that differ.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    super::{
        note::{Modality, Note, count, name},
        walk::Scalar,
    },
    Field, InUrl, Spec,
    openai::one_more,
};

pub(super) struct Gemini;

const STREAMS: &str = ":streamGenerateContent";

const TIER: &str = "x-gemini-service-tier";

/// Events may bring images.
const EVENT_CAP: usize = 8 * 1024 * 1024;

impl Spec for Gemini {
    fn provider(&self) -> Option<&'static str> {
        Some("gemini")
    }

    fn serves(&self, path: &str, _headers: &HeaderMap) -> bool {
        self.in_url(path).model.is_some()
    }

    fn in_url(&self, path: &str) -> InUrl {
        // Vertex has models that were tuned under endpoints of their own.
        let model = |suffix| {
            let named = InUrl::model(path, "/models/", suffix);
            named.or_else(|| InUrl::model(path, "/endpoints/", suffix))
        };
        InUrl {
            model: model(":generateContent").or_else(|| model(STREAMS)),
            stream: Some(path.ends_with(STREAMS)),
        }
    }

    /// Google reads every key in both spellings, and callers mix them (LiteLLM: `generationConfig.max_output_tokens`).
    fn request(&self) -> &'static [(&'static [&'static str], Field)] {
        &[
            (&["generationConfig", "maxOutputTokens"], Field::MaxOutput),
            (
                &["generation_config", "max_output_tokens"],
                Field::OldMaxOutput,
            ),
            (
                &["generationConfig", "max_output_tokens"],
                Field::OldMaxOutput,
            ),
            (
                &["generation_config", "maxOutputTokens"],
                Field::OldMaxOutput,
            ),
            (&["generationConfig", "candidateCount"], Field::Choices),
            (&["generation_config", "candidate_count"], Field::Choices),
            (&["generationConfig", "candidate_count"], Field::Choices),
            (&["generation_config", "candidateCount"], Field::Choices),
            (&["contents"], Field::Text),
            (&["systemInstruction"], Field::Text),
            (&["system_instruction"], Field::Text),
            (&["tools"], Field::Text),
            (&["generationConfig", "responseSchema"], Field::Text),
            (&["generationConfig", "response_schema"], Field::Text),
            (&["generationConfig", "responseJsonSchema"], Field::Text),
            (&["generationConfig", "response_json_schema"], Field::Text),
            (&["generation_config", "responseSchema"], Field::Text),
            (&["generation_config", "response_schema"], Field::Text),
            (&["generation_config", "responseJsonSchema"], Field::Text),
            (&["generation_config", "response_json_schema"], Field::Text),
        ]
    }

    /// Every event has the usage so far. The prompt includes what was cached, the candidates do
    /// not include thoughts. Nothing marks the end but the reason in the last candidate.
    fn response(&self, path: &[&str], value: &Scalar<'_>, note: &mut Note) {
        match path {
            ["candidates", "content", "parts", rest @ ..] => part(rest, value, note),
            ["candidates", "finishReason"] | ["promptFeedback", "blockReason"] => {
                name(&mut note.finish, value);
                note.may_end |= value.text().is_some();
            }
            ["candidates", "groundingMetadata", rest @ ..] => grounding(rest, value, note),
            ["usageMetadata", rest @ ..] => usage(rest, value, note),
            ["modelVersion"] => name(&mut note.model, value),
            ["error", "message"] => note.error_message(value),
            ["error", "status"] => note.error_kind(value),
            ["error", "details", "reason"] => note.error_code(value),
            ["error", "details", rest @ ..] => note.error_detail(rest, value),
            _ => {}
        }
    }

    /// The tier is in a header too. Most are served in the usual one, of which nothing need be kept.
    fn headers(&self, headers: &HeaderMap) -> Option<Box<Note>> {
        let tier = headers.get(TIER)?.to_str().ok()?;
        if tier.eq_ignore_ascii_case("standard") {
            return None;
        }
        let mut note = Box::<Note>::default();
        name(&mut note.served.tier, &Scalar::Text(tier));
        Some(note)
    }

    fn idle(&self) -> &'static [&'static [&'static str]] {
        &[&["candidates", "index"], &["responseId"]]
    }

    fn streams_lists(&self) -> bool {
        true
    }

    fn event_cap(&self) -> usize {
        EVENT_CAP
    }

    fn error(&self, kind: &str, status: StatusCode, message: &str) -> (&'static str, Value) {
        let class = match status.as_u16() {
            401 => "UNAUTHENTICATED",
            402 | 429 => "RESOURCE_EXHAUSTED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            400..=499 => "INVALID_ARGUMENT",
            503 | 529 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            _ => "INTERNAL",
        };
        let info = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": kind,
            "domain": "tower-quota",
        });
        let error = json!({
            "code": status.as_u16(), "message": message, "status": class, "details": [info],
        });
        ("application/json", json!({ "error": error }))
    }
}

fn part(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    match path {
        ["text"]
        | ["functionCall", "name"]
        | ["functionCall", "args", ..]
        | ["executableCode", "code"] => note.add_text(value),
        ["inlineData", "data"] | ["thoughtSignature"] => note.add_other(value),
        _ => {}
    }
}

/// What the answer was looked up in. Google counts searches that asked for something, and answers that maps have a part in.
fn grounding(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    if value.text().is_none_or(str::is_empty) {
        return;
    }
    let searches = &mut note.extras.web_searches;
    match path {
        ["webSearchQueries" | "imageSearchQueries"] => one_more(searches),
        ["groundingChunks", "maps", "uri"] => *searches = (*searches).max(1),
        _ => {}
    }
}

fn usage(path: &[&str], value: &Scalar<'_>, note: &mut Note) {
    let counts = &mut note.counts;
    counts.reasoning_apart = true;
    // What is 0 is left out.
    counts.output_may_be_absent = true;
    match path {
        ["promptTokenCount"] => count(&mut counts.input, value),
        ["toolUsePromptTokenCount"] => count(&mut counts.tool_input, value),
        ["cachedContentTokenCount"] => count(&mut counts.cache_read, value),
        ["candidatesTokenCount"] => count(&mut counts.output, value),
        ["thoughtsTokenCount"] => count(&mut counts.reasoning, value),
        ["totalTokenCount"] => count(&mut counts.total, value),
        [
            list @ ("promptTokensDetails" | "candidatesTokensDetails"),
            key,
        ] => {
            modality(list, key, value, note);
        }
        // The one on Vertex, the other in the Gemini API.
        ["trafficType" | "serviceTier"] => name(&mut note.served.tier, value),
        _ => {}
    }
}

/// What has a price of its own.
fn modality(list: &str, key: &str, value: &Scalar<'_>, note: &mut Note) {
    let entry = match key {
        "modality" => {
            let kind = value.text().map(|kind| match kind {
                "AUDIO" => Modality::Audio,
                "IMAGE" => Modality::Image,
                _ => Modality::Other,
            });
            note.modality.take(kind, None)
        }
        "tokenCount" => note.modality.take(None, value.count()),
        _ => None,
    };
    let extras = &mut note.extras;
    match (list, entry) {
        ("promptTokensDetails", Some((Modality::Audio, tokens))) => extras.audio_input = tokens,
        ("candidatesTokensDetails", Some((Modality::Audio, tokens))) => {
            extras.audio_output = tokens;
        }
        ("candidatesTokensDetails", Some((Modality::Image, tokens))) => {
            extras.image_output = tokens;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::read::read, *};

    fn note(json: &str) -> Note {
        read(&Gemini, json.as_bytes()).unwrap()
    }

    #[test]
    fn counts_what_was_generated() {
        let note = note(
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"1","thought":true},
            {"functionCall":{"name":"2","args":{"a":"3"}}},{"executableCode":{"code":"4"}},
            {"inlineData":{"mimeType":"image/png","data":"QUJD"}}]},"citationMetadata":{"x":"y"}}]}"#,
        );
        assert_eq!((note.text, note.has_content), (4, true));
    }

    #[test]
    fn thoughts_are_added_unless_they_are_inside() {
        let output = |rest: &str| {
            let json = format!(
                r#"{{"usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":30,"thoughtsTokenCount":20{rest}}}}}"#
            );
            note(&json).counts.usage().unwrap().output
        };
        assert_eq!(output(r#","totalTokenCount":59"#), 50);
        assert_eq!(output(r#","totalTokenCount":39"#), 30);
        assert_eq!(output(""), 50);
    }

    #[test]
    fn thoughts_alone_are_output() {
        let json = r#"{"usageMetadata":{"promptTokenCount":9,"thoughtsTokenCount":20,"totalTokenCount":29}}"#;
        let counts = note(json).counts;
        assert_eq!(counts.usage().unwrap().output, 20);
        assert!(counts.both());
    }

    #[test]
    fn what_tools_put_in_is_input() {
        let json = r#"{"usageMetadata":{"promptTokenCount":9,"toolUsePromptTokenCount":100,
            "candidatesTokenCount":5,"thoughtsTokenCount":2,"totalTokenCount":116}}"#;
        let counts = note(json).counts;
        let usage = counts.usage().unwrap();
        assert_eq!((usage.input, usage.output), (109, 7));
        assert_eq!(counts.extras(&Default::default()).tool_input, 100);
    }

    #[test]
    fn what_has_a_price_of_its_own() {
        let json = r#"{"usageMetadata":{"promptTokenCount":9,"promptTokensDetails":[
            {"modality":"TEXT","tokenCount":1},{"tokenCount":3,"modality":"AUDIO"},{"modality":"IMAGE","tokenCount":5}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":7},{"modality":"AUDIO","tokenCount":2}]}}"#;
        let extras = note(json).extras;
        assert_eq!(
            (extras.audio_input, extras.audio_output, extras.image_output),
            (3, 2, 7)
        );
    }

    #[test]
    fn searches_that_asked_for_something_are_counted() {
        let searches = |grounding: &str| {
            let json = format!(r#"{{"candidates":[{{"groundingMetadata":{grounding}}}]}}"#);
            note(&json).extras.web_searches
        };
        for (grounding, expected) in [
            (r#"{"webSearchQueries":["a","b"]}"#, 2),
            (
                r#"{"webSearchQueries":["","a"],"imageSearchQueries":["b"]}"#,
                2,
            ),
            (r#"{"webSearchQueries":[]}"#, 0),
            (r#"{"webSearchQueries":[""]}"#, 0),
            (
                r#"{"groundingChunks":[{"web":{"uri":"u","title":"t"}}],"groundingSupports":[]}"#,
                0,
            ),
            (
                r#"{"groundingChunks":[{"maps":{"uri":"u","title":"t"}},{"maps":{"uri":"v"}}]}"#,
                1,
            ),
            (
                r#"{"webSearchQueries":["a","b"],"groundingChunks":[{"maps":{"uri":"u"}}]}"#,
                2,
            ),
            ("{}", 0),
        ] {
            assert_eq!(searches(grounding), expected, "{grounding}");
        }
    }

    #[test]
    fn searches_that_are_told_again_are_not_added_up() {
        let event = |queries: &str| {
            note(&format!(
                r#"{{"candidates":[{{"groundingMetadata":{{"webSearchQueries":{queries}}}}}]}}"#
            ))
        };
        let mut all = Note::default();
        for queries in [r#"["a"]"#, r#"["a","b","c"]"#, r#"["c"]"#, "[]"] {
            all.merge(event(queries));
        }
        assert_eq!(all.extras.web_searches, 3);
    }

    #[test]
    fn only_a_reason_lets_it_end() {
        assert!(note(r#"{"candidates":[{"finishReason":"STOP"}]}"#).may_end);
        assert!(note(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).may_end);
        assert!(!note(r#"{"candidates":[{"index":0}]}"#).may_end);
        assert!(!note(r#"{"candidates":[{"finishReason":"STOP"}]}"#).done);
    }
}
