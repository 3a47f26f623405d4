use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_quota::{
    CallOptions, RateLimitLayer, Tag,
    failover::{ApiKey, Pool, Route, Target},
    limit::Limit,
};

use crate::providers::{
    Heard, MODEL, Providers, failover, limiter, provider, request, send, stack, target,
};

/// With which keys how many attempts came.
fn used(providers: &Providers, host: &str) -> BTreeMap<String, usize> {
    let mut used = BTreeMap::new();
    for entry in providers.at(host).ledger().entries() {
        *used.entry(entry.key.to_string()).or_default() += 1;
    }
    used
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter()
        .map(|(key, count)| ((*key).to_owned(), *count))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_order_of_keys_does_what_it_says() {
    let weighted = |pool| {
        provider("openai", &[])
            .key(ApiKey::new("a", "KEY-a").unwrap().weight(3))
            .key(ApiKey::new("b", "KEY-b").unwrap())
            .pool(pool)
    };
    for (pool, expected) in [
        (Pool::Ordered, counts(&[("KEY-a", 40)])),
        (Pool::RoundRobin, counts(&[("KEY-a", 20), ("KEY-b", 20)])),
        (Pool::Weighted, counts(&[("KEY-a", 30), ("KEY-b", 10)])),
    ] {
        let providers = Providers::new(["openai"]);
        let route = Route::ordered([Target::new(&weighted(pool), MODEL)]);
        let service = stack(failover(route), limiter([]), &providers);
        for _ in 0..40 {
            assert_eq!(send(&service, request()).await.unwrap().status, 200);
        }
        assert_eq!(used(&providers, "openai"), expected, "{pool:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_with_the_most_room_goes_first() {
    let minute = Duration::from_secs(60);
    let limits = [Limit::requests(10)
        .every(minute)
        .per(Tag::ApiKey)
        .amount_for("large", 30)];
    let providers = Providers::new(["openai"]);
    let openai = provider("openai", &["small", "large"]).pool(Pool::MostHeadroom);
    let route = Route::ordered([Target::new(&openai, MODEL)]);
    let service = stack(failover(route), limiter(limits), &providers);
    for _ in 0..40 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    let expected = counts(&[("KEY-openai-large", 30), ("KEY-openai-small", 10)]);
    assert_eq!(used(&providers, "openai"), expected);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_limited_or_refused_is_replaced_by_the_next() {
    for fault in [
        "status=429;retry-after=30",
        "status=401",
        "insufficient-quota",
    ] {
        let providers = Providers::new(["openai"]);
        let openai = provider("openai", &["a", "b"]);
        let service = stack(
            failover(Route::ordered([Target::new(&openai, MODEL)])),
            limiter([]),
            &providers,
        );
        let rule = tower_quota::sim::FaultRule {
            fault: fault.parse().unwrap(),
            probability: 0.0,
            nth: Some(1),
        };
        providers.at("openai").set_faults(vec![rule]);
        for _ in 0..3 {
            assert_eq!(
                send(&service, request()).await.unwrap().status,
                200,
                "{fault}"
            );
        }
        let expected = counts(&[("KEY-openai-a", 1), ("KEY-openai-b", 3)]);
        assert_eq!(used(&providers, "openai"), expected, "{fault}");
    }
}

/// One caller's prompt is no reason to leave a target alone.
#[tokio::test(start_paused = true)]
async fn a_403_parks_a_target_where_it_is_about_the_key_and_else_nothing() {
    for (fault, status, next) in [
        ("status=403;code=content_policy_violation", 403, "first"),
        ("status=403;message=Not this one", 200, "first"),
        ("status=403;code=permission_denied", 200, "second"),
    ] {
        let (providers, heard) = (Providers::new(["first", "second"]), Heard::default());
        providers.fault("first", fault);
        let layer = failover(Route::ordered([target("first"), target("second")]));
        let service = stack(layer.on_event(heard.listener()), limiter([]), &providers);
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.status, status, "{fault}");
        assert_eq!(providers.attempts("second"), usize::from(status == 200));
        providers.at("first").set_faults(Vec::new());
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.asked(), [next], "{fault}");
        assert_eq!(heard.all().is_empty(), next == "first", "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_403_that_is_not_about_the_key_is_the_callers_where_nobody_serves() {
    let providers = Providers::new(["first", "second"]);
    for host in ["first", "second"] {
        providers.fault(host, "status=403;message=Not this one");
    }
    let route = Route::ordered([target("first"), target("second")]);
    let service = stack(failover(route), limiter([]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 403);
    assert_eq!(came.asked(), ["first", "second"]);
    assert!(came.body.contains("Not this one"), "{}", came.body);
}

#[tokio::test(start_paused = true)]
async fn the_turns_of_a_key_that_is_out_go_to_all_others() {
    for pool in [Pool::RoundRobin, Pool::Weighted] {
        let providers = Providers::new(["openai"]);
        let openai = provider("openai", &["a", "b", "c"]).pool(pool);
        let route = Route::ordered([Target::new(&openai, MODEL)]);
        let service = stack(failover(route), limiter([]), &providers);
        let rule = tower_quota::sim::FaultRule {
            fault: "status=401".parse().unwrap(),
            probability: 0.0,
            nth: Some(1),
        };
        providers.at("openai").set_faults(vec![rule]);
        for _ in 0..31 {
            assert_eq!(send(&service, request()).await.unwrap().status, 200);
        }
        let expected = counts(&[
            ("KEY-openai-a", 1),
            ("KEY-openai-b", 16),
            ("KEY-openai-c", 15),
        ]);
        assert_eq!(used(&providers, "openai"), expected, "{pool:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_turns_of_a_target_that_is_out_go_to_all_others() {
    let hosts = ["first", "second", "third"];
    let providers = Providers::new(hosts);
    providers.fault("first", "insufficient-quota");
    let service = stack(
        failover(Route::weighted(hosts.map(target))),
        limiter([]),
        &providers,
    );
    for _ in 0..31 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    assert_eq!(hosts.map(|host| providers.attempts(host)), [1, 16, 15]);
}

#[tokio::test(start_paused = true)]
async fn weights_of_a_route_are_kept_and_the_others_follow() {
    let providers = Providers::new(["first", "second"]);
    let target = |host, weight| Target::new(&provider(host, &["main"]), MODEL).weight(weight);
    let route = Route::weighted([target("first", 1), target("second", 4)]);
    let service = stack(failover(route), limiter([]), &providers);
    for _ in 0..50 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    assert_eq!(
        (providers.attempts("first"), providers.attempts("second")),
        (10, 40)
    );
}

#[tokio::test(start_paused = true)]
async fn limits_follow_the_key_and_the_model_that_serve() {
    let minute = Duration::from_secs(60);
    let limits = limiter([
        Limit::requests(5).every(minute).when(Tag::ApiKey, "a"),
        Limit::requests(100)
            .every(minute)
            .when(Tag::Model, "gpt-5.4-mini"),
    ]);
    let providers = Providers::new(["openai"]);
    let openai = provider("openai", &["a", "b"]);
    let route = Route::ordered([
        Target::new(&openai, MODEL),
        Target::new(&openai, "gpt-5.4-mini"),
    ]);
    let layer = RateLimitLayer::new(limits).failover(failover(route));
    let service = layer.layer(providers.clone());
    for _ in 0..8 {
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
    }
    let expected = counts(&[("KEY-openai-a", 5), ("KEY-openai-b", 3)]);
    assert_eq!(used(&providers, "openai"), expected);
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_own_key_is_bad_parks_nothing_for_others() {
    // Nobody has given it a key, and calls come for its very address: they show their own.
    let providers = Providers::new(["called", "second"]);
    let own = Target::new(&provider("called", &[]), MODEL);
    let route = Route::ordered([own, Target::new(&provider("second", &["main"]), MODEL)]);
    let service = stack(failover(route), limiter([]), &providers);
    for fault in [
        "status=401",
        "insufficient-quota",
        "status=429;retry-after=30",
    ] {
        providers.fault("called", fault);
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.asked(), ["called", "second"], "{fault}");
        providers.at("called").set_faults(Vec::new());
    }
    let entries = providers.at("called").ledger();
    assert!(
        entries
            .entries()
            .iter()
            .all(|entry| &*entry.key == "KEY-of-the-caller")
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_account_of_a_caller_was_told_holds_back_nobody_with_another() {
    let providers = Providers::new(["called"]);
    let route = Route::ordered([Target::new(&provider("called", &[]), MODEL)]);
    let service = stack(failover(route), limiter([]), &providers);
    let rule = tower_quota::sim::FaultRule {
        fault: "status=429;retry-after=30".parse().unwrap(),
        probability: 0.0,
        nth: Some(1),
    };
    providers.at("called").set_faults(vec![rule]);
    let mut hurried = request();
    let options = CallOptions::new().max_wait(Duration::from_secs(5));
    hurried.extensions_mut().insert(options);
    assert_eq!(send(&service, hurried).await.unwrap().status, 429);

    let told = Instant::now();
    let mut other = request();
    let key = "Bearer KEY-of-another".parse().unwrap();
    other.headers_mut().insert("authorization", key);
    let came = send(&service, other).await.unwrap();
    assert_eq!(came.status, 200);
    assert!(told.elapsed() < Duration::from_secs(1), "{came:?}");
    let named = came.attempts.made[0].target.api_key.as_deref().unwrap();
    assert!(named.starts_with("caller-"), "{named}");

    // With the same key it is waited for, whoever calls.
    assert_eq!(send(&service, request()).await.unwrap().status, 200);
    let waited = told.elapsed().as_secs_f64();
    assert!((29.0..32.0).contains(&waited), "{waited}");
    let expected = counts(&[("KEY-of-another", 1), ("KEY-of-the-caller", 2)]);
    assert_eq!(used(&providers, "called"), expected);
}

#[tokio::test(start_paused = true)]
async fn the_label_of_a_target_without_keys_stays_whatever_its_callers_show() {
    let providers = Providers::new(["called"]);
    let labelled = provider("called", &[]).label("east");
    let route = Route::ordered([Target::new(&labelled, MODEL)]);
    let service = stack(failover(route), limiter([]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.status, 200);
    let named = came.attempts.made[0].target.api_key.as_deref();
    assert_eq!(named, Some("east"));
}
