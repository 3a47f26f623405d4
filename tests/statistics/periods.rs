//! In which period, and for how long it is kept.

use super::*;

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
                "requests": 1, "estimated": 0, "unpriced": 0, "input": 100, "cache_read": 40, "cache_write": 0,
                "output": 20, "reasoning": 5, "cost": "1.50", "refused": {},
            }],
            "others": {
                "requests": 0, "estimated": 0, "unpriced": 0, "input": 0, "cache_read": 0, "cache_write": 0,
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

    let again = super::statistics().restore(read()).unwrap();
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
    let error = super::statistics().restore(damaged).unwrap_err();
    assert!(
        error.to_string().contains("2026-03-27T23:00:00Z"),
        "{error}"
    );
}
