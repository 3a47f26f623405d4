use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_quota::{
    failover::{BreakerOptions, Route, Target},
    retry::PassedOverWhy,
};

use crate::providers::{
    Heard, MODEL, Providers, failover, limiter, provider, request, send, stack, target,
};

fn two() -> Route {
    Route::ordered([target("first"), target("second")])
}

/// F4: breakers and probes.
#[tokio::test(start_paused = true)]
async fn a_target_that_fails_is_left_alone_tried_by_one_and_used_again() {
    let (providers, heard) = (Providers::new(["first", "second"]), Heard::default());
    let breaker = BreakerOptions::new()
        .failures(3)
        .open_for(Duration::from_secs(10));
    let layer = failover(two()).breaker(breaker).on_event(heard.listener());
    let service = stack(layer, limiter([]), &providers);
    let asked = |host| providers.attempts(host);

    providers.fault("first", "status=500");
    for _ in 0..20 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    let before = asked("first");
    assert!(before < 12, "its breaker never opened: {before}");
    assert_eq!(
        heard.all(),
        ["first/gpt-5.5 (main) fails; passed over for 10 s"]
    );
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.attempts.passed_over[0].why, PassedOverWhy::BreakerOpen);
    assert_eq!(asked("first"), before);

    // Many at once: one tries it.
    sleep(Duration::from_secs(10)).await;
    let many = (0..20).map(|_| send(&service, request()));
    for came in futures(many).await {
        assert_eq!(came.unwrap().status, 200);
    }
    // With as many attempts as one call has there.
    assert!(asked("first") - before <= 3, "more than one tried it");
    assert_eq!(heard.all().len(), 2);

    providers.at("first").set_faults(Vec::new());
    sleep(Duration::from_secs(20)).await;
    for _ in 0..5 {
        assert_eq!(send(&service, request()).await.unwrap().asked(), ["first"]);
    }
    assert_eq!(
        heard.all().last().unwrap(),
        "first/gpt-5.5 (main) serves again"
    );
}

