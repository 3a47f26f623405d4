//! One call of a trace over real HTTP, in the dialect of its model.

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body::Body;
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::{Service, ServiceExt as _};
use tower_quota::{CallOptions, RequestBody, Tag, Tags};

use super::trace::Line;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where the calls go and with which key.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) base_url: String,
    pub(crate) key: String,
}

/// The request that a line of a trace stands for.
pub(crate) fn request(target: &Target, line: &Line) -> Result<Request<RequestBody>, BoxError> {
    let anthropic = line.model.starts_with("claude");
    let path = if anthropic {
        "/v1/messages"
    } else {
        "/v1/chat/completions"
    };
    let body = json!({
        "model": line.model,
        "max_tokens": line.tokens,
        "stream": line.stream,
        "messages": [{ "role": "user", "content": "Say something." }],
    });
    let uri: Uri = format!("{}{path}", target.base_url).parse()?;
    let request = Request::post(uri).header("content-type", "application/json");
    let request = if anthropic {
        request
            .header("x-api-key", &target.key)
            .header("anthropic-version", "2023-06-01")
    } else {
        request.header("authorization", format!("Bearer {}", target.key))
    };
    let tags = Tags::new().with(Tag::Agent, line.agent.as_str());
    let request = request
        .extension(tags)
        .extension(CallOptions::new().priority(line.priority));
    Ok(request.body(RequestBody::from(Bytes::from(body.to_string())))?)
}

/// Sends one and reads the answer to its end.
pub(crate) async fn send<S, R>(
    service: S,
    request: Request<RequestBody>,
) -> Result<StatusCode, BoxError>
where
    S: Service<Request<RequestBody>, Response = http::Response<R>>,
    S::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let response = service.oneshot(request).await.map_err(Into::into)?;
    let status = response.status();
    let mut body = std::pin::pin!(response.into_body());
    while let Some(frame) = body.frame().await {
        frame.map_err(Into::into)?;
    }
    Ok(status)
}
