//! Whether to repeat, and after which wait: a decision, nothing sleeps here.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use http::{Response, StatusCode};
use tokio::time::Instant;

use crate::{
    error::Rejection,
    wire::{self, ProviderError},
};

/// By how much of itself a told wait is lengthened at most.
const JITTER: f64 = 0.1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) max_attempts: NonZeroU32,
    pub(super) longest_wait: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            max_attempts: const { NonZeroU32::new(3).unwrap() },
            longest_wait: Duration::from_secs(60),
        }
    }
}

impl Policy {
    /// When to send again after attempt number `attempt` was answered with `response`; `None`: not at all.
    pub(super) fn again<R>(
        &self,
        attempt: u32,
        response: &Response<R>,
        deadline: Option<Instant>,
        now: SystemTime,
    ) -> Option<Instant> {
        let may =
            attempt < self.max_attempts.get() && response.extensions().get::<Rejection>().is_none();
        let told = may.then(|| told(response, now)).flatten()?;
        if told > self.longest_wait {
            return None;
        }
        let at = Instant::now() + told + told.mul_f64(fastrand::f64() * JITTER);
        deadline.is_none_or(|deadline| at <= deadline).then_some(at)
    }
}

/// The wait that an answer tells which may be repeated: by its status and its headers, or by the error that a stream
/// begins with.
fn told<R>(response: &Response<R>, now: SystemTime) -> Option<Duration> {
    if let Some(error) = response.extensions().get::<ProviderError>() {
        return error.wait.filter(|_| error.retryable);
    }
    let headers = response.headers();
    let may = is_busy(response.status()) && wire::should_retry(headers) != Some(false);
    may.then(|| wire::retry_after(headers, now)).flatten()
}

/// 429, 503, and Anthropic's 529 "overloaded".
fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::CONTENT_TYPE};

    use super::*;
    use crate::{
        Shortage,
        wire::{Dialect, Meter, Stage},
    };

    fn again(response: http::response::Builder) -> Option<Duration> {
        let now = Instant::now();
        let at = Policy::default().again(
            1,
            &response.body(()).unwrap(),
            None,
            SystemTime::UNIX_EPOCH,
        )?;
        Some(at - now)
    }

    fn busy() -> http::response::Builder {
        Response::builder().status(429)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_told_or_a_tenth_longer_and_never_shorter() {
        for _ in 0..200 {
            let wait = again(busy().header("retry-after", "5")).unwrap();
            assert!((5.0..=5.5).contains(&wait.as_secs_f64()), "{wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_only_what_is_busy_and_tells_a_wait() {
        for status in [429, 503, 529] {
            assert!(
                again(
                    Response::builder()
                        .status(status)
                        .header("retry-after", "1")
                )
                .is_some()
            );
        }
        for status in [200, 400, 401, 404, 408, 413, 500, 502] {
            assert!(
                again(
                    Response::builder()
                        .status(status)
                        .header("retry-after", "1")
                )
                .is_none()
            );
        }
        assert!(again(busy()).is_none());
        assert!(again(busy().header("retry-after", "soon")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn obeys_the_provider_that_forbids_it() {
        assert!(
            again(
                busy()
                    .header("retry-after", "1")
                    .header("x-should-retry", "false")
            )
            .is_none()
        );
        assert!(
            again(
                busy()
                    .header("retry-after", "1")
                    .header("x-should-retry", "true")
            )
            .is_some()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_began_with_an_error_is_repeated_as_the_error_says() {
        let began = |said: &str| {
            let kind = HeaderValue::from_static("text/event-stream");
            let headers = [(CONTENT_TYPE, kind)].into_iter().collect();
            let mut meter = Meter::new(Dialect::OpenAiChat, StatusCode::OK, &headers);
            meter.push(format!("data: {{\"error\":{said}}}\n\n").as_bytes());
            let Stage::Error(error) = meter.stage("openai") else {
                panic!("{said}");
            };
            again(Response::builder().status(200).extension(error))
        };
        let limited = r#"{"code":"rate_limit_exceeded","message":"Please try again in 5s."}"#;
        let wait = began(limited).unwrap();
        assert!((5.0..=5.5).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(began(r#"{"code":"rate_limit_exceeded","message":"Slower."}"#).is_none());
        assert!(began(r#"{"code":"insufficient_quota","message":"Try again in 5s."}"#).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn never_repeats_a_refusal_of_our_own() {
        let shortage = Shortage {
            limit: "x".into(),
            unit: crate::error::Unit::Number,
            in_use: 1,
            reserved: 0,
            needed: 1,
            retry_after: None,
            amount: None,
            period: None,
        };
        let ours = busy()
            .header("retry-after", "1")
            .extension(Rejection::RateLimited(shortage));
        assert!(again(ours).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_too_long_is_not_begun() {
        assert!(again(busy().header("retry-after", "60")).is_some());
        assert!(again(busy().header("retry-after", "61")).is_none());
        let response = busy().header("retry-after", "5").body(()).unwrap();
        let within = |secs| {
            let deadline = Instant::now() + Duration::from_secs(secs);
            Policy::default().again(1, &response, Some(deadline), SystemTime::UNIX_EPOCH)
        };
        assert!(within(4).is_none());
        assert!(within(6).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_attempt_is_the_last() {
        let response = busy().header("retry-after", "1").body(()).unwrap();
        let again =
            |attempt| Policy::default().again(attempt, &response, None, SystemTime::UNIX_EPOCH);
        assert!(again(2).is_some());
        assert!(again(3).is_none());
    }
}
