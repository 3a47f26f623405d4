//! What is recorded of an attempt.

use super::*;

/// B5: statistics.
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
                let second = BudgetLayer::new(super::limiter([wide()]), prices());
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

/// M4: who hangs up pays.
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
    let statistics = super::statistics();
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
        (
            figures.tokens(),
            figures.cost,
            figures.requests,
            figures.unpriced,
        )
    };
    assert_eq!(of("m"), (15, Money::ZERO, 1, 1));
    assert_eq!(
        of("gpt-4o"),
        (15, Money::from_nanos(10 * 2_500 + 5 * 10_000), 1, 0)
    );
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
