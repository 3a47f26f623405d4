//! The events of calls.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer as _, Service, ServiceExt as _, util::BoxCloneSyncService};
use tower_quota::{
    AdmissionLayer, BudgetLayer, FailoverLayer, Limiter, Money, NotSent, RateLimitLayer,
    RetryLayer, Tag,
    event::{Event, ObservedCall},
    failover::{ApiKey, Provider, Route, Routes, Target},
    limit::Limit,
    pricing::{Price, PriceTable},
};

use super::{
    ANSWER, Ear, read, request,
    support::{
        Answer, Broken, Frames, HOUR, MINUTE, Upstream, limiter, millis, one_a_minute, secs,
        stack::{AnyBody, boxed},
    },
};

fn json(text: &'static str) -> Answer {
    Answer::Typed("application/json", Frames::of([text]))
}

fn paved(limiter: &Limiter, ear: &Ear) -> RateLimitLayer {
    RateLimitLayer::new(limiter.clone()).observe(ear.clone())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_repeated_and_answered_is_told_in_order() {
    let (ear, limiter) = (
        Ear::default(),
        limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]),
    );
    let upstream = Upstream::new().latency(secs(2)).answers([
        json(ANSWER),
        Answer::Busy(70, Frames::of(["{}"])),
        json(ANSWER),
    ]);
    let service = paved(&limiter, &ear)
        .retry(RetryLayer::new().longest_wait(HOUR))
        .layer(upstream);
    let call = |agent| {
        let service = service.clone();
        async move { read(service.oneshot(request(agent)).await.unwrap().into_body()).await }
    };
    call("a").await.unwrap();
    assert_eq!(
        ear.heard(),
        [
            "a came",
            "a ended 1 at openai: 200 None, Some(\"m-2026\") of Some((9, 1)), said true, 2 s",
            "a over: ok, 1 attempts, 2 s, 0 s waited",
        ]
    );
    call("a").await.unwrap();
    let heard = ear.heard();
    assert_eq!(heard[0], "a came");
    assert_eq!(
        heard[1],
        "a waits for requests 1/min for agent=a of requests 1/min per agent"
    );
    assert_eq!(heard[2], "a waited 58.5 s, true");
    assert_eq!(heard[3], "a cools 70 s");
    assert_eq!(
        heard[4],
        "a ended 1 at openai: 429 Some(\"rate_limit\"), None of Some((0, 0)), said true, 2 s"
    );
    assert!(
        heard[5].starts_with("a repeats for rate_limit after 7"),
        "{heard:?}"
    );
    assert_eq!(heard.len(), 8, "{heard:?}");
    assert!(
        heard[7].starts_with("a over: ok, 2 attempts, 1"),
        "{heard:?}"
    );
    assert!(heard[7].ends_with("58.5 s waited"), "{heard:?}");
    // Another agent's count has room: nothing of waiting is told.
    call("b").await.unwrap();
    assert_eq!(ear.heard().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_has_no_attempt() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let layer = AdmissionLayer::new(limiter.clone()).reject_when_full();
    let service = layer.observe(ear.clone()).layer(Upstream::new());
    service.clone().oneshot(request("a")).await.unwrap();
    ear.heard();
    let response = service.oneshot(request("a")).await.unwrap();
    drop(response);
    assert_eq!(
        ear.heard(),
        [
            "a came",
            "a refused: rate_limited",
            "a over: refused, 0 attempts, 0 s, 0 s waited",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_waiting_and_while_sent_is_told_apart() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let service = paved(&limiter, &ear).layer(Upstream::new().latency(secs(30)));
    let call = |patience| {
        let call = service.clone().oneshot(request("a"));
        async move { tokio::time::timeout(patience, call).await.is_err() }
    };
    assert!(call(secs(3)).await);
    assert_eq!(
        ear.heard(),
        [
            "a came",
            // What was reserved: nobody knows what it came to.
            "a ended 1 at openai: GivenUp, None of Some((2, 100)), said false, 3 s",
            "a over: given_up, 1 attempts, 3 s, 0 s waited",
        ]
    );
    assert!(call(secs(4)).await);
    assert_eq!(
        ear.heard(),
        [
            "a came",
            "a waits for requests 1/min of requests 1/min",
            "a waited 4 s, false",
            "a over: given_up, 0 attempts, 4 s, 4 s waited",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_when_it_began_and_ends_where_its_body_is_dropped() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let stream = Frames::of([
        "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\" you\"}}]}\n\n",
    ]);
    let upstream = Upstream::new()
        .latency(secs(1))
        .answers([Answer::Stream(stream)]);
    let service = paved(&limiter, &ear).layer(upstream);
    let response = service.oneshot(request("a")).await.unwrap();
    assert_eq!(ear.heard(), ["a came", "a began after 1 s"]);
    tokio::time::sleep(secs(5)).await;
    drop(response);
    let heard = ear.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(
        heard[0].starts_with("a ended 1 at openai: 200 None, Some(\"m\")"),
        "{heard:?}"
    );
    assert!(heard[0].ends_with("said false, 6 s"), "{heard:?}");
    assert_eq!(heard[1], "a over: ok, 1 attempts, 6 s, 0 s waited");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_is_its_answers_not_that_of_a_body_that_is_kept() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let upstream = Upstream::new().latency(millis(500)).answers([json(ANSWER)]);
    let service = paved(&limiter, &ear).layer(upstream);
    let response = service.oneshot(request("a")).await.unwrap();
    let kept = read(response.into_body()).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    drop(kept);
    assert_eq!(
        ear.heard().last().unwrap(),
        "a over: ok, 1 attempts, 0.5 s, 0 s waited"
    );
}

#[tokio::test(start_paused = true)]
async fn the_inner_services_error_is_told_once_however_many_layers_see_it() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let upstream = Upstream::new().answers([Answer::Fails(Broken(7))]);
    let service =
        paved(&limiter, &ear).retry(RetryLayer::new().max_attempts(1.try_into().unwrap()));
    let failed = service.layer(upstream).oneshot(request("a")).await;
    assert_eq!(failed.err(), Some(Broken(7)));
    let heard = ear.heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(
        heard[1].starts_with("a ended 1 at openai: Failed { sent: true }"),
        "{heard:?}"
    );
    assert_eq!(heard[2], "a over: failed, 1 attempts, 0 s, 0 s waited");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_answer_was_not_sent() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let cache = tower::service_fn(|_| async {
        let mut response = Response::new(Frames::of(["{}"]));
        response.extensions_mut().insert(NotSent);
        Ok::<_, Broken>(response)
    });
    let service = paved(&limiter, &ear).layer(cache);
    drop(service.oneshot(request("a")).await.unwrap());
    let heard = ear.heard();
    assert_eq!(
        heard[1],
        "a ended 1 at openai: NotSent, None of None, said false, 0 s"
    );
    assert_eq!(heard.len(), 3, "{heard:?}");
}

fn failover(targets: [&str; 2]) -> FailoverLayer {
    let provider = |name: &str| {
        let provider = Provider::new(name, "http://host/v1").unwrap();
        provider.key(ApiKey::new("main", "sk").unwrap())
    };
    let targets = targets.map(|name| Target::new(&provider(name), "m"));
    FailoverLayer::new(Routes::new([("m", Route::ordered(targets))]).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_target_is_told_under_its_own_name() {
    let (ear, limiter) = (Ear::default(), limiter([]));
    let upstream = Upstream::new().answers([Answer::Status(500), json(ANSWER)]);
    let service = paved(&limiter, &ear)
        .retry(RetryLayer::new().max_attempts(1.try_into().unwrap()))
        .failover(failover(["one", "two"]))
        .layer(upstream);
    read(service.oneshot(request("a")).await.unwrap().into_body())
        .await
        .unwrap();
    let heard = ear.heard();
    assert_eq!(
        heard,
        [
            "a came",
            "a ended 1 at one: 500 Some(\"server\"), None of Some((0, 0)), said true, 0 s",
            "a moves on from one for server_error",
            "a ended 2 at two: 200 None, Some(\"m-2026\") of Some((9, 1)), said true, 0 s",
            "a over: ok, 2 attempts, 0 s, 0 s waited",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_all_targets_refuse_is_told_as_what_the_caller_hears() {
    let (ear, limiter) = (Ear::default(), limiter([]));
    let upstream = Upstream::new().answers([Answer::Status(401), Answer::Status(401)]);
    let service = paved(&limiter, &ear)
        .failover(failover(["one", "two"]))
        .layer(upstream);
    drop(service.oneshot(request("a")).await.unwrap());
    let heard = ear.heard();
    let last: Vec<&str> = heard.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(
        last,
        [
            "a over: refused, 2 attempts, 0 s, 0 s waited",
            "a refused: no_target"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn usage_has_its_cost_where_a_layer_knows_prices_and_every_order_tells_each_attempt_once() {
    let prices = || {
        let mut table = PriceTable::new();
        let price = Price::new("1".parse().unwrap(), "10".parse().unwrap());
        table.insert("openai", "m", price);
        Arc::new(table)
    };
    for order in ["BAR", "RAB", "ARB", "BRA", "RBA", "ABR"] {
        let costs = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = costs.clone();
        let observer = move |_: &ObservedCall, event: &Event<'_>| {
            if let Event::Ended(end) = event {
                seen.lock()
                    .unwrap()
                    .push(end.usage.and_then(|usage| usage.cost));
            }
        };
        let limiter = limiter([Limit::cost(Money::from_dollars(1)).every(HOUR)]);
        let upstream = Upstream::new().answers([Answer::Busy(1, Frames::of(["{}"])), json(ANSWER)]);
        let mut service = erase(upstream);
        for letter in order.chars().rev() {
            service = match letter {
                'A' => erase(
                    AdmissionLayer::new(limiter.clone())
                        .observe(observer.clone())
                        .layer(service),
                ),
                'B' => erase(
                    BudgetLayer::new(limiter.clone(), prices())
                        .observe(observer.clone())
                        .layer(service),
                ),
                _ => erase(RetryLayer::new().observe(observer.clone()).layer(service)),
            };
        }
        read(service.oneshot(request("a")).await.unwrap().into_body())
            .await
            .unwrap();
        let costs = costs.lock().unwrap();
        let expected = [Some(Money::ZERO), Some(Money::from_nanos(9_000 + 10_000))];
        assert_eq!(*costs, expected, "{order}");
    }
}

type Erased = BoxCloneSyncService<Request<Full<Bytes>>, Response<AnyBody>, Broken>;

fn erase<S, R>(service: S) -> Erased
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Broken>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    R: Body<Data = Bytes, Error = Broken> + Send + 'static,
{
    Erased::new(service.map_response(|response| response.map(boxed)))
}

/// A client may keep a header for longer than the call takes: over HTTP/2 it does, for as long as the connection lasts.
#[tokio::test(start_paused = true)]
async fn a_call_is_over_when_it_is_over_whatever_a_client_keeps_of_its_request() {
    let (ear, limiter) = (Ear::default(), one_a_minute());
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (keeps, upstream) = (
        kept.clone(),
        Upstream::new().answers([json(ANSWER), json(ANSWER)]),
    );
    let inner = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let values = request.headers().values().cloned();
        keeps.lock().unwrap().extend(values);
        upstream.clone().oneshot(request)
    });
    let service = paved(&limiter, &ear).layer(inner);
    let answer = service.oneshot(request("a")).await.unwrap();
    read(answer.into_body()).await.unwrap();
    assert!(!kept.lock().unwrap().is_empty());
    let over = "a over: ok, 1 attempts, 0 s, 0 s waited".to_owned();
    assert_eq!(ear.heard().last(), Some(&over));
}
