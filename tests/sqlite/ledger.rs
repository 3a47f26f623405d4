//! The ledger: a row an attempt, sums that are those of the rows, reports, retention, the audit log.
#![cfg(all(feature = "sqlite", feature = "sim"))]

use crate::folder;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use folder::Folder;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use rusqlite::Connection;
use serde_json::json;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, BudgetLayer, Limiter, Money, RateLimitLayer, RetryLayer, Tag, Tags, Usage,
    limit::{Demand, Limit, Limits, Quantities},
    limiter::{Call, QueueOptions},
    pricing::{Price, PriceTable},
    scope,
    sim::{SimConfig, SimError, Simulator},
    store::{
        Claim, Correction, Decision, Settlement, SqliteStore, Store as _,
        sqlite::{Ledger, Query, Retention, SqliteOptions},
    },
};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// Midnight in UTC.
pub(crate) const START: u64 = 1_790_035_200;

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds)
}

fn budget() -> Limit {
    Limit::cost(Money::from_dollars(100)).every(HOUR * 24)
}

fn open(path: &Path) -> Arc<SqliteStore> {
    let limits = Limits::new([budget(), Limit::requests(500).every(HOUR)]).unwrap();
    Arc::new(SqliteStore::open(path, limits).unwrap())
}

fn limiter(store: &Arc<SqliteStore>) -> Limiter {
    Limiter::build(store.clone(), QueueOptions::new())
}

fn prices() -> Arc<PriceTable> {
    let mut table = PriceTable::new();
    table.insert(
        "openai",
        "m",
        Price::new("1".parse().unwrap(), "10".parse().unwrap()),
    );
    Arc::new(table)
}

fn chat(output: u64) -> Request<Full<Bytes>> {
    let body = json!({
        "model": "m", "max_tokens": output,
        "messages": [{"role": "user", "content": "the secret of the prompt".repeat(10)}],
    });
    Request::post("http://sim/v1/chat/completions")
        .extension(
            Tags::new()
                .with(Tag::Agent, "scout")
                .with(Tag::Run, "r1")
                .with("tenant", "acme"),
        )
        .body(Full::from(body.to_string()))
        .unwrap()
}

fn claim(name: &str) -> Claim {
    Claim::new(
        Tags::new().with(Tag::Agent, name).with(Tag::Run, name),
        Demand::default(),
    )
}

async fn ask<S, R>(service: &S, request: Request<Full<Bytes>>) -> u16
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<R>, Error = SimError> + Clone,
    R: http_body::Body<Data = Bytes>,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let _ = response.into_body().collect().await;
    status
}

