//! The list of models.

use http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::response;
use crate::sim::ask::Dialect;
use crate::sim::body::SimBody;
use crate::sim::core::Core;

/// The answer to `GET /v1/models`.
pub(crate) fn models(core: &Core, dialect: Dialect) -> Response<SimBody> {
    let names = core.config.models.iter();
    let list = match dialect {
        Dialect::OpenAi => {
            let one =
                |name| json!({"id": name, "object": "model", "created": 0, "owned_by": "sim"});
            json!({"object": "list", "data": names.map(one).collect::<Value>()})
        }
        Dialect::Anthropic => {
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
    };
    let body = SimBody::free(list.to_string().into());
    response(&core.clock, HeaderMap::new(), dialect, 200, body)
}
