//! Statistics: each attempt once, in the period in which it ends, by every tag; what was refused, by kind; and when
//! budgets end.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::time::{Instant, advance, timeout};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, RetryLayer, Statistics, Tag, Tags,
    Usage,
    limit::{CalendarUnit, Limit, Limits},
    limiter::{Call, QueueOptions},
    pricing::{Price, PriceTable},
    sim::{SimConfig, SimError, SimLimit, Simulator},
    statistics::{Ends, Figures, StatisticsError},
    store::MemoryStore,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Saturday, 28 March 2026, 22:00 in Berlin; clocks go forward in this night.
const EVENING: u64 = 1_774_731_600;
/// What a token in costs, and one out.
const RATES: (u64, u64) = (1_000, 10_000);

fn prices() -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    table.insert(
        "openai",
        "m",
        Price::new("1".parse().unwrap(), "10".parse().unwrap()),
    );
    Arc::new(table)
}

fn limiter(limits: impl IntoIterator<Item = Limit>) -> Limiter {
    Limiter::new(Limits::new(limits).unwrap())
}

fn wide() -> Limit {
    Limit::cost(Money::from_dollars(1_000)).every(DAY)
}

/// By a clock that shows the evening now.
fn statistics() -> Statistics {
    let start = Instant::now();
    let evening = SystemTime::UNIX_EPOCH + Duration::from_secs(EVENING);
    Statistics::new()
        .time_zone("Europe/Berlin")
        .unwrap()
        .wall_clock(move || evening + start.elapsed())
}

fn simulator() -> Simulator {
    Simulator::new(SimConfig {
        chunk_delay: SECOND,
        output_share: 1.0,
        ..SimConfig::default()
    })
}

/// A chat of ten tokens in and so many out.
fn chat(agent: &str, output: u64) -> serde_json::Value {
    json!({
        "model": "m", "max_tokens": output, "user": agent,
        "messages": [{"role": "user", "content": "word".repeat(10)}],
    })
}

fn request(agent: &str, body: &serde_json::Value) -> Request<Full<Bytes>> {
    Request::post("http://sim/v1/chat/completions")
        .extension(Tags::new().with(Tag::Agent, agent).with(Tag::Team, "t"))
        .body(Full::from(body.to_string()))
        .unwrap()
}

async fn ask<S, R>(service: &S, request: Request<Full<Bytes>>) -> u16
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = SimError> + Clone,
    R: http_body::Body<Data = Bytes>,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await;
    status
}

fn cost(input: u64, output: u64) -> Money {
    Money::from_nanos(input * RATES.0 + output * RATES.1)
}