pub(crate) fn rows(path: &Path, sql: &str) -> Vec<Vec<String>> {
    let conn = Connection::open(path).unwrap();
    let mut query = conn.prepare(sql).unwrap();
    let columns = query.column_count();
    let text = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Null => "-".to_owned(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    query
        .query_map([], |row| {
            (0..columns).map(|at| Ok(text(row.get(at)?))).collect()
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The sums of hours, and the same from the rows.
fn sums(path: &Path) -> [Vec<Vec<String>>; 2] {
    [
        "SELECT hour, tags, attempts, estimated, unknown, unpriced, input, cache_read, cache_write, output, reasoning, cost
         FROM hour ORDER BY hour, tags",
        "SELECT (id >> 20) / 3600000 AS hour, tags, count(*), sum(usage = 2), sum(usage = 0), sum(cost IS NULL), sum(input),
         sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(ifnull(cost, 0))
         FROM attempt WHERE status <> 0 GROUP BY 1, 2 ORDER BY 1, 2",
    ]
    .map(|sql| rows(path, sql))
}

/// S6: the ledger answers cost questions.
#[tokio::test(start_paused = true)]
async fn an_attempt_is_one_row_whichever_gates_claim_for_it_and_in_whatever_order() {
    for order in ["paved", "budget inside", "retry inside", "admission alone"] {
        let folder = Folder::new();
        let path = folder.file("ledger.db");
        let store = open(&path);
        let limiter = limiter(&store);
        let simulator = Simulator::new(SimConfig {
            faults: serde_json::from_value(
                json!([{"fault": "status=429;retry-after=1", "nth": 1}]),
            )
            .unwrap(),
            output_share: 1.0,
            ..SimConfig::default()
        });
        let (admission, budget) = (
            AdmissionLayer::new(limiter.clone()),
            BudgetLayer::new(limiter.clone(), prices()),
        );
        let (retry, inner) = (RetryLayer::new(), simulator.service());
        let status = match order {
            "paved" => {
                let layers = RateLimitLayer::new(limiter.clone()).budget(budget);
                ask(&layers.layer(inner), chat(7)).await
            }
            "budget inside" => {
                ask(&retry.layer(admission.layer(budget.layer(inner))), chat(7)).await
            }
            "retry inside" => {
                ask(&budget.layer(admission.layer(retry.layer(inner))), chat(7)).await
            }
            _ => ask(&retry.layer(admission.layer(inner)), chat(7)).await,
        };
        assert_eq!((status, simulator.ledger().attempts()), (200, 2), "{order}");
        store.flush().await.unwrap();
        let found = rows(
            &path,
            "SELECT status, usage, provider, model, agent, run, tags ->> '$.tenant', output_tokens, cost_nanos FROM attempts",
        );
        let refused_cost = if order == "admission alone" { "-" } else { "0" };
        let billed = simulator.ledger().billed();
        let cost = (billed.input * 1_000 + billed.output * 10_000).to_string();
        let cost = if order == "admission alone" {
            "-".to_owned()
        } else {
            cost
        };
        let tags = ["openai", "m", "scout", "r1", "acme"];
        let row = |output: &str, cost: &str| {
            let row = ["settled", "reported"]
                .into_iter()
                .chain(tags)
                .chain([output, cost]);
            row.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut found: Vec<Vec<String>> = found;
        // Whether a refusal is its provider's last word, nobody says.
        found[0][1] = "reported".into();
        assert_eq!(found, [row("0", refused_cost), row("7", &cost)], "{order}");
        let [hours, recounted] = sums(&path);
        assert_eq!(hours, recounted, "{order}");
        assert_eq!(
            hours.iter().map(|hour| &*hour[2]).collect::<Vec<_>>(),
            ["2"],
            "{order}"
        );
        // Not a word of the prompt, in any file.
        drop((limiter, store));
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let prompt = b"the secret of the prompt";
            assert!(!bytes.windows(prompt.len()).any(|part| part == prompt));
        }
    }
}

/// B13: what a model without a price costs, nobody knows.
#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_is_no_model_that_costs_nothing() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let store = open(&path);
    let (limiter, simulator) = (limiter(&store), Simulator::new(SimConfig::default()));
    let budget = BudgetLayer::new(limiter.clone(), Arc::default()).allow_unknown_prices();
    let layers = RateLimitLayer::new(limiter).budget(budget);
    let status = ask(&layers.layer(simulator.service()), chat(7)).await;
    assert_eq!(status, 200);
    store.flush().await.unwrap();
    let query = "SELECT status, usage, cost_nanos FROM attempts";
    assert_eq!(rows(&path, query), [["settled", "reported", "-"]]);
    let query = "SELECT attempts, unpriced, cost_nanos FROM hours";
    assert_eq!(rows(&path, query), [["1", "1", "0"]]);
}

/// Of a stream that was hung up on before anything was seen of it: admission estimates no output, money takes what was
/// reserved.
#[tokio::test(start_paused = true)]
async fn an_estimate_that_money_does_not_go_by_is_not_in_the_ledger() {
    let demand = Demand {
        input: 10,
        output: 7,
        cost: 80_000,
        ..Demand::default()
    };
    let mut estimate = Usage::new(9, 0);
    estimate.estimated = true;
    let mut reported = Usage::new(9, 3);
    reported.cache_read = 2;
    for (admission, expected) in [
        (estimate, ["unknown", "10", "7", "80000"]),
        (reported, ["reported", "9", "3", "80000"]),
    ] {
        for is_money_last in [true, false] {
            let folder = Folder::new();
            let path = folder.file("ledger.db");
            let store = open(&path);
            let mut open = Vec::new();
            for (quantities, settlement) in [
                (Quantities::ADMISSION, Settlement::Usage(admission)),
                (Quantities::BUDGET, Settlement::Unknown),
            ] {
                let claim = Claim {
                    quantities,
                    attempt: 1,
                    ..Claim::new(Tags::new(), demand)
                };
                let Decision::Granted(grant) = store.claim(&claim).get().await.unwrap() else {
                    panic!("there is room");
                };
                open.push((grant, settlement));
            }
            if !is_money_last {
                open.reverse();
            }
            for (grant, settlement) in open {
                store.settle(grant, settlement).get().await.unwrap();
            }
            store.flush().await.unwrap();
            let query = "SELECT usage, input_tokens, output_tokens, cost_nanos FROM attempts";
            assert_eq!(rows(&path, query), [expected], "{is_money_last}");
            let [hours, recounted] = sums(&path);
            assert_eq!(hours, recounted);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_released_is_no_row_and_what_is_open_says_so() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let store = open(&path);
    let limiter = limiter(&store);
    limiter.acquire(Call::new()).await.unwrap().release();
    let open = limiter
        .acquire(Call::new().tokens(10, 5).cost(Money::from_dollars(1)))
        .await
        .unwrap();
    store.flush().await.unwrap();
    let status = || {
        rows(
            &path,
            "SELECT status, usage, input_tokens, cost_nanos FROM attempts",
        )
    };
    assert_eq!(status(), [["open", "-", "0", "-"]]);
    assert_eq!(
        store
            .ledger()
            .unwrap()
            .report(&Query::new())
            .unwrap()
            .totals
            .attempts,
        0
    );
    drop(open);
    store.flush().await.unwrap();
    assert_eq!(status(), [["settled", "unknown", "10", "1000000000"]]);
    let totals = store
        .ledger()
        .unwrap()
        .report(&Query::new())
        .unwrap()
        .totals;
    assert_eq!((totals.attempts, totals.unknown, totals.input), (1, 1, 10));
    assert_eq!(totals.cost, Money::from_dollars(1));
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_has_lost_counts_as_reserved_and_is_told_of() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let store = open(&path);
    let limiter_before = limiter(&store);
    let tags = Tags::new().with(Tag::Agent, "scout");
    let call = Call::new()
        .tags(tags)
        .tokens(10, 5)
        .cost(Money::from_dollars(2));
    let held = limiter_before.acquire(call.clone()).await.unwrap();
    limiter_before
        .acquire(call)
        .await
        .unwrap()
        .settle(Usage::new(3, 4));
    store.flush().await.unwrap();
    let left = folder.copy(&path, "left.db");
    let store = open(&left);
    assert_eq!(store.lost(), 1);
    let status = rows(
        &left,
        "SELECT status, usage, agent, input_tokens, cost_nanos FROM attempts",
    );
    assert_eq!(
        status,
        [
            ["lost", "unknown", "scout", "10", "2000000000"],
            ["settled", "reported", "scout", "3", "2000000000"]
        ]
    );
    let [hours, recounted] = sums(&left);
    assert_eq!(hours, recounted);
    let audit = store.ledger().unwrap().audit().unwrap();
    assert_eq!(
        (&*audit[0].what, audit[0].old.as_deref()),
        ("recover", Some("1 open"))
    );
    // Nothing is lost twice.
    drop(store);
    assert_eq!(open(&left).lost(), 0);
    drop(held);
}

/// A store whose clock on the wall is set by hand.
fn clocked(path: &Path) -> (Arc<SqliteStore>, Arc<AtomicU64>) {
    clocked_from(path, 0)
}

/// The same, which shows so many seconds after the start at first.
pub(crate) fn clocked_from(path: &Path, seconds: u64) -> (Arc<SqliteStore>, Arc<AtomicU64>) {
    let millis = Arc::new(AtomicU64::new((START + seconds) * 1_000));
    let shown = millis.clone();
    let limits = Limits::new([budget()]).unwrap();
    let store = SqliteOptions::new(path, limits)
        .by("the operator")
        .wall_clock(move || {
            SystemTime::UNIX_EPOCH + Duration::from_millis(shown.load(Ordering::Relaxed))
        })
        .open()
        .unwrap();
    (Arc::new(store), millis)
}

/// Two days of attempts, and what they come to by the plainest rule.
async fn load(store: &Arc<SqliteStore>, millis: &AtomicU64) -> Vec<(u64, Tags, Usage)> {
    let mut random = fastrand::Rng::with_seed(5);
    let mut all = Vec::new();
    for _ in 0..2_000 {
        let seconds = random.u64(..172_800_000);
        millis.store(START * 1_000 + seconds, Ordering::Relaxed);
        let mut tags = Tags::new()
            .with(Tag::Model, ["large", "small", "tiny"][random.usize(..3)])
            .with(Tag::Run, format!("run {}", random.u8(..50)));
        if random.bool() {
            tags.set(Tag::Agent, ["scout", "a,\"b\""][random.usize(..2)]);
        }
        if random.bool() {
            tags.set("tenant", ["acme", "other"][random.usize(..2)]);
        }
        let mut usage = Usage::new(random.u64(..1_000), random.u64(..1_000));
        (usage.cache_read, usage.reasoning) = (usage.input / 2, usage.output / 3);
        usage.cost = (random.u8(..5) > 0).then(|| Money::from_nanos(random.u64(..10_000_000)));
        usage.estimated = random.u8(..4) == 0;
        drop(store.record(&tags, usage));
        all.push((seconds, tags, usage));
    }
    store.flush().await.unwrap();
    all
}

#[tokio::test]
async fn reports_are_what_the_attempts_come_to() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, millis) = clocked(&path);
    let all = load(&store, &millis).await;
    let ledger = Ledger::open(&path).unwrap();
    let [hours, recounted] = sums(&path);
    assert_eq!(hours, recounted);
    let mut random = fastrand::Rng::with_seed(9);
    let tags = [
        Tag::Model,
        Tag::Agent,
        Tag::from("tenant"),
        Tag::Run,
        Tag::Provider,
    ];
    for number in 0..200 {
        let mut by: Vec<Tag> = tags.to_vec();
        random.shuffle(&mut by);
        by.truncate(random.usize(..3));
        // Also whole hours, and less than one.
        let (mut from, mut until) = (random.u64(..172_800_000), random.u64(..172_800_000));
        (from, until) = (from.min(until), from.max(until));
        match number % 4 {
            0 => (from, until) = (from / 3_600_000 * 3_600_000, until / 3_600_000 * 3_600_000),
            1 => until = from + 1_000_000,
            _ => {}
        }
        let instant = |millis| at(0) + Duration::from_millis(millis);
        let mut query = Query::new()
            .by(by.clone())
            .from(instant(from))
            .until(instant(until));
        let only = random.bool().then(|| ["acme", ""][random.usize(..2)]);
        if let Some(tenant) = only {
            query = query.when("tenant", tenant);
        }
        let report = ledger.report(&query).unwrap();
        let mut expected =
            std::collections::BTreeMap::<Vec<String>, (u64, u64, u64, u64, u64, u64)>::new();
        for (at, tags, usage) in &all {
            let value = |tag: &Tag| tags.get(tag).unwrap_or_default().to_owned();
            if !(from..until).contains(at)
                || only.is_some_and(|only| value(&"tenant".into()) != only)
            {
                continue;
            }
            let sum = expected.entry(by.iter().map(value).collect()).or_default();
            sum.0 += 1;
            sum.1 += usage.input;
            sum.2 += usage.output;
            sum.3 += usage.cost.map_or(0, Money::as_nanos);
            sum.4 += u64::from(usage.estimated);
            sum.5 += u64::from(usage.cost.is_none());
        }
        let found = report.rows.iter().map(|(values, totals)| {
            let sum = (
                totals.attempts,
                totals.input,
                totals.output,
                totals.cost.as_nanos(),
                totals.estimated,
                totals.unpriced,
            );
            (values.clone(), sum)
        });
        let found: std::collections::BTreeMap<_, _> = found.collect();
        assert_eq!(found, expected, "{query:?}");
        assert_eq!(
            report.totals.attempts,
            expected.values().map(|sum| sum.0).sum::<u64>()
        );
        assert!(
            report
                .rows
                .is_sorted_by(|(_, one), (_, other)| one.cost >= other.cost)
        );
    }
}

#[tokio::test]
async fn reports_and_attempts_go_out_as_csv_and_json() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, millis) = clocked(&path);
    let mut usage = Usage::new(1_000, 50);
    usage.cost = Some("0.0125".parse().unwrap());
    millis.fetch_add(1_234, Ordering::Relaxed);
    let tags = Tags::new().with(Tag::Agent, "a,\"b\"").with(Tag::Run, "r");
    store.record(&tags, usage).get().await.unwrap();
    let ledger = store.ledger().unwrap();
    let report = ledger
        .report(&Query::new().by([Tag::Agent, Tag::Team]))
        .unwrap();
    let mut text = Vec::new();
    report.to_csv(&mut text).unwrap();
    let lines = "agent,team,attempts,estimated,unknown,unpriced,input_tokens,cache_read_tokens,cache_write_tokens,\
        output_tokens,reasoning_tokens,cost_dollars\r\n\"a,\"\"b\"\"\",,1,0,0,0,1000,0,0,50,0,0.0125\r\n\
        (all),,1,0,0,0,1000,0,0,50,0,0.0125\r\n";
    assert_eq!(String::from_utf8(text).unwrap(), lines);
    let mut text = Vec::new();
    report.to_json(&mut text).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["rows"][0]["tags"]["agent"], "a,\"b\"");
    assert_eq!(
        (&value["rows"][0]["input"], &value["totals"]["cost"]),
        (&json!(1_000), &json!("0.0125"))
    );

    let mut text = Vec::new();
    ledger.attempts_to_json(at(0), at(9), &mut text).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["at"], "2026-09-22T00:00:01.234Z");
    assert_eq!(
        (&value["run"], &value["status"], &value["cost_nanos"]),
        (&json!("r"), &json!("recorded"), &json!(12_500_000))
    );
    let mut text = Vec::new();
    ledger.attempts_to_csv(at(0), at(9), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("id,at,took_ms,status,provider,model,") && text.lines().count() == 2,
        "{text}"
    );
    let mut text = Vec::new();
    ledger.attempts_to_csv(at(9), at(10), &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap().lines().count(),
        1,
        "names alone"
    );
}

