//! A told wait holds back its target until then, and nothing else.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::task::yield_now;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, CallOptions, Limiter, Rejection, Tag, Tags,
    limit::{Limit, Limits},
    limiter::{Call, Peek},
    store::MemoryStore,
};

use crate::{later::LaterStore, upstream::*, work::*};

/// A16: a told wait closes the gate for its target.
#[tokio::test(start_paused = true)]
async fn the_same_target_waits_until_the_told_instant_and_others_do_not() {
    for order in ["A", "RA", "AR", "ARA"] {
        let (limiter, upstream) = (plenty(), Upstream::new());
        let service = upstream.behind(order, &limiter);
        let first = sent(&service, request("first", &[], Some(&five()))).await;
        yield_now().await;
        tokio::time::sleep(secs(1)).await;
        let mut calls = Vec::new();
        for (name, tags) in [
            ("sibling", &[][..]),
            ("sibling", &[(Tag::Agent, "another")]),
            ("sibling", &[(Tag::Provider, "openai"), (Tag::Model, "m")]),
            ("model", &[(Tag::Model, "n")]),
            ("key", &[(Tag::ApiKey, "k")]),
            ("provider", &[(Tag::Provider, "azure")]),
        ] {
            calls.push(sent(&service, request(name, tags, None)).await);
        }
        for call in calls {
            assert_eq!(call.await.unwrap().status(), 200, "{order}");
        }
        drop(first.await);
        for others in ["model", "key", "provider"] {
            assert_eq!(upstream.came_as(others), [secs(1)], "{order}: {others}");
        }
        assert_eq!(
            upstream.came_as("sibling"),
            [0, 50, 50].map(|ms| secs(5) + Duration::from_millis(ms)),
            "{order}: not a tick more"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_something_else_waits_for_it_as_well() {
    let limiter = Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap());
    let upstream = Upstream::new();
    let service = upstream.behind("A", &limiter);
    let slow = Say {
        after: secs(1),
        ..five()
    };
    let first = sent(&service, request("first", &[], Some(&slow))).await;
    let queued = sent(&service, request("queued", &[], None)).await;
    let other = sent(&service, request("other", &[(Tag::Model, "n")], None)).await;
    for call in [first, queued, other] {
        call.await.unwrap();
    }
    assert_eq!(upstream.came_as("other"), [secs(1)], "the slot is free");
    assert_eq!(upstream.came_as("queued"), [secs(6)]);
}

/// Fifty wait, ten a minute may go: the told instant lets nobody past the window, and nobody past another.
#[tokio::test(start_paused = true)]
async fn when_it_opens_the_windows_hold_and_the_order_stays() {
    let limit = Limit::requests(10).every(MINUTE).margin(Duration::ZERO);
    let limiter = Limiter::new(Limits::new([limit]).unwrap());
    let upstream = Upstream::new();
    let service = upstream.behind("A", &limiter);
    send(&service, request("first", &[], Some(&five()))).await;
    let mut calls = Vec::new();
    for number in 0..25 {
        calls.push(sent(&service, request(&number.to_string(), &[], None)).await);
    }
    tokio::time::sleep(secs(5)).await;
    for number in 25..50 {
        calls.push(sent(&service, request(&number.to_string(), &[], None)).await);
    }
    for call in calls {
        assert_eq!(call.await.unwrap().status(), 200);
    }
    let came = upstream.came();
    let order: Vec<String> = came[1..].iter().map(|(_, name)| name.clone()).collect();
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(order, expected);
    assert_eq!(came[1].0, secs(5));
    let fourth_group = secs(5) + Duration::from_millis(150);
    assert_eq!(came[9].0, fourth_group);
    assert_eq!(came[10].0, MINUTE, "the first call's room");
    assert_eq!(came[11].0, fourth_group + MINUTE);
    for eleven in came.windows(11) {
        assert!(eleven[10].0 - eleven[0].0 >= MINUTE, "{eleven:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_and_explanations_name_it() {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let key = [(Tag::ApiKey, "k")];
    send(
        &upstream.behind("A", &limiter),
        request("first", &key, Some(&five())),
    )
    .await;
    let tags = Tags::new().with(Tag::Provider, "openai");
    let tags = tags.with(Tag::Model, "m").with(Tag::ApiKey, "k");
    let call = || Call::new().tags(tags.clone());
    let words = "cooldown of provider=openai, api_key=k, model=m; room in 5.0 s";
    let refused = limiter.try_acquire(call()).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("rate limited here: {words}"));
    assert_eq!(refused.retry_after(), Some(secs(5)));
    let Peek::Wait(shortage) = limiter.peek(&call()).await.unwrap() else {
        panic!("it would wait")
    };
    assert_eq!(shortage.to_string(), words);
    let explanation = limiter.explain(&call()).await.unwrap();
    assert_eq!(
        explanation.to_string(),
        "held by 1 of 2 limits; room in 5.0 s\n\
         - requests 1000/min: 1 in use, this call needs 1 (would be 2); room now\n\
         - cooldown of provider=openai, api_key=k, model=m; room in 5.0 s"
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["limits"][1]["room"]["in_ms"], 5_000);
    let late = limiter.acquire(call().max_wait(secs(4))).await.unwrap_err();
    assert!(matches!(late, Rejection::DeadlineExceeded(_)), "{late}");
    let in_time = limiter.acquire(call().max_wait(secs(6))).await;
    assert!(in_time.is_ok());
    assert_eq!(limiter.peek(&call()).await.unwrap(), Peek::Room);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_does_not_wait_says_when() {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let service = upstream.behind("F", &limiter);
    send(&service, request("first", &[], Some(&five()))).await;
    tokio::time::sleep(millis(1_500)).await;
    let refused = send(&service, request("second", &[], None)).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after-ms"], "3500");
    let mut hurried = request("third", &[], None);
    let options = CallOptions::new().max_wait(secs(3));
    hurried.extensions_mut().insert(options);
    let refused = send(&upstream.behind("A", &limiter), hurried).await;
    let rejection = refused.extensions().get::<Rejection>();
    assert!(matches!(rejection, Some(Rejection::DeadlineExceeded(_))));
    assert_eq!(upstream.came().len(), 1);
}

const TOO_LARGE: &str = r#"{"error":{"type":"tokens","code":"rate_limit_exceeded",
    "message":"Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000."}}"#;
const USED_UP: &str = r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#;
const HINT: &str = r#"{"error":{"type":"tokens","code":"rate_limit_exceeded",
    "message":"Limit 30000, Used 29214, Requested 1359. Please try again in 2.5s."}}"#;

