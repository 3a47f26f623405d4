//! The calls: streams and not, of several agents; some are given up on the way.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::ServiceExt as _;
use tower_quota::{Rejection, RequestBody, Tag, Tags};

use super::{ledger::CALL, stack::Client};

pub(crate) const MODEL: &str = "sim-1";
/// The output cap of call 0; each further call's is one more, by which the provider's ledger tells the calls apart.
const FIRST_CAP: u64 = 50;
/// How many are under way at a time.
const AT_ONCE: usize = 96;

/// What a caller has seen of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An answer of the provider's, read to its end.
    Answered(StatusCode),
    /// An answer that broke off, or none.
    Broke,
    /// A refusal of ours.
    Refused,
    /// The caller hung up.
    HungUp,
}

/// The call that an output cap is of.
pub(crate) fn call_of(cap: Option<u64>) -> Option<u64> {
    cap?.checked_sub(FIRST_CAP)
}

/// Whether the provider is to leave out the usage of a call.
pub(crate) fn is_silent(call: u64) -> bool {
    call % 37 == 5
}

fn request(call: u64, base: &str) -> Request<RequestBody> {
    let (cap, stream) = (FIRST_CAP + call, call.is_multiple_of(2));
    let words = "word ".repeat(usize::try_from(call % 50).unwrap_or_default());
    let body = format!(
        r#"{{"model":"{MODEL}","max_tokens":{cap},"stream":{stream},"messages":[{{"role":"user","content":"{words}"}}]}}"#
    );
    let mut request = Request::post(format!("{base}/chat/completions"))
        .header("authorization", "Bearer the-callers");
    if is_silent(call) {
        request = request.header("x-sim-fault", "no-usage");
    }
    let tags = Tags::new()
        .with(Tag::Agent, format!("agent-{}", call % 5))
        .with(Tag::from(CALL), call.to_string());
    let body = RequestBody::from(bytes::Bytes::from(body));
    let request = request.extension(tags).body(body);
    request.unwrap_or_else(|error| panic!("a request that cannot be built: {error}"))
}

/// Sends so many calls to the provider at `base`; what each caller has seen, by number.
pub(crate) async fn drive(client: &Client, calls: u64, base: &str) -> Vec<End> {
    let mut ends = vec![End::Broke; usize::try_from(calls).unwrap_or_default()];
    let (mut running, mut next) = (JoinSet::new(), 0);
    while next < calls || !running.is_empty() {
        if next < calls && running.len() < AT_ONCE {
            let (client, request, call) = (client.clone(), request(next, base), next);
            running.spawn(async move { (call, one(client, request, call).await) });
            next += 1;
            continue;
        }
        if let Some(Ok((call, end))) = running.join_next().await {
            ends[usize::try_from(call).unwrap_or_default()] = end;
        }
    }
    ends
}

async fn one(client: Client, request: Request<RequestBody>, call: u64) -> End {
    match call % 20 {
        // Gives up while it waits for an answer, or for room.
        3 => {
            let patience = Duration::from_millis(call % 40);
            let read = timeout(patience, whole(client, request));
            read.await.unwrap_or(End::HungUp)
        }
        // Goes away in the middle of an answer.
        8 => first_part(client, request).await,
        _ => whole(client, request).await,
    }
}

async fn whole(client: Client, request: Request<RequestBody>) -> End {
    let Ok(response) = client.oneshot(request).await else {
        return End::Broke;
    };
    let (parts, body) = response.into_parts();
    let is_refused = parts.extensions.get::<Rejection>().is_some();
    match body.collect().await {
        _ if is_refused => {
            // So that not all calls are refused that come while an account is parked.
            sleep(Duration::from_millis(20)).await;
            End::Refused
        }
        Ok(_) => End::Answered(parts.status),
        Err(_) => End::Broke,
    }
}

async fn first_part(client: Client, request: Request<RequestBody>) -> End {
    let Ok(response) = client.oneshot(request).await else {
        return End::Broke;
    };
    let mut body = response.into_body();
    let _ = body.frame().await;
    sleep(Duration::from_millis(1)).await;
    End::HungUp
}
