//! The models that have a route, as each API lists its models: what SDKs ask for where there is no upstream to ask.

use axum::{body::Body, response::Response};
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::wire::Dialect;

/// The answer, where that is asked for.
pub(super) fn list(
    method: &Method,
    path: &str,
    dialect: Dialect,
    models: &[String],
) -> Option<Response> {
    let is_list = matches!(path, "/v1/models" | "/v1beta/models");
    if *method != Method::GET || !is_list {
        return None;
    }
    let all = models.iter().map(String::as_str);
    let list: Value = match dialect {
        Dialect::Gemini => {
            let model =
                |name: &str| json!({ "name": format!("models/{name}"), "displayName": name });
            json!({ "models": all.map(model).collect::<Vec<_>>() })
        }
        Dialect::AnthropicMessages => {
            let model = |name: &str| json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" });
            json!({
                "data": all.map(model).collect::<Vec<_>>(), "has_more": false,
                "first_id": models.first(), "last_id": models.last(),
            })
        }
        _ => {
            let model = |name: &str| json!({ "id": name, "object": "model", "created": 0, "owned_by": "tower-quota" });
            json!({ "object": "list", "data": all.map(model).collect::<Vec<_>>() })
        }
    };
    let mut response = Response::new(Body::from(list.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Some(response)
}
