use std::time::Duration;

use http_body_util::Full;
use tower_quota::{
    CallOptions, Money, Tag,
    failover::{Route, Target, Trigger},
    limit::{Limit, Limits},
};

use crate::providers::{
    Error, MODEL, Providers, failover, limiter, provider, request, send, stack, target,
};

fn two() -> Route {
    Route::ordered([target("first"), target("second")])
}

#[tokio::test(start_paused = true)]
async fn the_first_serves_as_long_as_it_can() {
    let providers = Providers::new(["first", "second"]);
    let service = stack(failover(two()), limiter([]), &providers);
    for _ in 0..5 {
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, 200);
        assert_eq!(came.asked(), ["first"]);
        assert!(came.attempts.passed_over.is_empty());
    }
    assert_eq!(providers.attempts("second"), 0);
}

#[tokio::test(start_paused = true)]
async fn each_reason_moves_on_and_can_be_switched_off() {
    let long = "status=400;code=context_length_exceeded";
    let too_long = "status=400;message=request (9 tokens) exceeds the available context size";
    let day = "status=429;message=Too many tokens per day, please wait before trying again.";
    let spent = "status=400;code=blocked_api_access";
    let suspended = "status=412;message=Account a is suspended, possibly due to reaching the monthly spending limit";
    for (fault, trigger, status) in [
        ("status=429;retry-after=30", Trigger::RateLimited, 429),
        ("status=429", Trigger::RateLimited, 429),
        ("insufficient-quota", Trigger::QuotaUsedUp, 429),
        (day, Trigger::QuotaUsedUp, 429),
        (spent, Trigger::QuotaUsedUp, 400),
        (suspended, Trigger::QuotaUsedUp, 412),
        ("status=500", Trigger::ServerError, 500),
        ("status=503", Trigger::ServerError, 503),
        ("status=401", Trigger::KeyRefused, 401),
        (long, Trigger::ContextLength, 400),
        (too_long, Trigger::ContextLength, 400),
    ] {
        let providers = Providers::new(["first", "second"]);
        providers.fault("first", fault);
        let service = stack(failover(two()), limiter([]), &providers);
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, 200, "{fault}");
        assert_eq!(came.asked().last(), Some(&"second"), "{fault}");

        let providers = Providers::new(["first", "second"]);
        providers.fault("first", fault);
        let service = stack(failover(two()).not_on(trigger), limiter([]), &providers);
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, status, "{fault}");
        assert_eq!(providers.attempts("second"), 0, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_content_is_not_shopped_around_unless_that_is_wanted() {
    let fault = "status=400;code=content_filter";
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", fault);
    let service = stack(failover(two()), limiter([]), &providers);
    assert_eq!(send(&service, request()).await.unwrap().status, 400);
    assert_eq!(providers.attempts("second"), 0);
    let service = stack(
        failover(two()).on(Trigger::ContentFilter),
        limiter([]),
        &providers,
    );
    assert_eq!(send(&service, request()).await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_call_itself_is_handed_on() {
    for fault in ["status=400", "status=404", "status=422"] {
        let providers = Providers::new(["first", "second"]);
        providers.fault("first", fault);
        let service = stack(failover(two()), limiter([]), &providers);
        assert!(
            send(&service, request())
                .await
                .unwrap()
                .status
                .is_client_error()
        );
        assert_eq!(providers.attempts("second"), 0, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_reached_is_no_end() {
    let providers = Providers::new(["first", "second"]);
    providers.gone.lock().unwrap().push("first".to_owned());
    let service = stack(failover(two()), limiter([]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 200);
    assert_eq!(providers.attempts("second"), 1);

    let service = stack(
        failover(two()).not_on(Trigger::Connection),
        limiter([]),
        &providers,
    );
    let error = send(&service, request()).await.unwrap_err();
    assert_eq!(error, Error::Unreachable);
    assert_eq!(providers.attempts("second"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_with_an_error_moves_on_and_a_later_one_does_not() {
    for (place, expected) in [("first", 1), ("opened", 1), ("late", 0)] {
        let providers = Providers::new(["first", "second"]);
        providers.fault("first", &format!("error-event={place}"));
        let service = stack(failover(two()), limiter([]), &providers);
        let streamed = request().map(|_| {
            Full::from(format!(
                r#"{{"model":"{MODEL}","stream":true,"max_tokens":100,"messages":[{{"role":"user","content":"hello"}}]}}"#
            ))
        });
        let came = send(&service, streamed).await.unwrap();
        assert_eq!(came.status, 200);
        assert_eq!(providers.attempts("second"), expected, "{place}");
        assert_eq!(
            came.body.contains("error"),
            expected == 0,
            "{place}: {}",
            came.body
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_room_here_moves_on_where_the_limit_is_on_the_target_and_waits_where_it_is_not() {
    let minute = Duration::from_secs(60);
    let providers = Providers::new(["first", "second"]);
    let on_target = [Limit::requests(2)
        .every(minute)
        .when(Tag::Provider, "first")];
    let service = stack(failover(two()), limiter(on_target), &providers);
    let began = tokio::time::Instant::now();
    for _ in 0..4 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    assert_eq!(
        (providers.attempts("first"), providers.attempts("second")),
        (2, 2)
    );
    assert!(began.elapsed() < minute);

    let providers = Providers::new(["first", "second"]);
    let on_all = [Limit::requests(2).every(minute)];
    let service = stack(failover(two()), limiter(on_all), &providers);
    for _ in 0..4 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    assert_eq!(
        (providers.attempts("first"), providers.attempts("second")),
        (4, 0)
    );
}

/// That there is no room to ask another is not what the provider said.
#[tokio::test(start_paused = true)]
async fn the_answer_of_one_stands_where_there_is_no_room_to_ask_the_next() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=503");
    let one = [Limit::requests(1).every(Duration::from_secs(60))];
    let service = stack(failover(two()), limiter(one), &providers);
    let mut hurried = request();
    let options = CallOptions::new().max_wait(Duration::from_secs(10));
    hurried.extensions_mut().insert(options);
    let tries = http::HeaderValue::from_static("0");
    hurried
        .headers_mut()
        .insert("x-stainless-retry-count", tries);
    let came = send(&service, hurried).await.unwrap();
    assert_eq!((came.status.as_u16(), came.asked()), (503, vec!["first"]));
    assert!(came.body.contains("Overloaded"), "{}", came.body);
    assert_eq!(came.headers["x-should-retry"], "false");
    assert_eq!(providers.attempts("second"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_one_stands_where_the_caller_is_paused_meanwhile() {
    let providers = Providers::new(["first", "second"]);
    providers.fault("first", "status=503");
    let some = || Limit::requests(9).every(Duration::from_secs(60));
    let limiter = limiter([some()]);
    let service = stack(failover(two()), limiter.clone(), &providers);
    let mut of_scout = request();
    let tags = tower_quota::Tags::new().with(Tag::Agent, "scout");
    of_scout.extensions_mut().insert(tags);
    let call = tokio::spawn(async move { send(&service, of_scout).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let paused = [some(), Limit::paused().when(Tag::Agent, "scout")];
    limiter
        .reconfigure(&Limits::new(paused).unwrap())
        .await
        .unwrap();
    let came = call.await.unwrap().unwrap();
    assert_eq!((came.status.as_u16(), came.asked()), (503, vec!["first"]));
    assert!(came.body.contains("Overloaded"), "{}", came.body);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_too_small_for_one_may_do_for_another() {
    let providers = Providers::new(["openai"]);
    let openai = provider("openai", &["main"]);
    let route = Route::ordered([
        Target::new(&openai, "gpt-5.5"),
        Target::new(&openai, "gpt-5.4-mini"),
    ]);
    // 100 tokens of output cost $0.003 and $0.00045 at most.
    let budget = Limit::cost(Money::from_nanos(2_000_000)).every(Duration::from_secs(3_600));
    let service = stack(failover(route), limiter([budget]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 200, "{}", came.body);
    let ledger = providers.at("openai").ledger();
    assert_eq!(ledger.entries()[0].model.as_ref(), "gpt-5.4-mini");
}

/// F5: no loops.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_long_goes_to_what_takes_more_and_nowhere_twice() {
    let providers = Providers::new(["first", "second", "third", "fourth"]);
    for host in ["first", "third"] {
        providers.fault(host, "status=400;code=context_length_exceeded");
    }
    let route = Route::ordered([
        target("first").context(128_000),
        target("second").context(128_000),
        target("third"),
        target("fourth").context(1_000_000),
    ]);
    let service = stack(failover(route), limiter([]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 200);
    assert_eq!(came.asked(), ["first", "third", "fourth"]);
    assert_eq!(came.attempts.passed_over.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn models_without_a_route_go_on_as_they_came() {
    let providers = Providers::new(["called"]);
    let service = stack(failover(two()), limiter([]), &providers);
    let other = request()
        .map(|_| Full::from(r#"{"model":"other","messages":[{"role":"user","content":"hello"}]}"#));
    let came = send(&service, other).await.unwrap();
    assert_eq!(came.status, 200);
    let entries = providers.at("called").ledger();
    assert_eq!(entries.entries()[0].key.as_ref(), "KEY-of-the-caller");
}

#[tokio::test(start_paused = true)]
async fn where_only_routed_calls_are_wanted_others_are_refused_and_nobody_is_asked() {
    let providers = Providers::new(["called", "first", "second"]);
    let layer = failover(two()).routed_only();
    assert_eq!(layer.models().collect::<Vec<_>>(), [MODEL]);
    let service = stack(layer, limiter([]), &providers);
    assert_eq!(send(&service, request()).await.unwrap().status, 200);
    let body = |model: &str| Full::from(format!(r#"{{"model":"{model}","messages":[]}}"#));
    let chat = || http::Request::post("http://called/v1/chat/completions");
    let signed = chat()
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=x",
        )
        .body(body(MODEL))
        .unwrap();
    let listing = http::Request::get("http://called/v1/models");
    for (request, says) in [
        (chat().body(body("gpt-9")).unwrap(), "the model `gpt-9`"),
        (signed, "the model `gpt-5.5`"),
        (
            listing.body(Full::default()).unwrap(),
            "a call without a model",
        ),
    ] {
        let came = send(&service, request).await.unwrap();
        assert_eq!(came.status, 404);
        assert!(
            came.body.contains(&format!("no route for {says}")),
            "{}",
            came.body
        );
    }
    assert_eq!(providers.attempts("called"), 0);
    // Without any route all of them are.
    let layer = tower_quota::FailoverLayer::new(tower_quota::failover::Routes::default());
    let service = stack(layer.routed_only(), limiter([]), &providers);
    assert_eq!(send(&service, request()).await.unwrap().status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_paused_is_passed_over_and_a_caller_that_is_paused_goes_nowhere() {
    let providers = Providers::new(["first", "second"]);
    let limiter = limiter([
        Limit::paused().when(Tag::Provider, "first"),
        Limit::paused().when(Tag::Agent, "scout"),
        Limit::requests(9).every(Duration::from_secs(60)),
    ]);
    let service = stack(failover(two()), limiter, &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!((came.status.as_u16(), came.asked()), (200, vec!["second"]));
    let mut of_scout = request();
    let tags = tower_quota::Tags::new().with(Tag::Agent, "scout");
    of_scout.extensions_mut().insert(tags);
    let came = send(&service, of_scout).await.unwrap();
    assert_eq!((came.status.as_u16(), came.asked()), (403, Vec::new()));
    assert!(came.body.contains("agent=scout is paused"), "{}", came.body);
    assert_eq!(providers.attempts("first"), 0);
    assert_eq!(providers.attempts("second"), 1);
}
