//! What is asked for besides answers: the list of models, and the tokens of a request.

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::{complaint, response};
use crate::sim::body::SimBody;
use crate::sim::core::Core;
use crate::sim::dialect::Provider;

/// The answer to `GET /v1/models`, or Gemini's.
pub(crate) fn models(core: &Core, provider: Provider) -> Response<SimBody> {
    let names = core.config.models.iter();
    let list = match provider {
        Provider::OpenAi => {
            let one =
                |name| json!({"id": name, "object": "model", "created": 0, "owned_by": "sim"});
            json!({"object": "list", "data": names.map(one).collect::<Value>()})
        }
        Provider::Anthropic => {
            let one = |name| {
                json!({
                    "type": "model", "id": name, "display_name": name,
                    "created_at": "1970-01-01T00:00:00Z"
                })
            };
            json!({
                "data": names.clone().map(one).collect::<Value>(), "has_more": false,
                "first_id": core.config.models.first(), "last_id": core.config.models.last()
            })
        }
        Provider::Gemini => {
            let one = |name| {
                json!({
                    "name": format!("models/{name}"), "version": "001", "displayName": name,
                    "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"]
                })
            };
            json!({"models": names.map(one).collect::<Value>()})
        }
    };
    free(core, provider, 200, list.to_string().into())
}

/// So many tokens a request has, or what is wrong with it.
pub(crate) fn count(
    core: &Core,
    provider: Provider,
    counted: Result<u64, String>,
) -> Response<SimBody> {
    let tokens = match counted {
        Ok(tokens) => tokens,
        Err(why) => {
            let text = complaint::malformed(provider, why).body(provider, 400, "req_sim");
            return free(core, provider, 400, text);
        }
    };
    let text = match provider {
        Provider::Gemini => json!({"totalTokens": tokens}),
        _ => json!({"input_tokens": tokens}),
    };
    free(core, provider, 200, text.to_string().into())
}

fn free(core: &Core, provider: Provider, status: u16, text: Bytes) -> Response<SimBody> {
    let body = SimBody::free(text);
    response(&core.clock, HeaderMap::new(), provider, status, body)
}
