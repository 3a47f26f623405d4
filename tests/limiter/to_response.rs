//! A refusal as a response, for servers that ask the limiter themselves: the same that the layers answer.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, Rejection,
    limit::{Limit, Limits},
    limiter::Call,
    wire::Dialect,
};

const MINUTE: Duration = Duration::from_secs(60);
const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[]}"#;

/// What a caller sees of it.
async fn seen<B>(response: Response<B>) -> (StatusCode, HeaderMap, Bytes)
where
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    let (parts, body) = response.into_parts();
    assert!(parts.extensions.get::<Rejection>().is_some());
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, body)
}

#[tokio::test(start_paused = true)]
async fn it_is_the_answer_of_a_layer_in_every_api() {
    let limits = [Limit::requests(1).every(MINUTE)];
    let limiter = Limiter::new(Limits::new(limits).unwrap());
    drop(limiter.try_acquire(Call::new()).await.unwrap());
    let handler = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let layer = AdmissionLayer::new(limiter.clone()).reject_when_full();
    let server = layer.layer(handler);
    let refused = limiter.try_acquire(Call::new()).await.unwrap_err();
    for path in ["/anything", "/v1/chat/completions"] {
        let request = Request::post(path).body(Full::from(CHAT)).unwrap();
        let answered = seen(server.clone().oneshot(request).await.unwrap()).await;
        let dialect = Dialect::detect(path, &HeaderMap::new());
        let ours = refused.to_response_in::<Full<Bytes>>(dialect);
        assert_eq!(seen(ours).await, answered, "{path}");
    }
    let plain = refused.to_response::<Full<Bytes>>();
    let generic = refused.to_response_in::<Full<Bytes>>(Dialect::Generic);
    assert_eq!(seen(plain).await, seen(generic).await);
}