/// Of all calls, in the hour that goes on.
fn all(statistics: &Statistics) -> Figures {
    statistics.report(CalendarUnit::Day, &[]).unwrap().total()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_recorded_once_by_every_tag_with_what_the_provider_said() {
    let (simulator, statistics) = (simulator(), statistics());
    let service = BudgetLayer::new(limiter([wide()]), prices())
        .statistics(statistics.clone())
        .layer(simulator.service());
    for (agent, output) in [("a", 5), ("b", 50), ("a", 7)] {
        assert_eq!(
            ask(&service, request(agent, &chat(agent, output))).await,
            200
        );
    }
    for (tag, value, requests, output) in [
        (Tag::Agent, "a", 2, 12),
        (Tag::Agent, "b", 1, 50),
        (Tag::Model, "m", 3, 62),
        (Tag::Provider, "openai", 3, 62),
        (Tag::Team, "t", 3, 62),
        (Tag::User, "", 3, 62),
    ] {
        for unit in [
            CalendarUnit::Hour,
            CalendarUnit::Day,
            CalendarUnit::Week,
            CalendarUnit::Month,
        ] {
            let report = statistics.report(unit, std::slice::from_ref(&tag)).unwrap();
            let figures = report.of_value(&tag, value);
            assert_eq!(
                (figures.requests, figures.estimated),
                (requests, 0),
                "{tag}"
            );
            assert_eq!((figures.input, figures.output), (10 * requests, output));
            assert_eq!(figures.cost, cost(10 * requests, output), "{tag} {unit}");
        }
    }
    // The dearest first.
    let report = statistics.report(CalendarUnit::Day, &[Tag::Agent]).unwrap();
    let agents: Vec<&str> = report
        .rows
        .iter()
        .map(|row| &*row.tags[&Tag::Agent])
        .collect();
    assert_eq!(agents, ["b", "a"]);
    assert_eq!(report.total(), all(&statistics));
    assert_eq!(statistics.report(CalendarUnit::Day, &[Tag::Run]), None);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_call_counts_and_each_once_in_whatever_order() {
    for order in ["retry outside", "retry inside", "twice"] {
        let simulator = Simulator::new(SimConfig {
            faults: serde_json::from_value(json!([
                {"fault": "status=429;retry-after=1", "nth": 1},
                {"fault": "status=429;retry-after=1", "nth": 2},
            ]))
            .unwrap(),
            output_share: 1.0,
            ..SimConfig::default()
        });
        let (statistics, limiter) = (statistics(), limiter([wide()]));
        let budget = BudgetLayer::new(limiter.clone(), prices()).statistics(statistics.clone());
        let (retry, inner) = (RetryLayer::new(), simulator.service());
        let request = request("a", &chat("a", 5));
        let status = match order {
            "retry outside" => ask(&retry.layer(budget.layer(inner)), request).await,
            "retry inside" => ask(&budget.layer(retry.layer(inner)), request).await,
            // Two gates over two limiters, and one place for what they record.
            _ => {
                let second = BudgetLayer::new(self::limiter([wide()]), prices());
                let second = second.statistics(statistics.clone());
                ask(&retry.layer(budget.layer(second.layer(inner))), request).await
            }
        };
        assert_eq!((status, simulator.ledger().attempts()), (200, 3), "{order}");
        let all = all(&statistics);
        assert_eq!((all.requests, all.input, all.output), (3, 10, 5), "{order}");
        assert_eq!(all.cost, cost(10, 5), "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_hung_up_is_what_was_seen_of_it_and_a_dropped_call_what_was_reserved() {
    let (simulator, statistics) = (simulator(), statistics());
    let service = BudgetLayer::new(limiter([wide()]), prices())
        .statistics(statistics.clone())
        .layer(simulator.service());
    // By its answer the length of tokens is known.
    assert_eq!(ask(&service, request("b", &chat("b", 80))).await, 200);
    let hung_up = || {
        let report = statistics.report(CalendarUnit::Day, &[Tag::Agent]).unwrap();
        report.of_value(&Tag::Agent, "a")
    };
    let mut body = chat("a", 80);
    body["stream"] = true.into();
    let response = service.clone().oneshot(request("a", &body)).await.unwrap();
    let mut stream = response.into_body();
    // The role, and three chunks of eight.
    for _ in 0..4 {
        stream.frame().await.unwrap().unwrap();
    }
    assert_eq!(hung_up(), Figures::default(), "it goes on");
    drop(stream);
    let seen = hung_up();
    assert_eq!((seen.requests, seen.estimated, seen.output), (1, 1, 30));
    // The word `user` is a token as well.
    assert_eq!((seen.input, seen.cost), (11, cost(11, 30)));

    let slow = Simulator::new(SimConfig {
        latency: HOUR,
        ..SimConfig::default()
    });
    let statistics = self::statistics();
    let limiter = limiter([wide()]);
    let service = BudgetLayer::new(limiter.clone(), prices())
        .statistics(statistics.clone())
        .layer(slow.service());
    let call = ask(&service, request("a", &chat("a", 80)));
    assert!(timeout(SECOND, call).await.is_err());
    let figures = all(&statistics);
    assert_eq!(
        (figures.requests, figures.estimated, figures.output),
        (1, 1, 80)
    );
    assert_eq!(figures.cost, limiter.budgets().await.unwrap()[0].settled);
}

#[tokio::test(start_paused = true)]
async fn what_never_left_counts_as_no_request_and_refusals_count_by_kind() {
    let (simulator, statistics) = (simulator(), statistics());
    let limiter = limiter([
        Limit::cost(Money::from_nanos(2_000_000))
            .every(DAY)
            .per(Tag::Agent),
        Limit::requests(2).every(HOUR),
    ]);
    let layer = RateLimitLayer::of(
        RetryLayer::new(),
        AdmissionLayer::new(limiter.clone()).reject_when_full(),
    );
    let budget = BudgetLayer::new(limiter, prices()).patience(Duration::ZERO);
    let service = layer
        .budget(budget)
        .statistics(statistics.clone())
        .layer(simulator.service());
    for (agent, output, expected) in [
        ("a", 100, 200),
        // The most that it may cost is more than what is left; than what there ever is; and no request is left.
        ("a", 100, 402),
        ("a", 500, 413),
        ("b", 10, 200),
        ("b", 10, 429),
        ("b", 10, 429),
    ] {
        let status = ask(&service, request(agent, &chat(agent, output))).await;
        assert_eq!(status, expected, "{agent} {output}");
    }
    let report = statistics
        .report(CalendarUnit::Hour, &[Tag::Agent])
        .unwrap();
    let kinds = |agent: &str| {
        let refused = report.of_value(&Tag::Agent, agent).refused;
        let pairs = refused.into_iter();
        pairs
            .map(|(kind, count)| (kind.into_owned(), count))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds("a"),
        [
            ("budget_exceeded".to_owned(), 1),
            ("never_fits".to_owned(), 1)
        ]
    );
    assert_eq!(kinds("b"), [("rate_limited".to_owned(), 2)]);
    let all = all(&statistics);
    assert_eq!((all.requests, all.all_refused()), (2, 4));
    assert_eq!(simulator.ledger().attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_and_for_a_model_that_has_no_price_tokens_are_counted_all_the_same() {
    let (simulator, statistics) = (simulator(), statistics());
    let service = RateLimitLayer::new(limiter([Limit::concurrency(3)]))
        .statistics(statistics.clone())
        .layer(simulator.service());
    let mut body = chat("a", 5);
    assert_eq!(ask(&service, request("a", &body)).await, 200);
    body["model"] = "gpt-4o".into();
    assert_eq!(ask(&service, request("a", &body)).await, 200);
    let report = statistics.report(CalendarUnit::Day, &[Tag::Model]).unwrap();
    let of = |model| {
        let figures = report.of_value(&Tag::Model, model);
        (figures.requests, figures.tokens(), figures.cost)
    };
    assert_eq!(of("m"), (1, 15, Money::ZERO));
    assert_eq!(
        of("gpt-4o"),
        (1, 15, Money::from_nanos(10 * 2_500 + 5 * 10_000))
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_counts_in_the_period_in_which_it_ends_over_a_night_in_which_clocks_change() {
    let statistics = statistics();
    let simulator = Simulator::new(SimConfig {
        latency: Duration::from_secs(600),
        output_share: 1.0,
        ..SimConfig::default()
    });
    let service = BudgetLayer::new(limiter([wide()]), prices())
        .statistics(statistics.clone())
        .layer(simulator.service());
    // From 22:00 on Saturday to 23:00 on Sunday: 24 hours, of which two are Saturday's. Each ends ten minutes later.
    for _ in 0..24 {
        assert_eq!(ask(&service, request("a", &chat("a", 1))).await, 200);
        advance(HOUR - Duration::from_secs(600)).await;
    }
    advance(HOUR - Duration::from_secs(1)).await;
    let counts = |unit| -> Vec<u64> {
        let reports = statistics.reports(unit, &[Tag::Agent]).unwrap();
        reports
            .iter()
            .map(|report| report.of_value(&Tag::Agent, "a").requests)
            .collect()
    };
    assert_eq!(counts(CalendarUnit::Day), [2, 22]);
    assert_eq!(counts(CalendarUnit::Week), [24]);
    assert_eq!(counts(CalendarUnit::Hour), [&[1; 24][..], &[0]].concat());
    // It is 23:59:59; this one ends after midnight, on Monday, and so in another week of the same month.
    assert_eq!(ask(&service, request("a", &chat("a", 1))).await, 200);
    assert_eq!(counts(CalendarUnit::Day), [2, 22, 1]);
    assert_eq!(counts(CalendarUnit::Week), [24, 1]);
    assert_eq!(counts(CalendarUnit::Month), [25]);
    let days = statistics.reports(CalendarUnit::Day, &[]).unwrap();
    let length = |day: usize| days[day].end.duration_since(days[day].start).unwrap();
    assert_eq!((length(0), length(1), length(2)), (DAY, 23 * HOUR, DAY));
}

#[tokio::test(start_paused = true)]
async fn they_go_through_json_under_stable_names_and_on_where_they_were() {
    let statistics = statistics().by(&[Tag::Team, Tag::Model]);
    let tags = Tags::new().with(Tag::Model, "m").with(Tag::Team, "t");
    let mut usage = Usage::new(100, 20);
    (usage.cache_read, usage.reasoning) = (40, 5);
    usage.cost = Some(Money::from_nanos(1_500_000_000));
    statistics.record(&tags, &usage);
    let report = statistics.report(CalendarUnit::Hour, &[Tag::Model, Tag::Team]);
    assert_eq!(
        serde_json::to_value(report.unwrap()).unwrap(),
        json!({
            "start": "2026-03-28T21:00:00Z",
            "end": "2026-03-28T22:00:00Z",
            "rows": [{
                "tags": {"model": "m", "team": "t"},
                "requests": 1, "estimated": 0, "input": 100, "cache_read": 40, "cache_write": 0,
                "output": 20, "reasoning": 5, "cost": "1.50", "refused": {},
            }],
            "others": {
                "requests": 0, "estimated": 0, "input": 0, "cache_read": 0, "cache_write": 0,
                "output": 0, "reasoning": 0, "cost": "0.00", "refused": {},
            },
        })
    );
    advance(2 * HOUR).await;
    statistics.record(&tags, &usage);
    let text = serde_json::to_string(&statistics).unwrap();
    let read = || serde_json::from_str(&text).unwrap();
    let other = Statistics::new().restore(read()).unwrap_err();
    assert!(matches!(other, StatisticsError::TimeZone { .. }), "{other}");

    let again = self::statistics().restore(read()).unwrap();
    assert_eq!(again.snapshot(), statistics.snapshot());
    for statistics in [&statistics, &again] {
        statistics.record(&tags, &usage);
    }
    for unit in [CalendarUnit::Hour, CalendarUnit::Month] {
        for by in [&[][..], &[Tag::Model], &[Tag::Team, Tag::Model]] {
            let (one, other) = (statistics.reports(unit, by), again.reports(unit, by));
            assert_eq!(one.unwrap().len(), other.as_ref().unwrap().len());
            assert_eq!(statistics.reports(unit, by), other);
        }
    }
    assert_eq!(
        again
            .report(CalendarUnit::Month, &[])
            .unwrap()
            .total()
            .requests,
        3
    );

    let mut damaged: serde_json::Value = serde_json::from_str(&text).unwrap();
    damaged["days"][0]["tables"][1]["rows"][0]["values"] = json!([]);
    let damaged = serde_json::from_value(damaged).unwrap();
    let error = self::statistics().restore(damaged).unwrap_err();
    assert!(
        error.to_string().contains("2026-03-27T23:00:00Z"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_remains_of_each_budget_and_when_it_ends_at_the_pace_of_the_last_half_hour() {
    let (start, evening) = (
        Instant::now(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(EVENING),
    );
    let limits = Limits::new([
        // Two hours until midnight, and then a day of 23.
        Limit::cost(Money::from_dollars(9)).every_calendar(CalendarUnit::Day, "Europe/Berlin"),
        Limit::cost(Money::from_dollars(151))
            .every_calendar(CalendarUnit::Week, "Europe/Berlin")
            .shadow(),
        Limit::cost(Money::from_dollars(5))
            .every_run()
            .when(Tag::Team, "t"),
    ])
    .unwrap();
    let store = MemoryStore::new(limits).wall_clock(move || evening + start.elapsed());
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let statistics = statistics();
    let _layer = BudgetLayer::new(limiter.clone(), prices()).statistics(statistics.clone());
    let budgets = limiter.budgets().await.unwrap();
    assert_eq!(budgets.len(), 2, "no run has come yet");
    assert!(
        statistics
            .forecast(&budgets)
            .iter()
            .all(|budget| budget.ends == Ends::Never)
    );

    // A dollar every ten minutes; the second run does nothing but reserve.
    let spend = async |run: &str, settles: bool| {
        let tags = Tags::new().with(Tag::Team, "t").with(Tag::Run, run);
        let call = Call::new().tags(tags.clone()).cost(Money::from_dollars(1));
        let permit = limiter.acquire(call).await.unwrap();
        if !settles {
            return Some(permit);
        }
        let mut usage = Usage::new(1, 1);
        usage.cost = Some(Money::from_dollars(1));
        statistics.record(&tags, &usage);
        permit.settle(usage);
        None
    };
    for _ in 0..3 {
        spend("1", true).await;
        advance(Duration::from_secs(600)).await;
    }
    let open = spend("2", false).await;
    // What is left is counted by the half hour that has just passed: six dollars an hour.
    let forecasts = statistics.forecast(&limiter.budgets().await.unwrap());
    let told: Vec<_> = forecasts
        .iter()
        .map(|told| (&*told.budget, told.left, told.pace_per_hour, told.ends))
        .collect();
    let now = evening + start.elapsed();
    let after = |minutes: u64| Ends::At(now + Duration::from_secs(60 * minutes));
    let dollars = Money::from_dollars;
    assert_eq!(
        told,
        [
            (
                "cost $9.00/calendar day in Europe/Berlin",
                dollars(5),
                dollars(6),
                after(60)
            ),
            // It would last for 24 hours and 40 minutes, and in ten less than that another week begins.
            (
                "cost $151.00/calendar week in Europe/Berlin (shadow)",
                dollars(147),
                dollars(6),
                Ends::Never
            ),
            (
                "cost $5.00/run for team=t, run=1",
                dollars(2),
                dollars(6),
                after(20)
            ),
            (
                "cost $5.00/run for team=t, run=2",
                dollars(4),
                Money::ZERO,
                Ends::Never
            ),
        ]
    );
    // An hour without a call, and none of them ends any more.
    advance(HOUR).await;
    let forecasts = statistics.forecast(&limiter.budgets().await.unwrap());
    assert!(forecasts.iter().all(|told| told.ends == Ends::Never));
    let json = serde_json::to_value(&forecasts[0]).unwrap();
    assert_eq!(
        (&json["left"], &json["ends"]),
        (&json!("5.00"), &json!("never"))
    );
    drop(open);
    // Past midnight all of the day's money is there again, and what was held has been spent for good.
    advance(HOUR).await;
    let budgets = limiter.budgets().await.unwrap();
    assert_eq!(
        (budgets[0].settled, budgets[0].left()),
        (Money::ZERO, dollars(9))
    );
    assert_eq!(budgets[3].settled, dollars(1));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_refuses_uses_nothing_and_its_refusals_are_requests() {
    let simulator = Simulator::new(SimConfig {
        limits: vec![SimLimit::requests(1, HOUR)],
        output_share: 1.0,
        ..SimConfig::default()
    });
    let statistics = statistics();
    let service = BudgetLayer::new(limiter([wide()]), prices())
        .statistics(statistics.clone())
        .layer(simulator.service());
    assert_eq!(ask(&service, request("a", &chat("a", 5))).await, 200);
    assert_eq!(ask(&service, request("a", &chat("a", 5))).await, 429);
    let all = all(&statistics);
    assert_eq!((all.requests, all.output, all.all_refused()), (2, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn budgets_stand_each_value_apart_and_those_that_share_a_count_as_one() {
    let dollars = Money::from_dollars;
    let limits = Limits::new([
        Limit::cost(dollars(5))
            .every(DAY)
            .per(Tag::Agent)
            .amount_for("rich", 9_000_000_000),
        Limit::cost(dollars(7))
            .every(HOUR)
            .when_any(Tag::Model, ["m", "n"]),
        Limit::requests(9).every(HOUR),
    ]);
    let store = MemoryStore::new(limits.unwrap()).max_counts(2);
    let limiter = Limiter::build(Arc::new(store), QueueOptions::new());
    let statistics = statistics();
    let _layer = BudgetLayer::new(limiter.clone(), prices()).statistics(statistics.clone());
    let mut held = Vec::new();
    for agent in ["a", "rich", "b", "c"] {
        let tags = Tags::new().with(Tag::Agent, agent).with(Tag::Model, "m");
        let call = Call::new().tags(tags).cost(dollars(1));
        held.push(limiter.acquire(call).await.unwrap());
    }
    let budgets = limiter.budgets().await.unwrap();
    let told: Vec<_> = budgets
        .iter()
        .map(|budget| (&*budget.budget, budget.amount, budget.reserved))
        .collect();
    let others = "cost $5.00/day for agent=(all others: too many values to count apart)";
    let shared = told.iter().find(|(words, ..)| *words == others).unwrap();
    assert!(shared.2 > Money::ZERO, "{told:?}");
    let rich = told.iter().find(|(words, ..)| words.contains("agent=rich"));
    assert_eq!(rich.unwrap().1, dollars(9));
    let both = ("cost $7.00/hour for model=m|n", dollars(7), dollars(4));
    assert_eq!(told.last(), Some(&both));
    let sum = |of_agents: bool| -> Money {
        let own = told
            .iter()
            .filter(|(words, ..)| words.contains("agent=") == of_agents);
        own.map(|(_, _, reserved)| *reserved).sum()
    };
    assert_eq!((sum(true), sum(false)), (dollars(4), dollars(4)));
    // Whose pace would that be?
    let forecasts = statistics.forecast(&budgets);
    assert_eq!(forecasts.len(), budgets.len() - 1);
    assert!(forecasts.iter().all(|told| told.budget != others));

    let mut usage = Usage::new(1, 1);
    usage.cost = Some(dollars(1));
    for model in ["m", "n", "o"] {
        statistics.record(&Tags::new().with(Tag::Model, model), &usage);
    }
    advance(Duration::from_secs(600)).await;
    let forecasts = statistics.forecast(&budgets);
    assert_eq!(
        forecasts.last().unwrap().pace_per_hour,
        dollars(12),
        "of m and n"
    );
}
