//! What one answer tells holds for every call to the same target: the gate stays closed until then.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{AdmissionLayer, Limiter, limit::Limits};

use crate::form::Form;

/// When the next call leaves after one that was answered so, which nobody repeats.
async fn next_leaves(form: Form) -> Duration {
    let began = Instant::now();
    let left = Arc::<Mutex<Vec<Duration>>>::default();
    let (noted, busy) = (left.clone(), form.clone());
    let provider = service_fn(move |_: Request<Full<Bytes>>| {
        noted.lock().unwrap().push(began.elapsed());
        let response = match noted.lock().unwrap().len() {
            1 => busy.answer(),
            _ => Response::new(Full::from("{}")),
        };
        async move { Ok::<_, Infallible>(response) }
    });
    let service = AdmissionLayer::new(Limiter::new(Limits::new([]).unwrap())).layer(provider);
    for _ in 0..2 {
        let response = service.clone().oneshot(form.request()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    let left = left.lock().unwrap();
    left[1]
}

fn used_up(left: &str) -> Form {
    let busy = Form::status(429);
    let busy = busy.header("x-ratelimit-remaining-requests", left);
    busy.header("x-ratelimit-reset-requests", "8.64s")
}

#[tokio::test(start_paused = true)]
async fn the_gate_of_a_target_is_closed_until_what_is_used_up_is_there_again() {
    let text =
        r#"{"error":{"message":"Please try again in 1.146s.","code":"rate_limit_exceeded"}}"#;
    for (about, form, millis) in [
        ("a reset", used_up("0"), 8_640),
        ("the reset of what is not used up", used_up("1"), 0),
        ("a body", used_up("0").body(text), 1_146),
        (
            "a body, beside nothing",
            Form::status(429).header("retry-after", "0").body(text),
            1_146,
        ),
        ("a header", used_up("0").header("retry-after", "2"), 2_000),
    ] {
        let leaves = next_leaves(form).await;
        assert_eq!(leaves, Duration::from_millis(millis), "{about}");
    }
}
