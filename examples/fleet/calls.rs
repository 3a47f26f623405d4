//! What a process sends.

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::time::Instant;
use tower::{Service, ServiceExt as _};
use tower_quota::{Rejection, RequestBody, Tag, Tags, retry::Attempts};

use crate::{Error, Load, provider::MODEL};

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) large: bool,
    tokens: u64,
    stream: bool,
}

/// How one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Ok,
    /// By our own limits.
    Refused(String),
    Failed(StatusCode),
}

/// Makes up what this process sends: 10 to 3 000 tokens, most of them few, and between them, evenly over all processes, the
/// large ones.
pub(crate) fn made_up(load: &Load, process: usize) -> Vec<Call> {
    let mut random = fastrand::Rng::with_seed(process as u64);
    let every = load.calls / load.large.clamp(1, load.calls);
    let first = every * (2 * process + 1) / (2 * load.processes);
    (0..load.calls)
        .map(|number| {
            // Evenly on a logarithmic scale.
            let small = 10.0 * 300f64.powf(random.f64());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 10 and 3 000"
            )]
            let small = small as u64;
            let large = number % every == first && number / every < load.large;
            Call {
                large,
                tokens: if large { load.tokens / 5 } else { small },
                stream: random.bool(),
            }
        })
        .collect()
}

/// What came of one.
pub(crate) struct Answer {
    pub(crate) ended: Ended,
    /// How long it took until the answer began, in milliseconds.
    pub(crate) waited: u64,
    /// What became of attempts that were made in vain, in words.
    pub(crate) in_vain: Vec<String>,
}

/// Sends one, and reads the answer to its end.
pub(crate) async fn send<S, R>(
    service: S,
    uri: Uri,
    process: usize,
    call: Call,
) -> Result<Answer, Error>
where
    S: Service<Request<RequestBody>, Response = http::Response<R>>,
    S::Error: Into<Error>,
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<Error>,
{
    let body = json!({
        "model": MODEL,
        "max_tokens": call.tokens,
        "stream": call.stream,
        "messages": [{ "role": "user", "content": "Say something." }],
    });
    let request = Request::post(uri)
        .header("content-type", "application/json")
        .extension(Tags::new().with(Tag::Agent, format!("worker-{process}")))
        .body(RequestBody::from(Bytes::from(body.to_string())))?;
    let start = Instant::now();
    let response = service.oneshot(request).await.map_err(Into::into)?;
    let waited = u64::try_from(start.elapsed().as_millis())?;
    let ended = match response.extensions().get::<Rejection>() {
        Some(rejection) => Ended::Refused(rejection.to_string()),
        None if response.status().is_success() => Ended::Ok,
        None => Ended::Failed(response.status()),
    };
    let attempts = response.extensions().get::<Attempts>();
    let made = attempts.map_or(&[][..], |attempts| &attempts.made);
    let in_vain = made.iter().rev().skip(1);
    let in_vain = in_vain
        .map(|attempt| format!("{:?}", attempt.outcome))
        .collect();
    response.into_body().collect().await.map_err(Into::into)?;
    Ok(Answer {
        ended,
        waited,
        in_vain,
    })
}
