use std::time::SystemTime;

use http::{Request, StatusCode};

use super::*;
use crate::wire::{Dialect, classify};

fn asked(path: &str, headers: &[(&'static str, &'static str)]) -> Asked {
    let mut request = Request::post(format!("http://provider{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let dialect = Dialect::detect(path, &parts.headers);
    Asked::of(&parts, dialect)
}

fn chat() -> Asked {
    asked("/v1/chat/completions", &[])
}

fn answered(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Failed {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let headers = response.body(()).unwrap().headers().clone();
    let status = StatusCode::from_u16(status).unwrap();
    let now = SystemTime::UNIX_EPOCH;
    Failed::Answered(classify("openai", status, &headers, body.as_bytes(), now).unwrap())
}

fn busy() -> Failed {
    answered(429, &[("retry-after", "5")], "")
}

/// The wait before the next attempt, where there is one.
fn wait(policy: &Policy, attempt: u32, asked: Asked, failed: Failed) -> Option<Duration> {
    match policy.judge(attempt, true, asked, failed, None) {
        Verdict::Again(at) => Some(at - Instant::now()),
        _ => None,
    }
}

fn unbounded() -> Policy {
    Policy {
        budget: None,
        ..Policy::default()
    }
}

#[tokio::test(start_paused = true)]
async fn waits_as_told_or_a_tenth_longer_and_never_shorter() {
    for (told, from, to) in [("5", 5.0, 5.5), ("0", 0.0, 0.1), ("0.2", 0.2, 0.3)] {
        let mut waits = Vec::new();
        for _ in 0..200 {
            let failed = answered(429, &[("retry-after", told)], "");
            let wait = wait(&unbounded(), 1, chat(), failed).unwrap().as_secs_f64();
            assert!((from..=to).contains(&wait), "{told}: {wait}");
            waits.push((wait * 1e9).round());
        }
        waits.sort_by(f64::total_cmp);
        waits.dedup();
        assert!(waits.len() > 150, "{told}: together again");
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_what_may_pass_and_nothing_else() {
    let policy = unbounded();
    for status in [408, 409, 429, 500, 502, 503, 504, 529, 599] {
        assert!(
            wait(&policy, 1, chat(), answered(status, &[], "")).is_some(),
            "{status}"
        );
    }
    for status in [400, 401, 402, 403, 404, 413, 422, 501, 505] {
        let told = [("retry-after", "1")];
        let verdict = policy.judge(1, true, chat(), answered(status, &told, ""), None);
        assert_eq!(verdict, Verdict::Final, "{status}");
    }
    let spent = r#"{"error":{"code":"insufficient_quota","message":"Please try again in 5s."}}"#;
    assert_eq!(
        policy.judge(
            1,
            true,
            chat(),
            answered(429, &[("retry-after", "1")], spent),
            None
        ),
        Verdict::Final
    );
}

#[tokio::test(start_paused = true)]
async fn obeys_the_provider_that_forbids_or_allows_it() {
    let policy = unbounded();
    for (status, says, expected) in [
        (429, "false", false),
        (503, "false", false),
        (400, "true", true),
        (429, "true", true),
    ] {
        let failed = answered(status, &[("x-should-retry", says)], "");
        let is_repeated = wait(&policy, 1, chat(), failed).is_some();
        assert_eq!(is_repeated, expected, "{status} {says}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_might_be_done_twice_is_not_where_that_matters() {
    let policy = unbounded();
    let batch = asked("/v1/batches", &[]);
    for (status, expected) in [
        (500, false),
        (502, false),
        (409, false),
        (429, true),
        (503, true),
    ] {
        let again = wait(&policy, 1, batch, answered(status, &[], "")).is_some();
        assert_eq!(again, expected, "{status}");
    }
    let keyed = asked("/v1/batches", &[("idempotency-key", "7")]);
    assert!(wait(&policy, 1, keyed, answered(500, &[], "")).is_some());

    let broke =
        |failure, asked, policy: &Policy| wait(policy, 1, asked, Failed::Broke(failure)).is_some();
    let wary = Policy {
        repeats_uncertain: false,
        ..unbounded()
    };
    for (failure, asked, policy, expected) in [
        (Failure::BeforeDispatch, batch, &policy, true),
        (Failure::BeforeDispatch, chat(), &wary, true),
        (Failure::Uncertain, chat(), &policy, true),
        (Failure::Uncertain, chat(), &wary, false),
        (Failure::Uncertain, batch, &policy, false),
        (Failure::Uncertain, keyed, &policy, true),
        (Failure::Permanent, chat(), &policy, false),
    ] {
        assert_eq!(broke(failure, asked, policy), expected, "{failure:?}");
    }
    // Nor does anybody know what was billed of a stream that broke.
    let broke_off = Failed::Answered(ProviderError::broke_off(None));
    for (asked, policy, expected) in [
        (chat(), &policy, true),
        (chat(), &wary, false),
        (batch, &policy, false),
        (keyed, &policy, true),
    ] {
        let again = wait(policy, 1, asked, broke_off).is_some();
        assert_eq!(again, expected, "{asked:?}");
    }
    let told = Failed::Answered(ProviderError::broke_off(Some(false)));
    assert!(wait(&policy, 1, chat(), told).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_not_begun_and_is_said() {
    let policy = unbounded();
    let told = |wait| answered(429, &[("retry-after", wait)], "");
    assert!(wait(&policy, 1, chat(), told("60")).is_some());
    let long = Duration::from_secs(259_200);
    assert_eq!(
        policy.judge(1, true, chat(), told("259200"), None),
        Verdict::GivenUp(Some(long))
    );
    let within = |secs| {
        let deadline = Instant::now() + Duration::from_secs(secs);
        policy.judge(1, true, chat(), busy(), Some(deadline))
    };
    assert_eq!(within(4), Verdict::GivenUp(Some(Duration::from_secs(5))));
    assert!(matches!(within(6), Verdict::Again(_)));
}

/// What is told decides, and the jitter that is added to it does not.
#[tokio::test(start_paused = true)]
async fn a_wait_that_just_keeps_the_deadline_is_begun_every_time() {
    let (policy, now) = (unbounded(), Instant::now());
    for within in [5_000, 5_100] {
        let deadline = now + Duration::from_millis(within);
        for _ in 0..200 {
            let verdict = policy.judge(1, true, chat(), busy(), Some(deadline));
            let Verdict::Again(at) = verdict else {
                panic!("{within}: {verdict:?}");
            };
            assert!(at >= now + Duration::from_secs(5) && at <= deadline);
        }
    }
    let deadline = now + Duration::from_millis(4_999);
    let verdict = policy.judge(1, true, chat(), busy(), Some(deadline));
    assert_eq!(verdict, Verdict::GivenUp(Some(Duration::from_secs(5))));
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_is_the_last_by_whoever_counts() {
    let policy = unbounded();
    assert!(wait(&policy, 2, chat(), busy()).is_some());
    let told = Some(Duration::from_secs(5));
    assert_eq!(
        policy.judge(3, true, chat(), busy(), None),
        Verdict::GivenUp(told)
    );
    assert_eq!(
        policy.judge(1, false, chat(), busy(), None),
        Verdict::GivenUp(told)
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_repeats_itself_is_not_multiplied() {
    let policy = unbounded();
    let sdk = |tries| {
        asked(
            "/v1/chat/completions",
            &[("x-stainless-retry-count", tries)],
        )
    };
    assert!(sdk("0").by_itself && !chat().by_itself);
    assert!(wait(&policy, 1, sdk("0"), busy()).is_some());
    for again in ["1", "2", "junk"] {
        assert!(wait(&policy, 1, sdk(again), busy()).is_none(), "{again}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_paid_for_and_a_told_limit_is_not() {
    let policy = Policy {
        budget: Some(RetryBudget::percent(0).reserve(3)),
        ..Policy::default()
    };
    let again = |failed| {
        (0..20)
            .filter(|_| wait(&policy, 1, chat(), failed).is_some())
            .count()
    };
    assert_eq!(again(busy()), 20);
    assert_eq!(again(answered(503, &[], "")), 3);
    assert_eq!(again(Failed::Broke(Failure::BeforeDispatch)), 0);
    assert_eq!(again(busy()), 20);
}