#[tokio::test]
async fn what_is_old_goes_and_its_sums_stay_as_long_as_they_are_to() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, millis) = clocked(&path);
    load(&store, &millis).await;
    millis.store((START + 172_800) * 1_000, Ordering::Relaxed);
    let ledger = store.ledger().unwrap();
    let month = Query::new().by([Tag::Model]);
    let before = ledger.report(&month).unwrap();
    let nothing = store.prune(&Retention::new()).await.unwrap();
    assert_eq!((nothing.attempts, nothing.hours), (0, 0));
    let pruned = store
        .prune(&Retention::new().attempts(HOUR * 24))
        .await
        .unwrap();
    assert!(
        pruned.attempts > 500 && pruned.attempts < 1_500 && pruned.hours == 0,
        "{pruned:?}"
    );
    let left: u64 = rows(&path, "SELECT count(*) FROM attempt")[0][0]
        .parse()
        .unwrap();
    assert_eq!(left + pruned.attempts, 2_000);
    assert_eq!(ledger.report(&month).unwrap(), before, "the sums are there");
    // Of hours whose attempts are gone, whole ones.
    let half = ledger
        .report(&Query::new().from(at(1_800)).until(at(3_599)))
        .unwrap();
    let whole = ledger
        .report(&Query::new().from(at(0)).until(at(3_600)))
        .unwrap();
    assert_eq!(half, whole);
    let runs = rows(
        &path,
        "SELECT count(*) FROM run WHERE id NOT IN (SELECT run FROM attempt)",
    );
    assert_eq!(runs, [["0"]]);
    let pruned = store
        .prune(&Retention::new().hours(HOUR * 12))
        .await
        .unwrap();
    assert!(pruned.attempts > 200 && pruned.hours > 100, "{pruned:?}");
    let [hours, recounted] = sums(&path);
    assert_eq!(hours, recounted);
    let sets = "SELECT count(*) FROM tag_set";
    assert_eq!(
        rows(&path, sets),
        rows(&path, "SELECT count(DISTINCT tags) FROM hour")
    );
    let audit = ledger.audit().unwrap();
    assert_eq!(audit.len(), 2);
    assert_eq!((&*audit[1].what, &*audit[1].by), ("prune", "the operator"));
    // All goes but what is open.
    let held = store.claim(&claim("held")).get().await.unwrap();
    millis.store((START + 999_999) * 1_000, Ordering::Relaxed);
    store.prune(&Retention::new().hours(HOUR)).await.unwrap();
    assert_eq!(
        rows(&path, "SELECT status, agent, run FROM attempts"),
        [["open", "held", "held"]]
    );
    assert_eq!(rows(&path, sets), [["1"]]);
    drop(held);
    // Names that are gone come back.
    let tags = Tags::new().with(Tag::Run, "run 1");
    store.record(&tags, Usage::new(1, 1)).get().await.unwrap();
    assert_eq!(
        rows(&path, "SELECT run FROM attempts ORDER BY id DESC LIMIT 1"),
        [["run 1"]]
    );
}

