//! What is parked is used again when somebody says so.

use std::time::Duration;

use tower_quota::{
    Tag, Tags,
    failover::{BreakerOptions, Route, Target},
};

use crate::providers::{
    Heard, MODEL, Providers, failover, limiter, provider, request, send, stack, target,
};

fn two() -> Route {
    Route::ordered([target("first"), target("second")])
}

fn of(provider: &str) -> Tags {
    Tags::new().with(Tag::Provider, provider)
}

/// F6: an account without money is used at once when it has some.
#[tokio::test(start_paused = true)]
async fn an_account_that_was_topped_up_is_used_at_once_and_that_is_told_once() {
    let (providers, heard) = (Providers::new(["first", "second"]), Heard::default());
    let layer = failover(two()).on_event(heard.listener());
    assert_eq!(layer.unpark(&of("first")), 0, "nobody has asked it yet");
    let service = stack(layer.clone(), limiter([]), &providers);
    providers.fault("first", "insufficient-quota");
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["first", "second"]);
    providers.at("first").set_faults(Vec::new());
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["second"], "it is parked");

    let mini = of("first").with(Tag::Model, "gpt-5.4-mini");
    let other_key = of("first").with(Tag::ApiKey, "other");
    let of_scout = of("first").with(Tag::Agent, "scout");
    for other in [of("second"), of("third"), mini, other_key, of_scout] {
        assert_eq!(layer.unpark(&other), 0, "{other}");
    }
    let another = layer.clone().on_event(|_| {});
    assert_eq!(another.unpark(&of("first")), 0);
    assert_eq!(heard.all().len(), 1, "{:?}", heard.all());
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["second"], "it is parked still");

    let all_of_it = of("first").with(Tag::Model, MODEL);
    assert_eq!(layer.unpark(&all_of_it.with(Tag::ApiKey, "main")), 1);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["first"]);
    assert_eq!(layer.unpark(&of("first")), 0, "it is parked no more");
    assert_eq!(
        heard.all()[1..],
        ["first/gpt-5.5 (main) is parked no more; that was taken back by hand"]
    );

    // What was topped up with too little is parked anew.
    providers.fault("first", "insufficient-quota");
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["first", "second"]);
    assert_eq!(heard.all().len(), 3, "{:?}", heard.all());
    // When its time is over there is nothing to take back.
    tokio::time::sleep(Duration::from_secs(3_601)).await;
    assert_eq!(layer.unpark(&of("first")), 0);
    assert_eq!(heard.all().len(), 3, "{:?}", heard.all());
}

#[tokio::test(start_paused = true)]
async fn all_that_share_the_account_are_used_with_it_and_no_other() {
    let (providers, heard) = (Providers::new(["openai", "other"]), Heard::default());
    let openai = provider("openai", &["main"]);
    let route = Route::ordered([
        Target::new(&openai, MODEL),
        Target::new(&openai, "gpt-5.4-mini"),
        target("other"),
    ]);
    for host in ["openai", "other"] {
        providers.fault(host, "insufficient-quota");
    }
    let layer = failover(route).on_event(heard.listener());
    let service = stack(layer.clone(), limiter([]), &providers);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["openai", "other"]);
    for host in ["openai", "other"] {
        providers.at(host).set_faults(Vec::new());
    }
    assert_eq!(send(&service, request()).await.unwrap().status, 503);

    let mini = of("openai").with(Tag::Model, "gpt-5.4-mini");
    assert_eq!(layer.unpark(&mini), 2);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["openai"]);
    let entries = providers.at("openai").ledger();
    let models = entries.entries().iter().map(|entry| &*entry.model);
    assert_eq!(models.collect::<Vec<&str>>(), [MODEL, MODEL]);
    // Without a tag it is about all of them: the other was parked until now.
    assert_eq!(layer.unpark(&Tags::new()), 1);
    assert_eq!(
        heard.all()[2..],
        [
            "openai/gpt-5.4-mini (main) is parked no more; that was taken back by hand",
            "openai/gpt-5.5 (main) is parked no more; that was taken back by hand",
            "other/gpt-5.5 (main) is parked no more; that was taken back by hand",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn one_key_that_was_put_right_is_used_and_the_other_is_not() {
    let providers = Providers::new(["openai"]);
    let openai = provider("openai", &["a", "b"]);
    let layer = failover(Route::ordered([Target::new(&openai, MODEL)]));
    let service = stack(layer.clone(), limiter([]), &providers);
    // A 401 is about the account, a 403 about the target alone.
    for (fault, attempts) in [("status=401", 2), ("status=403;code=permission_denied", 5)] {
        providers.fault("openai", fault);
        assert_eq!(send(&service, request()).await.unwrap().status, 503);
        assert_eq!(providers.attempts("openai"), attempts, "{fault}");
        providers.at("openai").set_faults(Vec::new());
        let b = of("openai").with(Tag::ApiKey, "b");
        assert_eq!(layer.unpark(&b), 1, "{fault}");
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
        let ledger = providers.at("openai").ledger();
        let last = ledger.entries().last().unwrap();
        assert_eq!(last.key.as_ref(), "KEY-openai-b", "{fault}");
        assert_eq!(layer.unpark(&of("openai")), 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_serves_only_when_a_budget_is_nearly_spent_is_used_again_too() {
    let providers = Providers::new(["first", "second"]);
    let route = Route::ordered([target("first")]).degraded(0.9, [target("second")]);
    let layer = failover(route);
    let service = stack(layer.clone(), limiter([]), &providers);
    for host in ["first", "second"] {
        providers.fault(host, "insufficient-quota");
    }
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["first", "second"]);
    providers.at("second").set_faults(Vec::new());
    assert_eq!(layer.unpark(&of("second")), 1);
    let came = send(&service, request()).await.unwrap();
    assert_eq!(came.asked(), ["second"]);
}

#[tokio::test(start_paused = true)]
async fn breakers_and_told_waits_are_left_to_end_by_themselves() {
    for fault in ["status=500", "status=429;retry-after=30"] {
        let (providers, heard) = (Providers::new(["first", "second"]), Heard::default());
        let breaker = BreakerOptions::new().failures(1);
        let layer = failover(two()).breaker(breaker).on_event(heard.listener());
        let service = stack(layer.clone(), limiter([]), &providers);
        providers.fault("first", fault);
        assert_eq!(send(&service, request()).await.unwrap().status, 200);
        providers.at("first").set_faults(Vec::new());
        let told = heard.all();
        assert_eq!(layer.unpark(&Tags::new()), 0, "{fault}");
        assert_eq!(heard.all(), told, "{fault}");
        let came = send(&service, request()).await.unwrap();
        assert_eq!(came.asked(), ["second"], "{fault}");
    }
}