/// All of them, polled together.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (place, future) in all.iter_mut().enumerate() {
            if done[place].is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                done[place] = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_tries_a_target_leaves_that_to_the_next() {
    let providers = Providers::new(["first", "second"]);
    let breaker = BreakerOptions::new()
        .failures(1)
        .open_for(Duration::from_secs(10));
    let service = stack(failover(two()).breaker(breaker), limiter([]), &providers);
    providers.fault("first", "status=500");
    assert_eq!(send(&service, request()).await.unwrap().status, 200);
    providers.at("first").set_faults(Vec::new());
    sleep(Duration::from_secs(10)).await;
    let dropped = tokio::time::timeout(Duration::from_millis(50), send(&service, request())).await;
    assert!(dropped.is_err());
    assert_eq!(send(&service, request()).await.unwrap().asked(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_took_too_long_leaves_alone_whoever_tries_a_target_in_its_place() {
    let providers = Providers::new(["first", "second"]);
    let span = Duration::from_secs(10);
    let breaker = BreakerOptions::new().failures(1).open_for(span);
    let service = stack(failover(two()).breaker(breaker), limiter([]), &providers);
    providers.fault("first", "status=500");
    assert_eq!(send(&service, request()).await.unwrap().status, 200);
    providers.fault("first", "slow-headers=3600000");
    let tries = || {
        let service = service.clone();
        tokio::spawn(async move { send(&service, request()).await })
    };
    sleep(span).await;
    let old = tries();
    sleep(span).await;
    let new = tries();
    sleep(Duration::from_secs(1)).await;
    old.abort();
    assert!(old.await.unwrap_err().is_cancelled());
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["second"], "somebody tries the first");
    new.abort();
    assert!(new.await.unwrap_err().is_cancelled());
    providers.at("first").set_faults(Vec::new());
    assert_eq!(send(&service, request()).await.unwrap().asked(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_one_is_asked_all_the_same() {
    let providers = Providers::new(["first", "second"]);
    let breaker = BreakerOptions::new().failures(1);
    let service = stack(failover(two()).breaker(breaker), limiter([]), &providers);
    for host in ["first", "second"] {
        providers.fault(host, "status=500");
    }
    assert_eq!(send(&service, request()).await.unwrap().status, 500);
    for host in ["first", "second"] {
        providers.at(host).set_faults(Vec::new());
    }
    // Both breakers are open, and there is nobody else.
    assert_eq!(send(&service, request()).await.unwrap().status, 200);
}

/// F6: accounts without money are parked.
#[tokio::test(start_paused = true)]
async fn an_account_without_money_is_parked_until_the_day_that_is_named() {
    let (providers, heard) = (Providers::new(["anthropic", "second"]), Heard::default());
    let text = "You have reached your specified API usage limits. You will regain access on ";
    let in_two_days = jiff::Timestamp::now() + Duration::from_secs(2 * 86_400);
    let day = in_two_days.strftime("%Y-%m-%d");
    providers.fault(
        "anthropic",
        &format!("status=400;message={text}{day} at 00:00 UTC."),
    );
    let layer = failover(Route::ordered([target("anthropic"), target("second")]));
    let service = stack(layer.on_event(heard.listener()), limiter([]), &providers);
    for _ in 0..3 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    assert_eq!(providers.attempts("anthropic"), 1);
    assert_eq!(heard.all().len(), 1, "{:?}", heard.all());

    providers.at("anthropic").set_faults(Vec::new());
    sleep(Duration::from_secs(20 * 3_600)).await;
    assert_eq!(send(&service, request()).await.unwrap().asked(), ["second"]);
    sleep(Duration::from_secs(29 * 3_600)).await;
    assert_eq!(
        send(&service, request()).await.unwrap().asked(),
        ["anthropic"]
    );
}

#[tokio::test(start_paused = true)]
async fn money_is_the_accounts_and_all_its_models_are_parked_with_it() {
    let providers = Providers::new(["openai", "other"]);
    let (openai, other) = (provider("openai", &["main"]), provider("other", &["main"]));
    let route = Route::ordered([
        Target::new(&openai, MODEL),
        Target::new(&openai, "gpt-5.4-mini"),
        Target::new(&other, MODEL),
    ]);
    providers.fault("openai", "insufficient-quota");
    let service = stack(failover(route), limiter([]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["openai", "other"]);
    assert_eq!(came.attempts.passed_over[0].why, PassedOverWhy::Parked);
    // No day was named: an hour.
    providers.at("openai").set_faults(Vec::new());
    sleep(Duration::from_secs(3_590)).await;
    assert_eq!(send(&service, request()).await.unwrap().asked(), ["other"]);
    sleep(Duration::from_secs(11)).await;
    assert_eq!(send(&service, request()).await.unwrap().asked(), ["openai"]);
}

#[tokio::test(start_paused = true)]
async fn where_all_are_parked_the_refusal_says_why_and_until_when() {
    let providers = Providers::new(["first", "second"]);
    for host in ["first", "second"] {
        providers.fault(host, "insufficient-quota");
    }
    let service = stack(failover(two()), limiter([]), &providers);
    assert_eq!(send(&service, request()).await.unwrap().status, 429);
    let (before, began) = (providers.attempts("first"), Instant::now());
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 503);
    assert!(
        came.body.contains("no target can serve `gpt-5.5` now"),
        "{}",
        came.body
    );
    assert!(
        came.body
            .contains("first/gpt-5.5 (main) is out of money or quota"),
        "{}",
        came.body
    );
    let after: u64 = came.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3_590..=3_600).contains(&after), "{after}");
    assert_eq!(providers.attempts("first"), before);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn where_all_were_told_to_wait_it_is_a_rate_limit_and_else_it_is_not() {
    for (fault, status, kind) in [
        ("status=429;retry-after=300", 429, "rate_limit_error"),
        ("insufficient-quota", 503, "server_error"),
    ] {
        let providers = Providers::new(["first", "second"]);
        providers.fault("first", "status=429;retry-after=300");
        providers.fault("second", fault);
        let service = stack(failover(two()), limiter([]), &providers);
        assert_eq!(send(&service, request()).await.unwrap().status, 429);
        let before = providers.attempts("first") + providers.attempts("second");
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, status, "{}", came.body);
        assert!(came.body.contains("no_target"), "{}", came.body);
        assert!(came.body.contains(kind), "{}", came.body);
        let after: u64 = came.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((290..=300).contains(&after), "{after}");
        let asked = providers.attempts("first") + providers.attempts("second");
        assert_eq!(asked, before, "nobody was asked");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_money_that_says_zero_names_no_time() {
    for told in ["retry-after=0", "retry-after-ms=0"] {
        let (providers, heard) = (Providers::new(["first", "second"]), Heard::default());
        let fault = format!("status=429;code=insufficient_quota;{told}");
        providers.fault("first", &fault);
        let layer = failover(two()).on_event(heard.listener());
        let service = stack(layer, limiter([]), &providers);
        for _ in 0..3 {
            assert_eq!(send(&service, request()).await.unwrap().status, 200);
        }
        assert_eq!(providers.attempts("first"), 1, "{told}");
        let told = heard.all();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].ends_with("parked for 3600 s"), "{told:?}");
    }
}

/// What a call asks for that is not there is no news of the target.
#[tokio::test(start_paused = true)]
async fn what_a_provider_does_not_have_opens_no_breaker() {
    for fault in ["status=501", "status=505"] {
        let (providers, heard) = (Providers::new(["first", "second"]), Heard::default());
        providers.fault("first", fault);
        let breaker = BreakerOptions::new().failures(3);
        let layer = failover(two()).breaker(breaker).on_event(heard.listener());
        let service = stack(layer, limiter([]), &providers);
        for _ in 0..10 {
            let came = send(&service, request()).await.unwrap();
            assert_eq!(came.asked(), ["first", "second"]);
            assert_eq!(came.status, 200);
        }
        assert_eq!(heard.all(), [""; 0], "{fault}");
        // Nor does it hide that others fail there.
        providers.fault("first", "status=500");
        for _ in 0..3 {
            assert_eq!(send(&service, request()).await.unwrap().status, 200);
        }
        assert_eq!(heard.all().len(), 1, "{fault}");
    }
}
