//! Which limits a provider's counters are about.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use tower_quota::{
    Limiter, Tag, Tags,
    limit::{Count, Limit},
    limiter::Call,
    store::Observation,
    wire::rate_limits,
};

use crate::work::{MINUTE, limiter};

/// What is kept free for others under each limit after one call, whose answer has these headers.
async fn others(
    limits: impl IntoIterator<Item = Limit>,
    provider: &str,
    headers: &[(&'static str, &str)],
) -> Vec<(String, u64)> {
    let tags = Tags::new().with(Tag::Provider, provider);
    others_with(tags, limits, headers).await
}

/// The same of a call with these tags, among them its provider.
async fn others_with(
    tags: Tags,
    limits: impl IntoIterator<Item = Limit>,
    headers: &[(&'static str, &str)],
) -> Vec<(String, u64)> {
    let (limiter, store): (Limiter, _) = limiter(limits, true);
    let provider = tags.get(&Tag::Provider).unwrap().to_owned();
    let tags = tags.with(Tag::Model, "m").with(Tag::Agent, "a");
    let permit = limiter.acquire(Call::new().tags(tags).tokens(10, 10)).await;
    let permit = permit.unwrap();
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    let shown = rate_limits(&provider, &headers, SystemTime::now());
    assert!(!shown.is_empty(), "{headers:?}");
    permit.observe(&Observation::Counters {
        shown,
        refused: false,
    });
    let learnt = store.learnt().into_iter();
    learnt.map(|learnt| (learnt.limit, learnt.others)).collect()
}

fn requests(amount: u64, every: Duration) -> Limit {
    Limit::requests(amount).every(every).when(Tag::Model, "m")
}

/// 100 a minute, of which 40 were used before and one by us: as a bucket tells it.
const MINUTELY: &[(&str, &str)] = &[
    ("x-ratelimit-limit-requests", "100"),
    ("x-ratelimit-remaining-requests", "59"),
    ("x-ratelimit-reset-requests", "24.6s"),
];

/// The same without the reset, by which the period is known.
const TIMELESS: &[(&str, &str)] = &[
    ("x-ratelimit-limit-requests", "100"),
    ("x-ratelimit-remaining-requests", "59"),
];

fn named(limit: &str, others: u64) -> Vec<(String, u64)> {
    vec![(limit.to_owned(), others)]
}

#[tokio::test(start_paused = true)]
async fn counters_are_about_limits_of_their_quantity_and_period() {
    let hour = 60 * MINUTE;
    let all = || {
        [
            requests(100, MINUTE),
            requests(1_000, hour),
            Limit::tokens(100).every(MINUTE).when(Tag::Model, "m"),
        ]
    };
    let minute = named("requests 100/min for model=m", 40);
    assert_eq!(others(all(), "openai", MINUTELY).await, minute);
    assert_eq!(
        others(all(), "openai", TIMELESS).await,
        minute,
        "by its amount"
    );
    let day = &[
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-requests", "59"),
    ];
    assert_eq!(others(all(), "groq", day).await, [], "requests of a day");
    let either = [requests(90, MINUTE), requests(900, hour)];
    assert_eq!(
        others(either, "openai", TIMELESS).await,
        [],
        "no telling which"
    );
    let only = [requests(90, MINUTE)];
    let lower = named("requests 90/min for model=m", 30);
    assert_eq!(others(only, "openai", TIMELESS).await, lower, "59 remain");
}

#[tokio::test(start_paused = true)]
async fn counters_of_one_model_are_about_limits_on_several_only_where_they_are_those() {
    let over_all = |amount| [Limit::requests(amount).every(MINUTE)];
    let same = named("requests 100/min", 40);
    assert_eq!(others(over_all(100), "openai", MINUTELY).await, same);
    assert_eq!(others(over_all(150), "openai", MINUTELY).await, []);
    let per_model = [Limit::requests(150).every(MINUTE).per(Tag::Model)];
    let own = named("requests 150/min for model=m", 90);
    assert_eq!(others(per_model, "openai", MINUTELY).await, own);
}

#[tokio::test(start_paused = true)]
async fn counters_of_a_callers_own_key_are_about_limits_on_keys_alone() {
    let with = |key: &str| {
        let tags = Tags::new().with(Tag::Provider, "openai");
        tags.with(Tag::ApiKey, key)
    };
    let own = || with("caller-0123456789ab");
    let all = || [requests(100, MINUTE)];
    assert_eq!(others_with(own(), all(), MINUTELY).await, []);
    let of_each = [requests(100, MINUTE).per(Tag::ApiKey)];
    let its_own = named(
        "requests 100/min for model=m, api_key=caller-0123456789ab",
        40,
    );
    assert_eq!(others_with(own(), of_each, MINUTELY).await, its_own);
    for ours in ["main", "caller-1", "caller-0123456789ax"] {
        let known = named("requests 100/min for model=m", 40);
        assert_eq!(others_with(with(ours), all(), MINUTELY).await, known);
    }
}

#[tokio::test(start_paused = true)]
async fn headroom_is_left_beside_what_others_use() {
    let limit = [requests(100, MINUTE).headroom(0.9)];
    let (name, used) = &others(limit, "openai", MINUTELY).await[0];
    assert_eq!(
        (name.as_str(), *used),
        ("requests 90/min (0.9 of 100) for model=m", 40)
    );
}

#[tokio::test(start_paused = true)]
async fn counters_are_never_about_limits_that_are_ours() {
    for limit in [
        requests(100, MINUTE).per(Tag::Agent),
        requests(100, MINUTE).count(Count::Calls),
        requests(100, MINUTE).shadow(),
        Limit::requests(100).every(MINUTE).when(Tag::Agent, "a"),
        Limit::requests(100).every_run(),
        Limit::concurrency(100),
    ] {
        assert_eq!(
            others([limit.clone()], "openai", MINUTELY).await,
            [],
            "{limit}"
        );
    }
    let sliced = requests(100, MINUTE).slice(Duration::from_secs(1));
    let whole = named("requests 100/min for model=m", 40);
    assert_eq!(
        others([sliced], "openai", MINUTELY).await,
        whole,
        "not of a slice"
    );
}

/// Several limits on one thing: the tightest holds.
#[tokio::test(start_paused = true)]
async fn of_several_counters_of_one_limit_the_tightest_holds() {
    let tokens = Limit::tokens(1_000).every(MINUTE).when(Tag::Model, "m");
    let both = &[
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "950"),
        ("x-ratelimit-limit-project-tokens", "1000"),
        ("x-ratelimit-remaining-project-tokens", "450"),
    ];
    let tightest = named("tokens 1000/min for model=m", 530);
    assert_eq!(others([tokens], "openai", both).await, tightest);
}