/// How long the next call to the same target waits after an answer.
async fn held_by(order: &str, said: Say) -> Duration {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let service = upstream.behind(order, &limiter);
    let first = request("first", &[], Some(&said));
    if order == "A" {
        send(&service, first).await;
    } else {
        drop(sent(&service, first).await);
    }
    send(&service, request("next", &[], None)).await;
    upstream.came_as("next")[0]
}

#[tokio::test(start_paused = true)]
async fn what_an_error_means_decides_whether_its_wait_holds_for_others() {
    const FIVE: &[(&str, &str)] = &[("retry-after", "5")];
    for (status, headers, body, held, why) in [
        (429, FIVE, "", 5_000, "a rate limit"),
        (
            429,
            &[("retry-after-ms", "1146"), ("retry-after", "2")],
            "",
            1_146,
            "the finer wins",
        ),
        (503, FIVE, "", 5_000, "the service asks for it"),
        (529, FIVE, "", 5_000, "overloaded"),
        (429, FIVE, USED_UP, 5_000, "used up, and told until when"),
        (
            429,
            &[("retry-after", "86400")],
            USED_UP,
            0,
            "used up for a day: nobody stands in line for that",
        ),
        (429, &[], HINT, 2_500, "told in the body"),
        (429, &[], "", 0, "no wait is told"),
        (429, &[], USED_UP, 0, "used up, and nothing is told"),
        (429, FIVE, TOO_LARGE, 0, "this one never fits; others may"),
        (429, &[("retry-after", "soon")], "", 0, "nonsense"),
        (500, FIVE, "", 0, "a failure, not a limit"),
        (400, FIVE, "", 0, "a mistake of the caller's"),
        (200, FIVE, "", 0, "was seen with a 200"),
    ] {
        let waited = held_by("A", say(status, headers, body)).await;
        assert_eq!(waited, millis(held), "{status} {headers:?}: {why}");
    }
    // A retry reads the body itself, at once.
    assert_eq!(held_by("RA", say(429, &[], HINT)).await, millis(2_500));
    assert_eq!(held_by("AR", say(429, &[], HINT)).await, millis(2_500));
}

/// An answer whose body nobody reads: its head is enough. What is only in the body nobody knows then.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_heard_all_the_same() {
    for (said, at_once, later) in [(five(), 5_000, 5_000), (say(429, &[], HINT), 0, 0)] {
        let (limiter, upstream) = (plenty(), Upstream::new());
        let inner = upstream.clone();
        let inner = service_fn(move |request| inner.clone().answer(request));
        let service = AdmissionLayer::new(limiter.clone()).layer(inner);
        let first = service.oneshot(request("first", &[], Some(&said))).await;
        let tags = Tags::new()
            .with(Tag::Provider, "openai")
            .with(Tag::Model, "m");
        let wait = async || {
            let refused = limiter.try_acquire(Call::new().tags(tags.clone())).await;
            refused
                .err()
                .and_then(|refused| refused.retry_after())
                .unwrap_or_default()
        };
        assert_eq!(wait().await, millis(at_once));
        drop(first);
        assert_eq!(wait().await, millis(later));
    }
}