#[tokio::test]
async fn calls_go_on_while_what_is_old_goes() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, millis) = clocked(&path);
    // More than are deleted at a time, and more runs.
    for number in 0..12_000 {
        let tags = Tags::new().with(Tag::Run, format!("run {}", number % 7_000));
        drop(store.record(&tags, Usage::new(1, 1)));
    }
    store.flush().await.unwrap();
    millis.store((START + 172_800) * 1_000, Ordering::Relaxed);
    let limiter = limiter(&store);
    let pruning = tokio::spawn({
        let store = store.clone();
        async move { store.prune(&Retention::new().attempts(HOUR)).await.unwrap() }
    });
    let mut calls = 0;
    while !pruning.is_finished() || calls < 20 {
        // Under a name that is about to go.
        let tags = Tags::new().with(Tag::Run, format!("run {}", calls % 7_000));
        let permit = limiter.acquire(Call::new().tags(tags)).await.unwrap();
        permit.settle(Usage::new(1, 1));
        calls += 1;
    }
    assert_eq!(pruning.await.unwrap().attempts, 12_000);
    store.flush().await.unwrap();
    let left = rows(&path, "SELECT count(*), count(run) FROM attempts");
    assert_eq!(
        left,
        [[calls.to_string(), calls.to_string()]],
        "each with its run"
    );
    let [hours, _] = sums(&path);
    let all: u64 = hours
        .iter()
        .map(|hour| hour[2].parse::<u64>().unwrap())
        .sum();
    assert_eq!(all, 12_000 + calls);
}

