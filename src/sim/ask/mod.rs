//! What the simulator wants to know of a request: a model, a key, and a few fields of the body.

mod anthropic;
mod chat;
mod embeddings;
mod gemini;
mod responses;
mod text;
mod tool;

use std::borrow::Cow;

pub(crate) use self::embeddings::Embed;
pub(crate) use self::tool::Call;
use super::dialect::Dialect;
use super::route::Place;

/// Greater output caps are read as this one, so that sums of charges cannot overflow.
const MOST_CAP: u64 = 1 << 40;

/// The facts of one request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) key: &'a str,
    pub(crate) model: Cow<'a, str>,
    pub(crate) stream: bool,
    /// Whether the stream is a JSON list.
    pub(crate) list: bool,
    pub(crate) include_usage: bool,
    /// The estimated input tokens.
    pub(crate) prompt: u64,
    /// The output cap, if the request names one.
    pub(crate) max_tokens: Option<u64>,
    /// What is answered instead of text.
    pub(crate) call: Option<Call>,
    /// What is answered where nothing is generated.
    pub(crate) embed: Embed,
}

impl<'a> Ask<'a> {
    /// Reads a request; the error is the message for a 400.
    pub(crate) fn read(place: &'a Place, key: &'a str, body: &'a [u8]) -> Result<Self, String> {
        let mut ask = Self::parse(place, key, body)?;
        if ask.dialect == Dialect::Anthropic && ask.max_tokens.is_none() {
            return Err("max_tokens: Field required".to_owned());
        }
        ask.max_tokens = ask.max_tokens.map(|cap| cap.min(MOST_CAP));
        Ok(ask)
    }

    /// The estimated input tokens of a request that asks for no more than that.
    pub(crate) fn count(place: &Place, body: &[u8]) -> Result<u64, String> {
        Ask::parse(place, "", body).map(|ask| ask.prompt)
    }

    fn parse(place: &'a Place, key: &'a str, body: &'a [u8]) -> Result<Self, String> {
        let mut ask = Self {
            dialect: place.dialect,
            key,
            model: Cow::Borrowed(&place.model),
            stream: place.stream,
            list: place.list,
            include_usage: false,
            prompt: 0,
            max_tokens: None,
            call: None,
            embed: Embed::default(),
        };
        let read = match place.dialect {
            Dialect::OpenAi => chat::read(&mut ask, body),
            Dialect::OpenAiResponses => responses::read(&mut ask, body),
            Dialect::OpenAiEmbeddings => embeddings::read_openai(&mut ask, body),
            Dialect::Anthropic => anthropic::read(&mut ask, body),
            Dialect::Gemini => gemini::read(&mut ask, body),
            Dialect::GeminiEmbeddings => embeddings::read_gemini(&mut ask, body),
        };
        read.map_err(|error| format!("We could not parse the JSON body of your request: {error}"))?;
        Ok(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: Dialect, body: &str) -> Result<(u64, Option<u64>, Option<Call>), String> {
        let place = Place::of(dialect);
        let ask = Ask::read(&place, "", body.as_bytes())?;
        Ok((ask.prompt, ask.max_tokens, ask.call))
    }

    #[test]
    fn counts_the_instructions_where_each_dialect_has_them() {
        for (dialect, body) in [
            (
                Dialect::Anthropic,
                r#"{"model":"m","system":[{"type":"text","text":"12345678"}],"max_tokens":1,"messages":[]}"#,
            ),
            (
                Dialect::OpenAiResponses,
                r#"{"model":"m","instructions":"1234","input":"5678"}"#,
            ),
            (
                Dialect::Gemini,
                r#"{"systemInstruction":{"parts":[{"text":"1234"}]},"contents":[{"parts":[{"text":"5678"}]}]}"#,
            ),
        ] {
            assert_eq!(read(dialect, body).unwrap().0, 2, "{dialect:?}");
        }
        let chat = r#"{"model":"m","system":"12345678","messages":[]}"#;
        assert_eq!(read(Dialect::OpenAi, chat).unwrap().0, 0);
    }

    #[test]
    fn reads_the_output_cap_under_its_names() {
        for (dialect, body) in [
            (
                Dialect::OpenAi,
                r#"{"model":"m","messages":[],"max_tokens":7}"#,
            ),
            (
                Dialect::OpenAi,
                r#"{"model":"m","messages":[],"max_tokens":5,"max_completion_tokens":7}"#,
            ),
            (
                Dialect::OpenAiResponses,
                r#"{"model":"m","input":"","max_output_tokens":7}"#,
            ),
            (
                Dialect::Gemini,
                r#"{"contents":[],"generationConfig":{"maxOutputTokens":7}}"#,
            ),
        ] {
            assert_eq!(read(dialect, body).unwrap().1, Some(7), "{body}");
        }
    }

    #[test]
    fn calls_the_first_tool_unless_it_must_not_or_has_its_answer() {
        for (dialect, tools, refused, answered) in [
            (
                Dialect::OpenAi,
                r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}}],"messages":[]"#,
                r#","tool_choice":"none"}"#,
                r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"tool"}]}"#,
            ),
            (
                Dialect::OpenAiResponses,
                r#"{"model":"m","tools":[{"type":"function","name":"f"}],"input":[]"#,
                r#","tool_choice":"none"}"#,
                r#"{"model":"m","tools":[{"type":"function","name":"f"}],"input":[{"type":"function_call_output"}]}"#,
            ),
            (
                Dialect::Anthropic,
                r#"{"model":"m","max_tokens":1,"tools":[{"name":"f"}],"messages":[]"#,
                r#","tool_choice":{"type":"none"}}"#,
                r#"{"model":"m","max_tokens":1,"tools":[{"name":"f"}],"messages":[{"content":[{"type":"tool_result"}]}]}"#,
            ),
            (
                Dialect::Gemini,
                r#"{"tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f"}]}],"contents":[]"#,
                r#","toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}"#,
                r#"{"tools":[{"functionDeclarations":[{"name":"f"}]}],"contents":[{"parts":[{"functionResponse":{}}]}]}"#,
            ),
        ] {
            let call = |body: &str| read(dialect, body).unwrap().2.map(|call| call.name);
            assert_eq!(call(&format!("{tools}}}")).as_deref(), Some("f"), "{tools}");
            assert_eq!(call(&format!("{tools}{refused}")), None, "{refused}");
            assert_eq!(call(answered), None, "{answered}");
        }
    }

    #[test]
    fn refuses_what_lacks_a_model_or_a_cap_that_must_be_there() {
        for (dialect, body) in [
            (Dialect::OpenAi, r#"{"messages":[]}"#),
            (Dialect::OpenAi, "not json"),
            (Dialect::OpenAiResponses, r#"{"input":""}"#),
            (Dialect::OpenAiEmbeddings, r#"{"input":""}"#),
            (Dialect::Anthropic, r#"{"model":"m","messages":[]}"#),
            (Dialect::Gemini, r#"{}"#),
        ] {
            assert!(read(dialect, body).is_err(), "{body}");
        }
        let body = br#"{"model":"m","messages":"1234"}"#;
        assert_eq!(Ask::count(&Place::of(Dialect::Anthropic), body), Ok(1));
    }
}