/// A later word of a shorter wait does not open what an earlier one closed for longer.
#[tokio::test(start_paused = true)]
async fn the_latest_of_several_told_instants_holds() {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let service = upstream.behind("A", &limiter);
    let after = |after, said| Say { after, ..said };
    let long = after(secs(1), say(429, &[("retry-after", "9")], ""));
    let short = after(secs(2), say(429, &[("retry-after", "3")], ""));
    let wrong = after(secs(3), say(429, &[("retry-after", "20")], TOO_LARGE));
    let mut calls = Vec::new();
    for said in [long, short, wrong] {
        calls.push(sent(&service, request("first", &[], Some(&said))).await);
    }
    for call in calls {
        call.await.unwrap();
    }
    send(&service, request("next", &[], None)).await;
    assert_eq!(upstream.came_as("next"), [secs(10)]);
}

/// A no of our own, further in, is no word of the provider's.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_another_limiter_further_in_closes_nothing() {
    let (outer, upstream) = (plenty(), Upstream::new());
    let inner = Limiter::new(Limits::new([Limit::requests(1).every(MINUTE)]).unwrap());
    let inner = upstream
        .behind("F", &inner)
        .map_response(|response| response.map(Full::from));
    // As a layer of somebody else's would: what we know of the call does not reach the inner one.
    let apart = inner.map_request(|mut request: Request<Full<Bytes>>| {
        request.extensions_mut().clear();
        request
    });
    let service = whole(AdmissionLayer::new(outer.clone()).layer(apart));
    send(&service, request("first", &[], None)).await;
    let refused = send(&service, request("second", &[], None)).await;
    assert_eq!(
        (refused.status(), upstream.came().len()),
        (StatusCode::TOO_MANY_REQUESTS, 1)
    );
    assert!(refused.headers().contains_key("retry-after"));
    let tags = Tags::new()
        .with(Tag::Provider, "openai")
        .with(Tag::Model, "m");
    assert_eq!(
        outer.peek(&Call::new().tags(tags)).await.unwrap(),
        Peek::Room
    );
}

/// Calls that name no target, as those that a server gets, are nobody's siblings.
#[tokio::test(start_paused = true)]
async fn without_a_target_nothing_is_held_back() {
    let (limiter, upstream) = (plenty(), Upstream::new());
    let service = upstream.behind("A", &limiter);
    let plain = |name: &str, said: Option<&Say>| {
        let mut request = request(name, &[], said);
        *request.uri_mut() = "http://here/any/path".parse().unwrap();
        request
    };
    send(&service, plain("first", Some(&five()))).await;
    send(&service, plain("second", None)).await;
    assert_eq!(upstream.came_as("second"), [Duration::ZERO]);
}

/// A store that answers later learns the same.
#[tokio::test(start_paused = true)]
async fn a_store_that_answers_later_holds_back_as_well() {
    let limits = Limits::new([Limit::requests(1_000).every(MINUTE)]).unwrap();
    let limiter = Limiter::with_store(LaterStore::new(limits));
    let upstream = Upstream::new();
    let service = upstream.behind("A", &limiter);
    send(&service, request("first", &[], Some(&five()))).await;
    tokio::time::sleep(secs(1)).await;
    let sibling = sent(&service, request("sibling", &[], None)).await;
    let other = sent(&service, request("other", &[(Tag::Model, "n")], None)).await;
    sibling.await.unwrap();
    other.await.unwrap();
    assert_eq!(upstream.came_as("sibling"), [secs(5)]);
    assert_eq!(upstream.came_as("other"), [secs(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_years_is_a_day() {
    let (store, upstream) = (MemoryStore::new(Limits::new([]).unwrap()), Upstream::new());
    let store = Arc::new(store);
    let limiter = Limiter::build(store.clone(), tower_quota::limiter::QueueOptions::new());
    let years = say(429, &[("retry-after", "99999999")], "");
    send(
        &upstream.behind("A", &limiter),
        request("first", &[], Some(&years)),
    )
    .await;
    let words = "cooldown of provider=openai, model=m".to_owned();
    assert_eq!(store.cooldowns(), [(words, secs(86_400))]);
    tokio::time::sleep(secs(86_400)).await;
    assert_eq!(store.cooldowns(), []);
}