#[tokio::test(start_paused = true)]
async fn the_audit_log_has_what_is_done_by_hand_and_nothing_of_it_changes() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let (store, _) = clocked(&path);
    let limiter = limiter(&store);
    let mut usage = Usage::new(1, 1);
    usage.cost = Some(Money::from_dollars(8));
    limiter.record(&Tags::new(), usage).await.unwrap();
    let less = Correction::Less(Money::from_dollars(3));
    let ada = Tags::new().with(Tag::User, "ada");
    scope(ada, limiter.correct(&Tags::new(), less, "refunded"))
        .await
        .unwrap();
    let more = Limits::new([Limit::cost(Money::from_dollars(200)).every(HOUR * 24)]).unwrap();
    limiter.reconfigure(&more).await.unwrap();
    let audit = store.ledger().unwrap().audit().unwrap();
    let found: Vec<_> = audit
        .iter()
        .map(|entry| {
            (
                &*entry.what,
                entry.old.as_deref(),
                entry.new.as_deref(),
                &*entry.by,
                &*entry.why,
            )
        })
        .collect();
    let limit = |dollars| format!("cost ${dollars}.00/day");
    let (old, new) = (limit(100), limit(200));
    assert_eq!(
        found,
        [
            ("correct", Some("$8.00"), Some("$5.00"), "ada", "refunded"),
            (
                "limit",
                Some(&*old),
                Some(&*new),
                "the operator",
                "changed at run time"
            ),
        ]
    );
    assert!(
        audit[0].at.starts_with("2026-09-22T00:00:00"),
        "{}",
        audit[0].at
    );
    let conn = Connection::open(&path).unwrap();
    for sql in [
        "DELETE FROM audit",
        "UPDATE audit SET by = 'nobody'",
        "INSERT OR REPLACE INTO audit (id, at, what, subject, by, why) VALUES (1, '', '', '', '', '')",
    ] {
        let error = conn.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("what is in the audit log stays"), "{error}");
    }
    assert_eq!(store.ledger().unwrap().audit().unwrap(), audit);
}
