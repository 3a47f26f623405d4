//! Calls that the streams of `tests/wire/` may be answers to, and what they cost.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower_quota::{
    pricing::{Price, PriceTable},
    wire::Dialect,
};

/// What a token costs, in billionths of a dollar.
pub(crate) const INPUT: u64 = 1_000;
pub(crate) const OUTPUT: u64 = 10_000;

pub(crate) fn prices(dialect: Dialect) -> Arc<PriceTable> {
    let mut prices = PriceTable::new();
    let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
    prices.insert(dialect.provider().unwrap(), "m", price);
    Arc::new(prices)
}

/// A call that is answered with a stream, and names a cap on its output or none.
pub(crate) fn request(dialect: Dialect, cap: Option<u64>) -> Request<Full<Bytes>> {
    let cap = |name: &str| cap.map_or(String::new(), |cap| format!(r#""{name}":{cap},"#));
    let (max, responses) = (cap("max_tokens"), cap("max_output_tokens"));
    let (gemini, bedrock) = (cap("maxOutputTokens"), cap("maxTokens"));
    let (gemini, bedrock) = (gemini.trim_end_matches(','), bedrock.trim_end_matches(','));
    let ollama = cap("num_predict");
    let ollama = ollama.trim_end_matches(',');
    let messages = r#""messages":[{"role":"user","content":"Hi"}]"#;
    let (path, body) = match dialect {
        Dialect::OpenAiChat => (
            "/v1/chat/completions",
            format!(r#"{{"model":"m","stream":true,{max}{messages}}}"#),
        ),
        Dialect::OpenAiResponses => (
            "/v1/responses",
            format!(r#"{{"model":"m","stream":true,{responses}"input":"Hi"}}"#),
        ),
        Dialect::AnthropicMessages => (
            "/v1/messages",
            format!(r#"{{"model":"m","stream":true,{max}{messages}}}"#),
        ),
        Dialect::Gemini => (
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            format!(
                r#"{{"contents":[{{"parts":[{{"text":"Hi"}}]}}],"generationConfig":{{{gemini}}}}}"#
            ),
        ),
        Dialect::BedrockConverse => (
            "/model/m/converse-stream",
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"text":"Hi"}}]}}],"inferenceConfig":{{{bedrock}}}}}"#
            ),
        ),
        Dialect::Ollama => (
            "/api/chat",
            format!(r#"{{"model":"m","options":{{{ollama}}},{messages}}}"#),
        ),
        other => panic!("no request for {other:?}"),
    };
    let request = Request::post(format!("http://provider{path}"));
    let request = request.header("anthropic-version", "2023-06-01");
    request.body(Full::from(body)).unwrap()
}
